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
from autofit_patch.pytree._made import holds_tracer
from autogalaxy_patch.datasets._visibilities import baselines_of, with_baselines
from autogalaxy_patch.together._switch import one_by_one

#: How large a matrix may be, in bytes. It is a constant of each program that uses it.
MOST_BYTES = 2**26

#: For how many visibilities it is computed at once.
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
    if not 0 < visibilities * pixels * np.dtype(complex).itemsize <= MOST_BYTES:
        return None
    state, matrix = _matrices.get(transformer, (None, None))
    if matrix is None or not is_state(state, transformer):
        with one_by_one():
            rows = rows_from(transformer)
        matrix = Matrix(*(np.ascontiguousarray(part) for part in (rows.real, rows.imag)))
        _matrices.set(transformer, (state_of(transformer), matrix))
    return matrix


def rows_from(transformer) -> np.ndarray:
    """
    What a transformer does to each pixel, of shape (visibilities, pixels).

    Its transpose is asked for each visibility, of which there are fewer than pixels where
    the matrix is small. It is that of few baselines, which need not be looked at for all
    the others.
    """
    baselines = baselines_of(transformer)

    def rows_of_few(of_few):
        few = with_baselines(transformer, of_few)
        _, transpose = jax.vjp(
            lambda image: few.transform_mapping_matrix(image[:, None], xp=jnp)[:, 0],
            jnp.zeros(transformer.total_image_pixels, complex),
        )
        units = jnp.eye(AT_ONCE, dtype=complex)
        return jax.vmap(lambda visibility: transpose(visibility)[0])(units)

    visibilities = len(transformer.uv_wavelengths)
    starts = np.arange(0, visibilities, AT_ONCE)
    # The last ones are made up to as many as the others: it is compiled once.
    steps = [
        {name: np.asarray(values)[few] for name, values in baselines.items()}
        for few in (starts[:, None] + np.arange(AT_ONCE)) % visibilities
    ]
    # It is called now, also where something else is traced.
    program = jax.jit(rows_of_few).lower(steps[0]).compile()
    return np.concatenate([program(step) for step in steps])[:visibilities]


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
