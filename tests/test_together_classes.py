"""
Profiles of every class that JAX can trace, evaluated together and one by one.

One by one is a program of one profile, which is run for each of them: what many profiles
are together is what the libraries add up or list.
"""

import functools
import re

import autolens as al
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from catalogue import (
    GRID,
    ON_PIXELS,
    classes,
    data_grid,
    made_by_hand,
    methods_of,
    model_from,
)

import autolens_patch

LIGHT = ("image_2d_from",)
MASS = ("deflections_yx_2d_from", "convergence_2d_from", "potential_2d_from")

#: Mass that is left out: programs of thousands of operations, two minutes of them.
#: They do nothing that the others do not: ``mp.Sersic`` is such a sum too. Of classes of
#: light and mass, two are enough: their figures are those of their light and their mass.
LEFT_OUT = {
    **dict.fromkeys(
        ("Gaussian", "GaussianGradient", "SersicCore", "SersicCoreSph"),
        "a sum over a thousand Gaussians",
    ),
    **dict.fromkeys(
        ("SersicSph", "Exponential", "DevVaucouleurs", "DevVaucouleursSph"),
        "its deflections are those of Sersic and ExponentialSph",
    ),
    "InputPotential": "it is what InputDeflections is",
    **dict.fromkeys(
        ("NFW", "gNFW", "gNFWSph", "cNFW", "cNFWSph"), "a sum over many profiles"
    ),
    **{
        cls.__name__: "its constructor computes a concentration"
        for cls in classes().values()
        if re.search("MCR|VirialMass", cls.__name__)
    },
}

#: The classes whose gradients are compared: one of each way to compute a figure. What is
#: differentiated does not depend on the class otherwise.
DIFFERENTIATED = (
    *("lp.Sersic", "lp.Gaussian", "lp.GaussianMultipole", "lp.ShapeletCartesian"),
    *("mp.PointMass", "mp.IsothermalSph", "mp.NFWSph", "mp.ExternalShear"),
    *("mp.PowerLawMultipole", "mp.PIEMass", "mp.MassSheet", "lmp.Gaussian"),
)

#: A longer program is a sum of numbers a million times larger than it is: a decomposition
#: into Gaussians. The order in which they are added changes it by as much.
LONG_SUM = 1000

#: How far profiles can be from what they are one by one, their gradients, and long sums.
VALUES, GRADIENTS, SUMS = 1e-12, 1e-10, 1e-9


def is_profile(cls) -> bool:
    kinds = (al.lp_linear.LightProfile, al.mp.MassProfile)
    return issubclass(cls, kinds) and not issubclass(
        cls,
        (al.lp_snr.LightProfileSNR, al.lp_basis.Basis, al.lp_linear.LightProfileLinear),
    )


PROFILES = {name: cls for name, cls in classes().items() if is_profile(cls)}


def grid_of(cls):
    return data_grid() if cls.__name__ in ON_PIXELS else GRID


def quantities_of(name: str) -> list:
    """Those of a class that are not left out, or inherited from a class of mass alone."""
    cls = PROFILES[name]
    if name.startswith("lmp."):
        return list(LIGHT) if name in ("lmp.Gaussian", "lmp.SersicGradientSph") else []
    quantities = LIGHT if cls.__name__ in LEFT_OUT else LIGHT + MASS
    return [each for each in quantities if each in methods_of(cls)]


def vectors_for(model, count: int) -> np.ndarray:
    """Points of a model, of shape (count, parameters)."""
    units = np.random.default_rng(1).uniform(0.3, 0.7, (count, model.prior_count))
    return np.array([model.vector_from_unit_vector(unit) for unit in units])


def array_of(figure):
    return jnp.asarray(getattr(figure, "array", figure))


class Profiles:
    """
    Profiles of one class, some of whose parameters are one parameter.

    Parameters
    ----------
    name
        The name of the class.
    places
        Which of ``values`` each parameter of each profile is, of shape
        (profiles, parameters).
    values
        The parameters that differ, of shape (any,).
    """

    def __init__(self, name: str, places, values):
        self.name = name
        self.cls = PROFILES[name]
        self.model = model_from(self.cls)
        self.grid = grid_of(self.cls)
        self.places = np.asarray(places)
        self.values = values

    def profile_of(self, row):
        priors = self.model.priors_ordered_by_id
        return made_by_hand(self.model, dict(zip(priors, row, strict=True)))

    def one(self, quantity: str, row):
        """A quantity of a profile with the given parameters."""
        profile = self.profile_of(list(row))
        return array_of(getattr(profile, quantity)(grid=self.grid, xp=jnp))

    def many(self, quantity: str, values):
        """The images of all profiles, or the sum of what else they have."""
        values = list(values)  # a tracer each, however many profiles have it
        profiles = [self.profile_of([values[i] for i in row]) for row in self.places]
        galaxy = al.Galaxy(redshift=0.5, **{f"p{i}": p for i, p in enumerate(profiles)})
        if quantity in LIGHT:
            images = galaxy.image_2d_list_from(grid=self.grid, xp=jnp)
            return jnp.stack([array_of(image) for image in images])
        return array_of(getattr(galaxy, quantity)(grid=self.grid, xp=jnp))

    def expected(self, quantity: str, rows):
        """What ``many`` returns, of what each profile returns."""
        return np.stack(rows) if quantity in LIGHT else np.sum(rows, axis=0)


def mixed_from(name: str) -> Profiles:
    """
    Five profiles that share their first parameters. The second is the first but for one
    parameter, the fourth is the third.
    """
    model = model_from(PROFILES[name])
    total = model.prior_count
    vectors = vectors_for(model, 5)
    places = np.arange(5 * total).reshape(5, total)
    places[:, : total // 3] = places[0, : total // 3]
    places[1, : total - 1] = places[0, : total - 1]
    places[3] = places[2]
    return Profiles(name, places, vectors.ravel())


def with_gradient(function):
    """A function's figures, and the gradient of a number made of the first of them."""

    def total(argument):
        figures = function(argument)
        first = next(iter(figures.values()))
        return jnp.sum(jnp.cos(1.0 + jnp.arange(first.shape[-1])) * first), figures

    gradient_of = jax.grad(total, has_aux=True)

    def figures_and_gradient(argument):
        gradient, figures = gradient_of(argument)
        return figures, gradient

    return figures_and_gradient


def error_of(function, argument):
    """The class of the error that a function raises if JAX traces it."""
    try:
        jax.eval_shape(function, argument)
    except Exception as error:
        return type(error)
    return None


def agree(found, expected, rtol: float, name: str):
    scale = np.nanmax(np.abs(expected), initial=1e-300)
    np.testing.assert_allclose(
        found, expected, rtol=rtol, atol=rtol * scale, err_msg=name
    )


#: The programs that were compared already: many classes inherit what they compute.
_compared: set = set()


def program_of(traced) -> tuple:
    """The operations of a traced function, and the numbers in it."""
    constants = tuple(np.asarray(each).tobytes() for each in traced.jaxpr.consts)
    return str(traced.jaxpr), constants


def working_of(profiles: Profiles, quantities: list) -> list:
    """The quantities that JAX can trace. The others fail together as otherwise."""
    working = []
    for quantity in quantities:
        one = functools.partial(profiles.one, quantity)
        error = error_of(one, profiles.values[profiles.places[0]])
        if error is None:
            working.append(quantity)
            continue
        many = functools.partial(profiles.many, quantity)
        with autolens_patch.evaluate_together():
            assert error_of(many, profiles.values) is error
    return working


def assert_equal_to_one_by_one(profiles: Profiles, quantities: list):
    working = working_of(profiles, quantities)
    if not working:
        return
    rows = profiles.values[profiles.places]

    def one(row):
        return {quantity: profiles.one(quantity, row) for quantity in working}

    def many(values):
        return {quantity: profiles.many(quantity, values) for quantity in working}

    has_gradient = profiles.name in DIFFERENTIATED
    if has_gradient:
        one, many = with_gradient(one), with_gradient(many)
    with autolens_patch.evaluate_together():
        traced = jax.jit(many).trace(profiles.values)
        program = program_of(traced)
        if program in _compared:
            return
        found = traced.lower().compile()(profiles.values)
    traced = jax.jit(one).trace(rows[0])
    one = traced.lower().compile()
    results = [one(row) for row in rows]
    is_long_sum = len(traced.jaxpr.eqns) > LONG_SUM and not has_gradient
    rtol = SUMS if is_long_sum else VALUES
    if has_gradient:
        found, gradient = found
        expected = np.zeros_like(gradient)
        np.add.at(expected, profiles.places, np.stack([row for _, row in results]))
        agree(gradient, expected, GRADIENTS, "gradient")
        results = [figures for figures, _ in results]
    for quantity in working:
        expected = profiles.expected(quantity, [row[quantity] for row in results])
        agree(found[quantity], expected, rtol, quantity)
    _compared.add(program)


@pytest.mark.parametrize("name", [name for name in PROFILES if quantities_of(name)])
def test_profiles_of_a_class_are_those_of_one_by_one(name):
    assert_equal_to_one_by_one(mixed_from(name), quantities_of(name))


SHARED = {"nothing": 0.0, "half": 0.5, "all": 1.0}


@pytest.mark.parametrize(
    ("count", "shared"),
    [(1, "nothing"), *((n, shared) for n in (2, 5) for shared in SHARED)],
)
@pytest.mark.parametrize("name", ["lp.Sersic", "mp.IsothermalSph"])
def test_profiles_may_share_their_parameters(name, count, shared):
    vectors = vectors_for(model_from(PROFILES[name]), count)
    total = vectors.shape[1]
    places = np.arange(vectors.size).reshape(vectors.shape)
    common = int(SHARED[shared] * total)
    places[:, :common] = places[0, :common]
    profiles = Profiles(name, places, vectors.ravel())
    assert_equal_to_one_by_one(profiles, quantities_of(name))


@pytest.mark.parametrize("profiles", [slice(0, 1), slice(0, 3)])
def test_two_parameters_of_a_profile_may_be_one(profiles):
    """That they are one in the first profile does not make them one in the others."""
    vectors = vectors_for(model_from(PROFILES["lp.Sersic"]), 3)
    places = np.arange(vectors.size).reshape(vectors.shape)
    places[profiles, 1] = places[profiles, 0]
    profiles = Profiles("lp.Sersic", places, vectors.ravel())
    assert_equal_to_one_by_one(profiles, quantities_of("lp.Sersic"))


def test_profiles_that_are_left_out_are_in_the_libraries():
    assert LEFT_OUT.keys() <= {cls.__name__ for cls in PROFILES.values()}
