"""
Profiles of every class that JAX can trace, evaluated together and one by one.
"""

import functools

import autolens as al
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from catalogue import GRID, classes, data_grid, made_by_hand, methods_of, model_from

import autolens_patch

QUANTITIES = (
    *("image_2d_from", "deflections_yx_2d_from"),
    *("convergence_2d_from", "potential_2d_from"),
)

#: Their deflections are interpolated on the grid that they are given.
ON_PIXELS = ("InputDeflections", "InputPotential", "GaussianRandomField")

CASES = {"2 separate": (2, 0.0), "5 partly shared": (5, 0.5), "2 shared": (2, 1.0)}


#: The libraries' own numbers of these change by 4e-8 if they are compiled.
ROUNDED = "NFWMCRScatterLudlow.potential_2d_from", "NFWMCRLudlow.potential_2d_from"


def is_profile(cls) -> bool:
    kinds = (al.lp_linear.LightProfile, al.mp.MassProfile)
    return issubclass(cls, kinds) and not issubclass(
        cls,
        (al.lp_snr.LightProfileSNR, al.lp_basis.Basis, al.lp_linear.LightProfileLinear),
    )


PROFILES = {name: cls for name, cls in classes().items() if is_profile(cls)}


def vectors_for(model, count: int) -> np.ndarray:
    """Points of a model, of shape (count, parameters)."""
    units = np.random.default_rng(1).uniform(0.3, 0.7, (count, model.prior_count))
    return np.array([model.vector_from_unit_vector(unit) for unit in units])


def profiles_from(model, vectors, share: float) -> list:
    """Profiles of which the first parameters are those of the first profile."""
    rows = [list(vector) for vector in vectors]
    shared = int(share * len(rows[0]))
    priors = model.priors_ordered_by_id
    return [
        made_by_hand(
            model, dict(zip(priors, rows[0][:shared] + row[shared:], strict=True))
        )
        for row in rows
    ]


def galaxies_of(profiles) -> dict:
    """One galaxy of all profiles, and one each in a plane and in two planes."""
    one = {f"p{index}": profile for index, profile in enumerate(profiles)}
    return {
        "a galaxy": al.Galaxy(redshift=0.5, **one),
        "a plane": al.Galaxies([al.Galaxy(redshift=0.5, p=p) for p in profiles]),
        "planes": al.Tracer(
            [
                *(
                    al.Galaxy(redshift=0.5 + 0.1 * (i % 2), p=p)
                    for i, p in enumerate(profiles)
                ),
                al.Galaxy(redshift=1.0),
            ]
        ),
    }


def figures(model, quantities, grid, share, vectors) -> dict:
    """Every quantity of galaxies of profiles with the given parameters."""
    profiles = profiles_from(model, vectors, share)
    return {
        (name, quantity): getattr(obj, quantity)(grid=grid, xp=jnp).array
        for name, obj in galaxies_of(profiles).items()
        for quantity in quantities
    }


def assert_same(found: dict, expected: dict, rtol: float):
    for name, values in expected.items():
        scale = np.nanmax(np.abs(values), initial=1e-300)
        np.testing.assert_allclose(
            found[name], values, rtol=rtol, atol=rtol * scale, err_msg=str(name)
        )


def both(function, *arguments) -> list:
    """What a function returns together and one by one, or the error that it raises."""
    results = []
    for on in (True, False):
        with autolens_patch.evaluate_together(on):
            try:
                results.append(jax.tree.map(np.asarray, function(*arguments)))
            except Exception as error:
                results.append(type(error))
    return results


def case_of(name: str) -> tuple:
    cls = PROFILES[name]
    grid = data_grid() if cls.__name__ in ON_PIXELS else GRID
    quantities = [
        each
        for each in QUANTITIES
        if each in methods_of(cls) and f"{cls.__name__}.{each}" not in ROUNDED
    ]
    return model_from(cls), quantities, grid


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", PROFILES)
def test_values_are_those_of_one_by_one(name, case):
    count, share = CASES[case]
    model, quantities, grid = case_of(name)
    function = functools.partial(figures, model, quantities, grid, share)
    found, expected = both(jax.jit(function), vectors_for(model, count))
    if isinstance(expected, type):
        assert found is expected
    else:
        assert_same(found, expected, 1e-12)


@pytest.mark.parametrize("name", PROFILES)
def test_gradients_of_a_batch_are_those_of_one_by_one(name):
    model, quantities, grid = case_of(name)

    def total(vectors):
        values = figures(model, quantities, grid, 0.5, vectors).values()
        return sum(jnp.sum(jnp.cos(jnp.arange(v.size)) * v.ravel()) for v in values)

    vectors = vectors_for(model, 6).reshape(2, 3, -1)
    function = jax.jit(jax.vmap(jax.value_and_grad(total)))
    found, expected = both(function, vectors)
    if isinstance(expected, type):
        assert found is expected
    else:
        names = ("value", "gradient")
        assert_same(
            dict(zip(names, found, strict=True)),
            dict(zip(names, expected, strict=True)),
            1e-10,
        )
