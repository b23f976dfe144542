"""What made an object goes along with its copies and pickles (rule 10)."""

import copy
import pickle

import autofit as af
import autolens as al
import cloudpickle
import dill
import jax
import pytest
from conftest import VECTOR, lens_model_from
from jax.tree_util import tree_leaves, tree_structure

import autofit_patch

WAYS = {
    "copy": copy.copy,
    "deep copy": copy.deepcopy,
    "pickle": lambda obj: pickle.loads(pickle.dumps(obj)),
    "oldest pickle": lambda obj: pickle.loads(pickle.dumps(obj, protocol=0)),
    "dill": lambda obj: dill.loads(dill.dumps(obj)),
    "cloudpickle": lambda obj: pickle.loads(cloudpickle.dumps(obj)),
    "copy of a copy": lambda obj: copy.copy(pickle.loads(pickle.dumps(obj))),
}

pytestmark = pytest.mark.parametrize("copied", WAYS.values(), ids=WAYS)


class Line:
    def __init__(self, slope=1.0, intercept=0.0):
        self.slope = slope
        self.intercept = intercept


def tied_model_from():
    """Ten lines with one slope: its gradient is the sum over them."""
    slope = af.UniformPrior(0.0, 5.0)
    return af.Collection(
        {
            f"line_{index}": af.Model(
                Line, slope=slope, intercept=af.UniformPrior(-1.0, 1.0)
            )
            for index in range(3)
        }
    )


def weighted(instance):
    return sum(
        weight * getattr(instance, f"line_{index}").slope
        for index, weight in enumerate((1.0, 3.0, 7.0))
    )


def gradient_of(instance):
    return float(jax.grad(weighted)(instance).line_0.slope)


POINT = [2.0, 0.1, 0.2, 0.3]


def test_gradient_of_a_shared_parameter_is_that_of_the_first(copied):
    instance = tied_model_from().instance_from_vector(POINT)
    twin = copied(instance)
    assert gradient_of(twin) == gradient_of(instance) == 11.0
    assert tree_structure(twin) == tree_structure(instance)


def test_copy_of_an_instance_of_one_galaxy_is_a_point(copied):
    centre = af.UniformPrior(-1.0, 1.0)
    mass, light = af.Model(al.mp.IsothermalSph), af.Model(al.lp.ExponentialSph)
    mass.centre.centre_0 = light.centre.centre_0 = centre
    model = af.Model(al.Galaxy, redshift=0.5, mass=mass, light=light)
    instance = model.instance_from_prior_medians()
    twin = copied(instance)
    assert len(tree_leaves(twin)) == model.prior_count
    assert tree_structure(twin) == tree_structure(instance)


def edit(model):
    model.line_0.intercept = 0.5


def fix(model):
    model.line_1.slope = 2.0


@pytest.mark.parametrize("change", [edit, fix, None], ids=["edit", "fix", "collected"])
def test_the_model_may_be_edited_or_gone(copied, change):
    model = tied_model_from()
    instance = model.instance_from_vector(POINT)
    structure = tree_structure(instance)
    if change is None:
        del model
    else:
        change(model)
        model.instance_from_prior_medians()
    twin = copied(instance)
    assert gradient_of(twin) == 11.0
    assert tree_structure(twin) == structure


def test_a_copy_of_the_model_is_another_model(copied):
    model = tied_model_from()
    instance = model.instance_from_vector([2.0, 0.1, 0.1, 0.3])
    other = model.copy()
    other.line_2.slope = af.UniformPrior(0.0, 5.0)
    other.instance_from_prior_medians()
    assert gradient_of(copied(instance)) == 11.0
    apart = other.instance_from_vector([2.0, 0.1, 0.1, 0.3, 2.0])
    assert gradient_of(copied(apart)) == 4.0


def test_copy_can_be_edited_and_says_so(copied, capsys):
    instance = lens_model_from().instance_from_vector(VECTOR)
    for _ in range(3):
        tree_leaves(instance)
    twin = copied(instance)
    galaxies = twin.galaxies if twin.galaxies is not instance.galaxies else None
    twin.new = 3.0
    assert len(tree_leaves(instance)) == 15
    assert len(tree_leaves(twin)) > 15
    if galaxies is not None:
        del twin.new
        galaxies.lens.mass.einstein_radius = 1.7
        assert tree_leaves(twin)[8] == 1.7
        assert tree_leaves(instance)[8] == 1.6


def test_outline_of_a_batch_is_a_batch(copied):
    instance = tied_model_from().instance_from_vector(POINT)
    batch = jax.tree.map(lambda leaf: jax.numpy.full(4, leaf), instance)
    twin = copied(batch)
    assert tree_structure(twin) == tree_structure(batch)
    assert [leaf.shape for leaf in tree_leaves(twin)] == [(4,)] * 4
    with pytest.raises(AttributeError, match="no child_of: it is an outline|child_of"):
        _ = twin.line_0.child_of


class Unkept:
    """Its constructor needs what its objects do not keep."""

    def __init__(self, slope=1.0, factor=2.0):
        self.slope = slope
        self.product = slope * factor


class Scaling:
    """Its constructor keeps something else than it is given."""

    def __init__(self, slope=1.0):
        self.slope = 2.0 * slope


for _cls in (Line, Unkept, Scaling):
    autofit_patch.register(_cls)


def test_argument_that_an_object_does_not_keep_is_known_of_its_copy(copied):
    twin = copied(Unkept(3.0, factor=5.0))
    assert tree_leaves(twin) == [3.0, 5.0]
    doubled = jax.tree.map(lambda leaf: 2.0 * leaf, twin)
    assert doubled.product == 60.0


def test_argument_that_is_not_kept_follows_no_edit_of_the_copy(copied):
    twin = copied(Unkept(3.0, factor=5.0))
    twin.product = 1.0
    with pytest.raises(ValueError, match=r"product = 1\.0.*product = 15\.0"):
        tree_leaves(twin)


def test_mesh_is_made_again_with_its_option(copied):
    mesh = al.mesh.RectangularUniform(shape=(8, 8))
    assert tree_structure(copied(mesh)) == tree_structure(mesh)


def test_halo_is_made_again_at_its_redshifts(copied):
    halo = al.mp.NFWMCRLudlowSph(mass_at_200=1e11, redshift_object=0.4)
    assert tree_structure(copied(halo)) == tree_structure(halo)
    assert vars(jax.tree.map(lambda leaf: leaf, copied(halo))) == vars(halo)


def test_pickle_holds_the_model_once_for_all_instances(copied):
    model = lens_model_from(20)
    instances = [model.instance_from_vector(VECTOR * (1 + 1e-3 * k)) for k in range(20)]
    sizes = [len(pickle.dumps(instances[:count])) for count in (1, 20)]
    plain = len(pickle.dumps([copied(vars(i.galaxies.lens)) for i in instances]))
    assert sizes[1] < sizes[0] + 3 * plain
    for twin, instance in zip(copied(instances), instances, strict=True):
        assert tree_leaves(twin) == tree_leaves(instance)


def test_copies_made_in_a_trace_are_made_from_what_the_first_was_given(copied):
    if copied not in (copy.copy, copy.deepcopy):
        pytest.skip("a tracer cannot be pickled")

    @jax.jit
    def by_hand(slope):
        twin = copied(Scaling(slope))
        return jax.tree.map(lambda leaf: leaf, twin).slope

    assert by_hand(1.0) == 2.0

    model = af.Collection(
        part=af.Model(Scaling, slope=af.UniformPrior(0.0, 9.0)),
        tied=tied_model_from(),
    )

    @jax.jit
    def of_a_model(vector):
        twin = copied(model.instance_from_vector(vector, xp=jax.numpy))
        return jax.tree.map(lambda leaf: leaf, twin)

    out = of_a_model(jax.numpy.array([1.0, *POINT]))
    assert out.part.slope == 2.0
    assert len(tree_leaves(out)) == 5
    assert gradient_of(out.tied) == 1.0  # a part of an instance is no point of its own
