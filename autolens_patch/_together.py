"""
Which functions of PyAutoLens are replaced, under JAX and as long as profiles are
evaluated together (:func:`autogalaxy_patch.evaluate_together`).
"""

import copy

import autogalaxy as ag
import autolens as al
import numpy as np
from autolens.lens import tracer_util

from autofit_patch.pytree._made import holds_tracer
from autogalaxy_patch.together._groups import leaves_of
from autogalaxy_patch.together._sum import (
    Sum,
    each_of,
    is_dark,
    light_profiles_of,
    mass_profiles_of,
)
from autogalaxy_patch.together._switch import replaces


@replaces(
    *("autolens", tracer_util, "traced_grid_2d_list_from"),
    *("planes", "grid", "cosmology", "plane_index_limit", "xp"),
)
def traced_grid_2d_list_from(
    original, planes, grid, cosmology=None, plane_index_limit=None, xp=np
):
    return original(
        [plane_from(galaxies) for galaxies in planes],
        grid=grid,
        cosmology=known_from(cosmology or ag.cosmo.Planck15()),
        plane_index_limit=plane_index_limit,
        xp=xp,
    )


class KnownCosmology:
    """
    A cosmology with no free parameters: what it says of known redshifts is a number.

    Parameters
    ----------
    cosmology
        The cosmology, whose own function computes it.
    """

    def __init__(self, cosmology):
        self.cosmology = cosmology

    def scaling_factor_between_redshifts_from(self, *, xp, **redshifts):
        xp = xp if holds_tracer(redshifts) else np
        return self.cosmology.scaling_factor_between_redshifts_from(**redshifts, xp=xp)


def known_from(cosmology):
    """A cosmology as one that is known, if it is."""
    leaves, _ = leaves_of(cosmology)
    if leaves is None or holds_tracer(leaves):
        return cosmology
    return KnownCosmology(cosmology)


def plane_from(galaxies) -> list:
    """The galaxies of a plane as one galaxy, which has the sum of their deflections."""
    return [ag.Galaxies(galaxies)] if len(galaxies) > 1 else galaxies


def members_of(tracer) -> list:
    """The galaxies of a tracer and, in newer releases, its fields."""
    return getattr(tracer, "members", tracer.galaxies)


def mass_of_tracer(original, self, grid, xp=np):
    profiles = each_of(mass_profiles_of, members_of(self))
    return original(Sum(profiles) if profiles else self, grid=grid, xp=xp)


for _name in (
    "deflections_of_planes_summed_from",
    "convergence_2d_from",
    "potential_2d_from",
):
    replaces("autolens", al.Tracer, _name, "self", "grid", "xp")(mass_of_tracer)


class TracerOfPlanes(al.Tracer):
    """A tracer which has the galaxies of each plane as one galaxy."""

    @property
    def planes(self) -> list:
        return [plane_from(galaxies) for galaxies in super().planes]


class DarkTracer(TracerOfPlanes):
    """One whose light is all solved for: its images are zeros, on whatever grid."""

    def traced_grid_2d_list_from(self, grid, xp=np, plane_index_limit=None):
        return [grid] * (1 + plane_index_limit)


@replaces(
    *("autolens", al.Tracer, "image_2d_list_from"),
    *("self", "grid", "xp", "operated_only"),
)
def images_of_planes(original, self, grid, xp=np, operated_only=None):
    tracer = self
    # A class of tracers that a user made may do some of this in its own way.
    if type(self) is al.Tracer:
        profiles = each_of(light_profiles_of, members_of(self))
        tracer = copy.copy(self)
        is_unlit = all(map(is_dark, profiles))
        tracer.__class__ = DarkTracer if is_unlit else TracerOfPlanes
        xp = np if is_unlit else xp
    return original(tracer, grid=grid, xp=xp, operated_only=operated_only)
