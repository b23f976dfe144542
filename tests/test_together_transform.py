"""
The transform to visibilities as a matrix: the same numbers, and the libraries' own
transform where there is no matrix.
"""

import copy
import gc
import inspect
import weakref

import autoarray as aa
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import together_and_plain

import autolens_patch
from autogalaxy_patch.datasets._visibilities import baselines_of
from autogalaxy_patch.together import _transform

rng = np.random.default_rng(1)

TRANSFORMERS = aa.TransformerNUFFT, aa.TransformerDFT
HAS_BEAM = "primary_beam" in inspect.signature(aa.TransformerDFT).parameters


def mask_from(shape=(11, 12), centre=(0.2, -0.1)) -> aa.Mask2D:
    return aa.Mask2D.circular(
        shape_native=shape, pixel_scales=0.2, radius=0.8, centre=centre
    )


def transformer_from(cls=aa.TransformerNUFFT, visibilities=40, **others):
    """Of a number of visibilities that is no multiple of those differentiated at once."""
    baselines = rng.uniform(-1e5, 1e5, (visibilities, 2))
    return cls(uv_wavelengths=baselines, real_space_mask=mask_from(), **others)


def images_from(transformer, total: int = 3):
    return jnp.asarray(rng.normal(size=(transformer.total_image_pixels, total)))


def transform_of(transformer):
    return lambda images: transformer.transform_mapping_matrix(images, xp=jnp)


def assert_close(found, expected, rtol=1e-12):
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol * scale)


def is_a_matrix(transformer) -> bool:
    """Whether a transform is a product with one, if it is traced now."""
    with autolens_patch.evaluate_together():
        traced = jax.make_jaxpr(transform_of(transformer))(images_from(transformer))
    names = [equation.primitive.name for equation in traced.eqns]
    return set(names) <= {"dot_general", "complex"} and "dot_general" in names


@pytest.mark.parametrize("cls", TRANSFORMERS)
def test_columns_are_those_of_the_libraries_and_of_numpy(cls):
    transformer = transformer_from(cls)
    images = images_from(transformer)
    assert is_a_matrix(transformer)
    together, plain = together_and_plain(transform_of(transformer), images)
    assert together.dtype == plain.dtype
    assert_close(together, plain)
    assert_close(together, transformer.transform_mapping_matrix(np.asarray(images)))


@pytest.mark.parametrize("cls", TRANSFORMERS)
def test_image_has_the_visibilities_of_the_libraries_and_of_numpy(cls):
    transformer = transformer_from(cls)
    values = images_from(transformer)[:, 0]

    def visibilities(values, xp=jnp):
        image = aa.Array2D(values=values, mask=transformer.real_space_mask)
        return transformer.visibilities_from(image, xp=xp).array

    together, plain = together_and_plain(visibilities, values)
    assert_close(together, plain)
    assert_close(together, visibilities(np.asarray(values), np))


@pytest.mark.parametrize("cls", TRANSFORMERS)
@pytest.mark.parametrize("derivative", [jax.jacfwd, jax.jacrev])
def test_derivatives_are_those_of_the_libraries(cls, derivative):
    transform = transform_of(transformer_from(cls))

    def power(images):
        return (jnp.abs(transform(images)) ** 2).sum(axis=0)

    together, plain = together_and_plain(
        derivative(power), images_from(transformer_from(), 2)
    )
    assert np.abs(plain).max() > 0.0
    assert_close(together, plain)


@pytest.mark.skipif(not HAS_BEAM, reason="an older release, which has no primary beams")
@pytest.mark.parametrize("cls", TRANSFORMERS)
def test_primary_beam_is_applied(cls):
    transformer = transformer_from(cls)
    beam = rng.uniform(0.5, 1.0, transformer.total_image_pixels)
    beamed = transformer.with_primary_beam(
        aa.Array2D(values=beam, mask=transformer.real_space_mask)
    )
    images = images_from(transformer)
    for each in transformer, beamed:  # the second is a copy of the first
        together, _ = together_and_plain(transform_of(each), images)
        assert_close(together, each.transform_mapping_matrix(np.asarray(images)))


@pytest.mark.parametrize("shape", [(11, 11), (12, 12), (12, 11)])
def test_frames_of_even_and_odd_shape(shape):
    transformer = aa.TransformerNUFFT(
        uv_wavelengths=rng.uniform(-1e5, 1e5, (5, 2)), real_space_mask=mask_from(shape)
    )
    images = images_from(transformer)
    together, plain = together_and_plain(transform_of(transformer), images)
    assert_close(together, plain)


@pytest.mark.parametrize("cls", TRANSFORMERS)
def test_derivative_of_what_was_jitted_is_that_of_the_libraries(cls):
    transform = transform_of(transformer_from(cls))
    total = jax.jit(
        jax.checkpoint(lambda images: (jnp.abs(transform(images)) ** 2).sum())
    )
    images = images_from(transformer_from())
    gradients = []
    for on in (True, False):
        with autolens_patch.evaluate_together(on):
            gradients.append(jax.grad(total)(images))
    assert_close(*gradients)


def test_transform_of_many_visibilities_is_the_libraries_own(monkeypatch):
    transformer = transformer_from()
    size = 40 * transformer.real_space_mask.size * 16
    for most, expected in ((size, True), (size - 1, False)):
        monkeypatch.setattr(_transform, "MOST_BYTES", most)
        assert is_a_matrix(transformer) == expected


@pytest.mark.parametrize("at_once", [1, 7, 40, 100])
def test_rows_do_not_depend_on_how_many_are_made_at_once(at_once, monkeypatch):
    size = transformer_from().real_space_mask.size
    monkeypatch.setattr(_transform, "PIXELS_AT_ONCE", at_once * size)
    transformer = transformer_from()
    images = images_from(transformer)
    together, plain = together_and_plain(transform_of(transformer), images)
    assert_close(together, plain)


def test_matrix_is_made_once(monkeypatch):
    made = []
    rows_from = _transform.rows_from
    monkeypatch.setattr(
        _transform, "rows_from", lambda *args: made.append(None) or rows_from(*args)
    )
    transformer = transformer_from()
    for _ in range(3):
        assert is_a_matrix(transformer)
    assert len(made) == 1


@pytest.mark.parametrize("name", ["_shift", "uv_wavelengths", "grid"])
def test_edited_transformer_has_another_matrix(name):
    cls = aa.TransformerNUFFT if name == "_shift" else aa.TransformerDFT
    transformer = transformer_from(cls)
    images = images_from(transformer)
    found = []
    for _ in range(2):
        together, plain = together_and_plain(transform_of(transformer), images)
        assert_close(together, plain)
        found.append(together)
        values = getattr(transformer, name)
        values = getattr(values, "array", values)
        values[:] = 1.1 * values  # in place
    assert np.abs(found[1] - found[0]).max() > 0.01


def shorter(transformer):
    transformer.uv_wavelengths = transformer.uv_wavelengths[:20]


def unknown(transformer):
    transformer.uv_wavelengths = None


def doubled(transformer):
    own = transformer._mapping_matrix_beamed_from
    transformer._mapping_matrix_beamed_from = lambda *args, **kwargs: (
        2.0 * own(*args, **kwargs)
    )


def not_finite(transformer):
    transformer._shift[3] = np.nan


@pytest.mark.parametrize("edit", [shorter, unknown, doubled, not_finite])
def test_transformer_that_is_not_as_made_transforms_in_its_own_way(edit):
    transformer = transformer_from()
    if edit is doubled and not HAS_BEAM:
        pytest.skip("an older release has no such method")
    edit(transformer)
    images = images_from(transformer)
    together, plain = together_and_plain(transform_of(transformer), images)
    np.testing.assert_array_equal(together, plain)


def test_class_of_a_user_transforms_in_its_own_way():
    class Kilo(aa.TransformerDFT):
        @property
        def uv_wavelengths(self):
            return self.kilo * 1e3

        @uv_wavelengths.setter
        def uv_wavelengths(self, values):
            self.kilo = values / 1e3

    transformer = transformer_from(Kilo)
    images = images_from(transformer)
    together, plain = together_and_plain(transform_of(transformer), images)
    np.testing.assert_array_equal(together, plain)


@pytest.mark.parametrize(
    "context",
    [
        jax.disable_jit,
        lambda: jax.transfer_guard("disallow"),
        lambda: jax.checking_leaks(),
    ],
    ids=["disable_jit", "transfer_guard", "checking_leaks"],
)
def test_matrix_is_made_where_the_user_watches_jax(context):
    transformer = transformer_from()
    images = images_from(transformer)
    transform = jax.jit(transform_of(transformer))
    with autolens_patch.evaluate_together(), context():
        together = transform(images)
    assert is_a_matrix(transformer)
    assert_close(together, transformer.transform_mapping_matrix(np.asarray(images)))


def test_matrix_is_not_made_in_single_precision():
    transformer = transformer_from()
    images = np.asarray(images_from(transformer))
    with autolens_patch.evaluate_together():
        jax.config.update("jax_enable_x64", False)
        try:
            transformer.transform_mapping_matrix(images, xp=jnp)
        finally:
            jax.config.update("jax_enable_x64", True)
        found = transformer.transform_mapping_matrix(images, xp=jnp)
    assert_close(found, transformer.transform_mapping_matrix(images))


def test_traced_grid_is_transformed_by_the_libraries():
    transformer = transformer_from(aa.TransformerDFT)
    images = images_from(transformer)
    grid = np.array(transformer.grid.array)

    def power(offset):
        other = copy.copy(transformer)
        other.grid = aa.Grid2DIrregular(jnp.asarray(grid) * offset)
        return (jnp.abs(transform_of(other)(images)) ** 2).sum()

    together, plain = together_and_plain(jax.grad(power), 1.0)
    assert abs(plain) > 0.0
    assert_close(together, plain)


def test_traced_baselines_are_transformed_by_the_libraries():
    transformer = transformer_from(aa.TransformerDFT, visibilities=3)
    images = images_from(transformer)

    def power(baselines):
        other = aa.TransformerDFT(np.ones((3, 2)), transformer.real_space_mask)
        other.uv_wavelengths = baselines
        return (jnp.abs(transform_of(other)(images)) ** 2).sum()

    together, plain = together_and_plain(jax.grad(power), transformer.uv_wavelengths)
    assert np.abs(plain).min() > 0.0
    assert_close(together, plain)


def test_baselines_may_be_arrays_of_jax():
    transformer = transformer_from()
    for name, values in baselines_of(vars(transformer)).items():
        setattr(transformer, name, jnp.asarray(values))
    images = images_from(transformer)
    assert is_a_matrix(transformer)
    together, plain = together_and_plain(transform_of(transformer), images)
    assert_close(together, plain)


def test_image_on_another_mask_is_transformed_by_the_libraries():
    transformer = transformer_from()
    mask = mask_from(centre=(0.0, 0.0))
    values = jnp.asarray(rng.normal(size=mask.pixels_in_mask))

    def visibilities(values):
        image = aa.Array2D(values=values, mask=mask)
        return transformer.visibilities_from(image, xp=jnp).array

    together, plain = together_and_plain(visibilities, values)
    assert_close(together, plain, rtol=1e-14)


def test_single_precision_stays_that_of_the_libraries():
    transformer = transformer_from()
    images = images_from(transformer).astype("float32")
    together, plain = together_and_plain(transform_of(transformer), images)
    assert together.dtype == plain.dtype
    np.testing.assert_array_equal(together, plain)


def test_matrix_ends_with_its_transformer():
    transformers = [transformer_from(visibilities=2) for _ in range(5)]
    assert all(map(is_a_matrix, transformers))
    kept = len(_transform._matrices)
    alive = [weakref.ref(transformer) for transformer in transformers]
    transformers.clear()
    gc.collect()
    assert not any(ref() for ref in alive)
    assert len(_transform._matrices) <= kept - 5
