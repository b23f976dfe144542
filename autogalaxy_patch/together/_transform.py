"""
The transform of images to visibilities, as a matrix.

Where the baselines are known it is a linear map that does not change: what it is of every
pixel is computed once, and an image is transformed by a product with it. That takes less
time than FFTs as long as the visibilities are few, and far less to compile and to
differentiate.
"""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from autofit_patch.pytree._beside import Beside
from autofit_patch.pytree._made import holds_tracer
from autogalaxy_patch.together._switch import one_by_one

#: How large a matrix may be, in bytes. It is a constant of each program that uses it.
MOST_BYTES = 2**25

#: How many visibilities are differentiated at once to find it.
AT_ONCE = 32

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
    The matrix; or None if the baselines are not known, or if it would be too large.
    """
    if holds_tracer(vars(transformer)):
        return None
    pixels = transformer.total_image_pixels
    visibilities = len(transformer.uv_wavelengths)
    if visibilities * pixels * np.dtype(complex).itemsize > MOST_BYTES:
        return None
    state, matrix = _matrices.get(transformer, (None, None))
    if matrix is None or not is_state(state, transformer):
        with jax.ensure_compile_time_eval(), one_by_one():
            rows = rows_from(
                lambda image: transformer.transform_mapping_matrix(
                    image[:, None], xp=jnp
                )[:, 0],
                *(visibilities, pixels),
            )
        # In the order in which a product reads them.
        matrix = Matrix(*(np.ascontiguousarray(part) for part in (rows.real, rows.imag)))
        _matrices.set(transformer, (state_of(transformer), matrix))
    return matrix


def rows_from(transform: Callable, visibilities: int, pixels: int) -> np.ndarray:
    """
    The matrix of a linear map, of shape (visibilities, pixels).

    Its transpose is asked for each visibility, of which there are fewer than pixels where
    the matrix is small.
    """
    _, transpose = jax.vjp(transform, jnp.zeros(pixels, complex))
    of_few = jax.vmap(lambda visibility: transpose(visibility)[0])
    # A last step of another size would be compiled once more.
    steps = -(-visibilities // AT_ONCE)
    units = np.eye(steps * AT_ONCE, visibilities, dtype=complex)
    rows = [np.asarray(of_few(few)) for few in np.split(units, steps)]
    return np.concatenate(rows)[:visibilities]


def state_of(transformer) -> dict:
    """What a transformer is made of, with copies of its arrays."""
    return {
        name: np.array(value) if is_array(value) else value
        for name, value in vars(transformer).items()
    }


def is_state(state: dict, transformer) -> bool:
    """Whether a transformer is still made of this."""
    values = vars(transformer)
    return state.keys() == values.keys() and all(
        np.array_equal(state[name], value) if is_array(value) else state[name] is value
        for name, value in values.items()
    )


def is_array(value) -> bool:
    return isinstance(value, (np.ndarray, jax.Array))
