"""Every kind of model that PyAutoFit can compose makes points of that model."""

import copy
import itertools
import json

import autofit as af
import autolens as al
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import keystr, tree_flatten_with_path, tree_leaves, tree_structure

GRID = al.Grid2D.uniform(shape_native=(3, 3), pixel_scales=0.7)


class Line:
    def __init__(self, slope=1.0, intercept=0.0):
        self.slope = slope
        self.intercept = intercept
        self.square = slope**2


def uniform():
    return af.UniformPrior(0.0, 5.0)


def line_from(**components):
    return af.Model(Line, **{"slope": uniform(), "intercept": uniform()} | components)


def sphere_from(**components):
    """A spherical mass at the origin, if nothing else is said."""
    return af.Model(al.mp.IsothermalSph, **{"centre": (0.0, 0.0)} | components)


def names_of(tree) -> list:
    return [keystr(path) for path, _ in tree_flatten_with_path(tree)[0]]


def counted(function):
    """The function jitted, and a list that gets an entry each time it is traced."""
    traces = []

    @jax.jit
    def jitted(*arguments):
        traces.append(1)
        return function(*arguments)

    return jitted, traces


def slopes_from(function, model, vector, step=1e-5) -> list:
    """The derivatives of a function of a model's instances, by finite differences."""
    vector = np.array(vector)

    def value(vector):
        return function(model.instance_from_vector(vector, ignore_assertions=True))

    steps = step * np.eye(len(vector))
    return [(value(vector + s) - value(vector - s)) / (2.0 * step) for s in steps]


def check_point(model, vector, function):
    """
    An instance is a point of the model, comes back, and the function and its gradient
    are those of the instances that the model makes.
    """
    instance = model.instance_from_vector(vector, ignore_assertions=True)
    assert len(vector) == model.prior_count
    assert tree_leaves(instance) == list(vector)
    assert names_of(instance) == ["." + ".".join(p) for p in model.unique_prior_paths]
    changed = jax.tree.map(lambda leaf: 1.25 * leaf, instance)
    expected = model.instance_from_vector(1.25 * np.array(vector), ignore_assertions=True)
    assert tree_structure(changed) == tree_structure(instance) == tree_structure(expected)
    assert float(function(changed)) == pytest.approx(float(function(expected)), 1e-12)
    jitted, traces = counted(jax.value_and_grad(function))
    value, gradient = jitted(instance)
    assert value == pytest.approx(float(function(instance)), rel=1e-10)
    slopes = slopes_from(function, model, vector)
    np.testing.assert_allclose(tree_leaves(gradient), slopes, rtol=1e-6, atol=1e-8)
    assert jitted(expected)[0] == pytest.approx(float(function(expected)), rel=1e-10)
    assert len(traces) == 1


class TestFixedAndFree:
    """One class, with a parameter fixed in one model and free in another."""

    MODELS = {
        "both free": ({}, [".slope", ".intercept"]),
        "intercept fixed": ({"intercept": 3.0}, [".slope"]),
        "slope fixed": ({"slope": 2.0}, [".intercept"]),
        "both fixed": ({"slope": 2.0, "intercept": 3.0}, []),
    }

    @pytest.mark.parametrize("order", itertools.permutations(MODELS), ids=", ".join)
    def test_in_any_order(self, order):
        for kind in (*order, *order):
            components, names = self.MODELS[kind]
            model = line_from(**components)
            values = {".slope": 2.0, ".intercept": 3.0}
            instance = model.instance_from_vector([values[name] for name in names])
            assert names_of(instance) == names
            gradient = jax.grad(lambda line: line.square * line.intercept)(instance)
            expected = {".slope": 2 * 2.0 * 3.0, ".intercept": 4.0}
            assert tree_leaves(gradient) == [expected[name] for name in names]

    def test_in_one_model(self):
        model = af.Collection(
            *(line_from(**components) for components, _ in self.MODELS.values())
        )
        check_point(
            model,
            [1.0, 1.5, 2.0, 2.5],
            lambda i: sum((k + 1) * i[k].square * i[k].intercept for k in range(4)),
        )

    def test_by_hand_between_two_models(self):
        for components in ({}, {"intercept": 3.0}, {}):
            by_hand = Line(2.0, 3.0)
            assert tree_leaves(by_hand) == [2.0, 3.0]
            vector = [2.0, 3.0][: 2 - len(components)]
            instance = line_from(**components).instance_from_vector(vector)
            assert tree_leaves(instance) == vector


class TestFreeRedshift:
    def test_of_a_galaxy_alone(self):
        model = af.Model(
            al.Galaxy,
            redshift=af.UniformPrior(0.1, 2.0),
            mass=sphere_from(einstein_radius=uniform()),
        )
        check_point(
            model, [0.6, 1.4], lambda galaxy: galaxy.redshift**2 * galaxy.mass.slope
        )

    def test_beside_one_that_is_fixed(self):
        fixed, free = (
            af.Model(al.Galaxy, redshift=redshift, mass=sphere_from(einstein_radius=1.0))
            for redshift in (0.5, af.UniformPrior(0.1, 2.0))
        )
        for model, vector in ((fixed, []), (free, [0.5]), (fixed, []), (free, [0.7])):
            galaxy = model.instance_from_vector(vector)
            assert tree_leaves(galaxy) == vector
            assert galaxy.redshift == (vector or [0.5])[0]

    def test_shared_by_two_galaxies_in_a_jitted_likelihood(self):
        redshift = af.UniformPrior(0.1, 2.0)
        galaxies = [
            af.Model(al.Galaxy, redshift=redshift, mass=sphere_from(einstein_radius=r))
            for r in (uniform(), 0.5)
        ]
        model = af.Collection(galaxies=af.Collection(*galaxies))

        def log_likelihood(instance):
            deflections = sum(
                (1.0 + galaxy.redshift) ** 2
                * galaxy.mass.deflections_yx_2d_from(grid=GRID, xp=jnp).array
                for galaxy in instance.galaxies
            )
            return -0.5 * jnp.sum((deflections - 1.0) ** 2)

        check_point(model, [0.6, 1.4], log_likelihood)

    def test_of_the_source_of_a_tracer(self):
        """
        A tracer sorts galaxies by redshift, which is impossible with traced redshifts:
        the planes are made once, here from the redshift's value outside.
        """
        source = af.Model(al.Galaxy, redshift=af.UniformPrior(0.6, 2.0))
        model = af.Collection(source=source)
        instance = model.instance_from_vector([1.2])
        cosmology = al.cosmo.Planck15()

        def factor(instance):
            z = instance.source.redshift
            return cosmology.scaling_factor_between_redshifts_from(
                redshift_0=0.5, redshift_1=1.0, redshift_final=z, xp=jnp
            )

        slope = tree_leaves(jax.grad(factor)(instance))
        np.testing.assert_allclose(slope, slopes_from(factor, model, [1.2]), rtol=1e-4)
        assert jax.jit(factor)(instance) == pytest.approx(factor(instance))


class TestShared:
    def test_by_two_galaxies(self):
        radius = uniform()
        model = af.Collection(
            lens=af.Model(
                al.Galaxy, redshift=0.5, mass=sphere_from(einstein_radius=radius)
            ),
            other=af.Model(
                al.Galaxy, redshift=0.6, mass=sphere_from(einstein_radius=radius)
            ),
        )
        check_point(
            model,
            [1.5],
            lambda i: i.lens.mass.einstein_radius**2 + 3.0 * i.other.mass.einstein_radius,
        )

    def test_by_a_redshift_a_number_and_an_entry_of_a_tuple(self):
        shared = af.UniformPrior(0.1, 2.0)
        mass = sphere_from(
            centre=af.TuplePrior(centre_0=shared, centre_1=uniform()),
            einstein_radius=shared,
        )
        model = af.Model(al.Galaxy, redshift=shared, mass=mass)

        def function(galaxy):
            mass = galaxy.mass
            return galaxy.redshift + 2.0 * mass.centre[0] ** 2 * mass.einstein_radius

        check_point(model, [0.75, 1.5], function)

    def test_by_both_entries_of_a_tuple(self):
        shared = uniform()
        mass = sphere_from(
            centre=af.TuplePrior(centre_0=shared, centre_1=shared), einstein_radius=1.0
        )
        check_point(mass, [0.75], lambda mass: mass.centre[0] + 2.0 * mass.centre[1])

    def test_by_two_models(self):
        shared = uniform()
        one, two = line_from(slope=shared), line_from(intercept=shared)
        check_point(one, [2.0, 3.0], lambda line: line.square * line.intercept)
        # The shared prior is the older one, so it is the first parameter of each.
        instance = two.instance_from_vector([3.0, 2.0])
        assert (instance.intercept, instance.slope) == (3.0, 2.0)
        check_point(two, [3.0, 2.0], lambda line: line.square * line.intercept)
        assert tree_structure(one.instance_from_vector([2.0, 3.0])) != tree_structure(
            instance
        )

    def test_only_in_one_of_two_models_of_one_class(self):
        shared = uniform()
        apart = af.Collection(a=line_from(), b=line_from())
        joined = af.Collection(a=line_from(slope=shared), b=line_from(slope=shared))
        assert apart.prior_count == joined.prior_count + 1 == 4
        check_point(apart, [1.0, 2.0, 3.0, 4.0], lambda i: i.a.square * i.b.square)
        check_point(joined, [1.0, 2.0, 3.0], lambda i: i.a.square * i.b.square)


EXPRESSIONS = {
    "a + b": lambda a, b: a + b,
    "a + 1": lambda a, b: a + 1.0,
    "1 + a": lambda a, b: 1.0 + a,
    "a - b": lambda a, b: a - b,
    "1 - a": lambda a, b: 1.0 - a,
    "2 * a": lambda a, b: 2.0 * a,
    "a * b": lambda a, b: a * b,
    "a / b": lambda a, b: a / b,
    "1 / a": lambda a, b: 1.0 / a,
    "a ** 2": lambda a, b: a**2,
    "2 ** a": lambda a, b: 2.0**a,
    "a ** b": lambda a, b: a**b,
    "-a": lambda a, b: -a,
    "abs(-a)": lambda a, b: abs(-a),
    "a % 0.4": lambda a, b: a % 0.4,
    "nested": lambda a, b: (a + 2.0 * b) ** 2 / (3.0 - a),
}


class TestRelation:
    """A parameter that is an expression of others is no leaf, and follows them."""

    @pytest.mark.parametrize("expression", EXPRESSIONS.values(), ids=EXPRESSIONS)
    def test_of_the_parameters_of_another_component(self, expression):
        one, two = line_from(), line_from()
        two.intercept = expression(one.slope, one.intercept)
        model = af.Collection(one=one, two=two)
        instance = model.instance_from_vector([1.5, 0.75, 2.0])
        assert instance.two.intercept == pytest.approx(expression(1.5, 0.75), rel=1e-12)
        check_point(
            model,
            [1.5, 0.75, 2.0],
            lambda i: i.two.intercept * i.two.square + i.one.slope,
        )

    @pytest.mark.parametrize("logarithm", [af.Log, af.Log10])
    def test_that_is_a_logarithm(self, logarithm):
        one, two = line_from(), line_from()
        two.intercept = logarithm(one.slope)
        check_point(
            af.Collection(one=one, two=two),
            [1.5, 0.75, 2.0],
            lambda i: i.two.intercept * i.two.square,
        )

    @pytest.mark.parametrize("expression", EXPRESSIONS.values(), ids=EXPRESSIONS)
    def test_of_parameters_that_stand_nowhere_else(self, expression):
        a, b = uniform(), uniform()
        model = line_from(slope=expression(a, b), intercept=1.0)
        vector = [1.5, 0.75][: model.prior_count]
        instance = model.instance_from_vector(vector)
        assert instance.slope == pytest.approx(expression(1.5, 0.75), rel=1e-12)
        assert tree_leaves(instance) == vector
        slopes = slopes_from(lambda line: line.square, model, vector)
        gradient = jax.jit(jax.grad(lambda line: line.square))(instance)
        np.testing.assert_allclose(tree_leaves(gradient), slopes, rtol=1e-6)

    def test_between_light_and_mass(self):
        bulge = af.Model(
            al.lp.SersicSph,
            centre=(0.0, 0.0),
            intensity=1.0,
            effective_radius=uniform(),
            sersic_index=4.0,
        )
        lens = af.Model(al.Galaxy, redshift=0.5, bulge=bulge, mass=sphere_from())
        lens.mass.einstein_radius = lens.bulge.effective_radius * 2.0
        model = af.Collection(galaxies=af.Collection(lens=lens))
        assert tree_leaves(model.instance_from_vector([0.7])) == [0.7]

        def function(instance):
            lens = instance.galaxies.lens
            image = lens.bulge.image_2d_from(grid=GRID, xp=jnp).array
            deflections = lens.mass.deflections_yx_2d_from(grid=GRID, xp=jnp).array
            return jnp.sum(image) + jnp.sum(deflections**2)

        check_point(model, [0.7], function)

    def test_of_a_number_that_was_set_later(self):
        one, two = line_from(), line_from()
        two.intercept = 2.0 * one.slope
        instance = af.Collection(one=one, two=two).instance_from_vector([1.5, 0.5, 2.0])
        instance.one.slope = 2.0
        instance.one.square = 4.0
        instance.two.intercept = 4.0
        assert jax.jit(lambda i: i.two.intercept)(instance) == 4.0
        instance.two.intercept = 5.0
        assert jax.jit(lambda i: i.two.intercept)(instance) == 5.0
        assert jax.jit(lambda i: i.one.slope)(instance) == 2.0


class TestAssertion:
    def model_from(self):
        model = line_from()
        model.add_assertion(model.slope > model.intercept)
        return model

    @pytest.mark.parametrize("collected", [False, True], ids=["alone", "in a collection"])
    @pytest.mark.parametrize("vector", [[2.0, 1.0], [1.0, 2.0]], ids=["holds", "fails"])
    def test_does_not_matter_to_leaves_and_functions(self, collected, vector):
        model = self.model_from()
        find = (lambda i: i.line) if collected else (lambda i: i)
        model = af.Collection(line=model) if collected else model
        if vector[0] < vector[1]:
            with pytest.raises(af.exc.FitException):
                model.instance_from_vector(vector)
        check_point(model, vector, lambda i: find(i).square * find(i).intercept)

    def test_is_crossed_by_a_step(self):
        instance = self.model_from().instance_from_vector([2.0, 1.0])
        stepped = jax.tree.map(lambda leaf, step: leaf + step, instance, instance)
        stepped = jax.tree.unflatten(tree_structure(instance), [1.0, 2.0])
        assert (stepped.slope, stepped.intercept, stepped.square) == (1.0, 2.0, 1.0)


def test_array_of_free_shared_and_fixed_entries():
    array = af.Array(shape=(2, 2), prior=uniform())
    array[0, 1] = array[0, 0]
    model = af.Collection(line=line_from(intercept=array[1, 0]), array=array)
    vector = np.arange(1.0, 1.0 + model.prior_count)
    assert len(vector) == 4
    weights = np.array([[1.0, 2.0], [3.0, 4.0]])
    check_point(
        model, vector, lambda i: (weights * i.array**2).sum() + i.line.intercept * 5.0
    )


def lens_from():
    mass = sphere_from(
        centre=af.TuplePrior(
            centre_0=af.GaussianPrior(0.0, 0.1), centre_1=af.GaussianPrior(0.0, 0.1)
        ),
        einstein_radius=uniform(),
    )
    lens = af.Model(al.Galaxy, redshift=0.5, mass=mass, shear=al.mp.ExternalShear)
    return af.Collection(galaxies=af.Collection(lens=lens), scale=line_from())


LENS_VECTOR = [0.01, 0.02, 1.6, 0.03, -0.04, 2.0, 3.0]


def json_of(model):
    return af.AbstractPriorModel.from_dict(json.loads(json.dumps(model.dict())))


def frozen(model):
    model.freeze()
    return model


PASSED_ON = {
    "means": lambda model: model.mapper_from_prior_means(LENS_VECTOR, a=1.0),
    "uniform floats": lambda model: model.mapper_from_uniform_floats(LENS_VECTOR, b=1.0),
    "copy": lambda model: model.copy(),
    "deep copy": copy.deepcopy,
    "JSON": json_of,
    "frozen": frozen,
    "pytree": lambda model: jax.tree.map(lambda number: number, model),
    "built again": lambda model: lens_from(),
}


@pytest.mark.parametrize("passed_on", PASSED_ON.values(), ids=PASSED_ON)
def test_model_that_was_passed_on_does_not_trace_again(passed_on):
    def radius(instance):
        return instance.galaxies.lens.mass.einstein_radius * instance.scale.square

    function, traces = counted(radius)
    model = lens_from()
    first = model.instance_from_vector(LENS_VECTOR)
    assert function(first) == 1.6 * 4.0
    other = passed_on(model)
    assert other.prior_count == 7
    second = other.instance_from_vector([2.0 * value for value in LENS_VECTOR])
    assert tree_structure(second) == tree_structure(first)
    assert hash(tree_structure(second)) == hash(tree_structure(first))
    assert function(second) == pytest.approx(3.2 * 16.0)
    assert len(traces) == 1


def test_parameter_with_a_new_prior_is_the_last_leaf_as_in_the_model():
    model = lens_from()
    radius = model.galaxies.lens.mass.einstein_radius
    other = model.mapper_from_partial_prior_arguments({radius: uniform()})
    vector = [*LENS_VECTOR[:2], *LENS_VECTOR[3:], 1.6]
    instance = other.instance_from_vector(vector)
    assert tree_leaves(instance) == vector
    assert names_of(instance)[-1] == ".galaxies.lens.mass.einstein_radius"
    function, traces = counted(lambda i: i.galaxies.lens.mass.einstein_radius)
    assert function(instance) == 1.6
    assert function(model.instance_from_vector(LENS_VECTOR)) == 1.6
    assert len(traces) == 2


def test_model_from_a_json_file_does_not_trace_again(tmp_path):
    function, traces = counted(lambda i: i.galaxies.lens.mass.einstein_radius)
    model = lens_from()
    (tmp_path / "model.json").write_text(json.dumps(model.dict()))
    loaded = af.AbstractPriorModel.from_json(str(tmp_path / "model.json"))
    assert function(model.instance_from_vector(LENS_VECTOR)) == 1.6
    assert function(loaded.instance_from_vector(LENS_VECTOR)) == 1.6
    assert len(traces) == 1


def test_model_with_what_was_found_as_constants_has_no_leaves():
    model = lens_from()
    instance = model.instance_from_vector(LENS_VECTOR)
    fixed = model.instance_from_vector(LENS_VECTOR).galaxies
    follow_up = af.Collection(galaxies=fixed, scale=line_from())
    point = follow_up.instance_from_vector([2.0, 3.0])
    assert tree_leaves(point) == [2.0, 3.0]
    assert point.galaxies.lens.mass.einstein_radius == 1.6
    out = jax.jit(lambda i: i)(point)
    assert out.galaxies.lens.mass.centre == instance.galaxies.lens.mass.centre


def test_free_and_fixed_versions_of_a_model_are_traced_once_each():
    function, traces = counted(lambda i: i.galaxies.lens.mass.einstein_radius)
    free, fixed = lens_from(), lens_from()
    fixed.galaxies.lens.mass.einstein_radius = 1.6
    for _ in range(3):
        assert function(free.instance_from_vector(LENS_VECTOR)) == 1.6
        vector = LENS_VECTOR[:2] + LENS_VECTOR[3:]
        assert function(fixed.instance_from_vector(vector)) == 1.6
    assert len(traces) == 2


EDITS = {
    "fixed": (lambda m: setattr(m.scale, "slope", 2.0), 6),
    "shared": (lambda m: setattr(m.scale, "slope", m.scale.intercept), 6),
    "expression": (lambda m: setattr(m.scale, "slope", 2.0 * m.scale.intercept), 6),
    "removed": (lambda m: setattr(m.galaxies.lens, "shear", None), 5),
    "added": (lambda m: setattr(m, "more", line_from()), 9),
    "redshift": (lambda m: setattr(m.galaxies.lens, "redshift", 0.7), 7),
    "free redshift": (lambda m: setattr(m.galaxies.lens, "redshift", uniform()), 8),
}


@pytest.mark.parametrize("edit, count", EDITS.values(), ids=EDITS)
@pytest.mark.parametrize("seen", [False, True], ids=["at once", "after JAX saw it"])
def test_model_that_is_edited_makes_other_points_from_then_on(edit, count, seen):
    model = lens_from()
    before = model.instance_from_vector(LENS_VECTOR)
    structure = tree_structure(lens_from().instance_from_vector(LENS_VECTOR))
    for _ in range(3 * seen):
        tree_leaves(before)
    edit(model)
    after = model.instance_from_vector(np.linspace(0.1, 0.9, model.prior_count))
    assert len(tree_leaves(after)) == model.prior_count == count
    assert tree_structure(after) != structure
    assert tree_structure(before) == structure
    assert tree_leaves(before) == LENS_VECTOR
    rebuilt = jax.tree.map(lambda leaf: 2.0 * leaf, before)
    assert rebuilt.scale.square == 16.0


@pytest.mark.parametrize(
    "model",
    [
        line_from(slope=2.0, intercept=3.0),
        af.Collection(line=line_from(slope=2.0, intercept=3.0)),
        af.Collection(line=Line(2.0, 3.0)),
    ],
    ids=["model", "collection", "object"],
)
def test_model_with_nothing_free_has_no_leaves_and_is_traced_once(model):
    find = (lambda i: i.line) if isinstance(model, af.Collection) else (lambda i: i)
    function, traces = counted(lambda i: find(i).square * find(i).intercept)
    for _ in range(3):
        instance = model.instance_from_vector([])
        assert tree_leaves(instance) == []
        assert function(instance) == 12.0
    assert len(traces) == 1
    rebuilt = jax.tree.map(lambda leaf: leaf, instance)
    assert vars(find(rebuilt)).keys() == vars(find(instance)).keys()
    assert (find(rebuilt).slope, find(rebuilt).square) == (2.0, 4.0)
    assert tree_leaves(jax.grad(lambda i: 1.0 * find(i).square)(instance)) == []


class TestCluster:
    """A hundred member galaxies whose masses scale with their luminosities."""

    RANDOM = np.random.default_rng(1)
    CENTRES = RANDOM.uniform(-20.0, 20.0, (100, 2))
    LUMINOSITIES = RANDOM.uniform(0.1, 1.0, 100)
    GRID = al.Grid2D.uniform(shape_native=(2, 2), pixel_scales=7.0)
    FIXED = {
        "r_core": 0.1,
        "redshift_object": 0.5,
        "redshift_source": 1.0,
        "H0": 67.66,
        "Om0": 0.30966,
    }
    VECTOR = [250.0, 12.0]

    def members(self, sigma, r_cut):
        """The arguments of each member's mass."""
        for centre, luminosity in zip(self.CENTRES, self.LUMINOSITIES, strict=True):
            yield {
                "centre": (float(centre[0]), float(centre[1])),
                "sigma": sigma * float(luminosity**0.25),
                "r_cut": r_cut * float(luminosity**0.5),
                **self.FIXED,
            }

    @pytest.fixture(scope="class")
    def model(self):
        sigma, r_cut = af.UniformPrior(100.0, 400.0), af.UniformPrior(1.0, 30.0)
        masses = [
            af.Model(al.mp.dPIEMassSph, **arguments)
            for arguments in self.members(sigma, r_cut)
        ]
        galaxies = [af.Model(al.Galaxy, redshift=0.5, mass=mass) for mass in masses]
        return af.Collection(galaxies=af.Collection(galaxies))

    def shift(self, masses, xp):
        """A number from the deflections of all the masses."""
        deflections = sum(
            mass.deflections_yx_2d_from(grid=self.GRID, xp=xp).array for mass in masses
        )
        return xp.sum(deflections**2)

    def expected(self, sigma, r_cut):
        """The same with NumPy, from masses made by hand."""
        members = self.members(sigma, r_cut)
        return self.shift([al.mp.dPIEMassSph(**member) for member in members], np)

    def test_leaves_are_the_pair_that_drives_all_members(self, model):
        instance = model.instance_from_vector(self.VECTOR)
        assert tree_leaves(instance) == self.VECTOR
        assert model.prior_count == 2
        doubled = jax.tree.map(lambda leaf: 2.0 * leaf, instance)
        members = [*self.members(500.0, 24.0)]
        for galaxy, member in zip(doubled.galaxies, members, strict=True):
            assert galaxy.mass.sigma == pytest.approx(member["sigma"], rel=1e-12)
            assert galaxy.mass.b0 == pytest.approx(
                al.mp.dPIEMassSph(**member).b0, rel=1e-12
            )

    def test_deflections_are_traced_once_for_all_instances(self, model):
        function, traces = counted(
            lambda i: self.shift([galaxy.mass for galaxy in i.galaxies], jnp)
        )
        for factor in (1.0, 1.1, 0.8):
            vector = factor * np.array(self.VECTOR)
            found = function(model.instance_from_vector(vector))
            assert found == pytest.approx(self.expected(*vector), rel=1e-10)
        assert len(traces) == 1

    def test_gradient_sums_over_the_members(self, model):
        def function(instance):
            return self.shift([galaxy.mass for galaxy in instance.galaxies], jnp)

        gradient = jax.grad(function)(model.instance_from_vector(self.VECTOR))
        (sigma, r_cut), step = self.VECTOR, 1e-4
        slopes = [
            self.expected(sigma + step, r_cut) - self.expected(sigma - step, r_cut),
            self.expected(sigma, r_cut + step) - self.expected(sigma, r_cut - step),
        ]
        np.testing.assert_allclose(
            tree_leaves(gradient), np.array(slopes) / (2.0 * step), rtol=1e-5
        )
