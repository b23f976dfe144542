"""The cosmology of a tracer as numbers to differentiate by."""

import copy
import inspect

import autolens as al

from autofit_patch import register
from autofit_patch.pytree._contents import (
    BOOKKEEPING,
    CACHES,
    attribute_from,
    attributes_of,
)
from autofit_patch.pytree._keys import same
from autofit_patch.pytree.by_hand._split import TRACED_CLASSES


class TracedFlatLambdaCDM(al.cosmo.FlatLambdaCDM):
    """
    A flat cosmology whose numbers are leaves of the tracer that has it.

    The cosmology of a tracer is structure, so that tracers with the same cosmology share
    compiled functions. This class is the exception, see :func:`trace_cosmology`.
    """


register(TracedFlatLambdaCDM)
TRACED_CLASSES.add(TracedFlatLambdaCDM)


def trace_cosmology(tracer: al.Tracer) -> al.Tracer:
    """
    Make the numbers of a tracer's cosmology leaves of the tracer.

    What depends on the cosmology (time delays, images of more than two planes) can then
    be differentiated by ``H0``, ``Om0``, ``Tcmb0``, ``m_nu`` and ``Ob0``; ``Neff`` stays
    structure, because the number of neutrino species is made an integer from it.

    Parameters
    ----------
    tracer
        A tracer whose cosmology is a ``FlatLambdaCDM`` (``Planck15``, the default, is).

    Returns
    -------
    A tracer of the same galaxies with an equal cosmology, a :class:`TracedFlatLambdaCDM`.
    The tracer that was passed is left as it is.

    Raises
    ------
    TypeError
        If it is no tracer, or if its cosmology is not a ``FlatLambdaCDM``.
    ValueError
        If the cosmology has an attribute that is not made from the arguments of
        ``FlatLambdaCDM``, which would be lost.

    Examples
    --------
    >>> tracer = autolens_patch.trace_cosmology(tracer)
    >>> jax.grad(time_delay)(tracer).cosmology.H0
    """
    if not isinstance(tracer, al.Tracer):
        raise TypeError(
            f"trace_cosmology expected a Tracer, and was given a {type(tracer).__name__}"
        )
    cosmology = tracer.cosmology
    if isinstance(cosmology, TracedFlatLambdaCDM):
        return tracer
    if not isinstance(cosmology, al.cosmo.FlatLambdaCDM):
        raise TypeError(
            "trace_cosmology can make the numbers of a FlatLambdaCDM leaves, and this "
            f"tracer's cosmology is a {type(cosmology).__name__}. Give the tracer a "
            "FlatLambdaCDM."
        )
    names = inspect.signature(TracedFlatLambdaCDM).parameters
    traced = TracedFlatLambdaCDM(**{name: getattr(cosmology, name) for name in names})
    for name, value in attributes_of(cosmology).items():
        if name in BOOKKEEPING or name in CACHES:
            continue
        if not same(attribute_from(traced, name), value):
            raise ValueError(
                f"this tracer's cosmology, a {type(cosmology).__name__}, holds {name} = "
                f"{value!r}, which no argument of FlatLambdaCDM sets: a FlatLambdaCDM "
                f"with its numbers has {getattr(traced, name, 'no such attribute')!r}."
            )
    tracer = copy.copy(tracer)
    tracer.cosmology = traced
    return tracer
