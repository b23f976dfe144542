"""The cosmology of a tracer is structure, unless its numbers are asked for."""

import autofit as af
import autolens as al
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import keystr, tree_flatten_with_path, tree_structure

import autolens_patch

GRID = al.Grid2DIrregular([(1.0, 0.3), (0.4, -1.2)])


def tracer_from(cosmology=None, planes: int = 3) -> al.Tracer:
    lens = al.Galaxy(redshift=0.3, mass=al.mp.Isothermal(einstein_radius=1.2))
    middle = al.Galaxy(
        redshift=0.8,
        mass=al.mp.Isothermal(centre=(0.2, -0.3), einstein_radius=0.3),
    )
    source = al.Galaxy(redshift=2.0, light=al.lp.Sersic())
    galaxies = [lens, middle, source] if planes == 3 else [lens, source]
    return al.Tracer(galaxies=galaxies, cosmology=cosmology)


def time_delays(tracer, xp=jnp):
    return xp.sum(tracer.time_delays_from(grid=GRID, xp=xp).array ** 2)


def positions_in_the_source_plane(tracer, xp=jnp):
    return xp.sum(tracer.traced_grid_2d_list_from(grid=GRID, xp=xp)[-1].array)


def names_of(tree) -> list:
    return [keystr(path) for path, _ in tree_flatten_with_path(tree)[0]]


class TestStructure:
    def test_equal_cosmologies_have_equal_structures(self):
        used = tracer_from()
        used.traced_grid_2d_list_from(grid=GRID)  # fills a cache of distances
        for cosmology in (None, al.cosmo.Planck15()):
            assert tree_structure(tracer_from(cosmology)) == tree_structure(used)

    def test_other_cosmologies_have_other_structures(self):
        cosmologies = [None, *(al.cosmo.FlatLambdaCDM(H0=h) for h in (70.0, 71.0))]
        structures = {tree_structure(tracer_from(c)) for c in cosmologies}
        assert len(structures) == 3

    def test_a_class_given_to_a_model_changes_nothing(self):
        before = tree_structure(tracer_from(al.cosmo.FlatLambdaCDM()))
        af.Model(al.cosmo.FlatLambdaCDM)
        assert tree_structure(tracer_from(al.cosmo.FlatLambdaCDM())) == before

    def test_cosmology_of_its_own_has_its_numbers_as_leaves(self):
        names = names_of(al.cosmo.FlatLambdaCDM())
        assert names == [".H0", ".Om0", ".Tcmb0", ".m_nu", ".Ob0"]


class TestTraced:
    def test_numbers_are_leaves_of_the_tracer(self):
        tracer = tracer_from(al.cosmo.FlatLambdaCDM(H0=70.0))
        traced = autolens_patch.trace_cosmology(tracer)
        added = set(names_of(traced)) - set(names_of(tracer))
        names = ("H0", "Om0", "Tcmb0", "m_nu", "Ob0")
        assert added == {f".cosmology.{name}" for name in names}
        assert type(tracer.cosmology) is al.cosmo.FlatLambdaCDM
        assert vars(traced.cosmology) == vars(tracer.cosmology)

    def test_figures_are_the_same(self):
        tracer = tracer_from()
        traced = autolens_patch.trace_cosmology(tracer)
        expected = positions_in_the_source_plane(tracer, np)
        assert positions_in_the_source_plane(traced, np) == expected
        np.testing.assert_allclose(
            jax.jit(positions_in_the_source_plane)(traced), expected, rtol=1e-6
        )

    @pytest.mark.parametrize(
        ("figure", "planes"), [(time_delays, 2), (positions_in_the_source_plane, 3)]
    )
    @pytest.mark.parametrize(("name", "step"), [("H0", 1e-2), ("Om0", 1e-4)])
    def test_gradient_is_that_of_finite_differences(self, figure, planes, name, step):
        numbers = {"H0": 68.0, "Om0": 0.3, "Tcmb0": 2.7, "m_nu": 0.0, "Ob0": 0.05}

        def total(change):
            changed = {**numbers, name: numbers[name] + change}
            return figure(tracer_from(al.cosmo.FlatLambdaCDM(**changed), planes), np)

        tracer = tracer_from(al.cosmo.FlatLambdaCDM(**numbers), planes)
        gradient = jax.jit(jax.grad(figure))(autolens_patch.trace_cosmology(tracer))
        expected = (total(step) - total(-step)) / (2.0 * step)
        np.testing.assert_allclose(
            getattr(gradient.cosmology, name), expected, rtol=1e-5, atol=1e-8
        )

    def test_it_stays_traced_after_a_round_trip_with_python_floats(self):
        traced = autolens_patch.trace_cosmology(tracer_from())
        again = jax.tree.map(float, jax.tree.map(jnp.asarray, traced))
        assert tree_structure(again) == tree_structure(traced)
        assert autolens_patch.trace_cosmology(again) is again

    def test_batch_over_a_number(self):
        traced = autolens_patch.trace_cosmology(tracer_from())
        hubble = jnp.array([60.0, 70.0, 80.0])
        batch = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (3,)), traced)
        batch.cosmology.H0 = hubble
        found = jax.vmap(lambda tracer: tracer.cosmology.H0 * 1.0)(batch)
        np.testing.assert_array_equal(found, hubble)

    @pytest.mark.parametrize("together", [False, True], ids=["one by one", "together"])
    def test_free_cosmology_of_a_model(self, together):
        model = af.Collection(
            cosmology=af.Model(
                al.cosmo.FlatLambdaCDM,
                H0=af.UniformPrior(60.0, 80.0),
                Om0=af.UniformPrior(0.2, 0.4),
            )
        )

        def figure(instance):
            return positions_in_the_source_plane(tracer_from(instance.cosmology))

        with autolens_patch.evaluate_together(together):
            gradient = jax.grad(figure)(model.instance_from_vector([70.0, 0.3]))
        expected = jax.grad(positions_in_the_source_plane)(
            autolens_patch.trace_cosmology(
                tracer_from(model.instance_from_vector([70.0, 0.3]).cosmology)
            )
        )
        np.testing.assert_allclose(
            gradient.cosmology.Om0, expected.cosmology.Om0, rtol=1e-5
        )

    def test_what_is_no_tracer_is_an_error(self):
        with pytest.raises(TypeError, match="expected a Tracer, and was given a Galaxy"):
            autolens_patch.trace_cosmology(al.Galaxy(redshift=0.5))

    def test_cosmology_with_other_numbers_is_an_error_naming_them(self):
        cosmology = al.cosmo.FlatLambdaCDM()
        cosmology.w0 = -0.9
        with pytest.raises(ValueError, match=r"holds w0 = -0\.9"):
            autolens_patch.trace_cosmology(tracer_from(cosmology))
