"""
What JAX must be told before it computes (double precision, and a way around a deadlock),
and everything of it that is not public.
"""

import os

import jax
import jaxlib
from jax._src.config import trace_context, use_shardy_partitioner
from jax._src.core import trace_state_clean
from jax._src.xla_bridge import backends_are_initialized

from autofit_patch.libraries._jaxpr import equations_in
from autofit_patch.libraries._warning import warn

__all__ = ["trace_context", "trace_state_clean"]

#: The flag that avoids the deadlock of batched FFTs, see the README's notes on CPU.
SAFE_FLAG = "--xla_cpu_multi_thread_eigen=false"

#: The XLA flag with which a user has said how many devices a CPU is.
DEVICES_FLAG = "--xla_force_host_platform_device_count"

#: With one of these a user has decided: the same flag, or the other one that helps.
DECIDING_FLAGS = (
    "--xla_cpu_multi_thread_eigen",
    "--xla_cpu_enable_concurrency_optimized_scheduler=false",
)

#: Whether what is traced is for devices that are one core each, as batch.map has them on
#: a CPU. JAX traces a function again where this is another, as for its own settings.
one_core_each = jax.make_user_context(default_value=False)

#: Functions that say whether what is traced now depends on that. Most programs do not,
#: and need not be traced again for a batch.
depends_on_cores: list = []

#: The first jaxlib in which the deadlock was seen. 0.9.2 does not have it.
FIRST_JAXLIB_THAT_HANGS = (0, 11)


def use_double_precision():
    """
    Make arrays float64 from now on, and say so if some were already made as float32.
    """
    if jax.config.jax_enable_x64:
        return
    single = backends_are_initialized() and any(
        array.dtype in ("float32", "complex64") for array in jax.live_arrays()
    )
    jax.config.update("jax_enable_x64", True)
    if single:
        warn(
            "JAX arrays were made in single precision before autofit_patch was imported "
            "and switched JAX to double precision; they stay as they are. Import "
            "autolens_patch before making arrays, or set JAX_ENABLE_X64=1."
        )


def jaxlib_hangs() -> bool:
    """Whether the installed jaxlib can deadlock in batched likelihoods on a CPU."""
    return jaxlib.version.__version_info__[:2] >= FIRST_JAXLIB_THAT_HANGS


def avoid_hang():
    """
    Set the XLA flag that keeps batched likelihoods on a CPU from hanging.

    A jitted ``vmap`` of a likelihood with FFTs deadlocks on a CPU: the FFT waits in the
    thread pool that it runs in. The flag must be in ``XLA_FLAGS`` before JAX starts its
    backend. A value that the user chose is left alone.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if not jaxlib_hangs() or any(flag in flags for flag in DECIDING_FLAGS):
        return
    if not backends_are_initialized():
        os.environ["XLA_FLAGS"] = f"{flags} {SAFE_FLAG}".strip()
    elif jax.default_backend() == "cpu":
        warn(
            "JAX was already computing when autofit_patch was imported, so it is too "
            f"late to set the XLA flag {SAFE_FLAG}, without which batched likelihoods "
            f"hang on a CPU with jaxlib {jaxlib.__version__}. Import autolens_patch "
            f"before using JAX, or start Python with XLA_FLAGS={SAFE_FLAG}."
        )


def use_all_cores():
    """
    Make every core of the CPU a device, unless JAX is computing already, or was told by
    the user how many devices a CPU is.
    """
    if not backends_are_initialized() and not devices_were_chosen():
        jax.config.update("jax_num_cpu_devices", cores())


def devices_were_chosen() -> bool:
    """Whether JAX was told how many devices a CPU is."""
    return jax.config.jax_num_cpu_devices != -1 or DEVICES_FLAG in os.environ.get(
        "XLA_FLAGS", ""
    )


def cores() -> int:
    """How many cores this process may use; only Linux says which they are."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count()


def too_late_for_all_cores() -> str | None:
    """What to tell a user for whom :func:`use_all_cores` came too late, if it did."""
    if jax.default_backend() != "cpu" or devices_were_chosen() or cores() == 1:
        return None
    return (
        f"batch.map uses 1 of {cores()} cores: JAX was already computing when "
        "autofit_patch.batch was imported, so it has one CPU device. Import "
        "autofit_patch.batch before using JAX, or start Python with "
        f"JAX_NUM_CPU_DEVICES={cores()}."
    )


def cores_for(platform: str):
    """A context in which a program for devices of a platform, a core each, is traced."""
    return one_core_each(platform == "cpu" and any(asked() for asked in depends_on_cores))


def partitioner_for(devices, jaxpr):
    """
    A context in which a program for some devices can be compiled.

    XLA's partitioner Shardy ends the process, where there is more than one, if a program
    sets a whole array in one place, ``x.at[0:n].set(y)``, as PyAutoArray's transform to
    visibilities does (seen with JAX 0.11.2). The older one, GSPMD, does not, and warns
    that it is the older one.
    """
    ends = len(devices) > 1 and any(map(sets_whole_array, equations_in(jaxpr.eqns)))
    return use_shardy_partitioner(jax.config.jax_use_shardy_partitioner and not ends)


def sets_whole_array(equation) -> bool:
    """Whether an equation sets all of an array, or adds to all of it, in one place."""
    if not equation.primitive.name.startswith("scatter"):
        return False
    array, places, values = (variable.aval.shape for variable in equation.invars)
    # A place without a coordinate is all of the array.
    return array == values and places[-1] == 0
