"""
The patch imports nothing before the user does, and so changes no configuration: not that
of the libraries, nor what they make of JAX's.
"""

import functools

import pytest
from conftest import json_from_python, run_python

#: Every value of every packaged configuration, by file and keys, and of JAX's.
VALUES = """
    import json, sys
    from pathlib import Path
    import yaml
    from autonerves import conf

    def leaves(entry, keys=()):
        if isinstance(entry, dict) and entry:
            for key, value in entry.items():
                yield from leaves(value, (*keys, str(key)))
        else:
            yield keys

    def value_of(keys):
        found = conf.instance
        for key in keys:
            try:
                found = found[key]
            except (KeyError, TypeError) as error:
                return type(error).__name__
        return repr(found)

    values = {}
    for name in ("autofit", "autoarray", "autogalaxy", "autolens"):
        if name not in sys.modules:
            continue
        folder = Path(sys.modules[name].__file__).parent / "config"
        for file in folder.rglob("*.yaml"):
            parts = file.relative_to(folder).with_suffix("").parts
            for keys in leaves(yaml.safe_load(file.read_text())):
                values[" ".join((*parts, *keys))] = value_of((*parts, *keys))
    import jax
    values |= {name: repr(value) for name, value in jax.config.values.items()}
    print(json.dumps(values))
"""

#: What a user imports, with the patch before, between and after it.
IMPORTS = (
    *("import autofit_patch; import autogalaxy", "import autofit_patch; import autolens"),
    "import autogalaxy_patch; import autogalaxy",
    "import autogalaxy_patch; import autolens",
    "import autolens_patch; import autogalaxy",
    "import autolens_patch; import autolens",
    "import autolens_patch; import autogalaxy; import autolens",
    "import autogalaxy; import autolens_patch; import autolens",
    "import autogalaxy; import autolens_patch",
    "import autolens; import autolens_patch",
)


def values_after(imports: str) -> dict:
    code = imports.replace("; ", "\n") + VALUES.replace("\n    ", "\n")
    # As for a user, who leaves it to the libraries where compiled functions are kept.
    return json_from_python(
        code,
        JAX_COMPILATION_CACHE_DIR=None,
        JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=None,
    )


@functools.cache
def values_without_the_patch(imports: str) -> dict:
    return values_after(imports)


@pytest.mark.parametrize("imports", IMPORTS)
def test_every_configured_value_is_what_it_is_without_the_patch(imports):
    lines = [line for line in imports.split("; ") if not line.endswith("_patch")]
    expected = values_without_the_patch("; ".join(lines))
    assert len(expected) > 1000
    assert values_after(imports) == expected


def test_libraries_keep_what_was_compiled_for_later_runs():
    # Otherwise JAX's values above would not tell whether the patch is in their way.
    values = values_without_the_patch("import autolens")
    assert "pyauto_jax" in values["jax_compilation_cache_dir"]
    assert values["jax_enable_x64"] == "True"


def test_values_tell_in_which_order_the_libraries_were_imported():
    # Otherwise the test above would compare nothing that the order decides.
    galaxy = values_without_the_patch("import autogalaxy")
    lens = values_without_the_patch("import autolens")
    assert {key for key in galaxy.keys() & lens if galaxy[key] != lens[key]}


@pytest.mark.parametrize("patch", ["autofit_patch", "autogalaxy_patch", "autolens_patch"])
def test_only_pyautofit_is_imported_by_the_patch(patch):
    found = json_from_python(
        f"""
        import json, sys
        import {patch}
        getattr({patch}, "trace_cosmology", None)
        names = ("autofit", "autoarray", "autogalaxy", "autolens")
        print(json.dumps([name for name in names if name in sys.modules]))
        """
    )
    assert found == ["autofit"]


def test_cosmology_is_traced_of_a_tracer_that_another_module_made():
    found = json_from_python(
        """
        import json, pydoc
        from autolens_patch import trace_cosmology
        assert "FlatLambdaCDM" in pydoc.render_doc(trace_cosmology)
        tracer = __import__("lens").al.Tracer(
            [__import__("lens").al.Galaxy(redshift=0.5)]
        )
        print(json.dumps(type(trace_cosmology(tracer).cosmology).__name__))
        """
    )
    assert found == "TracedFlatLambdaCDM"


def test_cosmology_of_something_else_is_an_error_though_autolens_is_not_imported():
    process = run_python("import autolens_patch; autolens_patch.trace_cosmology(1.0)")
    assert "expected a Tracer, and was given a float" in process.stderr.splitlines()[-1]
