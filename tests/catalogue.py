"""
Every class that a user can put in a model, and what can be computed with its objects.

The classes are found by walking the public modules of the libraries. Nothing here needs
the patch: the unpatched libraries are asked the same questions.
"""

import functools
import inspect

import autofit as af
import autofit.example
import autolens as al
import numpy as np

#: The public modules whose classes go into models.
MODULES = {
    **{
        name: getattr(al, name)
        for name in (
            *("lp", "lp_linear", "lp_operated", "lp_snr", "lp_basis"),
            *("mp", "lmp", "lmp_linear", "ps"),
            *("mesh", "image_mesh", "reg", "cosmo"),
        )
    },
    "example": autofit.example,
}

#: Model classes that are not in one of these modules, and not in every release.
OTHERS = (
    *("Galaxy", "Galaxies", "MassField", "Tracer"),
    *("Redshift", "DatasetModel", "Pixelization"),
)

#: Public classes that are not tested, with the reason. Everything else is.
NOT_COVERED = {
    "LightProfileLinear": "a base: it takes any arguments and keeps none",
    "LightProfileLinearObjFuncList": "made by a fit, not put in a model",
    "LightProfileOperated": "a mark on other classes: it has no arguments",
    "LightProfileSNR": "a mark on other classes: it has no profile of its own",
    "LightProfile": "a base: it has no image",
    "LightMassProfile": "a mark on other classes: it has no arguments",
    "MassProfile": "a base: it has no deflections",
    "MGEDecomposer": "a calculation on a mass profile, not part of a model",
    "LinearNDInterpolatorExt": "an interpolator of SciPy inside other profiles",
    "Mesh": "a base: it maps nothing",
    "Regularization": "a base: it has no matrix",
    "LensingCosmology": "a base: it has no numbers",
    "Analysis": "it fits models, and is not part of one",
}


def covered_from(modules: dict) -> dict:
    """The classes of modules by name, each under the first name that it has."""
    classes = {}
    for module_name, module in modules.items():
        for name, cls in vars(module).items():
            if inspect.isclass(cls):
                classes.setdefault(cls, f"{module_name}.{name}")
    return {name: cls for cls, name in classes.items()}


@functools.cache
def classes() -> dict:
    """Every class that is tested, by name."""
    found = covered_from(MODULES)
    found |= {name: getattr(al, name) for name in OTHERS if hasattr(al, name)}
    return {
        name: cls
        for name, cls in found.items()
        if name.rpartition(".")[2] not in NOT_COVERED
    }


#: Classes whose deflections are interpolated on the grid that they are given.
ON_PIXELS = ("InputDeflections", "InputPotential", "GaussianRandomField")

#: Methods that are left out, with the reason.
TOO_SLOW = {
    f"{name}.potential_2d_from": "takes seconds to a minute for two points on NumPy"
    for name in (
        *("KaplinghatCoredNFWSph", "KaplinghatCoredNFWMCRLudlowSph"),
        *("YangSIDMSph", "YangSIDMMCRLudlowSph"),
    )
}

GRID = al.Grid2DIrregular([(1.0, 0.4), (-0.7, -1.3)])
PIXELS = al.Grid2D.uniform(shape_native=(5, 5), pixel_scales=0.5, over_sample_size=1)
MASK = al.Mask2D.circular(shape_native=(5, 5), pixel_scales=0.5, radius=1.2)


@functools.cache
def random_numbers(*shape) -> np.ndarray:
    """The same random numbers in [0, 1) for the same shape, in any process."""
    return np.random.default_rng(1).uniform(size=shape)


@functools.cache
def adapt_data():
    return al.Array2D(random_numbers(MASK.pixels_in_mask), mask=MASK)


@functools.cache
def data_grid():
    return al.Grid2D.from_mask(mask=MASK, over_sample_size=1)


@functools.cache
def mesh_grid():
    return al.Grid2DIrregular(3.0 * random_numbers(12, 2) - 1.5)


def mapper_from(mesh, xp=np):
    """The mapper of a mesh, on a few pixels. Rectangular meshes make their own grid."""
    interpolator = mesh.interpolator_from(
        source_plane_data_grid=data_grid(),
        source_plane_mesh_grid=None if hasattr(mesh, "shape") else mesh_grid(),
        adapt_data=adapt_data(),
        xp=xp,
    )
    return al.Mapper(interpolator=interpolator, xp=xp)


@functools.cache
def linear_object_for(regularization: type):
    """What a class of regularizations regularizes: the pixels of a mesh, or of a mask."""
    if regularization.__name__ in ("CurvatureMask", "FourthOrderMask"):
        return Masked
    if regularization.__name__ == "MaternSparse":
        return mapper_from(al.mesh.RectangularUniform(shape=(4, 4)))
    return mapper_from(al.mesh.Delaunay(pixels=12))


class Masked:
    """A mask whose every pixel is regularized."""

    mask = MASK
    params = MASK.pixels_in_mask


def array_from(figure):
    """A figure as an array: the libraries wrap theirs."""
    return getattr(figure, "array", figure)


def methods_of(cls: type) -> dict:
    """
    The public numerical methods of a class's kind, by name.

    Each takes an object and the array module, and returns an array.
    """

    def of_grid(name, grid=GRID):
        return lambda obj, xp: array_from(getattr(obj, name)(grid=grid, xp=xp))

    light = {"image_2d_from": of_grid("image_2d_from")}
    mass = {
        name: of_grid(name)
        for name in (
            "deflections_yx_2d_from",
            "convergence_2d_from",
            "potential_2d_from",
        )
    }
    below = functools.partial(issubclass, cls)
    if below((al.Galaxy, al.Galaxies)):
        return {**light, **mass}
    if below(al.Tracer):
        return {**light, **mass}
    if hasattr(al, "MassField") and below(al.MassField):
        return mass
    if below(al.lp_basis.Basis):
        return light
    if below(al.lp_snr.LightProfileSNR):
        return {"set_intensity_from": snr_image}
    if below(al.lp_linear.LightProfile) and below(al.mp.MassProfile):
        return {**light, **mass}
    if below(al.lp_linear.LightProfile):
        return light
    if below(al.mp.MassProfile):
        grid = GRID
        if cls.__name__ in ON_PIXELS:
            grid = data_grid()
        names = [name for name in mass if f"{cls.__name__}.{name}" not in TOO_SLOW]
        return {name: of_grid(name, grid) for name in names}
    if below(al.reg.Regularization):
        return {
            name: lambda obj, xp, name=name: getattr(obj, name)(
                linear_obj=linear_object_for(cls), xp=xp
            )
            for name in ("regularization_weights_from", "regularization_matrix_from")
        }
    if below(al.mesh.Mesh):
        return {"mapping_matrix": lambda obj, xp: mapper_from(obj, xp).mapping_matrix}
    if cls.__module__.startswith("autoarray.inversion.mesh.image_mesh"):
        return {
            "image_plane_mesh_grid_from": lambda obj, xp: array_from(
                obj.image_plane_mesh_grid_from(mask=MASK, adapt_data=adapt_data())
            )
        }
    if below(al.cosmo.LensingCosmology):
        return {
            name: lambda obj, xp, name=name, zs=zs: getattr(obj, name)(*zs, xp=xp)
            for name, zs in {
                "angular_diameter_distance_to_earth_in_kpc_from": (0.5,),
                "critical_surface_density_between_redshifts_from": (0.5, 1.0),
                "scaling_factor_between_redshifts_from": (0.5, 1.0, 2.0),
            }.items()
        }
    if below(al.Pixelization):
        return {
            "mapping_matrix": lambda obj, xp: mapper_from(obj.mesh, xp).mapping_matrix,
            "regularization_matrix_from": (
                lambda obj, xp: obj.regularization.regularization_matrix_from(
                    linear_obj=linear_object_for(type(obj.regularization)), xp=xp
                )
            ),
        }
    if below(al.DatasetModel):
        return {"its numbers": lambda obj, xp: xp.array(numbers_of(obj))}
    if hasattr(cls, "model_data_from"):
        xvalues = np.linspace(-1.0, 1.0, 5)
        return {"model_data_from": lambda obj, xp: obj.model_data_from(xvalues, xp=xp)}
    if below(float):
        return {"its value": lambda obj, xp: xp.asarray(obj) * 1.0}
    return {"its numbers": lambda obj, xp: xp.array(numbers_of(obj))}


#: What objects hold to tell one of them from another, which nothing is computed of.
UNLIKE = ("id", "label", "_label", "pytree_token")


def numbers_of(obj) -> list:
    """The numbers of an object that only stores them."""
    numbers = []
    for name, value in vars(obj).items():
        if name in UNLIKE:
            continue
        numbers += value if isinstance(value, tuple) else [value]
    return [number for number in numbers if not isinstance(number, str)]


def snr_image(obj, xp):
    """The image of a light profile whose intensity follows from a signal to noise."""
    obj.set_intensity_from(grid=PIXELS, exposure_time=100.0, background_sky_level=1.0)
    return array_from(obj.image_2d_from(grid=GRID, xp=xp))


#: Values of constructor arguments that have no default, or another here, by name.
VALUES = {
    **{"n": 2, "m": 0, "n_y": 1, "n_x": 2, "pixels": 12},
    **{"deflections_y": random_numbers(21), "deflections_x": random_numbers(21)},
    **{"lensing_potential": random_numbers(21), "image_plane_grid": data_grid()},
    **{
        "mask": MASK,
        "seed": 1,
        "bandwidth": 0.3,
        "k_neighbors": 5,
        "split_neighbor_division": 2,
    },
    "shape": (4, 4),
    **{"redshift": 0.5, "redshift_object": 0.5, "redshift_source": 1.0, "Neff": 3.046},
}


def composed() -> dict:
    """Models of the classes whose arguments are objects, by class."""

    def galaxy_from(redshift, **components):
        return af.Model(al.Galaxy, redshift=redshift, **components)

    def lens():
        return galaxy_from(0.5, bulge=al.lp.Sersic, mass=al.mp.Isothermal)

    def galaxies():
        return af.Collection(lens(), galaxy_from(1.0, bulge=al.lp.Exponential))

    models = {
        al.lp_basis.Basis: lambda: af.Model(
            al.lp_basis.Basis, profile_list=[al.lp.Gaussian, al.lp.Sersic]
        ),
        al.Galaxy: lens,
        al.Galaxies: galaxies,
        al.Tracer: galaxies,
        al.Redshift: lambda: af.Model(
            al.Redshift, redshift=af.UniformPrior(lower_limit=0.1, upper_limit=2.0)
        ),
        al.Pixelization: lambda: af.Model(
            al.Pixelization,
            mesh=model_from(al.mesh.RectangularRTUAdaptImage),
            regularization=al.reg.GaussianKernel,
        ),
    }
    if hasattr(al, "MassField"):
        models[al.MassField] = lambda: af.Model(
            al.MassField, redshift=0.5, shear=al.mp.ExternalShear, sheet=al.mp.MassSheet
        )
    return models


def fixed_from(cls: type) -> dict:
    """The constructor arguments of a class that are not free."""
    if issubclass(cls, float):
        return {}
    names = inspect.signature(cls).parameters
    fixed = {name: VALUES[name] for name in names if name in VALUES}
    return fixed | VALUES_OF.get(cls.__name__, {})


def model_from(cls: type):
    """A model of a class in which every number that can be free is."""
    if cls in composed():
        return composed()[cls]()
    fixed = fixed_from(cls)
    model = af.Model(cls, **fixed)
    for name, parameter in inspect.signature(cls).parameters.items():
        default = parameter.default
        held = getattr(model, name, None)
        if name in fixed or isinstance(held, af.Prior):
            continue
        if isinstance(default, float):
            setattr(model, name, prior_around(default))
        elif isinstance(default, tuple) and not getattr(held, "priors", None):
            entries = {f"{name}_{i}": prior_around(v) for i, v in enumerate(default)}
            setattr(model, name, af.TuplePrior(**entries))
    return model


#: The same for one class: only this value is implemented, or NumPy alone takes it.
VALUES_OF = {
    "MaternSparse": {"nu": 1.0},
    "PowerLawMultipole": {"m": 4},
    "dPIEMass": {"H0": 67.66, "Om0": 0.30966},
    "dPIEMassSph": {"H0": 67.66, "Om0": 0.30966},
}


def prior_around(value: float) -> af.UniformPrior:
    """A prior for a number that the libraries' configuration has none for."""
    lower, upper = sorted((0.8 * value, 1.2 * value)) if value else (0.05, 0.25)
    return af.UniformPrior(lower_limit=lower, upper_limit=upper)


def made_by_hand(component, value_of: dict):
    """
    What a model makes, made without it: by calling each class with its arguments.

    Parameters
    ----------
    component
        The model, or anything in it.
    value_of
        The value of each of its priors.
    """
    if isinstance(component, af.Prior):
        return value_of[component]
    if isinstance(component, af.TuplePrior):
        return tuple(made_by_hand(entry, value_of) for _, entry in component.tuples)
    if isinstance(component, af.Collection):
        return [made_by_hand(item, value_of) for item in component]
    if not isinstance(component, af.Model):
        return component
    parts = (af.Prior, af.TuplePrior, af.Model, af.Collection)
    arguments = {
        name: made_by_hand(value, value_of)
        for name, value in component.items()
        if isinstance(value, parts)
    }
    fixed = fixed_from(component.cls)
    if "redshift" in fixed:
        fixed["redshift"] = float(component.redshift)
    return component.cls(**{**arguments, **fixed})


def object_from(cls: type, model, vector):
    """An object of a class made by hand from the values of a model's parameters."""
    value_of = dict(zip(model.priors_ordered_by_id, vector, strict=True))
    made = made_by_hand(model, value_of)
    return cls(galaxies=made) if isinstance(made, list) else made
