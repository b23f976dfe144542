"""One line, anywhere, is all that a script needs."""

import pytest
from conftest import json_from_python, run_python

CHECK = """
    import json, jax, jax.numpy as jnp
    import autofit as af, autolens as al
    model = af.Model(al.mp.Isothermal)
    model.centre = (0.0, 0.0)
    instance = model.instance_from_vector([0.1, 0.0, 1.6])
    jax.jit(lambda i: i)(instance)
    paths, _ = jax.tree_util.tree_flatten_with_path(instance)
    names = [jax.tree_util.keystr(path) for path, _ in paths]
    print(json.dumps([names, str(jnp.ones(1).dtype)]))
"""

EXPECTED = [
    [".ell_comps.ell_comps_0", ".ell_comps.ell_comps_1", ".einstein_radius"],
    "float64",
]


@pytest.mark.parametrize(
    "imports",
    [
        "import autolens_patch",
        "import autofit; import autolens; import autolens_patch",
        "import jax; import autolens_patch",
        "import jax; import autofit; import autolens; import autolens_patch",
        "import autofit_patch; import autogalaxy_patch; import autolens_patch",
        "import autolens_patch; import autolens_patch; import autofit_patch",
        "import autogalaxy_patch; import autogalaxy; import autolens_patch; import jax",
    ],
)
def test_import_order_does_not_matter(imports):
    assert (
        json_from_python(imports.replace("; ", "\n") + CHECK.replace("\n    ", "\n"))
        == EXPECTED
    )


REGISTER_FIRST = {
    "register_model": """
        from autofit.jax import register_model
        register_model(af.Model(al.mp.Isothermal))
    """,
    "enable_pytrees": """
        from autofit.jax import enable_pytrees
        enable_pytrees()
    """,
    "register_tracer_classes": """
        from autolens.jax.registration import register_tracer_classes
        lens = al.Galaxy(redshift=0.5, mass=al.mp.Isothermal())
        register_tracer_classes(al.Tracer(galaxies=[lens, al.Galaxy(redshift=1.0)]))
    """,
}


def test_import_order_does_not_matter_to_which_classes_are_pytrees():
    names = """
        import json
        from autofit_patch.libraries import _internals
        classes = _internals._registered_by_the_patch
        print(json.dumps(sorted(f"{c.__module__}.{c.__qualname__}" for c in classes)))
        """
    first = json_from_python("\n        import autolens_patch, autolens" + names)
    last = json_from_python("\n        import autolens, autolens_patch" + names)
    assert len(first) > 200
    assert last == first


@pytest.mark.parametrize("name", REGISTER_FIRST)
def test_registration_by_the_libraries_first_is_an_error_that_says_what_to_do(name):
    code = "\n        import autofit as af, autolens as al" + REGISTER_FIRST[name]
    process = run_python(code + "\n        import autolens_patch")
    assert process.returncode != 0
    last = process.stderr.splitlines()[-1]
    assert "already has a registration of" in last
    assert "Import autolens_patch" in last
    assert {"register_tracer_classes": "Galaxy"}.get(name, "ModelInstance") in last


@pytest.mark.parametrize("name", REGISTER_FIRST)
def test_registration_by_the_libraries_afterwards_finds_the_classes_registered(name):
    code = "\n        import autolens_patch, autofit as af, autolens as al"
    process = run_python(
        code
        + REGISTER_FIRST[name]
        + """
        import jax
        model = af.Collection(mass=al.mp.Isothermal)
        instance = model.instance_from_vector([0.0, 0.0, 0.1, 0.0, 1.6])
        assert len(jax.tree.leaves(instance)) == 5
        assert jax.jit(lambda i: i)(instance).mass.slope == 2.0
        """
    )
    assert process.returncode == 0, process.stderr


def test_registration_by_the_libraries_first_fails_at_the_import_that_it_precedes():
    code = """
        import autogalaxy_patch
        import autoarray as aa
        from autoarray.abstract_ndarray import register_instance_pytree
        register_instance_pytree(aa.DatasetModel)
        for _ in range(2):
            try:
                import autolens
            except ImportError as error:
                print(error)
        """
    first, second = run_python(code).stdout.splitlines()
    assert "already has a registration of DatasetModel" in first
    assert "Import autolens_patch" in first
    assert second == first


def test_arrays_made_in_single_precision_are_told():
    process = run_python(
        """
        import jax.numpy as jnp
        single = jnp.ones(3)
        import autolens_patch
        assert jnp.ones(3).dtype == "float64"
        """,
        JAX_ENABLE_X64=None,
    )
    assert process.returncode == 0, process.stderr
    assert "single precision before autofit_patch was imported" in process.stderr


def test_no_warning_when_nothing_was_made_in_single_precision():
    process = run_python(
        """
        import warnings
        warnings.filterwarnings("error", module="autolens_patch|autofit_patch|__main__")
        import jax
        import autolens_patch
        """,
        JAX_ENABLE_X64=None,
        XLA_FLAGS=None,
    )
    assert process.returncode == 0, process.stderr


FLAG = "xla_cpu_multi_thread_eigen"


@pytest.mark.parametrize(
    "flags, expected",
    [
        (None, [FLAG + "=false"]),
        ("--xla_cpu_enable_fast_math=false", ["fast_math=false", FLAG + "=false"]),
        (f"--{FLAG}=true", [FLAG + "=true"]),
        (f"--{FLAG}=false", [FLAG + "=false"]),
        ("--xla_cpu_enable_concurrency_optimized_scheduler=false", None),
    ],
    ids=["none", "another", "true", "false", "the other way around it"],
)
def test_flag_that_avoids_the_hang_is_set_unless_the_user_did(flags, expected):
    found = json_from_python(
        """
        import autolens_patch, json, os
        from autofit_patch.libraries._backend import jaxlib_hangs
        print(json.dumps([os.environ["XLA_FLAGS"], jaxlib_hangs()]))
        """,
        XLA_FLAGS=flags,
    )
    if not found[1]:
        pytest.skip("the installed jaxlib does not hang")
    assert all(flag in found[0] for flag in expected or ())
    assert found[0].count(FLAG) == (0 if expected is None else 1)


def test_backend_that_started_too_early_is_told():
    process = run_python(
        """
        import jax
        jax.config.update("jax_enable_x64", True)
        jax.devices()
        import autolens_patch
        from autofit_patch.libraries._backend import jaxlib_hangs
        print(jaxlib_hangs())
        """,
        XLA_FLAGS=None,
        JAX_PLATFORMS="cpu",
    )
    assert process.returncode == 0, process.stderr
    told = f"XLA_FLAGS=--{FLAG}=false" in process.stderr
    assert told == (process.stdout.splitlines()[-1] == "True")
