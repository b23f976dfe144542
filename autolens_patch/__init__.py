"""
Strong lens models as JAX pytrees.

``import autolens_patch`` is the one line that a script needs, before or after ``import
autofit`` and ``import autolens``. It patches PyAutoFit and PyAutoGalaxy too
(:mod:`autofit_patch`, :mod:`autogalaxy_patch`). PyAutoLens and PyAutoGalaxy are not
imported by it, but patched at their imports, so that it is the user who decides in which
order the libraries are imported: their configuration depends on it.
"""

from typing import TYPE_CHECKING

import autogalaxy_patch
from autofit_patch.libraries._hooks import when_imported
from autofit_patch.libraries._required import relying_on
from autofit_patch.libraries._versions import check_versions

if TYPE_CHECKING:
    import autolens as al

__all__ = ["evaluate_together", "trace_cosmology"]

evaluate_together = autogalaxy_patch.evaluate_together


def _apply():
    """
    Patch PyAutoLens, once it is imported.

    Raises
    ------
    ImportError
        If it is not as the patch knows it.
    ValueError
        If the libraries' own registration came first.
    """
    with relying_on("autolens"):
        from autolens_patch import _classes, _expected
    _expected.check()
    _classes.apply()


def _small_model():
    """The tracer with which newer releases of PyAutoLens are checked."""
    from autolens_patch import _expected

    return _expected.small_model()


def trace_cosmology(tracer: "al.Tracer") -> "al.Tracer":
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
    A tracer of the same galaxies with an equal cosmology, a ``TracedFlatLambdaCDM``.
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
    from autolens_patch import _cosmology

    return _cosmology.trace_cosmology(tracer)


check_versions("autolens")
when_imported("autolens", _apply, _small_model)
