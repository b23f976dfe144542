"""The search from the prior to the posterior is one of PyAutoFit's."""

import copy
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import autofit as af
import jax.numpy as jnp
import numpy as np
import pytest
from autofit.aggregator.aggregator import Aggregator
from autonerves import conf
from pipeline_cases import CASES, UNTOUCHED, Analysis, Numbers, normal

from autofit_patch import batch, posterior

CASE = CASES["normal"]
FEW = {"candidates": 16, "starts": 4, "effective": 200, "rhat": 1.05, "seed": 3}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where searches write."""
    monkeypatch.setattr(conf.instance, "output_path", str(tmp_path / "output"))
    return tmp_path / "output"


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A search, the model that it fitted, its result and where it wrote."""
    folder = tmp_path_factory.mktemp("fitted")
    before, conf.instance.output_path = conf.instance.output_path, str(folder)
    search = posterior.Search(name="numbers", **FEW)
    model = CASE.model()
    result = search.fit(model=model, analysis=CASE.analysis())
    conf.instance.output_path = before
    return search, model, result, folder


def test_samples_have_the_moments_of_the_posterior(fitted):
    _, _, result, _ = fitted
    log_evidence, means, deviations = CASE.moments()
    drawn = np.array(result.samples.parameter_lists)
    errors = deviations / np.sqrt(result.samples.samples_info["ess_per_param"])
    np.testing.assert_array_less(np.abs(drawn.mean(axis=0) - means), 4.5 * errors)
    np.testing.assert_allclose(drawn.std(axis=0), deviations, rtol=0.2)
    info = result.samples.samples_info
    np.testing.assert_allclose(info["log_evidence_laplace"], log_evidence, atol=1e-3)
    assert info["starts_at_the_maximum"] == 4
    assert info["ess_min"] >= 200.0 and info["rhat_max"] < 1.05


def test_samples_have_the_likelihoods_and_priors_of_pyautofit(fitted):
    _, model, result, _ = fitted
    analysis = CASE.analysis()
    for sample in result.samples.sample_list[::50]:
        vector = sample.parameter_lists_for_model(model)
        instance = model.instance_from_vector(vector)
        np.testing.assert_allclose(
            sample.log_likelihood, analysis.log_likelihood_function(instance), atol=1e-9
        )
        np.testing.assert_allclose(
            sample.log_prior, sum(model.log_prior_list_from_vector(vector))
        )


def test_result_is_used_as_that_of_other_searches(fitted):
    _, model, result, _ = fitted
    _, means, deviations = CASE.moments()
    best = result.max_log_likelihood_instance.numbers
    assert abs(best.x - means[0]) < 5.0 * deviations[0]
    median = result.samples.median_pdf(as_instance=False)
    np.testing.assert_array_less(np.abs(median - means), 0.5 * np.array(deviations))
    assert isinstance(
        result.model_centred.numbers.x, af.TruncatedGaussianPrior | af.Prior
    )
    assert result.model.prior_count == model.prior_count
    assert result.samples.converged in (True, False)


def test_files_are_read_back_by_the_aggregator(fitted):
    search, _, result, folder = fitted
    (from_file,) = Aggregator.from_directory(str(folder)).values("samples")
    np.testing.assert_allclose(
        from_file.parameter_lists, result.samples.parameter_lists, rtol=1e-6
    )
    assert type(from_file) is type(result.samples)
    (read,) = Aggregator.from_directory(str(folder)).values("search")
    assert isinstance(read, posterior.Search)
    assert (read.starts, read.effective, read.seed) == (4, 200, 3)
    images = {path.name for path in folder.rglob("*.png")}
    assert {"paths.png", "traces.png", "corner.png"} <= images


def test_completed_fit_is_not_repeated(fitted, monkeypatch):
    _, model, result, folder = fitted
    monkeypatch.setattr(conf.instance, "output_path", str(folder))
    monkeypatch.setattr(posterior.Search, "run", None)
    again = posterior.Search(name="numbers", **FEW).fit(
        model=CASE.model(), analysis=CASE.analysis()
    )
    np.testing.assert_allclose(
        again.samples.parameter_lists, result.samples.parameter_lists, rtol=1e-6
    )


def test_next_search_starts_from_a_result(fitted, folder):
    _, _, result, _ = fitted
    search = posterior.Search(name="next", start_from=result, **FEW)
    assert search.start_from.startswith("Result ")
    assert copy.deepcopy(search).start_from == search.start_from
    found = search.fit(model=CASE.model(), analysis=CASE.analysis())
    highest = max(result.samples.log_likelihood_list)
    assert max(found.samples.log_likelihood_list) > highest - 5.0
    read = posterior.Search(name="read", start_from=search.start_from, **FEW)
    with pytest.raises(ValueError, match="began from Result .* which its file does not"):
        read.fit(model=CASE.model(), analysis=CASE.analysis())


def test_searches_from_other_results_have_other_folders(fitted):
    _, model, result, _ = fitted
    others = batch.instances_from(model, np.array(result.samples.parameter_lists[:9]))
    identifiers = set()
    for source in (None, result, others, batch.take(others, [0, 1])):
        search = posterior.Search(name="numbers", start_from=source, **FEW)
        search.paths.model = CASE.model()
        identifiers.add(search.paths.identifier)
    assert len(identifiers) == 4


def test_other_settings_have_another_folder():
    identifiers = set()
    for change in ({}, {"starts": 8}, {"effective": 99.0}, {"seed": 5}, {"rhat": 1.1}):
        search = posterior.Search(name="numbers", **(FEW | change))
        search.paths.model = CASE.model()
        identifiers.add(search.paths.identifier)
    assert len(identifiers) == 5


def test_analysis_without_jax_is_refused(folder):
    search = posterior.Search(name="numpy", **FEW)
    analysis = Analysis(CASE.log_likelihood, use_jax=False)
    with pytest.raises(af.exc.SearchException, match="requires a JAX analysis"):
        search.fit(model=CASE.model(), analysis=analysis)


def test_other_maximum_is_warned_of(folder, caplog):
    def two(x, y):
        left, right = normal(x, -1.0, 0.05), normal(x, 1.0, 0.1) - 1.0
        return jnp.logaddexp(left, right) + normal(y, 0.0, 0.1)

    search = posterior.Search(name="two", **(FEW | {"starts": 8}))
    case = CASES["asserted"]
    model = af.Collection(numbers=af.Model(Numbers, x=case.x, y=case.y))
    result = search.fit(model=model, analysis=Analysis(two))
    assert "there is another maximum, of log evidence" in caplog.text
    assert len(result.samples.samples_info["log_evidence_laplace_of_others"]) == 1


@pytest.mark.parametrize("moment", [1, 4, 7])
def test_interrupted_search_goes_on_to_the_same_draws(
    moment, fitted, folder, monkeypatch
):
    whole = fitted[2]
    save, saved = posterior.Search.resume_state.save, []

    def save_and_stop(paths, internal):
        save(paths, internal)
        saved.append(internal)
        if len(saved) == moment:
            raise KeyboardInterrupt

    monkeypatch.setattr(posterior.Search.resume_state, "save", save_and_stop)
    with pytest.raises(KeyboardInterrupt):
        posterior.Search(name="numbers", **FEW).fit(
            model=CASE.model(), analysis=CASE.analysis()
        )
    result = posterior.Search(name="numbers", **FEW).fit(
        model=CASE.model(), analysis=CASE.analysis()
    )
    np.testing.assert_array_equal(
        result.samples.parameter_lists, whole.samples.parameter_lists
    )


def test_search_from_a_fit_tells_so_and_goes_on_to_the_same_draws(
    folder, monkeypatch, caplog
):
    case, save = UNTOUCHED["kink"], posterior.Search.resume_state.save

    def save_and_stop(paths, internal):
        save(paths, internal)
        if stops and "chains" in internal:
            raise KeyboardInterrupt

    monkeypatch.setattr(posterior.Search.resume_state, "save", save_and_stop)
    samples = []
    for name, stops in (("whole", False), ("kink", True), ("kink", False)):
        search = posterior.Search(name=name, **FEW)
        if stops:
            with pytest.raises(KeyboardInterrupt):
                search.fit(model=case.model(), analysis=case.analysis())
        else:
            result = search.fit(model=case.model(), analysis=case.analysis())
            samples.append(result.samples)
    assert "is not concave where the chains begin" in caplog.text
    assert "(variational)" in caplog.text
    whole, went_on = samples
    np.testing.assert_array_equal(whole.parameter_lists, went_on.parameter_lists)
    assert went_on.samples_info["kind_of_maximum"] == "variational"
    assert went_on.samples_info["is_maximum"] is False
    log_evidence, _, _ = case.moments()
    assert abs(went_on.samples_info["log_evidence_laplace"] - log_evidence) < 0.5


def test_interrupted_search_of_another_likelihood_is_refused(folder, monkeypatch):
    save = posterior.Search.resume_state.save

    def save_and_stop(paths, internal):
        save(paths, internal)
        if "chains" in internal:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(posterior.Search.resume_state, "save", save_and_stop)
        with pytest.raises(KeyboardInterrupt):
            posterior.Search(name="numbers", **FEW).fit(
                model=CASE.model(), analysis=CASE.analysis()
            )
    other = Analysis(lambda x, y: CASE.log_likelihood(x + 0.01, y))
    with pytest.raises(ValueError, match="another one than when this search was"):
        posterior.Search(name="numbers", **FEW).fit(model=CASE.model(), analysis=other)
    (path,) = folder.rglob("search_internal.pickle")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match="is damaged: delete it to begin anew"):
        posterior.Search(name="numbers", **FEW).fit(
            model=CASE.model(), analysis=CASE.analysis()
        )


def test_killed_process_goes_on_to_the_same_draws(fitted, tmp_path):
    script = tmp_path / "fit.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import sys
            sys.path.insert(0, {str(Path(__file__).parent)!r})
            import autofit_patch
            from autonerves import conf
            from autofit_patch import posterior
            from pipeline_cases import CASES
            conf.instance.output_path = {str(tmp_path / "output")!r}
            search = posterior.Search(name="numbers", **{FEW!r})
            case = CASES["normal"]
            search.fit(model=case.model(), analysis=case.analysis())
            """
        )
    )
    process = subprocess.Popen([sys.executable, script], env=os.environ)
    deadline = time.monotonic() + 200.0
    while not list(tmp_path.rglob("search_internal.pickle")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not list(tmp_path.rglob(".completed"))
    subprocess.run([sys.executable, script], env=os.environ, check=True, timeout=200)
    (samples,) = Aggregator.from_directory(str(tmp_path / "output")).values("samples")
    np.testing.assert_allclose(
        samples.parameter_lists, fitted[2].samples.parameter_lists, rtol=1e-9
    )


def test_test_mode_runs_all_stages_with_little(folder, monkeypatch):
    monkeypatch.setenv("PYAUTO_TEST_MODE", "1")
    with pytest.warns(UserWarning, match="after 50 draws a chain"):
        result = posterior.Search(name="test", seed=1).fit(
            model=CASE.model(), analysis=CASE.analysis()
        )
    assert result.samples.samples_info["starts"] == 4
    assert result.samples.samples_info["total_steps"] == 50


def test_release_without_such_searches_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "autofit.non_linear.checkpoint", None)
    monkeypatch.delitem(sys.modules, "autofit_patch.posterior._search", raising=False)
    with pytest.raises(ImportError, match="pip install --upgrade autofit"):
        _ = posterior.Search


def test_file_of_the_search_has_its_settings(fitted):
    folder = fitted[3]
    (path,) = folder.rglob("search.json")
    settings = json.loads(path.read_text())["arguments"]
    assert settings["start_from"] == "prior"
    assert settings["chains"] == 4
