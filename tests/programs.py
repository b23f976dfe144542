"""
Programs of the tests, each in an interpreter of its own.

An interpreter takes most of its time to import the packages that the libraries need. A
server imports these once, and each program starts in a copy of it. What a program could
import in another order is not among them: JAX, the libraries and the patch.
"""

import multiprocessing
import os
import subprocess
import sys
import tempfile
import textwrap
import types
from pathlib import Path

#: What the libraries import of others.
IMPORTED = (
    *("asyncio", "dill", "matplotlib.pyplot", "numpy", "PIL.Image", "psutil", "yaml"),
    *("scipy.fft", "scipy.integrate", "scipy.interpolate", "scipy.linalg"),
    *("scipy.ndimage", "scipy.optimize", "scipy.spatial", "scipy.special"),
)

context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(list(IMPORTED))


def run_python(code: str, **environment) -> subprocess.CompletedProcess:
    """
    Run a program in a fresh interpreter, with this folder importable.

    Parameters
    ----------
    code
        The program.
    environment
        Variables that are changed for it, or removed if they are ``None``.
    """
    environment = {**os.environ, **environment}
    environment = {k: v for k, v in environment.items() if v is not None}
    with tempfile.TemporaryDirectory() as folder:
        outputs = [Path(folder) / name for name in ("stdout", "stderr")]
        process = context.Process(
            target=_run, args=(textwrap.dedent(code), environment, outputs)
        )
        process.start()
        process.join(300)
        if process.exitcode is None:
            process.kill()
            process.join()
        said = [output.read_text() for output in outputs]
    return subprocess.CompletedProcess(code, process.exitcode, *said)


def _run(code: str, environment: dict, outputs: list[Path]) -> None:
    """What the process of a program does."""
    os.environ.clear()
    os.environ.update(environment)
    for descriptor, output in enumerate(outputs, start=1):
        file = os.open(output, os.O_WRONLY | os.O_CREAT)
        os.dup2(file, descriptor)
    sys.argv = ["-c"]
    sys.path.insert(0, str(Path(__file__).parent))
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    exec(compile(code, "<string>", "exec"), vars(main))
