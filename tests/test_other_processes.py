"""What made an instance is known in another process (rule 10)."""

import base64
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor

import autofit as af
import autolens as al
import jax
import pytest
from conftest import run_python
from jax.tree_util import tree_leaves, tree_structure


def tied_instance():
    """Two profiles with one Einstein radius, whose gradient is the sum over both."""
    radius = af.UniformPrior(0.0, 5.0)
    profile = al.mp.IsothermalSph
    model = af.Collection(
        a=af.Model(profile, einstein_radius=radius),
        b=af.Model(profile, einstein_radius=radius),
    )
    return model.instance_from_prior_medians()


def weighted(instance):
    return instance.a.einstein_radius + 10.0 * instance.b.einstein_radius


def gradient_of(instance):
    gradient = jax.grad(weighted)(instance)
    return len(tree_leaves(instance)), float(gradient.a.einstein_radius)


@pytest.fixture(scope="module")
def pool():
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as executor:
        yield executor


def test_gradient_of_a_shared_parameter_in_a_spawned_process(pool):
    instance = tied_instance()
    assert pool.submit(gradient_of, instance).result(120) == (5, 11.0)


def test_instance_comes_back_from_a_spawned_process(pool):
    back = pool.submit(tied_instance).result(120)
    assert gradient_of(back) == (5, 11.0)
    assert tree_structure(back) == tree_structure(tied_instance())


def test_pickle_is_opened_by_a_process_that_has_not_imported_the_patch():
    text = base64.b64encode(pickle.dumps(tied_instance())).decode()
    process = run_python(
        f"""
        import base64, pickle, autolens
        instance = pickle.loads(base64.b64decode("{text}"))
        import jax
        gradient = jax.grad(
            lambda i: i.a.einstein_radius + 10.0 * i.b.einstein_radius)(instance)
        assert len(jax.tree.leaves(instance)) == 5
        assert gradient.a.einstein_radius == 11.0
        """
    )
    assert process.returncode == 0, process.stderr


def test_model_that_cannot_be_pickled_is_said_to_be_lost():
    model = af.Collection(x=af.UniformPrior(0.0, 1.0), y=af.UniformPrior(0.0, 1.0))
    model.add_assertion(model.x < model.y)
    model._note = lambda: None  # of the model only, not of its instances
    instance = model.instance_from_vector([0.25, 0.5])
    twin = pickle.loads(pickle.dumps(instance))
    assert (twin.x, twin.y) == (0.25, 0.5)
    with pytest.raises(ValueError, match=r"(?s)its model cannot be pickled.*lambda"):
        tree_leaves(twin)
