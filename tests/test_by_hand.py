"""An object made by hand has its constructor's numbers as leaves (rule 6)."""

import copy
import dataclasses
import inspect
import pickle

import autofit as af
import autogalaxy as ag
import autolens as al
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import keystr, tree_flatten_with_path, tree_leaves, tree_structure

import autofit_patch

GRID = al.Grid2D.uniform(shape_native=(7, 7), pixel_scales=0.5)


def named_leaves_of(tree) -> dict:
    return {keystr(path): leaf for path, leaf in tree_flatten_with_path(tree)[0]}


def rebuilt_from(tree):
    return jax.tree.map(lambda leaf: leaf, tree)


PROFILES = [
    al.mp.Isothermal(centre=(0.1, 0.2), ell_comps=(0.1, -0.1), einstein_radius=1.5),
    al.mp.IsothermalSph(einstein_radius=1.2),
    al.mp.ExternalShear(gamma_1=0.05, gamma_2=-0.02),
    al.mp.PowerLaw(ell_comps=(0.1, 0.0), einstein_radius=1.3, slope=1.9),
    al.mp.NFWSph(kappa_s=0.1, scale_radius=8.0),
    al.mp.MassSheet(kappa=0.1),
    al.mp.dPIEMassSph(),
]


@pytest.mark.parametrize("profile", PROFILES, ids=lambda p: type(p).__name__)
def test_mass_profile_has_the_same_deflections_after_a_round_trip(profile):
    rebuilt = rebuilt_from(profile)
    assert type(rebuilt) is type(profile)
    assert vars(rebuilt).keys() == vars(profile).keys()
    np.testing.assert_array_equal(
        np.array(rebuilt.deflections_yx_2d_from(grid=GRID)),
        np.array(profile.deflections_yx_2d_from(grid=GRID)),
    )


LIGHTS = [
    al.lp.Sersic(centre=(0.1, 0.0), intensity=2.0, sersic_index=2.5),
    al.lp.Gaussian(ell_comps=(0.1, 0.2), sigma=0.7),
    al.lp_linear.Gaussian(ell_comps=(0.1, 0.2), sigma=0.7),
    al.lp_linear.Sersic(sersic_index=1.5),
    al.lp_basis.Basis([al.lp.Gaussian(sigma=0.5), al.lp.Gaussian(sigma=1.0)]),
]


@pytest.mark.parametrize("profile", LIGHTS, ids=lambda p: type(p).__name__)
def test_light_profile_has_the_same_image_after_a_round_trip(profile):
    np.testing.assert_array_equal(
        np.array(rebuilt_from(profile).image_2d_from(grid=GRID)),
        np.array(profile.image_2d_from(grid=GRID)),
    )


def test_leaves_and_names_of_a_galaxy():
    galaxy = al.Galaxy(redshift=0.5, mass=al.mp.IsothermalSph((0.1, 0.2), 1.4))
    assert named_leaves_of(galaxy) == {
        ".mass.centre[0]": 0.1,
        ".mass.centre[1]": 0.2,
        ".mass.einstein_radius": 1.4,
    }


def test_integers_booleans_strings_none_and_redshifts_are_structure():
    @autofit_patch.register
    class Mixed:
        def __init__(
            self, number=1.0, count=2, flag=True, name="a", none=None, redshift=0.5
        ):
            self.number = number
            self.count = count
            self.flag = flag
            self.name = name
            self.none = none
            self.redshift = redshift

    assert named_leaves_of(Mixed()) == {".number": 1.0}
    structure = tree_structure(Mixed())
    changes = {"count": 3, "flag": False, "name": "b", "redshift": 0.6}
    for name, value in changes.items():
        assert tree_structure(Mixed(**{name: value})) != structure
        assert getattr(rebuilt_from(Mixed(**{name: value})), name) == value
    assert tree_structure(Mixed(number=3.0)) == structure
    different = [tree_structure(Mixed(redshift=z)) for z in (1, 1.0, True, 0.0, -0.0)]
    assert len(set(different)) == len(different)


def test_integers_inside_a_tuple_are_structure_and_floats_leaves():
    profile = al.mp.IsothermalSph(centre=(0, 0.5), einstein_radius=1.4)
    assert tree_leaves(profile) == [0.5, 1.4]
    assert rebuilt_from(profile).centre == (0, 0.5)


def test_equal_objects_have_equal_structure_whatever_their_numbers():
    def galaxy_from(radius):
        return al.Galaxy(
            redshift=0.5,
            mass=al.mp.Isothermal(einstein_radius=radius),
            light=al.lp_linear.Gaussian(sigma=radius),
        )

    structures = {tree_structure(galaxy_from(radius)) for radius in (1.0, 1.5, 2.0)}
    assert len(structures) == 1


@pytest.mark.parametrize("galaxies", [list, al.Galaxies], ids=["list", "Galaxies"])
def test_tracer_through_jit_has_the_same_deflections(galaxies):
    lens = al.Galaxy(redshift=0.5, mass=PROFILES[0], shear=PROFILES[2])
    source = al.Galaxy(redshift=1.0, light=al.lp.Sersic())
    tracer = al.Tracer(galaxies=galaxies([lens, source]))
    function = jax.jit(
        lambda tracer: tracer.deflections_yx_2d_from(grid=GRID, xp=jnp).array
    )
    np.testing.assert_allclose(
        function(tracer), tracer.deflections_yx_2d_from(grid=GRID).array, rtol=1e-10
    )
    out = jax.jit(lambda tracer: tracer)(tracer)
    assert type(out) is al.Tracer
    assert type(out.galaxies) is type(tracer.galaxies)


def test_two_default_cosmologies_are_the_same_structure():
    galaxies = [al.Galaxy(redshift=0.5), al.Galaxy(redshift=1.0)]
    structure = tree_structure(al.Tracer(galaxies=galaxies))
    assert tree_structure(al.Tracer(galaxies=galaxies)) == structure
    other = al.Tracer(galaxies=galaxies, cosmology=al.cosmo.FlatLambdaCDM(H0=70.0))
    assert tree_structure(other) != structure
    assert rebuilt_from(other).cosmology.H0 == 70.0


def test_tracer_made_inside_a_trace_from_the_galaxies_of_an_instance(instance):
    def deflections(instance):
        tracer = al.Tracer(galaxies=list(instance.galaxies))
        return tracer, tracer.deflections_yx_2d_from(grid=GRID, xp=jnp).array

    tracer, found = jax.jit(deflections)(instance)
    expected = al.Tracer(galaxies=list(instance.galaxies))
    expected = expected.deflections_yx_2d_from(grid=GRID).array
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    np.testing.assert_allclose(
        tracer.deflections_yx_2d_from(grid=GRID).array, expected, rtol=1e-10
    )


def test_components_of_an_instance_are_pytrees_of_their_own(instance):
    for part in (
        instance.galaxies,
        instance.galaxies.lens,
        instance.galaxies.lens.mass,
    ):
        out = jax.jit(lambda part: part)(part)
        assert type(out) is type(part)
        np.testing.assert_array_equal(tree_leaves(out), tree_leaves(part))


def test_gradient_of_a_profile_is_read_by_name():
    def function(profile):
        return profile.einstein_radius**2 * profile.centre[0]

    gradient = jax.grad(function)(PROFILES[0])
    assert gradient.einstein_radius == pytest.approx(2 * 1.5 * 0.1)
    assert gradient.centre[0] == pytest.approx(1.5**2)


def test_batch_of_profiles_made_by_stacking_and_by_the_constructor():
    def function(profile):
        return profile.einstein_radius * profile.slope

    profiles = [al.mp.Isothermal(einstein_radius=radius) for radius in (1.0, 2.0)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *profiles)
    assert list(jax.vmap(function)(stacked)) == [2.0, 4.0]
    with pytest.raises(AttributeError, match="outline"):
        stacked.slope  # noqa: B018
    made = al.mp.IsothermalSph(
        centre=(jnp.zeros(2), jnp.zeros(2)), einstein_radius=jnp.array([1.0, 2.0])
    )
    assert list(jax.vmap(function)(made)) == [2.0, 4.0]


def test_profile_class_of_a_user_is_registered_when_it_is_defined():
    class Scaled(al.mp.IsothermalSph):
        def __init__(self, centre=(0.0, 0.0), einstein_radius=1.0, scale=2.0):
            super().__init__(centre=centre, einstein_radius=scale * einstein_radius)
            self.scale = scale
            self.einstein_radius = einstein_radius

    assert len(tree_leaves(Scaled())) == 4
    assert rebuilt_from(Scaled(scale=3.0)).scale == 3.0


def test_every_class_below_the_bases_is_registered():
    from autofit_patch.pytree._registration import is_registered, subclasses_of
    from autogalaxy_patch._classes import BASES

    classes = {cls for base in BASES for cls in subclasses_of(base)}
    assert len(classes) > 150
    leaf_types = [cls for cls in classes if not is_registered(cls)]
    assert leaf_types == []


def test_mesh_that_does_not_keep_an_option_is_made_again_with_it():
    def galaxy_from(pixels, coefficient, respect_small_datasets=False):
        mesh = al.mesh.RectangularRTUAdaptImage(
            shape=(pixels, pixels),
            weight_power=1.5,
            respect_small_datasets=respect_small_datasets,
        )
        regularization = al.reg.Constant(coefficient=coefficient)
        pixelization = al.Pixelization(mesh=mesh, regularization=regularization)
        return al.Galaxy(redshift=1.0, pixelization=pixelization)

    galaxy = galaxy_from(8, 2.0)
    assert named_leaves_of(galaxy) == {
        ".pixelization.mesh.weight_power": 1.5,
        ".pixelization.mesh.weight_floor": 0.0,
        ".pixelization.regularization.coefficient": 2.0,
    }
    assert rebuilt_from(galaxy).pixelization.mesh.shape == (8, 8)
    assert tree_structure(rebuilt_from(galaxy)) == tree_structure(galaxy)
    assert tree_structure(galaxy_from(8, 3.0)) == tree_structure(galaxy)
    assert tree_structure(galaxy_from(9, 2.0)) != tree_structure(galaxy)
    assert tree_structure(galaxy_from(8, 2.0, True)) != tree_structure(galaxy)


def test_mesh_whose_option_is_unknown_is_structure():
    mesh = al.mesh.RectangularUniform(shape=(8, 8))
    unmade = object.__new__(al.mesh.RectangularUniform)
    vars(unmade).update(vars(mesh))
    assert tree_leaves(unmade) == []
    assert rebuilt_from(unmade) == mesh


FORGETFUL = {
    al.mp.NFWVirialMassConcSph: {"virial_mass": 2e12, "concentration": 8.0},
    al.mp.NFWTruncatedMCRDuffySph: {"mass_at_200": 3e11},
}


@pytest.mark.parametrize(("cls", "arguments"), FORGETFUL.items())
class TestRedshiftsThatAProfileDoesNotKeep:
    def test_profile_is_made_again_at_its_redshifts(self, cls, arguments):
        redshifts = {"redshift_object": 0.3, "redshift_source": 1.7}
        profile = cls(**arguments, **redshifts)
        name = next(iter(arguments))
        doubled = jax.tree_util.tree_map_with_path(
            lambda path, leaf: 2.0 * leaf if keystr(path) == f".{name}" else leaf,
            profile,
        )
        expected = cls(**{**arguments, name: 2.0 * arguments[name]}, **redshifts)
        assert vars(doubled) == vars(expected)
        assert expected.scale_radius != profile.scale_radius

    def test_profiles_at_other_redshifts_have_another_structure(self, cls, arguments):
        near = cls(**arguments, redshift_object=0.3)
        far = cls(**arguments, redshift_object=0.6)
        assert tree_structure(near) != tree_structure(far)

    def test_profile_in_a_model_keeps_them(self, cls, arguments):
        model = af.Model(
            al.Galaxy, redshift=0.5, mass=cls(**arguments, redshift_object=0.3)
        )
        mass = jax.jit(lambda galaxy: galaxy.mass)(model.instance_from_vector([]))
        expected = cls(**arguments, redshift_object=0.3)
        assert tree_structure(mass) == tree_structure(expected)

    def test_profile_made_without_its_constructor_is_an_error(self, cls, arguments):
        unmade = object.__new__(cls)
        vars(unmade).update(vars(cls(**arguments)))
        message = rf"(?s){cls.__name__}.*'redshift_object' is not kept"
        with pytest.raises(TypeError, match=message):
            tree_leaves(unmade)


class TestUserClass:
    def test_dataclass(self):
        @autofit_patch.register
        @dataclasses.dataclass(frozen=True)
        class Line:
            slope: float
            name: str = "line"

        out = jax.jit(lambda line: line)(Line(2.0, "a"))
        assert (out.slope, out.name) == (2.0, "a")

    def test_slots(self):
        @autofit_patch.register
        class Line:
            __slots__ = ("slope",)

            def __init__(self, slope=1.0):
                self.slope = slope

        line = Line(2.0)
        assert tree_leaves(line) == [2.0]
        line.slope = 3.0
        assert tree_leaves(line) == [3.0]
        batch = jax.tree.map(lambda leaf: jnp.full(2, leaf), line)
        assert list(batch.slope) == [3.0, 3.0]

    def test_keyword_only_and_positional_only_arguments(self):
        @autofit_patch.register
        class Line:
            def __init__(self, slope, /, *, intercept=0.0):
                self.slope = slope
                self.intercept = intercept

        out = jax.jit(lambda line: line)(Line(2.0, intercept=3.0))
        assert (out.slope, out.intercept) == (2.0, 3.0)

    def test_any_number_of_arguments(self):
        @autofit_patch.register
        class Polynomial:
            def __init__(self, constant, *coefficients):
                self.constant = constant
                self.coefficients = coefficients

        out = jax.jit(lambda p: p)(Polynomial(1.0, 2.0, 3.0))
        assert (out.constant, out.coefficients) == (1.0, (2.0, 3.0))

    def test_property(self):
        @autofit_patch.register
        class Line:
            def __init__(self, slope=1.0):
                self._slope = slope

            @property
            def slope(self):
                return self._slope

        assert jax.jit(lambda line: line)(Line(2.0)).slope == 2.0

    def test_argument_that_is_not_kept_is_remembered(self):
        @autofit_patch.register
        class Forgetful:
            def __init__(self, mass=1.0):
                self.radius = 2.0 * mass

        doubled = jax.tree.map(lambda leaf: 2.0 * leaf, Forgetful(mass=3.0))
        assert doubled.radius == 12.0
        assert vars(Forgetful(3.0)) == {"radius": 6.0}
        assert inspect.getfullargspec(Forgetful).args == ["self", "mass"]

    def test_argument_that_an_inherited_constructor_does_not_keep_is_remembered(self):
        class Forgetful:
            def __init__(self, mass=1.0):
                self.radius = 2.0 * mass

        class Heir(Forgetful):
            pass

        for cls in (Forgetful, Heir):
            autofit_patch.register(cls)
            assert rebuilt_from(cls(mass=3.0)).radius == 6.0
        assert "__init__" not in vars(Heir)

    def test_data_class_of_a_profile_has_its_own_constructor(self):
        @dataclasses.dataclass
        class Halo(al.mp.NFWVirialMassConcSph):
            factor: float = 1.0

            def __post_init__(self):
                super().__init__(virial_mass=1e12 * self.factor)

        expected = al.mp.NFWVirialMassConcSph(virial_mass=2e12)
        assert Halo(factor=2.0).scale_radius == expected.scale_radius
        assert rebuilt_from(Halo(factor=2.0)).scale_radius == expected.scale_radius

    def test_object_made_before_its_class_was_registered_is_an_error(self):
        class Forgetful:
            def __init__(self, mass=1.0):
                self.radius = 2.0 * mass

        forgetful = Forgetful()
        autofit_patch.register(Forgetful)
        with pytest.raises(TypeError, match=r"(?s)Forgetful.*'mass' is not kept"):
            tree_leaves(forgetful)

    def test_argument_that_is_not_kept_can_be_told(self):
        class Forgetful:
            def __init__(self, mass=1.0):
                self.radius = 2.0 * mass

        autofit_patch.register(
            Forgetful, arguments_from=lambda obj: {"mass": obj.radius / 2.0}
        )
        doubled = jax.tree.map(lambda leaf: 2.0 * leaf, Forgetful(3.0))
        assert doubled.radius == 12.0

    def test_argument_kept_as_something_else_is_an_error_not_a_wrong_number(self):
        @autofit_patch.register
        class Doubled:
            def __init__(self, mass=1.0):
                self.mass = 2.0 * mass

        with pytest.raises(ValueError, match=r"(?s)Doubled.*mass = 2\.0.*mass = 4\.0"):
            tree_leaves(Doubled(1.0))

        def mass_and_mass(mass):
            doubled = Doubled(mass)
            return jax.tree.map(lambda leaf: leaf, doubled).mass / doubled.mass

        assert jax.jit(mass_and_mass)(3.0) == 1.0

    def test_values_that_the_constructor_rejects_are_an_error(self):
        profile = al.mp.Isothermal()
        profile.ell_comps = (3.0, 4.0)
        with pytest.raises(ValueError, match=r"(?s)Isothermal.*rejects what it holds"):
            tree_leaves(profile)

    def test_attribute_added_later_goes_along(self):
        @autofit_patch.register
        class Line:
            def __init__(self, slope=1.0):
                self.slope = slope

        line = Line(2.0)
        line.offset = 0.5
        assert named_leaves_of(line) == {".slope": 2.0, ".offset": 0.5}
        assert jax.jit(lambda line: line)(line).offset == 0.5

    def test_register_needs_a_class(self):
        with pytest.raises(TypeError, match="expected a class"):
            autofit_patch.register(al.mp.Isothermal())

    def test_register_twice_is_harmless(self):
        assert autofit_patch.register(ag.mp.Isothermal) is ag.mp.Isothermal


def test_derived_attribute_set_to_a_tracer_is_an_error_not_lost():
    @jax.jit
    def scale_radius_of(radius):
        halo = al.mp.NFWMCRLudlowSph(mass_at_200=1e11)
        halo.scale_radius = radius
        return rebuilt_from(halo).scale_radius

    with pytest.raises(ValueError, match=r"(?s)NFWMCRLudlowSph holds scale_radius = "):
        scale_radius_of(3.0)


@pytest.mark.parametrize("cls", [al.mp.dPIEMass, al.mp.dPIEMassSph])
def test_profile_that_evaluates_a_cosmology_goes_through_a_trace(cls):
    def strength(sigma):
        profile = cls(sigma=sigma)
        # Like the solver of image positions, this takes the profile apart in the trace.
        return jax.checkpoint(lambda profile: profile.b0)(profile)

    expected = cls(sigma=250.0).b0
    assert jax.jit(strength)(250.0) == pytest.approx(expected, rel=1e-12)
    # The strength goes with the square of the velocity dispersion.
    assert jax.grad(strength)(250.0) == pytest.approx(2.0 * expected / 250.0, rel=1e-12)


def test_constructor_of_a_registered_class_runs_no_property():
    read = []

    @autofit_patch.register
    class Lazy:
        def __init__(self, slope=1.0, table=2.0):
            self.slope = slope
            self._half = 0.5 * table

        @property
        def table(self):
            read.append("table")
            return 2.0 * self._half

        @property
        def broken(self):
            raise RuntimeError("not yet")

    lazy = Lazy(3.0, table=4.0)
    assert read == []
    assert jax.tree.map(lambda leaf: 2.0 * leaf, lazy).table == 8.0


class FilledInBranch:
    def __init__(self, slope=1.0, offset=None):
        if offset is None:
            offset = 3.0 * slope
        self.slope = slope
        self.offset = offset


class FilledInExpression:
    def __init__(self, slope=1.0, offset=None):
        self.slope = slope
        self.offset = offset if offset is not None else 3.0 * slope


class FilledLater:
    def __init__(self, slope=1.0, offset=None):
        self.slope = slope
        self.offset = offset
        if self.offset is None:
            self.offset = 3.0 * slope


@pytest.mark.parametrize("cls", [FilledInBranch, FilledInExpression, FilledLater])
class TestArgumentThatIsLeftToTheConstructor:
    @pytest.fixture(autouse=True)
    def register(self, cls):
        autofit_patch.register(cls)

    def test_follows_what_it_is_derived_from(self, cls):
        line = cls(2.0)
        assert jax.tree.leaves(line) == [2.0]
        assert jax.tree.map(lambda leaf: 2.0 * leaf, line).offset == 12.0
        assert jax.grad(lambda line: line.offset)(line).slope == 3.0
        assert jax.jit(lambda line: jax.grad(lambda x: x.offset)(line))(line).slope == 3.0

    def test_is_a_leaf_if_it_was_given(self, cls):
        assert jax.tree.leaves(cls(2.0, 5.0)) == [2.0, 5.0]
        assert jax.grad(lambda line: line.offset)(cls(2.0, 5.0)).slope == 0.0

    def test_is_a_leaf_if_it_was_set(self, cls):
        line = cls(2.0)
        line.offset = 7.0
        assert jax.tree.leaves(line) == [2.0, 7.0]

    def test_follows_in_a_copy(self, cls):
        assert jax.tree.leaves(copy.copy(cls(2.0))) == [2.0]
        assert jax.tree.leaves(pickle.loads(pickle.dumps(cls(2.0)))) == [2.0]


def test_radius_that_a_profile_computes_follows_its_scale_radius():
    leaves, structure = jax.tree.flatten(al.mp.KaplinghatCoredNFWSph(scale_radius=12.0))
    doubled = [20.0 if leaf == 12.0 else leaf for leaf in leaves]
    fresh = al.mp.KaplinghatCoredNFWSph(scale_radius=20.0)
    rebuilt = jax.tree.unflatten(structure, doubled)
    assert rebuilt.interaction_radius == fresh.interaction_radius
    assert rebuilt.central_density == fresh.central_density


class TestSubclassThatAUserDefines:
    """It is registered when it is defined, as those of the libraries are."""

    class Lens(al.Galaxy):
        """A galaxy with a constructor of its own."""

        def __init__(self, radius, redshift=0.5):
            super().__init__(redshift, mass=al.mp.IsothermalSph(einstein_radius=radius))
            self.radius = radius

    class Pair(ag.Galaxies):
        pass

    class MyTracer(al.Tracer):
        pass

    class Steep(al.mp.PowerLawSph):
        pass

    @pytest.mark.parametrize(
        ("make", "radius_of"),
        [
            (Lens, lambda lens: lens.mass.einstein_radius),
            (
                lambda radius: TestSubclassThatAUserDefines.Pair(
                    [TestSubclassThatAUserDefines.Lens(radius), al.Galaxy(1.0)]
                ),
                lambda pair: pair[0].mass.einstein_radius,
            ),
            (
                lambda radius: TestSubclassThatAUserDefines.MyTracer(
                    [TestSubclassThatAUserDefines.Lens(radius), al.Galaxy(1.0)]
                ),
                lambda tracer: tracer.galaxies[0].mass.einstein_radius,
            ),
            (
                lambda radius: TestSubclassThatAUserDefines.Steep(
                    einstein_radius=radius, slope=2.2
                ),
                lambda mass: mass.einstein_radius,
            ),
        ],
        ids=["Galaxy", "Galaxies", "Tracer", "profile"],
    )
    def test_goes_through_jax(self, make, radius_of):
        obj = make(1.2)
        assert type(jax.tree.map(lambda leaf: leaf, obj)) is type(obj)
        gradient = jax.grad(lambda obj: radius_of(obj) ** 2)(obj)
        total = sum(float(leaf) for leaf in jax.tree.leaves(gradient))
        assert total == pytest.approx(2.4)
