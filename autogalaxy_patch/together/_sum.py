"""What stands in for many profiles where the libraries sum over a list of them."""

from collections.abc import Callable

import autogalaxy as ag
from autogalaxy.profiles.light.linear import LightProfileLinear
from autogalaxy.profiles.mass.abstract.abstract import MassProfile

from autofit_patch.pytree._made import holds_tracer
from autogalaxy_patch.together._evaluate import added, summed
from autogalaxy_patch.together._positions import by_position
from autogalaxy_patch.together._switch import overrides

try:
    from autogalaxy.profiles.mass.abstract.deflections_memo import deflections_yx_2d_from
except ImportError:

    def deflections_yx_2d_from(profile, grid, xp):
        return profile.deflections_yx_2d_from(grid=grid, xp=xp)


class Sum:
    """
    The one member of a list that is the sum of many profiles.

    It has what the libraries ask a galaxy, its list of profiles, a plane or a tracer for,
    so that their own functions do the rest.

    Parameters
    ----------
    profiles
        The profiles, one at least.
    """

    def __init__(self, profiles):
        self.profiles = profiles
        self.profile_list = self.mass_profile_list = [self]
        # A tracer's members are its galaxies in the oldest of the tested releases.
        self.members = self.galaxies = [self]

    def __iter__(self):
        return iter([self])

    def has(self, cls) -> bool:
        return True

    def cls_list_from(self, cls, cls_filtered=None) -> list:
        return [self]

    def deflections_yx_2d_from(self, grid, xp, **kwargs):
        def of(profiles, grid):
            return summed(lambda p: deflections_yx_2d_from(p, grid, xp), profiles)

        is_fixed = not holds_tracer(grid.array)
        known, own, others = [], [], []
        for profile in self.profiles:
            if is_fixed and is_known(profile):
                known.append(profile)
            else:
                (own if is_own(profile) else others).append(profile)
        # The libraries compute what is known once, while they trace.
        parts = [deflections_yx_2d_from(profile, grid, xp) for profile in known]
        # What a class of a user's returns may depend on all positions.
        if own:
            parts.append(of(own, grid))
        if others:
            parts.append(by_position(lambda grid: of(others, grid), grid))
        return added(parts)

    def convergence_2d_from(self, grid, xp, **kwargs):
        return summed(lambda p: p.convergence_2d_from(grid=grid, xp=xp), self.profiles)

    def potential_2d_from(self, grid, xp, **kwargs):
        return summed(lambda p: p.potential_2d_from(grid=grid, xp=xp), self.profiles)

    def image_2d_from(self, **kwargs):
        return summed(lambda profile: profile.image_2d_from(**kwargs), self.profiles)

    def image_2d_list_from(self, **kwargs) -> list:
        return [self.image_2d_from(**kwargs)]

    def image_2d_list_unbinned_from(self, **kwargs) -> list:
        return [summed(lambda p: p.image_2d_unbinned_from(**kwargs), self.profiles)]


def is_known(profile) -> bool:
    """Whether all that the deflections of a profile need is known, but for a factor."""
    return not any(
        holds_tracer(value)
        for name, value in vars(profile).items()
        if name != "mass_to_light_ratio"
    )


def is_own(profile) -> bool:
    """Whether a profile, or one of a basis, does anything in a way of a user's."""
    parts = getattr(profile, "profile_list", ())
    return overrides(type(profile)) or any(map(is_own, parts))


def mass_profiles_of(galaxy) -> list:
    """The mass profiles of a galaxy."""
    return galaxy.cls_list_from(cls=MassProfile)


def light_profiles_of(galaxy) -> list:
    """The light profiles of a galaxy whose intensities are not solved for."""
    return galaxy.cls_list_from(cls=ag.LightProfile, cls_filtered=LightProfileLinear)


def each_of(profiles_of: Callable, members) -> list:
    """
    The profiles of many galaxies, and the galaxies that do things in their own way.

    Parameters
    ----------
    profiles_of
        Returns the profiles of a galaxy.
    members
        Galaxies, and lists of them.
    """
    found = []
    for member in members:
        if overrides(type(member)):
            found.append(member)
        elif isinstance(member, ag.Galaxies):
            found += each_of(profiles_of, member)
        else:
            found += profiles_of(member)
    return found


def is_dark(profile) -> bool:
    """Whether a light profile has no image of its own: its intensity is solved for."""
    if isinstance(profile, ag.lp_basis.Basis):
        return all(map(is_dark, profile.light_profile_list))
    return isinstance(profile, LightProfileLinear)
