"""The script that fits the profiled lens finds what was simulated."""

import re
from pathlib import Path

import numpy as np
import pytest
from programs import QUICK_TO_RUN, run_script

from jax_profiling.model import mge_model_from, true_vector_from

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[1] / "jax_profiling" / "inference" / "fit.py"

#: A row of the table: a name, and seven numbers.
ROW = re.compile(r"^(galaxies\.\S+)((?: +-?[\d.]+){7})$", re.MULTILINE)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """What a quick run printed, and where it wrote."""
    folder = tmp_path_factory.mktemp("inference")
    # The libraries' own plots and latent variables take longer than the fit.
    process = run_script(
        *(SCRIPT, "--quick", "--output", folder),
        XLA_FLAGS=QUICK_TO_RUN,
        PYAUTO_SKIP_VISUALIZATION="1",
        PYAUTO_SKIP_LATENTS="1",
    )
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout, folder


def test_quick_fit_from_the_prior_finds_the_truth(run):
    names, numbers = zip(*ROW.findall(run[0]), strict=True)
    truth, median, below, above, sigmas, rhat, effective = np.array(
        [row.split() for row in numbers], dtype=float
    ).T
    model = mge_model_from(total_gaussians=20)
    assert list(names) == [".".join(path) for path in model.unique_prior_paths]
    np.testing.assert_allclose(truth, true_vector_from(model), atol=1e-4)
    np.testing.assert_array_less(np.abs(median - truth), 4.0 * 0.5 * (below + above))
    np.testing.assert_allclose(
        sigmas, (median - truth) / (0.5 * (below + above)), atol=0.2
    )
    assert rhat.max() < 1.05
    assert effective.min() >= 100.0


def test_quick_fit_leaves_figures_and_the_files_of_pyautofit(run):
    _, folder = run
    written = {path.name for path in folder.rglob("*") if path.is_file()}
    assert {"quick_posterior_fit.png", "quick_posterior_corner.png"} <= written
    assert {"samples.csv", "search.summary", "model.info"} <= written
