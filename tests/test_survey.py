"""Many lenses at once: each is fitted as it would be alone, and nothing is dropped."""

import json
import shutil
from functools import cache

import autofit as af
import autolens as al
import jax
import numpy as np
import pandas
import pytest
from fit_cases import CASES

import autolens_patch
from autofit_patch import batch
from autofit_patch.posterior._many import NotEvaluated
from autolens_patch import survey
from autolens_patch.survey._given import constants_from, digest_of

FRAME = {"shape_native": (24, 24), "pixel_scales": 0.2}

RADIUS = "galaxies.lens.mass.einstein_radius"
CENTRE = "galaxies.source.light.centre.centre_0"
NAMES = [RADIUS, CENTRE]


def model_from() -> af.Collection:
    """Three parameters, of which one is known of each lens."""
    mass = af.Model(
        al.mp.IsothermalSph,
        centre=(0.0, 0.0),
        einstein_radius=af.UniformPrior(0.8, 1.4),
    )
    light = af.Model(al.lp.ExponentialSph, intensity=1.0, effective_radius=0.2)
    light.centre.centre_0 = af.GaussianPrior(0.0, 0.1)
    light.centre.centre_1 = af.GaussianPrior(0.0, 0.1)
    return af.Collection(
        galaxies=af.Collection(
            lens=af.Model(al.Galaxy, redshift=0.5, mass=mass),
            source=af.Model(al.Galaxy, redshift=1.0, light=light),
        )
    )


@cache
def psf() -> al.Convolver:
    return al.Convolver.from_gaussian(
        shape_native=(3, 3), sigma=0.2, pixel_scales=0.2, normalize=True
    )


def dataset_from(
    vector=(1.1, 0.05, -0.04), seed=1, radius=1.8, centre=(0.0, 0.0), **options
) -> al.Imaging:
    """The image of a lens with known parameters, in a circular mask."""
    instance = model_from().instance_from_vector(list(vector))
    simulator = al.SimulatorImaging(
        exposure_time=1000.0,
        psf=psf(),
        background_sky_level=0.0,
        add_poisson_noise_to_data=False,
    )
    image = simulator.via_tracer_from(
        tracer=al.Tracer(galaxies=list(instance.galaxies)),
        grid=al.Grid2D.uniform(**FRAME, over_sample_size=2),
    ).data.native.array
    noise = np.full(image.shape, 0.1)
    data = image + noise * np.random.default_rng(seed).standard_normal(image.shape)
    mask = al.Mask2D.circular(radius=radius, centre=centre, **FRAME)
    return al.Imaging(
        data=al.Array2D(values=data, mask=mask),
        noise_map=al.Array2D(values=noise, mask=mask),
        psf=psf(),
        **{"over_sample_size_lp": 2, "over_sample_size_pixelization": 1, **options},
    )


def with_changed(name: str, value, **options) -> al.Imaging:
    """A data set of which one number is another."""
    dataset = dataset_from(**options)
    getattr(dataset, name).array[7] = value
    return dataset


def with_psf(factor: float) -> al.Imaging:
    kernel = al.Array2D.no_mask(factor * psf().kernel.native.array, pixel_scales=0.2)
    like = dataset_from()
    return al.Imaging(
        data=like.data,
        noise_map=like.noise_map,
        psf=al.Convolver(kernel=kernel),
        use_normalized_psf=False,
    )


def missing() -> al.Imaging:
    return al.Imaging.from_fits(
        data_path="nowhere.fits", noise_map_path="nowhere.fits", pixel_scales=0.2
    )


TRUTHS = {
    "a": (1.1, 0.05, -0.04),
    "b": (0.95, -0.1, 0.02),
    "c": (1.3, 0.02, 0.1),
    "d": (1.0, 0.0, 0.05),
}


def datasets() -> dict:
    """Good ones, and what surveys have besides."""
    good = {
        name: dataset_from(vector, seed)
        for seed, (name, vector) in enumerate(TRUTHS.items())
    }
    bad = {
        "nan": lambda: with_changed("data", np.nan),
        "no noise": lambda: with_changed("noise_map", 0.0),
        "bright psf": lambda: with_psf(1.5),
        "missing": missing,
        "no data": 3.0,
    }
    # Loaded when its turn comes, and of another structure.
    like = dataset_from(TRUTHS["a"], 0)
    good["small noise"] = al.Imaging(
        data=like.data,
        noise_map=like.noise_map * 0.5,
        psf=psf(),
        over_sample_size_lp=2,
        over_sample_size_pixelization=1,
    )
    return {**good, **bad, "other mask": lambda: dataset_from(TRUTHS["a"], 0, 1.7)}


OPTIONS = {"starts": 4, "candidates": 24, "effective": 60, "rhat": 1.1, "chains": 2}


def fit(folder, datasets: dict, **options) -> pandas.DataFrame:
    known = {**TRUTHS, "other mask": TRUTHS["a"], "small noise": TRUTHS["a"]}
    constants = {
        "galaxies.source.light.centre.centre_1": [
            known.get(name, (0.0, 0.0, 0.0))[2] for name in datasets
        ]
    }
    return survey.fit(
        model_from(), datasets, folder, constants=constants, **{**OPTIONS, **options}
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where a survey was fitted."""
    folder = tmp_path_factory.mktemp("survey")
    fit(folder, datasets())
    return folder


pytestmark = pytest.mark.slow


def test_parameters_are_found(folder):
    table = survey.table(folder)
    fitted = table[table.state == "fitted"]
    assert set(fitted.index) == {*TRUTHS, "other mask", "small noise"}
    for name, row in fitted.drop("small noise").iterrows():
        vector = TRUTHS.get(name, TRUTHS["a"])
        for parameter, truth in zip(NAMES, vector, strict=False):
            width = 0.5 * (row[f"{parameter} upper"] - row[f"{parameter} lower"])
            assert abs(row[parameter] - truth) < 4.0 * width
        assert row["galaxies.source.light.centre.centre_1"] == vector[2]
        assert row.effective >= 60 and row.rhat < 1.1


def test_chi_squared_is_that_of_the_fit_and_flagged(folder):
    table = survey.table(folder)
    row = table.loc["a"]
    analysis = al.AnalysisImaging(dataset=datasets()["a"], use_jax=False)
    best = survey.draws(folder, "a").nlargest(1, "log_posterior")
    (instance,) = batch.unstack(batch.instances_from(model_from(), best))
    fit = analysis.fit_from(instance)
    expected = fit.chi_squared / len(fit.data)
    assert row.chi_squared == pytest.approx(expected, rel=0.01)
    assert row["flags"] == ""
    row = table.loc["small noise"]
    assert row.chi_squared == pytest.approx(4.0 * expected, rel=0.05)
    assert f"chi squared {row.chi_squared:.2f} a datum" in row["flags"]


def test_posterior_is_as_wide_as_that_by_finite_differences(folder):
    row = survey.table(folder).loc["a"]
    dataset = datasets()["a"]
    analysis = al.AnalysisImaging(dataset=dataset, use_jax=False)

    def residuals(values):
        instance = model_from().instance_from_vector([*values, TRUTHS["a"][2]])
        return np.asarray(analysis.fit_from(instance).normalized_residual_map.array)

    values = row[NAMES].to_numpy(float)
    jacobian = [
        (residuals(values + step) - residuals(values - step)) / 2e-4
        for step in 1e-4 * np.eye(2)
    ]
    of_priors = np.diag([0.0, 1.0 / 0.1**2])
    covariance = np.linalg.inv(np.inner(jacobian, jacobian) + of_priors)
    widths = [0.5 * (row[f"{name} upper"] - row[f"{name} lower"]) for name in NAMES]
    np.testing.assert_allclose(widths, np.sqrt(np.diag(covariance)), rtol=0.35)


@pytest.mark.parametrize(
    "name, reason",
    [
        ("nan", "data are no finite numbers"),
        ("no noise", "data is not above zero"),
        ("bright psf", "the PSF sums to 1.5"),
        ("missing", "FileNotFoundError"),
        ("no data", "it is a float"),
    ],
)
def test_bad_data_are_flagged_and_the_others_go_on(folder, name, reason):
    row = survey.table(folder).loc[name]
    assert row.state == "failed"
    assert reason in row["flags"]
    assert not (folder / "posteriors" / f"{name}.parquet").exists()


def test_draws_are_those_of_the_row(folder):
    row, draws = survey.table(folder).loc["b"], survey.draws(folder, "b")
    assert len(draws) == row.draws
    np.testing.assert_allclose(draws[NAMES].median(), row[NAMES].to_numpy(float))
    instances = batch.instances_from(model_from(), draws)
    np.testing.assert_array_equal(
        instances.galaxies.lens.mass.einstein_radius, draws[RADIUS]
    )


def test_what_was_interrupted_goes_on_to_the_same_table(folder, tmp_path):
    expected = survey.table(folder)
    again = tmp_path / "again"
    shutil.copytree(folder, again)
    # As when it was killed: some rows are not there, some files are half.
    (again / "rows" / "a.parquet").unlink()
    (again / "rows" / "other mask.parquet").unlink()
    (again / "rows" / ".a.parquet.17").write_bytes(b"half")
    (again / "posteriors" / "a.parquet").write_bytes(b"half")
    ended = (again / "rows" / "b.parquet").stat().st_mtime_ns
    # Whatever the number of those in work at once.
    pandas.testing.assert_frame_equal(fit(again, datasets(), at_once=1), expected)
    pandas.testing.assert_frame_equal(survey.draws(again, "a"), survey.draws(folder, "a"))
    assert (again / "rows" / "b.parquet").stat().st_mtime_ns == ended


def test_failed_lenses_are_fitted_again_if_asked_for(folder, tmp_path):
    again = tmp_path / "again"
    shutil.copytree(folder, again)
    mended = {**datasets(), "nan": dataset_from(TRUTHS["a"], 0)}
    assert fit(again, mended).loc["nan"].state == "failed"
    assert fit(again, mended, retry=True).loc["nan"].state == "fitted"


def test_another_survey_in_the_folder_is_refused(folder):
    with pytest.raises(ValueError, match="another survey, whose effective differ"):
        fit(folder, datasets(), effective=61)
    written = json.loads((folder / "survey.json").read_text())
    assert written["effective"] == 60


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"datasets": {}}, "no data set"),
        ({"datasets": {"a/b": 1.0}}, "name of a lens is that of its files"),
        ({"datasets": {"a": 1.0, "A": 1.0}}, "capitals alone"),
        ({"datasets": [1.0], "constants": {"x": [1.0]}}, "x is no parameter"),
        ({"datasets": [1.0], "constants": {RADIUS: [1.0, 2.0]}}, r"shape \(2,\)"),
        ({"datasets": [1.0], "chains": 0}, "chains is a whole number"),
        ({"datasets": [1.0], "use_jax": False}, "by JAX"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_arguments_are_told(arguments, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        survey.fit(model_from(), folder=tmp_path / "nothing", **arguments)
    assert not (tmp_path / "nothing").exists()


def test_likelihood_that_fails_for_all_is_an_error_and_no_row(tmp_path):
    # There are no galaxies in it.
    model = af.Collection(x=af.UniformPrior(0.0, 1.0))
    with pytest.raises(NotEvaluated, match="galaxies"):
        survey.fit(model, datasets(), tmp_path, **OPTIONS)
    assert not list(tmp_path.glob("rows/[a-d].parquet"))


def test_what_belongs_to_one_data_set_is_refused():
    with pytest.raises(ValueError, match="adapt_images belong to one data set"):
        survey.likelihood(adapt_images=al.AdaptImages())


def test_constants_may_be_named_by_any_path_of_a_parameter():
    model = model_from()
    model.galaxies.lens.mass.centre = model.galaxies.source.light.centre
    names = [
        f"galaxies.{place}.centre.centre_0" for place in ("lens.mass", "source.light")
    ]
    for name in names:
        (found,) = constants_from(model, ["a", "b"], {name: [1.0, 2.0]})["b"].values()
        assert found == 2.0
    with pytest.raises(ValueError, match="are one parameter"):
        constants_from(model, ["a"], dict.fromkeys(names, [1.0]))


def test_table_of_damaged_rows_says_which(folder, tmp_path):
    again = tmp_path / "again"
    shutil.copytree(folder, again)
    (again / "rows" / "a.parquet").write_bytes(b"half")
    with pytest.raises(ValueError, match="a.parquet is damaged"):
        survey.table(again)


def test_table_of_nothing_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="no lens of a survey has ended"):
        survey.table(tmp_path)


def test_stack_of_different_structures_says_which():
    some = [dataset_from(), dataset_from(radius=1.7), dataset_from(seed=2)]
    assert survey.groups(some) == [[0, 2], [1]]
    with pytest.raises(ValueError) as error:
        survey.stack(some)
    assert "3 data sets are of 2 structures" in str(error.value)
    assert "1 like data set 1, whose mask differs" in str(error.value)
    with pytest.raises(TypeError, match="data set 1 is a float"):
        survey.stack([dataset_from(), 1.0])


@pytest.mark.parametrize("on", [False, True], ids=["one by one", "together"])
def test_likelihoods_of_a_stack_are_those_of_the_analyses(on):
    some = [dataset_from(vector, 3) for vector in TRUTHS.values()]
    instances = batch.instances_from(model_from(), [TRUTHS["a"]] * len(some))
    with autolens_patch.evaluate_together(on):
        values = batch.map(survey.likelihood(), progress=False)(
            instances, survey.stack(some)
        )
        vmapped = jax.jit(jax.vmap(survey.likelihood()))(instances, survey.stack(some))
    expected = [
        al.AnalysisImaging(dataset=each, use_jax=False).log_likelihood_function(
            model_from().instance_from_vector(list(TRUTHS["a"]))
        )
        for each in some
    ]
    np.testing.assert_allclose(values, expected, rtol=1e-10)
    np.testing.assert_allclose(vmapped, expected, rtol=1e-10)


def test_image_in_a_common_frame_has_the_likelihood_of_its_own_mask():
    some = [
        dataset_from(radius=1.5, centre=(0.2, 0.4)),
        dataset_from(seed=2, radius=1.8),
        dataset_from(seed=3, radius=1.2, centre=(-0.6, 0.2)),
    ]
    stacked = survey.stack(survey.common_frame(some))
    instance = CASES["image, linear light"]().instance_from()
    values, gradients = batch.map(
        jax.value_and_grad(survey.likelihood()), progress=False
    )(batch.stack([instance] * 3), stacked)
    for index, each in enumerate(some):
        analysis = al.AnalysisImaging(dataset=each, use_jax=False)
        expected = analysis.log_likelihood_function(instance)
        # NumPy and JAX solve for the light in their own ways.
        np.testing.assert_allclose(values[index], expected, rtol=1e-7)
    analysis = al.AnalysisImaging(dataset=some[0], use_jax=True)
    value, gradient = jax.jit(jax.value_and_grad(analysis.log_likelihood_function))(
        instance
    )
    np.testing.assert_allclose(values[0], value, rtol=1e-10)
    for mine, other in zip(*map(jax.tree.leaves, (gradients, gradient)), strict=True):
        np.testing.assert_allclose(mine[0], other, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize(
    "other, message",
    [
        (
            lambda: dataset_from(over_sample_size_lp=4),
            "over_sample_size_lp of data set 1",
        ),
        (lambda: 1.0, "data set 1 is a float"),
    ],
    ids=["over-sampling", "no image"],
)
def test_frames_that_cannot_be_common_are_told(other, message):
    with pytest.raises(ValueError, match=message):
        survey.common_frame([dataset_from(radius=1.5), other()])


def test_likelihood_of_what_is_no_data_set_is_told():
    with pytest.raises(TypeError, match="an al.Imaging or an al.Interferometer"):
        survey.likelihood()(model_from().instance_from_prior_medians(), 1.0)


def test_noise_of_an_image_in_a_common_frame_may_be_scaled():
    some = [dataset_from(radius=1.5, centre=(0.2, 0.4)), dataset_from(radius=1.8)]
    framed = survey.common_frame(some)[0]
    instance = model_from().instance_from_vector(list(TRUTHS["a"]))

    def expected(dataset):
        analysis = al.AnalysisImaging(dataset=dataset, use_jax=False)
        return analysis.log_likelihood_function(instance)

    def scaled(dataset):
        data, noise, psf = jax.tree.leaves(dataset)
        structure = jax.tree.structure(dataset)
        return jax.tree.unflatten(structure, [data, 1.1 * noise, psf])

    value = jax.jit(survey.likelihood())(instance, scaled(framed))
    np.testing.assert_allclose(value, expected(scaled(some[0])), rtol=1e-10)
    for change in (framed.apply_over_sampling, framed.apply_noise_scaling):
        with pytest.raises(ValueError, match="keeps its own mask in its noise map"):
            change()


def test_what_a_common_frame_would_lose_is_refused():
    like = dataset_from(radius=1.5)
    correlated = al.Imaging(
        data=like.data,
        noise_map=like.noise_map,
        psf=psf(),
        noise_covariance_matrix=np.eye(len(like.data)),
    )

    class Mine(al.Imaging):
        pass

    mine = Mine(data=like.data, noise_map=like.noise_map, psf=psf())
    for other, message in ((correlated, "noise_covariance_matrix"), (mine, "is a Mine")):
        with pytest.raises(ValueError, match=message):
            survey.common_frame([like, other])


def test_model_with_a_shared_parameter_is_another_survey(folder):
    def shared(model):
        centre = model.galaxies.source.light.centre
        centre.centre_1 = centre.centre_0

    def narrower(model):
        model.galaxies.lens.mass.einstein_radius = af.UniformPrior(0.8, 1.4 - 1e-9)

    known = {"galaxies.source.light.centre.centre_1": [TRUTHS["a"][2]]}
    for change, constants in ((shared, None), (narrower, known)):
        model = model_from()
        change(model)
        with pytest.raises(ValueError, match="another survey, whose"):
            survey.fit(
                model, {"a": datasets()["a"]}, folder, constants=constants, **OPTIONS
            )


def test_another_constant_of_a_lens_that_was_fitted_is_refused(folder):
    constants = {"galaxies.source.light.centre.centre_1": [0.3]}
    with pytest.raises(ValueError, match="a was fitted with .* = -0.04, and 0.3"):
        survey.fit(
            model_from(), {"a": datasets()["a"]}, folder, constants=constants, **OPTIONS
        )


def test_only_lenses_of_this_call_are_tried_again(folder, tmp_path):
    again = tmp_path / "again"
    shutil.copytree(folder, again)
    fit(again, {"no data": 3.0, "a": datasets()["a"]}, retry=True)
    table = survey.table(again)
    assert list(table.index) == list(survey.table(folder).index)


BETWEEN = "galaxies.between.redshift"


def model_of_three_planes(*names) -> af.Collection:
    """A galaxy with mass and light, whose redshift is free, between two others."""
    galaxies = dict(model_from().galaxies.items())
    galaxies["source"].redshift = 2.0
    galaxies["between"] = af.Model(
        al.Galaxy,
        redshift=af.UniformPrior(0.0, 3.0),
        mass=al.mp.IsothermalSph(centre=(0.1, 0.3), einstein_radius=0.4),
        light=al.lp.ExponentialSph(effective_radius=0.2),
    )
    names = names or ("lens", "between", "source")
    return af.Collection(galaxies=af.Collection({name: galaxies[name] for name in names}))


def test_redshift_of_each_lens_is_a_constant():
    model = model_of_three_planes()
    redshifts = [0.8, 1.7]
    constants_from(model, ["a", "b"], {BETWEEN: redshifts})
    some = [dataset_from(seed=seed) for seed in (1, 2)]
    assert ".".join(model.unique_prior_paths[-1]) == BETWEEN
    vectors = [[1.1, 0.05, -0.04, redshift] for redshift in redshifts]
    found = batch.map(survey.likelihood(), progress=False)(
        batch.instances_from(model, vectors), survey.stack(some)
    )
    expected = [
        al.AnalysisImaging(dataset=dataset, use_jax=False).log_likelihood_function(
            model.instance_from_vector(vector)
        )
        for dataset, vector in zip(some, vectors, strict=True)
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    other = al.AnalysisImaging(dataset=some[0], use_jax=False).log_likelihood_function(
        model.instance_from_vector(vectors[1])
    )
    assert abs(other - expected[0]) > 1.0


@pytest.mark.parametrize(
    "names, known, message",
    [
        ([], None, f"{BETWEEN} would be traced"),
        ([], [0.8, 2.5], f"source.redshift is not above {BETWEEN} for b: .* sort"),
        ([], [0.5, 0.8], f"{BETWEEN} is not above galaxies.lens.redshift for a: "),
        (["between", "lens", "source"], [0.8, 0.9], "lens.redshift is not above .* a, b"),
    ],
    ids=["free", "behind the source", "that of the lens", "listed first"],
)
def test_redshifts_that_could_not_be_sorted_are_told(names, known, message):
    constants = None if known is None else {BETWEEN: known}
    with pytest.raises(ValueError, match=message):
        constants_from(model_of_three_planes(*names), ["a", "b"], constants)


def test_redshift_that_two_galaxies_share_is_not_above_itself():
    model = model_of_three_planes()
    model.galaxies.source.redshift = model.galaxies.between.redshift
    names = {".".join(path) for path in model.unique_prior_paths}
    (name,) = (name for name in names if name.endswith("redshift"))
    with pytest.raises(ValueError, match=f"source.redshift is not above {BETWEEN} for a"):
        constants_from(model, ["a"], {name: [0.8]})


def test_redshift_that_is_made_of_another_parameter_is_refused():
    model = model_of_three_planes()
    model.galaxies.source.redshift = model.galaxies.between.redshift + 0.5
    with pytest.raises(ValueError, match="galaxies.source.redshift would be traced"):
        constants_from(model, ["a"], {BETWEEN: [0.8]})


@pytest.mark.parametrize(
    "redshift", [0.5, af.UniformPrior(0.0, 1.0)], ids=["fixed", "free"]
)
def test_redshift_elsewhere_in_the_model_is_refused(redshift):
    model = model_of_three_planes()
    galaxy = af.Model(al.Galaxy, redshift=redshift)
    model.extra_galaxies = af.Collection([galaxy])
    constants = {BETWEEN: [0.8]}
    if not isinstance(redshift, float):
        constants["extra_galaxies.0.redshift"] = [0.5]
    with pytest.raises(ValueError, match="extra_galaxies.0.redshift beside"):
        constants_from(model, ["a"], constants)


def test_constants_that_violate_an_assertion_are_told(folder, tmp_path):
    model = model_from()
    centre = model.galaxies.source.light.centre
    model.add_assertion(centre.centre_0 > centre.centre_1)
    table = survey.fit(
        model,
        {"a": datasets()["a"], "b": datasets()["b"]},
        tmp_path,
        constants={"galaxies.source.light.centre.centre_1": [-0.04, 5.0]},
        **OPTIONS,
    )
    assert table.loc["a"].state == "fitted"
    assert table.loc["b"].state == "failed"
    assert "violate an assertion" in table.loc["b"]["flags"]


def test_options_are_compared_by_what_is_in_them():
    settings = [al.Settings(use_border_relocator=on) for on in (True, True, False)]
    first, again, other = map(digest_of, settings)
    assert first == again != other
