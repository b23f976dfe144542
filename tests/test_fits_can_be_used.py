"""
A fit out of a jitted function can be plotted and converted as a NumPy fit can, and a
linear light profile that was rebuilt is the one that it was (rule 9).
"""

import functools
import gc
import pickle
import weakref

import autofit as af
import autogalaxy.imaging.plot.fit_imaging_plots as galaxy_plots
import autolens as al
import autolens.imaging.plot.fit_imaging_plots as imaging_plots
import autolens.interferometer.plot.fit_interferometer_plots as interferometer_plots
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fit_cases import CASES
from jax.tree_util import tree_structure
from matplotlib.image import imread

PLOTS = {
    "image, linear light": [imaging_plots.subplot_fit],
    "visibilities, linear light": [interferometer_plots.subplot_tracer_from_fit],
    "galaxy image, linear light": [
        functools.partial(galaxy_plots.subplot_of_galaxy, galaxy_index=0),
    ],
}


@functools.cache
def fits_of(name: str):
    """A fit by NumPy, and one out of a jitted function, of the second instance there."""
    case = CASES[name]()
    instance = case.instance_from()
    jitted = jax.jit(case.analysis_from(use_jax=True).fit_from)
    jitted(case.instance_from(1.02))
    return case.analysis_from(use_jax=False).fit_from(instance), jitted(instance)


@pytest.fixture(params=PLOTS)
def name(request):
    return request.param


@pytest.fixture
def fits(name):
    return fits_of(name)


def images_of(fit):
    converted = fit.model_obj_linear_light_profiles_to_light_profiles
    grid = al.Grid2D.uniform(shape_native=(7, 7), pixel_scales=0.4)
    galaxies = getattr(converted, "galaxies", converted)
    return [np.array(galaxy.image_2d_from(grid=grid)) for galaxy in galaxies]


def test_linear_light_is_converted_to_light_with_the_intensities_of_numpy(fits):
    expected, found = map(images_of, fits)
    for image, other in zip(expected, found, strict=True):
        np.testing.assert_allclose(other, image, rtol=1e-5, atol=1e-5 * image.max())
    assert max(image.max() for image in expected) > 0.0


def test_intensity_is_found_for_each_profile_of_the_tracer_and_of_the_model_object(fits):
    for fit in fits:
        intensities = fit.linear_light_profile_intensity_dict
        for obj in {id(o): o for o in (fit.model_obj, tracer_of(fit))}.values():
            for galaxy in getattr(obj, "galaxies", obj):
                for basis in galaxy.cls_list_from(cls=al.lp_basis.Basis):
                    assert all(profile in intensities for profile in basis.profile_list)


def tracer_of(fit):
    return getattr(fit, "tracer", None) or fit.galaxies


def test_plots_are_those_of_the_numpy_fit(name, fits, tmp_path):
    for index, plot in enumerate(PLOTS[name]):
        pictures = []
        for way, fit in zip(("numpy", "jit"), fits, strict=True):
            folder = tmp_path / f"{way}_{index}"
            folder.mkdir()
            plot(fit, output_path=folder, output_format="png")
            pictures.append({file.name: imread(file) for file in folder.glob("*.png")})
        assert pictures[0].keys() == pictures[1].keys() != set()
        for file, picture in pictures[0].items():
            other = pictures[1][file]
            assert other.shape == picture.shape
            assert np.mean(np.abs(other - picture)) < 2e-3, file


class TestProfileThatWasRebuilt:
    @pytest.fixture
    def instance(self):
        return CASES["image, linear light"]().instance_from()

    def profiles_of(self, instance):
        galaxies = instance.galaxies
        return [galaxies.source.light, *galaxies.lens.bulge.profile_list]

    @pytest.mark.parametrize(
        "transform",
        [
            lambda tree: jax.tree.map(lambda leaf: leaf, tree),
            lambda tree: jax.tree.map(lambda leaf: 1.1 * leaf, tree),
            jax.jit(lambda tree: tree),
            lambda tree: jax.tree.map(lambda leaf: jnp.full(3, leaf), tree),
            lambda tree: jax.tree.map(lambda leaf: None, tree),
        ],
        ids=["map", "step", "jit", "batch", "nothing"],
    )
    def test_is_equal_to_the_first_and_to_no_other(self, instance, transform):
        profiles = self.profiles_of(instance)
        rebuilt = self.profiles_of(transform(instance))
        for index, profile in enumerate(profiles):
            equal = [other == profile for other in rebuilt]
            assert equal == [index == place for place in range(len(profiles))]
            assert hash(rebuilt[index]) == hash(profile)
            assert {profile: "found"}[rebuilt[index]] == "found"

    def test_is_looked_up_in_a_galaxy_and_a_tracer_made_by_hand(self, instance):
        galaxy = al.Galaxy(redshift=0.5, light=al.lp_linear.Sersic())
        tracer = al.Tracer(galaxies=[galaxy, al.Galaxy(redshift=1.0)])
        for transform in (jax.jit(lambda tree: tree), rebuilt_from):
            assert transform(galaxy).light == galaxy.light
            assert transform(tracer).galaxies[0].light == galaxy.light
            assert transform({"a": galaxy, "b": tracer})["b"].galaxies[0].light == (
                galaxy.light
            )

    def test_is_equal_if_it_is_a_constant_of_the_model(self):
        light = al.lp_linear.Sersic(effective_radius=0.3)
        model = af.Collection(
            galaxy=af.Model(al.Galaxy, redshift=0.5, light=light, mass=al.mp.Isothermal)
        )
        instance = model.instance_from_prior_medians()
        assert instance.galaxy.light == light
        assert rebuilt_from(instance).galaxy.light == light
        assert jax.jit(lambda tree: tree)(instance).galaxy.light == light

    def test_structures_are_equal_whatever_the_tokens(self, instance):
        other = CASES["image, linear light"]().instance_from(1.1)
        structure, another = tree_structure(instance), tree_structure(other)
        assert structure == another
        assert hash(structure) == hash(another)
        assert other.galaxies.source.light != instance.galaxies.source.light
        traces = []

        @jax.jit
        def function(tree):
            traces.append(1)
            return tree.galaxies.source.light.sersic_index

        function(instance), function(other), function(rebuilt_from(instance))
        assert len(traces) == 1

    def test_token_of_another_process_is_not_taken(self, instance):
        _, structure = tree_structure(instance).node_data()
        assert pickle.loads(pickle.dumps(structure)) == structure
        twin = pickle.loads(pickle.dumps(instance))
        assert twin.galaxies.source.light != instance.galaxies.source.light

    def test_is_equal_to_its_twin_though_the_first_ones_are_dead(self):
        instance = CASES["image, linear light"]().instance_from()
        alone = instance.galaxies.source.light
        leaves, structure = jax.tree.flatten([instance, alone, instance])
        dead = weakref.ref(instance), weakref.ref(alone)
        del instance, alone
        gc.collect()
        assert [ref() for ref in dead] == [None, None]
        first, alone, second = jax.tree.unflatten(structure, leaves)
        assert first.galaxies.source.light == alone
        assert first.galaxies.source.light == second.galaxies.source.light
        assert first.galaxies.source.light != first.galaxies.lens.bulge.profile_list[0]


def rebuilt_from(tree):
    return jax.tree.map(lambda leaf: leaf, tree)
