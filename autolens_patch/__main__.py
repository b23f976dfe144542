"""
The check of an installation: ``python -m autolens_patch``.

It prints the versions of everything that takes part, and checks that JAX takes every
class of the libraries apart and puts it together again, and that a likelihood under
``jax.jit`` is what it is with NumPy. The exit code is 1 if a check failed, else 0.
"""

import argparse
import contextlib
import io
import logging
import os
import platform
import sys
import time
import warnings
from importlib.metadata import version

import jax

import autofit_patch
import autogalaxy_patch
import autolens_patch
from autofit_patch.libraries._versions import TESTED, installed_versions

#: What has no tested range of its own.
OTHERS = ("jaxlib", "numpy")


def main(arguments: list[str] | None = None) -> int:
    """
    Print versions, run every check and print what each found.

    Parameters
    ----------
    arguments
        Those of the command line. There is only ``--help``.

    Returns
    -------
    The exit code.
    """
    argparse.ArgumentParser(
        prog="python -m autolens_patch", description=__doc__
    ).parse_args(arguments)
    start = time.perf_counter()
    # What is compiled here is of no use to anybody later.
    jax.config.update("jax_enable_compilation_cache", False)
    for name, value in quietly(versions()):
        print(f"{name:<12} {value}")
    print()
    total = failed = 0
    for passed, name, found in quietly(checks()):
        print(f"{'ok' if passed else 'FAILED':<12} {name}: {found}", flush=True)
        total += 1
        failed += not passed
    print(
        f"\n{total - failed} of {total} checks passed in "
        f"{time.perf_counter() - start:.0f} seconds."
    )
    return 1 if failed else 0


def versions():
    """The name and the value of everything that takes part."""
    for name, installed in installed_versions().items():
        yield name, f"{installed} (tested: {' to '.join(TESTED[name])})"
    for name in OTHERS:
        yield name, version(name)
    yield "python", platform.python_version()
    yield "devices", ", ".join(str(device) for device in jax.devices())
    yield "x64", jax.config.jax_enable_x64
    yield "XLA_FLAGS", os.environ.get("XLA_FLAGS", "")


def checks():
    """Whether each check passed, its name and what it found."""
    patching = outcome("patching the libraries", import_autolens)
    yield patching
    if not patching[0]:
        return
    from autofit_patch.libraries._check import PARTS, check
    from autolens_patch._every_class import check_every_class
    from autolens_patch._likelihood import check_likelihood

    for package in (autofit_patch, autogalaxy_patch, autolens_patch):
        name = f"small model of {package.__name__.removesuffix('_patch')}"

        def check_small_model(package=package):
            check(package._small_model())
            return ", ".join(PARTS)

        yield outcome(name, check_small_model)
    for name, kind in check_every_class().items():
        yield not kind.failed, name, kind
        for cls, problem in kind.failed.items():
            yield False, f"{name}.{cls}", problem
    yield outcome("likelihood of imaging", check_likelihood)


def import_autolens() -> str:
    """Import everything that is patched, and so patch it."""
    import autolens  # noqa: F401

    return "nothing that the patch relies on is missing"


def outcome(name: str, function) -> tuple[bool, str, str]:
    """Whether a check passed, its name and what it found."""
    try:
        return True, name, function()
    except Exception as error:
        return False, name, f"{error}"


def quietly(results):
    """The items of an iterable, without what the libraries print and log about them."""
    results = iter(results)
    while True:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            logging.disable(logging.CRITICAL)
            try:
                item = next(results, None)
            finally:
                logging.disable(logging.NOTSET)
        if item is None:
            return
        yield item


if __name__ == "__main__":
    sys.exit(main())
