"""Random models: what holds for the lens model holds for any."""

import os

import autofit as af
import jax
import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jax.tree_util import keystr, tree_flatten_with_path, tree_leaves, tree_structure

#: 30 in continuous integration; RANDOM_MODELS=2000 for a thorough run.
EXAMPLES = int(os.environ.get("RANDOM_MODELS", "30"))


class Line:
    def __init__(self, slope=1.0, intercept=0.0):
        self.slope = slope
        self.intercept = intercept


class Disc:
    def __init__(self, centre=(0.0, 0.0), radius=1.0):
        self.centre = centre
        self.radius = radius
        self.area = radius**2
        self.place = centre


class Pair:
    def __init__(self, first=None, second=None, name="pair"):
        self.first = first
        self.second = second
        self.name = name


@st.composite
def values(draw, shared):
    """A free, fixed or shared parameter."""
    kind = draw(st.sampled_from(["free", "fixed", "shared"]))
    if kind == "fixed":
        return draw(st.floats(-2.0, 2.0))
    if kind == "shared":
        return draw(st.sampled_from(shared))
    return af.UniformPrior(-5.0, 5.0)


@st.composite
def models(draw, shared, depth=2):
    """A random tree of models, collections, tuples and arrays."""
    kinds = ["line", "disc", "array"] + ["pair", "collection"] * (depth > 0)
    kind = draw(st.sampled_from(kinds))
    if kind == "line":
        return af.Model(Line, slope=draw(values(shared)), intercept=draw(values(shared)))
    if kind == "disc":
        return af.Model(
            Disc,
            centre=af.TuplePrior(
                centre_0=draw(values(shared)), centre_1=draw(values(shared))
            ),
            radius=draw(values(shared)),
        )
    if kind == "array":
        array = af.Array(shape=(2,))
        # PyAutoFit cannot trace an array of which only some entries are free.
        for index in range(2):
            array[index] = draw(st.sampled_from([af.UniformPrior(-5.0, 5.0), *shared]))
        return array
    inner = models(shared, depth - 1)
    if kind == "pair":
        return af.Model(Pair, first=draw(inner), second=draw(inner))
    return af.Collection(draw(st.lists(inner, min_size=1, max_size=3)))


def held_by(obj):
    """Everything that an instance holds, but for ids."""
    if isinstance(obj, np.ndarray):
        return obj.tolist()
    if isinstance(obj, (tuple, list)):
        return [held_by(item) for item in obj]
    if hasattr(obj, "__dict__"):
        items = vars(obj).items()
        skip = ("id", "item_number", "_frozen_cache", "_is_frozen", "_label")
        return {str(k): held_by(v) for k, v in items if k not in skip}
    return obj


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(st.data())
def test_leaves_names_round_trip_and_structure(data):
    shared = [af.UniformPrior(-5.0, 5.0) for _ in range(2)]
    model = af.Collection(root=data.draw(models(shared)), tail=af.UniformPrior(0.0, 1.0))
    numbers = st.floats(-5.0, 5.0, allow_subnormal=False)
    vectors = [
        data.draw(st.lists(numbers, min_size=n, max_size=n))
        for n in [model.prior_count] * 3
    ]
    traces = []

    @jax.jit
    def total(instance):
        traces.append(1)
        return sum(tree_leaves(instance))

    @jax.jit
    def count_in_a_trace(instance):
        return len(tree_leaves(jax.tree.map(lambda leaf: 2.0 * leaf, instance)))

    structures = set()
    for vector in vectors:
        instance = model.instance_from_vector(vector)
        assert tree_leaves(instance) == vector
        names = [keystr(path) for path, _ in tree_flatten_with_path(instance)[0]]
        assert names == ["." + ".".join(path) for path in model.unique_prior_paths]
        rebuilt = jax.tree.map(lambda leaf: leaf, instance)
        assert held_by(rebuilt) == held_by(instance)
        np.testing.assert_allclose(total(instance), sum(vector), atol=1e-9)
        assert count_in_a_trace(instance) == len(vector)
        structures.add(tree_structure(instance))
    assert len(structures) == 1
    assert len(traces) == 1
    other = jax.tree.map(lambda number: number, model)
    assert tree_structure(other) == tree_structure(model)
    remade = tree_structure(other.instance_from_vector(vectors[0]))
    assert structures == {remade}
