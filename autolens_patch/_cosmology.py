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
    """See :func:`autolens_patch.trace_cosmology`."""
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
