"""The programs of the tests begin as those of a user do."""

from conftest import json_from_python, run_python


def test_program_begins_without_jax_and_the_libraries():
    found = json_from_python(
        """
        import json, sys
        names = ("jax", "autofit", "autoarray", "autogalaxy", "autolens")
        others = [name for name in sys.modules if name.endswith("_patch")]
        print(json.dumps([__name__, sys.argv, *others, *(sys.modules.keys() & names)]))
        """
    )
    assert found == ["__main__", ["-c"]]


def test_program_has_the_environment_that_it_is_given():
    code = """
        import json, os
        print(json.dumps([os.environ.get(name) for name in ("ONE", "HOME")]))
        """
    assert json_from_python(code, ONE="1", HOME=None) == ["1", None]


def test_exit_code_and_outputs_of_a_program_are_told():
    process = run_python("import sys; print('said'); sys.exit(3)")
    assert (process.returncode, process.stdout, process.stderr) == (3, "said\n", "")
    process = run_python("def f():\n    raise ValueError('wrong')\nf()")
    assert process.returncode == 1
    assert process.stderr.splitlines()[-1] == "ValueError: wrong"
