"""Examples of inference: each library takes instances, and finds the truth."""

import contextlib
import io
import re
import runpy
from functools import cache
from pathlib import Path

import autolens as al
import jax
import numpy as np
import pytest

from jax_profiling.inference.problem import (
    analysis_from,
    draws_around,
    problem_from,
    report,
)
from jax_profiling.simulators.imaging import true_tracer_from

FOLDER = Path(__file__).parents[1] / "jax_profiling" / "inference"

#: The examples, and how many tables each prints.
EXAMPLES = {
    "optax_adam": 1,
    "blackjax_nuts": 1,
    "blackjax_smc": 1,
    "numpyro_potential": 1,
    "numpyro_model": 1,
    "optimistix_fit": 2,
    "orbax_checkpoint": 1,
    "equinox_filters": 1,
}

#: A row of a table: a name, the truth, the median and its 68 % interval.
ROW = re.compile(r"^ +(galaxies\.\S+) +(\S+) +(\S+) +(-\S+) +(\+\S+) +\S+$", re.MULTILINE)

#: The parameters, in the order of the model, and where the simulated galaxies have them.
NAMES = {
    "galaxies.lens.mass.einstein_radius": "lens.mass.einstein_radius",
    "galaxies.lens.mass.ell_comps.ell_comps_0": "lens.mass.ell_comps[0]",
    "galaxies.lens.mass.ell_comps.ell_comps_1": "lens.mass.ell_comps[1]",
    "galaxies.source.bulge.effective_radius": "source.bulge.effective_radius",
    "galaxies.source.bulge.centre.centre_0": "source.bulge.centre[0]",
    "galaxies.source.bulge.centre.centre_1": "source.bulge.centre[1]",
}


@cache
def truth() -> np.ndarray:
    lens, source = true_tracer_from().galaxies
    places = {"lens": lens, "source": source}
    return np.array([eval(name, places) for name in NAMES.values()])


@cache
def by_differences() -> tuple[np.ndarray, np.ndarray]:
    """
    The maximum of the posterior and the standard deviations there, of the values of the
    parameters: by finite differences of the residuals of NumPy's fit.
    """
    model, dataset = problem_from().model, analysis_from().dataset

    analysis = al.AnalysisImaging(dataset=dataset, use_jax=False)

    def residuals(vector):
        fit = analysis.fit_from(instance=model.instance_from_vector(vector))
        return np.asarray(fit.normalized_residual_map.array)

    # The priors are too wide to matter, and are left out.
    vector, step = truth(), 1e-4
    for _ in range(4):
        jacobian = np.array(
            [
                (residuals(vector + shift) - residuals(vector - shift)) / (2.0 * step)
                for shift in step * np.eye(len(vector))
            ]
        )
        covariance = np.linalg.inv(jacobian @ jacobian.T)
        vector = vector - covariance @ (jacobian @ residuals(vector))
    return vector, np.sqrt(np.diag(covariance))


def printed_by(example: str) -> str:
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        runpy.run_path(str(FOLDER / f"{example}.py"), run_name="__main__")
    return said.getvalue()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("example, tables", EXAMPLES.items(), ids=EXAMPLES)
def test_example_finds_the_truth_and_the_width_of_the_posterior(example, tables):
    rows = ROW.findall(printed_by(example))
    assert [name for name, *_ in rows] == tables * list(NAMES)
    maximum, sigma = by_differences()
    for table in np.array([row[1:] for row in rows], dtype=float).reshape(tables, -1, 4):
        true, median, lower, upper = table.T
        np.testing.assert_allclose(true, truth(), atol=1e-12)
        assert (np.abs(median - true) < 4.0 * sigma).all()
        # A hundred effective draws know a median to an eighth of sigma.
        assert (np.abs(median - maximum) < 0.5 * sigma).all()
        np.testing.assert_allclose((upper - lower) / 2.0, sigma, rtol=0.35)


def test_every_example_is_run():
    others = {"__init__", "problem", "fit"}
    assert {path.stem for path in FOLDER.glob("*.py")} - others == EXAMPLES.keys()


def around_the_truth(width: float, away: float = 0.0):
    """Draws of a given spread, which are some spreads away from the truth."""
    model, space, *_ = problem_from()
    z = space.inverse(model.instance_from_vector(truth()))
    random = np.random.default_rng(1)
    return jax.tree.map(
        lambda leaf: leaf + width * (away + random.standard_normal(500)), z
    )


def test_report_accepts_draws_around_the_truth(capsys):
    report("Draws", around_the_truth(width=0.02))
    assert "All are within four sigma" in capsys.readouterr().out


@pytest.mark.parametrize(
    "width, away, message",
    [
        pytest.param(0.02, 5.0, "within four sigma", id="elsewhere"),
        pytest.param(np.nan, 0.0, "within four sigma", id="NaN"),
        pytest.param(0.5, 0.0, "better known", id="as wide as the prior"),
    ],
)
def test_report_refuses_other_draws(width, away, message):
    with pytest.raises(AssertionError, match=message):
        report("Draws", around_the_truth(width, away))


def test_point_that_is_no_maximum_is_refused():
    model, space, *_ = problem_from()
    with pytest.raises(AssertionError, match="sigma away"):
        draws_around(space.inverse(model.instance_from_vector(truth())))


def test_squares_of_the_residuals_are_the_posterior():
    _, space, log_posterior, residuals = problem_from()
    first, second = (
        jax.tree.map(lambda leaf, at=at: leaf[at], space.draw(2, seed=1)) for at in (0, 1)
    )

    def half_the_squares(z):
        return -0.5 * sum((leaf**2).sum() for leaf in jax.tree.leaves(residuals(z)))

    assert half_the_squares(first) - half_the_squares(second) == pytest.approx(
        float(log_posterior(first) - log_posterior(second)), rel=1e-9
    )
