"""
Run every profiling script, one after another.

    python -m jax_profiling.run_all --quick
    python -m jax_profiling.run_all --output before

Each writes its JSON and its figure to a folder of its own under the output, as the
committed results are. Options that are not listed here go to every script. Two folders
are set side by side by `python -m jax_profiling.compare`.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from jax_profiling.timing import progress_from

FOLDER = Path(__file__).resolve().parent

#: Paths of the scripts in the folder of this package.
SCRIPTS = (
    "imaging/mge.py",
    "imaging/pixelization.py",
    "imaging/delaunay.py",
    "interferometer/mge.py",
    "point_source/image_plane.py",
)


def main(arguments: list[str] | None = None) -> int:
    """
    Runs the scripts.

    Returns
    -------
    The exit code: 1 if a script ended with an error, after all were run.
    """
    parser = argparse.ArgumentParser(
        prog="python -m jax_profiling.run_all",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--quick", action="store_true", help="the small size of each script"
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=FOLDER / "results",
        metavar="FOLDER",
        help="where the folders of the results are (default: %(default)s)",
    )
    parser.add_argument(
        "--scripts",
        nargs="+",
        choices=SCRIPTS,
        default=SCRIPTS,
        metavar="SCRIPT",
        help=f"which are run (default: all of {', '.join(SCRIPTS)})",
    )
    options, others = parser.parse_known_args(arguments)
    others += ["--quick"] * options.quick
    failed = []
    for script in progress_from(options.scripts, "scripts"):
        folder = options.output / Path(script).parent
        command = [sys.executable, str(FOLDER / script), "--output", str(folder)]
        print(f"== {script}", flush=True)
        if subprocess.run([*command, *others]).returncode:
            failed.append(script)
    if failed:
        print(f"These ended with an error: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
