"""
How a release of a library is refused that is not as the patch knows it.
"""

from collections.abc import Callable
from contextlib import contextmanager

from autofit_patch.libraries._versions import TESTED, installed_versions


def refusal(library: str, reason: str) -> str:
    """
    The message for a release that the patch cannot work with.

    Parameters
    ----------
    library
        The name of the library.
    reason
        What is wrong with it.
    """
    oldest, newest = TESTED[library]
    return (
        f"{library} {installed_versions().get(library)} cannot be patched: {reason}. "
        f"Install a tested release, {oldest} to {newest} (pip install "
        f"{library}=={newest}; autofit_patch.TESTED_VERSIONS), or a newer release of "
        "the patch."
    )


@contextmanager
def relying_on(library: str):
    """
    A context that imports what the patch relies on.

    Parameters
    ----------
    library
        The library from which it is imported.

    Raises
    ------
    ImportError
        If something is not there, with its name and with what to do.
    """
    try:
        yield
    except (ImportError, AttributeError) as error:
        reason = f"the patch relies on something that this release lacks ({error})"
        raise ImportError(refusal(library, reason)) from error


def require(library: str, expected: dict[str, Callable[[], bool]]):
    """
    Look at every internal of a library that the patch relies on.

    Parameters
    ----------
    library
        The name of the library.
    expected
        For each internal its name, and a function that tells whether it is as it was in
        the releases that were tested. One that raises an error tells that it is not.

    Raises
    ------
    ImportError
        If one is not. The message lists them.
    """
    missing = [name for name, holds in expected.items() if not succeeds(holds)]
    if missing:
        reason = (
            f"the patch relies on {', '.join(missing)}, which this release does not have "
            "or has changed"
        )
        raise ImportError(refusal(library, reason))


def succeeds(holds: Callable[[], bool]) -> bool:
    """Whether a function returns true, and does not fail."""
    try:
        return bool(holds())
    except Exception:
        return False  # however it is missing, that is said by name
