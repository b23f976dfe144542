"""Deflections are those of all positions at once, however few are evaluated at once."""

import functools

import autogalaxy as ag
import autolens as al
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from catalogue import ON_PIXELS, classes, model_from, object_from
from conftest import together_and_plain

import autolens_patch
from autogalaxy_patch.together import _positions

POSITIONS = np.random.default_rng(1).normal(0.0, 1.0, (50, 2))


def grid_from(positions=POSITIONS):
    """A grid as it is in a trace: of known numbers, which JAX has."""
    return al.Grid2DIrregular(values=jnp.asarray(positions))


MASS = {
    name: cls
    for name, cls in classes().items()
    if issubclass(cls, al.mp.MassProfile)
    and not issubclass(cls, al.lp_basis.Basis)
    and cls.__name__ not in ON_PIXELS
}


@pytest.mark.parametrize("name", MASS)
def test_deflections_at_a_position_depend_on_it_alone(name):
    """What evaluating a few positions at once relies on, of every class of mass."""
    model = model_from(MASS[name])
    units = np.random.default_rng(1).uniform(0.3, 0.7, model.prior_count)
    vector = model.vector_from_unit_vector(units)
    profile = object_from(MASS[name], model, vector)

    def deflections(positions):
        grid = al.Grid2DIrregular(values=positions)
        return np.asarray(profile.deflections_yx_2d_from(grid=grid).array)

    parts = [deflections(positions) for positions in (POSITIONS[:1], POSITIONS[1:3])]
    whole = deflections(POSITIONS[:3])
    np.testing.assert_allclose(np.concatenate(parts), whole, rtol=1e-10, atol=1e-13)


def tracer_from(parameters):
    """Two planes of mass, one of which is known, and a source."""
    radius, shear, other, centre = parameters
    return al.Tracer(
        [
            al.Galaxy(
                redshift=0.5,
                mass=al.mp.Isothermal((centre, 0.1), (0.1, 0.05), radius),
                shear=al.mp.ExternalShear(shear, 0.02),
                halo=al.mp.IsothermalSph((0.3, 0.2), 0.1),
            ),
            al.Galaxy(
                redshift=0.8,
                one=al.mp.IsothermalSph((0.2, 0.1), other),
                two=al.mp.IsothermalSph((0.2, -0.3), 2.0 * other),
            ),
            al.Galaxy(redshift=1.5, light=al.lp.Sersic()),
        ]
    )


PARAMETERS = jnp.array([1.2, 0.05, 0.2, 0.03])


@pytest.mark.parametrize("at_once", [8, 49])
def test_values_and_gradients_are_those_of_one_by_one(monkeypatch, at_once):
    def positions_in_source(parameters):
        tracer = tracer_from(parameters)
        traced = tracer.traced_grid_2d_list_from(grid=grid_from(), xp=jnp)
        return traced[-1].array

    def values_and_derivatives(parameters):
        values, derivative = jax.jvp(
            positions_in_source, (parameters,), (jnp.ones_like(parameters),)
        )
        weights = jnp.cos(jnp.arange(values.size)).reshape(values.shape)
        gradient = jax.grad(lambda p: (weights * positions_in_source(p)).sum())
        return values, derivative, gradient(parameters)

    expected = jax.jit(values_and_derivatives)(PARAMETERS)
    monkeypatch.setattr(_positions, "POSITIONS_AT_ONCE", at_once)
    with autolens_patch.evaluate_together():
        found = jax.jit(values_and_derivatives)(PARAMETERS)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-13)


def deflections_of(*masses, grid=None):
    """The deflections of a plane of masses, by their strength."""
    at = grid_from() if grid is None else grid

    def deflections(strength):
        made = {f"mass_{i}": mass(strength) for i, mass in enumerate(masses)}
        galaxies = ag.Galaxies([al.Galaxy(0.5, **made)])
        return galaxies.deflections_yx_2d_from(grid=at, xp=jnp).array

    return deflections


def isothermal(strength):
    return al.mp.IsothermalSph((0.1, 0.2), strength)


def asked_of(monkeypatch, before=lambda grid: None, **others) -> list:
    """
    Of how many positions a mass of the libraries is asked in a trace. Its deflections are
    compared with those of one by one.
    """
    original = al.mp.IsothermalSph.deflections_yx_2d_from
    asked = []

    def noted(self, grid, xp=np, **kwargs):
        before(grid)
        asked.append(len(grid.array))
        return original(self, grid=grid, xp=xp, **kwargs)

    monkeypatch.setattr(al.mp.IsothermalSph, "deflections_yx_2d_from", noted)
    monkeypatch.setattr(_positions, "POSITIONS_AT_ONCE", 8)
    found, expected = together_and_plain(deflections_of(isothermal, **others), 2.0)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    return asked[:-1]  # the last is that of one by one


def test_no_more_than_a_few_positions_are_evaluated_at_once(monkeypatch):
    assert 2 < max(asked_of(monkeypatch)) <= 8


def test_a_mass_that_needs_the_numbers_of_the_grid_gets_all_of_them(monkeypatch):
    asked = asked_of(monkeypatch, before=lambda grid: np.asarray(grid.array))
    assert asked == [50]


def test_grid_of_pixels_is_evaluated_as_a_whole(monkeypatch):
    grid = al.Grid2D.uniform(shape_native=(5, 5), pixel_scales=0.3)
    assert asked_of(monkeypatch, grid=grid) == [25]


def test_no_tracer_of_a_part_is_kept(monkeypatch):
    monkeypatch.setattr(_positions, "POSITIONS_AT_ONCE", 8)
    with jax.checking_leaks(), autolens_patch.evaluate_together():
        jax.jit(jax.grad(lambda x: deflections_of(isothermal)(x).sum()))(2.0)


class Own(al.mp.MassProfile):
    """A mass of a user's."""

    def __init__(self, strength: float = 1.0):
        super().__init__()
        self.strength = strength


class Keeps(Own):
    """One that keeps what it computed."""

    @functools.cached_property
    def twice(self):
        return 2.0 * self.strength

    def deflections_yx_2d_from(self, grid, xp=np, **kwargs):
        return al.VectorYX2DIrregular(values=self.twice * grid.array, grid=grid)


class Uniform(Own):
    """One whose deflections are the same everywhere."""

    def deflections_yx_2d_from(self, grid, xp=np, **kwargs):
        return xp.array([self.strength, 2.0])


class Centred(Own):
    """One whose deflections depend on all positions."""

    def deflections_yx_2d_from(self, grid, xp=np, **kwargs):
        return self.strength * (grid.array - grid.array.mean(axis=0))


@pytest.mark.parametrize("beside", [(), (isothermal,)], ids=["alone", "beside another"])
@pytest.mark.parametrize("mass", [Keeps, Uniform, Centred])
def test_a_mass_of_a_user_gets_all_positions(monkeypatch, mass, beside):
    monkeypatch.setattr(_positions, "POSITIONS_AT_ONCE", 8)
    deflections = deflections_of(mass, *beside)
    together, plain = together_and_plain(deflections, 1.5)
    assert together.shape == plain.shape
    np.testing.assert_allclose(together, plain, rtol=1e-12)


def test_a_mass_of_a_user_in_a_basis_gets_all_positions(monkeypatch):
    monkeypatch.setattr(_positions, "POSITIONS_AT_ONCE", 8)

    def deflections(strength):
        basis = al.lp_basis.Basis(profile_list=[Centred(strength), isothermal(strength)])
        grid = grid_from(strength * POSITIONS)  # as on a second plane
        return al.Galaxy(0.5, basis=basis).deflections_yx_2d_from(grid=grid, xp=jnp).array

    together, plain = together_and_plain(deflections, 1.5)
    np.testing.assert_allclose(together, plain, rtol=1e-12)


class Forgets(Own):
    """One whose deflections are not returned."""

    def deflections_yx_2d_from(self, grid, xp=np, **kwargs):
        pass


def test_a_mass_that_returns_nothing_is_an_error():
    with (
        autolens_patch.evaluate_together(),
        pytest.raises(TypeError, match="returned None, and not an array"),
    ):
        jax.jit(deflections_of(Forgets))(1.5)


def test_deflections_are_on_the_grid_that_was_given(monkeypatch):
    monkeypatch.setattr(_positions, "POSITIONS_AT_ONCE", 8)
    grid = grid_from()
    galaxy = al.Galaxy(
        0.5,
        mass=al.mp.Isothermal(einstein_radius=jnp.array(1.0)),
        two=al.mp.ExternalShear(),
    )
    with autolens_patch.evaluate_together():
        deflections = galaxy.deflections_yx_2d_from(grid=grid, xp=jnp)
    expected = galaxy.deflections_yx_2d_from(grid=grid, xp=jnp)
    np.testing.assert_array_equal(deflections.grid.array, POSITIONS)
    assert type(deflections) is type(expected)
    np.testing.assert_allclose(deflections.array, expected.array, rtol=1e-12)
