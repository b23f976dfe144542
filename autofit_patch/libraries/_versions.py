"""
Which releases of the libraries the patch was tested with.

An older release is an error. A newer one is not: what the patch relies on is looked at
(:mod:`._required`), small models are checked (:mod:`._check`), and one warning names it.
"""

from importlib.metadata import PackageNotFoundError, version

from autofit_patch.libraries._warning import warn

#: The oldest and the newest release of autofit, autogalaxy, autolens, autoarray and
#: autonerves that the tests were run with.
TESTED_VERSIONS = ("2026.9.8.1", "2026.10.26.1")

#: The same of JAX.
TESTED_JAX = ("0.9.2", "0.11.2")

#: The tested range of each distribution.
TESTED = {
    **dict.fromkeys(
        ("autonerves", "autofit", "autoarray", "autogalaxy", "autolens"), TESTED_VERSIONS
    ),
    "jax": TESTED_JAX,
}

_told: set[str] = set()


def release_from(text: str) -> tuple | None:
    """A release number as integers, or ``None`` if it is none (a development version)."""
    parts = text.split(".")
    return tuple(map(int, parts)) if all(map(str.isdigit, parts)) else None


def is_newer(distribution: str, installed: str) -> bool:
    """
    Whether a version is newer than the newest that was tested, as a development version
    is taken to be.
    """
    release = release_from(installed)
    return release is None or release > release_from(TESTED[distribution][1])


def installed_versions() -> dict[str, str]:
    """The versions of the distributions of ``TESTED`` that are installed, by name."""
    found = {}
    for distribution in TESTED:
        try:
            found[distribution] = version(distribution)
        except PackageNotFoundError:
            continue
    return found


def newer_than_tested() -> dict[str, str]:
    """The versions of the installed distributions that are newer, by name."""
    return {
        distribution: installed
        for distribution, installed in installed_versions().items()
        if is_newer(distribution, installed)
    }


def check_versions(*distributions: str):
    """
    See that distributions are installed, and no older than the oldest that was tested.

    Parameters
    ----------
    distributions
        Their names.

    Raises
    ------
    ImportError
        If one is not there or older, naming its version and the range.
    """
    installed = installed_versions()
    for distribution in distributions:
        oldest, newest = TESTED[distribution]
        if distribution not in installed:
            raise ImportError(
                f"{distribution} is not installed, and this patch has nothing to patch. "
                f"Install it (pip install {distribution}=={newest})."
            )
        release = release_from(installed[distribution])
        if release is not None and release < release_from(oldest):
            raise ImportError(
                f"{distribution} {installed[distribution]} is installed, which is older "
                f"than the releases {oldest} to {newest} that this patch was tested "
                f"with. Install one of these (pip install {distribution}=={newest})."
            )


def tell_of_newer():
    """Warn once of all distributions that are newer than those that were tested."""
    newer = newer_than_tested()
    if newer.keys() <= _told:
        return
    _told.update(newer)
    tested = " and ".join(
        f"{name} {oldest} to {newest}"
        for name, (oldest, newest) in {
            ("jax" if distribution == "jax" else "the libraries"): TESTED[distribution]
            for distribution in newer
        }.items()
    )
    names = ", ".join(f"{name} {installed}" for name, installed in newer.items())
    warn(
        f"{names} {'is' if len(newer) == 1 else 'are'} newer than what the patch was "
        f"tested with ({tested}). What it relies on was looked at, and small models "
        "passed its checks (those of a library that is not imported yet are made when it "
        "is). Run `python -m autolens_patch` to check every class."
    )
