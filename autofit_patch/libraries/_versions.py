"""Which releases of the libraries the patch was tested with."""

from importlib.metadata import PackageNotFoundError, version

#: The oldest and the newest release of autofit, autogalaxy, autolens, autoarray and
#: autonerves that the tests were run with.
TESTED_VERSIONS = ("2026.9.8.1", "2026.10.26.1")


def release_from(text: str) -> tuple | None:
    """A release number as integers, or ``None`` if it is none (a development version)."""
    parts = text.split(".")
    return tuple(map(int, parts)) if all(map(str.isdigit, parts)) else None


def check_versions(*libraries: str):
    """
    See that installed libraries are in the tested range.

    Parameters
    ----------
    libraries
        The names of the distributions.

    Raises
    ------
    ImportError
        If one is not there or not in it, naming its version and the range.
    """
    oldest, newest = map(release_from, TESTED_VERSIONS)
    for library in libraries:
        try:
            installed = version(library)
        except PackageNotFoundError as error:
            raise ImportError(
                f"{library} is not installed, and this patch has nothing to patch. "
                f"Install it (pip install {library}=={TESTED_VERSIONS[1]})."
            ) from error
        release = release_from(installed)
        if release is None or not oldest <= release <= newest:
            raise ImportError(
                f"{library} {installed} is installed, which this patch was not tested "
                f"with: it knows releases {TESTED_VERSIONS[0]} to {TESTED_VERSIONS[1]}. "
                f"Install one of these (pip install {library}=={TESTED_VERSIONS[1]}), "
                "or a newer release of the patch."
            )
