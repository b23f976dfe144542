"""
Programs of the tests, each in an interpreter of its own.

An interpreter takes most of its time to import the packages that the libraries need. A
server imports these once, and each program starts in a copy of it. What a program could
import in another order is not among them: JAX, the libraries and the patch. (jaxlib is:
it is compiled, keeps no settings, and starts no thread before JAX makes a backend.)
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
    *("etils.epath", "ml_dtypes", "opt_einsum", "pygments", "unittest.mock", "wrapt"),
    *("jaxlib.xla_client", "jaxlib.lapack", "jaxlib.cpu_sparse", "jaxlib.gpu_solver"),
    *("jaxlib.gpu_rnn", "jaxlib.gpu_triton", "jaxlib.mlir.passmanager"),
    *("jaxlib.mosaic.python.mosaic_gpu", "jaxlib.mosaic.python.tpu"),
    *(f"jaxlib.mlir.dialects.{name}" for name in ("chlo", "mpmd", "sdy", "stablehlo")),
)

#: For programs that evaluate a likelihood thousands of times: it is compiled for that, in
#: the quicker of the ways that ``conftest`` has for everything else.
QUICK_TO_RUN = os.environ.get("XLA_FLAGS", "").replace("level=0", "level=1")

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
        process.join(500)
        if process.exitcode is None:
            process.kill()
            process.join()
        said = [output.read_text() for output in outputs]
    return subprocess.CompletedProcess(code, process.exitcode, *said)


def run_script(script: Path, *arguments, **environment) -> subprocess.CompletedProcess:
    """Run a script like ``python script arguments``, see :func:`run_python`."""
    argv = [str(script), *map(str, arguments)]
    code = f"""
        import runpy, sys
        sys.argv = {argv!r}
        sys.path[0] = {str(script.parent)!r}
        runpy.run_path(sys.argv[0], run_name="__main__")
        """
    return run_python(code, **environment)


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
