"""Which classes of PyAutoGalaxy are given to JAX."""

import autoarray as aa
import autogalaxy as ag
from autoarray.abstract_ndarray import _pytree_registered_classes
from autoarray.inversion.mesh.image_mesh.abstract import AbstractImageMesh
from autoarray.inversion.mesh.mesh.abstract import AbstractMesh
from autoarray.inversion.regularization.abstract import AbstractRegularization
from autogalaxy.profiles.geometry_profiles import GeometryProfile

from autofit_patch import register
from autofit_patch.libraries._internals import add_registry
from autofit_patch.pytree._contents import CACHES
from autofit_patch.pytree._registration import (
    already_registered,
    register_below,
    subclasses_of,
)
from autofit_patch.pytree.by_hand._split import CONCRETE_ARGUMENTS
from autogalaxy_patch.datasets import register_datasets

#: Every class below one of these is a pytree.
BASES = (
    GeometryProfile,
    ag.ps.Point,
    ag.ps.PointSolved,
    ag.EllipseMultipole,
    ag.Galaxy,
    # Not in the oldest of the tested releases.
    *([ag.MassField] if hasattr(ag, "MassField") else []),
    aa.Pixelization,
    aa.DatasetModel,
    AbstractMesh,
    AbstractImageMesh,
    AbstractRegularization,
    ag.cosmo.LensingCosmology,
)

#: A cosmology keeps the distances that it has computed.
CACHES.add("_dist_cache")

CONCRETE_ARGUMENTS.update(
    **{"MaternSparse.nu": "only one value of it is implemented, which is checked"},
    **{
        f"{name}.{number}": "NumPy evaluates the cosmology when the profile is made"
        for name in ("dPIEMass", "dPIEMassSph")
        for number in ("H0", "Om0")
    },
    cosmology="one model of the Universe is behind every object of an analysis",
    Neff="the number of neutrino species is made an integer from it",
    bandwidth="the mesh makes a Python float of it",
    deflections_y="SciPy interpolates it",
    deflections_x="SciPy interpolates it",
    lensing_potential="SciPy interpolates it",
    image_plane_grid="SciPy interpolates at it",
    redshift="planes are sorted and compared by it",
    redshift_object="the cosmology is evaluated at it when the profile is made",
    redshift_source="the cosmology is evaluated at it when the profile is made",
)


def apply():
    """
    Patch PyAutoGalaxy.

    Raises
    ------
    ImportError
        If the libraries' own registration came first.
    """
    classes = {cls for base in BASES for cls in subclasses_of(base)}
    if taken := (classes | {ag.Galaxies}) & _pytree_registered_classes:
        raise ImportError(already_registered(taken))
    add_registry(_pytree_registered_classes)
    for cls in classes:
        register(cls)
    for base in BASES:
        register_below(base)
    of_a_list = {
        "arguments_from": lambda galaxies: {"galaxies": list(galaxies)},
        "is_container": True,
    }
    register(ag.Galaxies, **of_a_list)
    register_below(ag.Galaxies, **of_a_list)
    register_datasets()
