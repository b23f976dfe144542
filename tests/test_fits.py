"""What fits return: out of a jitted function they come as they do with NumPy."""

from types import SimpleNamespace

import autoarray as aa
import autofit as af
import autogalaxy as ag
import autolens as al
import jax
import numpy as np
import pytest
from autolens.point.fit.abstract import AbstractFitPoint
from conftest import json_from_python
from fit_cases import CASES, IMAGE

#: How well the two backends of the libraries agree.
RTOL = 1e-8

LIKELIHOOD = ("log_likelihood", "chi_squared", "noise_normalization")
MAPS = ("residual_map", "normalized_residual_map", "chi_squared_map")
DATASET = ("figure_of_merit", "log_evidence", *LIKELIHOOD, "model_data", *MAPS)

#: The figures that are compared, of every object in a fit that is of one of the classes.
FIGURES = {
    aa.FitImaging: DATASET,
    (al.FitImaging, ag.FitImaging): ("galaxy_image_dict", "galaxy_model_image_dict"),
    al.FitImaging: ("model_images_of_planes_list",),
    aa.FitInterferometer: DATASET,
    (al.FitInterferometer, ag.FitInterferometer): (
        "galaxy_image_dict",
        "galaxy_model_visibilities_dict",
        "dirty_residual_map",
    ),
    aa.AbstractInversion: (
        "curvature_matrix",
        "data_vector",
        "reconstruction",
        "regularization_term",
        "log_det_curvature_reg_matrix_term",
        "log_det_regularization_matrix_term",
    ),
    al.FitPointDataset: ("figure_of_merit", "log_likelihood"),
    AbstractFitPoint: (*LIKELIHOOD, "model_data", "magnifications_at_positions"),
    # The other fits of positions do not pair them, and so have no residuals.
    (
        al.FitPositionsSource,
        al.FitPositionsImagePair,
        al.FitPositionsImagePairRepeat,
    ): ("residual_map",),
    (al.FitFluxes, al.FitFluxesSolved, al.FitTimeDelays): MAPS,
    al.FitFluxesSolved: ("solved_flux",),
    al.FitTimeDelaysSolved: ("solved_reference_time",),
    al.FitWeak: ("figure_of_merit", *LIKELIHOOD, "model_shear", *MAPS),
    ag.FitEllipseSummed: ("figure_of_merit", "log_likelihood", "chi_squared"),
    ag.FitEllipse: (*LIKELIHOOD, "model_data", "data_interp", *MAPS),
    al.Tracer: ("deflections",),
}


def parts_of(fit) -> dict:
    """A fit and the objects in it that have figures of their own, by name."""
    names = ("tracer", "inversion", "positions", "flux", "time_delays")
    parts = {name: getattr(fit, name, None) for name in names}
    for index, part in enumerate(getattr(fit, "fit_list", [])):
        parts[f"fit_list[{index}]"] = part
    return {"fit": fit} | {name: part for name, part in parts.items() if part is not None}


def figures_from(fit) -> dict:
    """The figures of a fit, each as a list of arrays."""
    return {
        f"{part_name}.{name}": arrays_in(figure_from(part, name))
        for part_name, part in parts_of(fit).items()
        for classes, names in FIGURES.items()
        if isinstance(part, classes)
        for name in names
    }


def figure_from(part, name: str):
    if name == "deflections":
        return part.deflections_yx_2d_from(grid=al.Grid2D.uniform(**IMAGE))
    figure = getattr(part, name)
    if name == "model_data" and isinstance(part, al.AbstractFitPositionsImagePair):
        # Under JAX the solver fills up the images that it finds with infinite ones, and
        # their order is another.
        return np.array(
            sorted(image for image in figure.array.tolist() if image[0] < 1e9)
        )
    return figure


def arrays_in(figure) -> list:
    if figure is None:
        return []
    if isinstance(figure, dict):
        figure = list(figure.values())
    if isinstance(figure, list):
        return [array for item in figure for array in arrays_in(item)]
    return [np.array(getattr(figure, "array", figure))]


def parameter_of(fit, path: tuple, model):
    """What a fit holds of the parameter with a path in the model."""
    galaxies = getattr(fit, "tracer", fit)
    parts = {
        "dataset_model": getattr(fit, "dataset_model", None),
        "ellipses": [part.ellipse for part in getattr(fit, "fit_list", [])],
        "multipoles": [part.multipole_list for part in getattr(fit, "fit_list", [])],
    }
    if hasattr(galaxies, "galaxies"):
        names = [name for name, _ in model.galaxies.items()]
        parts["galaxies"] = dict(zip(names, galaxies.galaxies, strict=True))
    value = parts
    for name in path:
        if isinstance(value, dict):
            value = value[name]
        elif isinstance(value, (list, tuple)):
            value = value[int(name.split("_")[-1])]
        else:
            value = getattr(value, name)
    return value


def numpy_fit_from(case, factor: float = 1.0):
    analysis = case.analysis_from(use_jax=False)
    return analysis.fit_from(case.instance_from(factor))


def assert_same(found, expected, rtol: float, figure: str = ""):
    """Assert that the arrays of a figure are equal, to a fraction of their scale."""
    assert len(found) == len(expected), figure
    for found_array, expected_array in zip(found, expected, strict=True):
        atol = rtol * np.max(np.abs(expected_array), initial=0.0)
        np.testing.assert_allclose(
            found_array, expected_array, rtol=rtol, atol=atol, err_msg=figure
        )


@pytest.fixture(scope="module", params=CASES)
def jitted(request):
    """A case, its jitted ``fit_from``, and a list that grows each time it is traced."""
    case = CASES[request.param]()
    analysis = case.analysis_from(use_jax=True)
    traces = []

    def fit_from(instance):
        traces.append(None)
        return analysis.fit_from(instance)

    return SimpleNamespace(case=case, fit_from=jax.jit(fit_from), traces=traces)


def test_fit_out_of_jit_has_the_figures_of_the_numpy_fit(jitted, request):
    fit = jitted.fit_from(jitted.case.instance_from())
    expected = numpy_fit_from(jitted.case)
    assert type(fit) is type(expected)
    found = figures_from(fit)
    for figure, arrays in figures_from(expected).items():
        is_linear = "linear light" in request.node.name
        if figure == "inversion.reconstruction" and is_linear:
            continue  # compared with that of the libraries under JAX, below
        assert_same(found[figure], arrays, RTOL, figure)


def test_fits_of_one_model_are_traced_once_and_hold_their_own_parameters(jitted):
    case = jitted.case
    fits = {}
    for factor in (1.0, 1.02):
        fits[factor] = jitted.fit_from(case.instance_from(factor))
        paths = case.model.unique_prior_paths
        found = [parameter_of(fits[factor], path, case.model) for path in paths]
        np.testing.assert_array_equal(found, factor * case.vector)
    assert len(jitted.traces) == 1
    # That of the first is compared above.
    expected = numpy_fit_from(case, factor).log_likelihood
    assert fits[factor].log_likelihood == pytest.approx(expected, rel=RTOL)


@pytest.mark.parametrize("name", ["fluxes", "time delays", "positions, solved"])
def test_point_source_fits_of_two_analyses_have_equal_structures(name):
    case = CASES[name]()
    structures = []
    for factor in (1.0, 1.02):
        analysis = case.analysis_from(use_jax=True)
        fit = jax.jit(analysis.fit_from)(case.instance_from(factor))
        structures.append(jax.tree.structure(fit))
    assert structures[0] == structures[1]


def test_multipole_joins_a_model_after_ellipses_were_fitted_without():
    """The libraries register multipoles with every fit of ellipses."""
    case = CASES["ellipse"]()
    case.analysis_from(use_jax=True).fit_from(case.instance_from())
    model = af.Model(
        ag.EllipseMultipoleScaled,
        scaled_multipole_comps=(0.1, 0.2),
        major_axis=af.UniformPrior(0.0, 2.0),
    )
    assert jax.tree.leaves(model.instance_from_vector([0.8])) == [0.8]


UNPATCHED = """
    import json
    import autolens, jax
    from autofit.jax import register_model
    from fit_cases import CASES

    def analysis_and_instance(name):
        case = CASES[name]()
        register_model(case.model)
        return case.analysis_from(use_jax=True), case.instance_from()
"""

#: What the libraries cannot do under JAX, with or without the patch, and where noted only
#: without: by case what fails, and with what error.
LIMITS = {
    # SciPy pairs the positions, which it needs as numbers.
    "positions, pairs": ("likelihood", "TracerArrayConversionError"),
    # The size of an ellipse decides on how many points it is compared with the image.
    "ellipse of free size": ("likelihood", "TracerArrayConversionError"),
    # A figure is kept on the fit, where it does not leave the jitted function.
    "image": ("fit with its likelihood", "UnexpectedTracerError"),
    # AnalysisPoint does not register these parts of a fit; autolens_patch does.
    "positions in the source": ("fit", "point_solver.PointSolver'> at output"),
    "fluxes": ("fit", "fluxes.FitFluxes'> at output"),
    "time delays": ("fit", "times_delays.FitTimeDelays'> at output"),
}


def test_limits_of_the_libraries_are_still_there():
    attempts = {name: attempt for name, (attempt, _) in LIMITS.items()}
    errors = json_from_python(
        UNPATCHED
        + f"""
    def error_of(name, attempt):
        analysis, instance = analysis_and_instance(name)

        def fit_with_its_likelihood(instance):
            fit = analysis.fit_from(instance)
            fit.log_likelihood
            return fit

        try:
            if attempt == "likelihood":
                jax.jit(analysis.log_likelihood_function)(instance)
            if attempt == "fit":
                jax.jit(analysis.fit_from)(instance)
            if attempt == "fit with its likelihood":
                jax.jit(fit_with_its_likelihood)(instance).log_likelihood + 1.0
        except Exception as error:
            return type(error).__name__ + ": " + str(error)
        return "no error"

    attempts = {attempts!r}
    print(json.dumps({{name: error_of(name, attempts[name]) for name in attempts}}))
    """
    )
    for name, (_, expected) in LIMITS.items():
        assert expected in errors[name], name


@pytest.mark.parametrize(
    "names, is_right",
    [(("lens", "source"), True), (("source", "lens"), False)],
    ids=["by redshift", "source first"],
)
def test_galaxies_stay_in_the_order_of_the_model_if_a_redshift_is_free(names, is_right):
    """``docs/instances.md`` says so."""
    galaxies = {
        "lens": af.Model(al.Galaxy, redshift=0.5, mass=al.mp.IsothermalSph()),
        "source": af.Model(
            al.Galaxy, redshift=af.UniformPrior(0.6, 2.0), light=al.lp.SersicSph()
        ),
    }
    model = af.Collection(
        galaxies=af.Collection({name: galaxies[name] for name in names})
    )
    grid = al.Grid2D.uniform(shape_native=(5, 5), pixel_scales=0.5)

    def image(instance, xp=jax.numpy):
        tracer = al.Tracer(galaxies=list(instance.galaxies))
        return tracer.image_2d_from(grid=grid, xp=xp).array

    instance = model.instance_from_vector([1.0])
    found, expected = jax.jit(image)(instance), image(instance, np)
    assert np.allclose(found, expected, rtol=RTOL) == is_right


def test_linear_light_is_solved_for_as_by_the_libraries_under_jax():
    """The solvers of their two backends agree on it to 1e-5 of the brightest only."""
    name = "visibilities, linear light"
    expected = json_from_python(
        UNPATCHED
        + f"""
    analysis, instance = analysis_and_instance({name!r})
    fit = jax.jit(analysis.fit_from)(instance)
    print(json.dumps(fit.inversion.reconstruction.tolist()))
    """
    )
    case = CASES[name]()
    analysis = case.analysis_from(use_jax=True)
    found = jax.jit(analysis.fit_from)(case.instance_from()).inversion.reconstruction
    assert_same([found], [np.array(expected)], RTOL)
    assert_same([found], [numpy_fit_from(case).inversion.reconstruction], 1e-5)
