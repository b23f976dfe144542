"""
The transform of images to visibilities, as a matrix.

Where the baselines are known it is a linear map that does not change: what it is of every
pixel is computed once, and an image is transformed by a product with it. That takes less
time than FFTs as long as the visibilities are few, and far less to compile and to
differentiate.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from autofit_patch.pytree._beside import Beside
from autofit_patch.pytree._keys import key_from
from autofit_patch.pytree._made import holds_tracer
from autogalaxy_patch.datasets._structure import numbers_of
from autogalaxy_patch.datasets._visibilities import (
    SETTINGS,
    baselines_of,
    with_baselines,
)
from autogalaxy_patch.together._switch import one_by_one

#: How large the matrix of a frame may be, in bytes. That of the pixels in its mask is a
#: constant of each program that uses it, and takes a second at most to make.
MOST_BYTES = 2**26

#: How many pixels the frames have together for which it is computed at once.
PIXELS_AT_ONCE = 2**18

_matrices = Beside()


@dataclass(frozen=True)
class Matrix:
    """
    What a transformer does to images.

    Parameters
    ----------
    real, imag
        The two parts of each visibility, of shape (visibilities, pixels).
    """

    real: np.ndarray
    imag: np.ndarray

    def __matmul__(self, images):
        """
        Visibilities, of shape (visibilities,) or (visibilities, images).

        Parameters
        ----------
        images
            Of shape (pixels,) or (pixels, images).
        """
        # Two products, since XLA does not share one between cores.
        return jax.lax.complex(jnp.asarray(self.real @ images), self.imag @ images)


def matrix_from(transformer) -> Matrix | None:
    """
    The matrix of a transformer, made once, or again if the transformer was edited.

    Parameters
    ----------
    transformer
        An ``autoarray.TransformerNUFFT`` or ``autoarray.TransformerDFT``.

    Returns
    -------
    The matrix; or None where the libraries' own transform is to be called: if what the
    transformer holds is not known, not as its constructor made it, or not finite, if the
    matrix would be too large, and in single precision.
    """
    if type(transformer) not in SETTINGS or not jax.config.jax_enable_x64:
        return None
    numbers = {name: numbers_of(value) for name, value in vars(transformer).items()}
    baselines = baselines_of(numbers)
    visibilities = length_of(baselines)
    if (
        holds_tracer(numbers)
        # A method that was replaced for this one transformer.
        or any(callable(getattr(type(transformer), name, None)) for name in numbers)
        or not visibilities
        or visibilities * transformer.real_space_mask.size * 16 > MOST_BYTES
    ):
        return None
    key = key_from(numbers)
    made_for, matrix = _matrices.get(transformer, (None, None))
    if made_for != key:
        # It is computed now, also where something else is traced, and where the user lets
        # nothing be compiled or moved.
        with one_by_one(), jax.disable_jit(False), jax.transfer_guard("allow"):
            rows = rows_from(transformer, baselines, visibilities)
        parts = [np.ascontiguousarray(part) for part in (rows.real, rows.imag)]
        matrix = Matrix(*parts) if np.isfinite(rows).all() else None
        _matrices.set(transformer, (key, matrix))
    return matrix


def rows_from(transformer, baselines: dict, visibilities: int) -> np.ndarray:
    """
    What a transformer does to each pixel, of shape (visibilities, pixels).

    Its transpose is asked for each visibility, of which there are fewer than pixels where
    the matrix is small. It is that of few baselines, which need not be looked at for all
    the others.
    """
    most = max(1, PIXELS_AT_ONCE // transformer.real_space_mask.size)
    at_once = min(visibilities, most)

    def rows_of_few(of_few):
        few = with_baselines(transformer, of_few)
        _, transpose = jax.vjp(
            lambda image: few.transform_mapping_matrix(image[:, None], xp=jnp)[:, 0],
            jnp.zeros(transformer.total_image_pixels, complex),
        )
        units = jnp.eye(at_once, dtype=complex)
        return jax.vmap(lambda visibility: transpose(visibility)[0])(units)

    starts = np.arange(0, visibilities, at_once)
    # The last ones are made up to as many as the others: it is compiled once.
    steps = [
        {name: np.asarray(values)[few] for name, values in baselines.items()}
        for few in (starts[:, None] + np.arange(at_once)) % visibilities
    ]
    program = jax.jit(rows_of_few).lower(steps[0]).compile()
    return np.concatenate([program(step) for step in steps])[:visibilities]


def length_of(baselines: dict) -> int | None:
    """How many baselines there are, if all that is known of them is of one number."""
    lengths = {np.shape(values)[:1] for values in baselines.values()}
    if len(lengths) != 1 or () in lengths:
        return None
    return lengths.pop()[0]
