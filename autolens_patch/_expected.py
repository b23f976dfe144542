"""
Every internal of PyAutoLens that the patch relies on, and a tracer with which newer
releases are checked.
"""

import inspect

import autolens as al
from autolens.point.fit.abstract import AbstractFitPoint

from autofit_patch.libraries._check import SmallModel
from autofit_patch.libraries._required import require
from autofit_patch.pytree._registration import has_no_hook_of_its_own


def has_arguments(cls: type, *names: str) -> bool:
    """Whether the arguments of a class have these names, among others."""
    return set(names) <= inspect.signature(cls).parameters.keys()


EXPECTED = {
    "Tracer without __init_subclass__": lambda: has_no_hook_of_its_own(al.Tracer),
    "Tracer(galaxies, cosmology)": lambda: has_arguments(
        al.Tracer, "galaxies", "cosmology"
    ),
    "Tracer.galaxies, Tracer.cosmology": lambda: (
        {"galaxies", "cosmology"} <= vars(al.Tracer([al.Galaxy(redshift=0.5)])).keys()
    ),
    "AbstractFitPoint(name, data, noise_map, tracer, solver)": lambda: has_arguments(
        AbstractFitPoint, "name", "data", "noise_map", "tracer", "solver"
    ),
}


def check():
    """
    Look at every internal of PyAutoLens that the patch relies on.

    Raises
    ------
    ImportError
        If one is not as it was in the releases that the patch was tested with. The
        message lists them.
    """
    require("autolens", EXPECTED)


def small_model() -> SmallModel:
    """A tracer made by hand."""

    def tracer_from(vector):
        y, x, radius = vector
        mass = al.mp.IsothermalSph(centre=(y, x), einstein_radius=radius)
        lens = al.Galaxy(redshift=0.5, mass=mass)
        return al.Tracer(galaxies=[lens, al.Galaxy(redshift=1.0)])

    def loss(tracer):
        mass = tracer.galaxies[0].mass
        return mass.centre[0] * mass.centre[0] * mass.einstein_radius

    return SmallModel(
        library="autolens",
        make=tracer_from,
        vector=(0.5, 0.25, 1.5),
        names=(
            ".galaxies[0].mass.centre[0]",
            ".galaxies[0].mass.centre[1]",
            ".galaxies[0].mass.einstein_radius",
        ),
        loss=loss,
        gradient=(1.5, 0.0, 0.25),
    )
