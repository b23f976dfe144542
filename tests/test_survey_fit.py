"""The script that fits a simulated survey runs, and its page says what it found."""

from pathlib import Path

import numpy as np
import pandas
import pytest
from programs import QUICK_TO_RUN, run_script

from autolens_patch import survey
from jax_profiling.survey.lenses import CENTRE, parameters_of, truths_from

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[1] / "jax_profiling" / "survey" / "fit.py"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where a quick run wrote."""
    folder = tmp_path_factory.mktemp("survey")
    process = run_script(SCRIPT, "--quick", "--output", folder, XLA_FLAGS=QUICK_TO_RUN)
    assert process.returncode == 0, process.stdout + process.stderr
    return folder


def test_lenses_are_found_within_their_errors(folder):
    table = survey.table(folder / "output" / "quick_3_seed_1")
    assert (table.state == "fitted").all()
    for index, lens in enumerate(truths_from(3, seed=1)):
        row = table.iloc[index]
        for name, truth in parameters_of(lens).items():
            width = 0.5 * (row[f"{name} upper"] - row[f"{name} lower"])
            assert abs(row[name] - truth) <= 5.0 * width
        assert [row[name] for name in CENTRE] == [
            parameters_of(lens)[name] for name in CENTRE
        ]


def test_page_has_a_row_a_parameter_and_its_figures(folder):
    page = (folder / "quick_3_seed_1.md").read_text()
    statistics = pandas.read_csv(folder / "quick_3_seed_1.csv", index_col=0)
    assert len(statistics) == 13
    assert np.isfinite(statistics.to_numpy()).all()
    assert all(f"| `{name}` |" in page for name in statistics.index)
    for name in ("recovered", "pulls", "residuals"):
        assert f"(quick_3_seed_1_{name}.png)" in page
        assert (folder / f"quick_3_seed_1_{name}.png").stat().st_size > 1000
