"""Unflattening builds an instance again, with its constructors (rule 2)."""

import autofit as af
import autolens as al
import jax
import numpy as np
import pytest
from conftest import VECTOR
from jax.tree_util import tree_leaves, tree_map

GRID = al.Grid2D.uniform(shape_native=(7, 7), pixel_scales=0.5)


def figures_of(instance) -> dict:
    """Everything a likelihood computes from the instance's galaxies, with NumPy."""
    tracer = al.Tracer(galaxies=list(instance.galaxies))
    lens = instance.galaxies.lens
    return {
        "deflections": np.array(tracer.deflections_yx_2d_from(grid=GRID)),
        "convergence": np.array(tracer.convergence_2d_from(grid=GRID)),
        "traced": np.array(tracer.traced_grid_2d_list_from(grid=GRID)[-1]),
        "gaussians": np.array(
            [
                profile.image_2d_from(grid=GRID)
                for galaxy in instance.galaxies
                for profile in galaxy.bulge.profile_list
            ]
        ),
        "axis ratio": lens.mass.axis_ratio(),
        "redshifts": np.array([galaxy.redshift for galaxy in instance.galaxies]),
    }


def test_round_trip_gives_the_same_figures(instance):
    rebuilt = tree_map(lambda leaf: leaf, instance)
    expected, found = figures_of(instance), figures_of(rebuilt)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_round_trip_gives_the_instance_that_the_model_makes(model, instance):
    scaled = tree_map(lambda leaf: 1.1 * leaf, instance)
    expected = figures_of(model.instance_from_vector(1.1 * VECTOR))
    for name, value in expected.items():
        np.testing.assert_allclose(figures_of(scaled)[name], value, rtol=1e-12)


def halo_model_from():
    halo = af.Model(
        al.mp.NFWMCRLudlowSph,
        centre=(0.0, 0.0),
        mass_at_200=af.LogUniformPrior(1e8, 1e13),
        redshift_object=0.5,
        redshift_source=1.0,
    )
    return af.Collection(halo=halo)


def test_derived_attribute_follows_its_parameter_through_tree_map():
    model = halo_model_from()
    instance = model.instance_from_vector([1e11])
    doubled = tree_map(lambda leaf: 2.0 * leaf, instance)
    expected = al.mp.NFWMCRLudlowSph(
        mass_at_200=2e11, redshift_object=0.5, redshift_source=1.0
    )
    assert doubled.halo.scale_radius == pytest.approx(expected.scale_radius, rel=1e-12)
    assert doubled.halo.scale_radius != pytest.approx(instance.halo.scale_radius)


@pytest.mark.parametrize("transform", ["jit", "vmap", "grad"])
def test_derived_attribute_follows_its_parameter_through(transform):
    model = halo_model_from()
    masses = np.array([1e11, 2e11, 4e11])

    def derived(mass):
        halo = al.mp.NFWMCRLudlowSph(
            mass_at_200=mass, redshift_object=0.5, redshift_source=1.0
        )
        return halo.scale_radius

    def scale_radius(instance):
        return instance.halo.scale_radius

    instances = [model.instance_from_vector([mass]) for mass in masses]
    if transform == "jit":
        found = [jax.jit(scale_radius)(instance) for instance in instances]
        expected = [derived(mass) for mass in masses]
    elif transform == "vmap":
        batch = tree_map(lambda *leaves: np.stack(leaves), *instances)
        found = jax.vmap(scale_radius)(batch)
        expected = [derived(mass) for mass in masses]
    else:
        found = [tree_leaves(jax.grad(scale_radius)(i))[0] for i in instances]
        step = 1e-4
        expected = [
            (derived(m * (1 + step)) - derived(m * (1 - step))) / (2 * step * m)
            for m in masses
        ]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_new_instance_of_a_model_with_derived_attributes_is_still_a_point():
    model = halo_model_from()
    for mass in (1e11, 3e11, 1e12):
        assert tree_leaves(model.instance_from_vector([mass])) == [mass]


def test_a_constructor_that_counts_does_not_matter():
    class Counted:
        made = 0

        def __init__(self, value=1.0):
            type(self).made += 1
            self.value = value
            self.serial = type(self).made

    model = af.Model(Counted, value=af.UniformPrior(0.0, 1.0))
    structures = {
        jax.tree_util.tree_structure(model.instance_from_vector([0.1 * k]))
        for k in range(1, 4)
    }
    assert len(structures) == 1
