"""
Every class of the libraries that goes into a model: no gradient and no derived value of
its objects is wrong.
"""

import functools
import os
from pathlib import Path

import numpy as np
import pytest
from catalogue import MODULES, NOT_COVERED, classes, covered_from
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from proof import WAYS, proof_of

#: 1 in continuous integration; CLASS_EXAMPLES=20 for a thorough run.
EXAMPLES = int(os.environ.get("CLASS_EXAMPLES", "1"))

COVERAGE = Path(__file__).parents[1] / "docs" / "coverage.md"

few_examples = functools.partial(
    settings,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
    # A smaller failing example is not worth its time here.
    phases=[Phase.generate],
)
#: The scope keeps the tests of a class together: they share what they compile.
#: Classes of the same name follow one another: their programs are often the same.
each_class = pytest.mark.parametrize(
    "name", sorted(classes(), key=lambda name: name.rpartition(".")[2]), scope="module"
)


def points(data, proof, count: int, edges: bool = False) -> list:
    """
    Valid points of a class's model: anywhere but near the limits of its priors or, for
    the first if ``edges``, with some parameters near them.
    """
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    units = random.uniform(0.2, 0.8, (count, proof.model.prior_count))
    if edges:
        at_edge = random.uniform(size=len(units[0])) < 0.2
        units[0] = np.where(at_edge, random.choice([1e-3, 1.0 - 1e-3]), units[0])
    vectors = list(map(proof.vector_from, units))
    for vector in vectors:
        assume(proof.is_valid(vector))
    return vectors


@each_class
@few_examples(max_examples=EXAMPLES)
@given(st.data())
def test_figures_are_the_same_after_a_round_trip_under_jit_and_under_vmap(name, data):
    proof = proof_of(name)
    # What no method can trace is only taken apart and put together, which takes one.
    vectors = points(data, proof, 3 if proof.is_traced else 1, edges=True)
    for way in WAYS:
        for vector in vectors[:2]:
            proof.assert_round_trip(way, vector)
        proof.assert_jit(way, vectors[:2])
        proof.assert_vmap(way, vectors)


@each_class
@few_examples(max_examples=max(1, EXAMPLES // 2))
@given(st.data())
def test_gradients_by_name_are_those_of_the_constructor(name, data):
    proof = proof_of(name)
    if not proof.is_traced:
        return
    (vector,) = points(data, proof, 1)
    for way in WAYS:
        proof.assert_gradient(way, vector)


@each_class
def test_table_of_classes_is_current(name):
    row = "| " + " | ".join(proof_of(name).row()) + " |"
    assert row in COVERAGE.read_text().splitlines(), (
        f"docs/coverage.md does not have this row: {row}\n"
        "Write it again with: uv run python docs/coverage.py"
    )


def test_table_has_no_other_classes():
    rows = [line for line in COVERAGE.read_text().splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == list(classes())


def test_classes_that_are_not_covered_are_there_and_have_a_reason(capsys):
    names = {name.rpartition(".")[2]: name for name in covered_from(MODULES)}
    with capsys.disabled():
        print("\nnot covered:")
        for name, reason in NOT_COVERED.items():
            print(f"  {names[name]}: {reason}")
    assert set(NOT_COVERED) <= set(names)
