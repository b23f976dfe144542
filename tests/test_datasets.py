"""Data sets are pytrees: their numbers are leaves, and everything else is structure."""

import copy
import gc
import pickle
import weakref
from functools import cache

import autolens as al
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy.io.fits import Header
from conftest import json_from_python
from fit_cases import CASES, IMAGE, imaging, interferometer, tracer
from jax.tree_util import keystr, tree_leaves_with_path

import autolens_patch
from autofit_patch import batch
from autogalaxy_patch.datasets import FramedImaging

#: Of the fits of images and of visibilities, one of each way to use the data.
FITS = (
    "image",
    "image with a sky and an offset",
    "image, linear light",
    "image, mesh of the density",
    "image, Delaunay mesh",
    "image, linear light and mesh",
    "visibilities",
    "visibilities, linear light",
    "galaxy image, rectangular mesh",
    "galaxy visibilities",
)


def nufft() -> al.Interferometer:
    like = interferometer()
    return al.Interferometer(
        data=like.data,
        noise_map=like.noise_map,
        uv_wavelengths=like.uv_wavelengths,
        real_space_mask=like.real_space_mask,
        transformer_class=al.TransformerNUFFT,
    )


def image_with(psf_shape=(3, 3), radius=2.0, noise=1.0, **options) -> al.Imaging:
    """An image of a lens with noise that varies, whose PSF is no symmetric one."""
    random = np.random.default_rng(1)
    mask = al.Mask2D.circular(radius=radius, **IMAGE)
    kernel = random.uniform(0.5, 1.5, psf_shape)
    psf = al.Convolver(
        kernel=al.Array2D.no_mask(kernel / kernel.sum(), pixel_scales=0.3), use_fft=True
    )
    values = random.normal(size=(2, 15, 15))
    data = tracer().image_2d_from(grid=al.Grid2D.uniform(**IMAGE)).native.array
    return al.Imaging(
        data=al.Array2D(values=data + 0.1 * values[0], mask=mask),
        noise_map=al.Array2D(values=noise * (0.2 + 0.1 * np.tanh(values[1])), mask=mask),
        psf=psf,
        **{"over_sample_size_lp": 2, **options},
    )


def as_function_of_data(analysis):
    """The log likelihood of an analysis, also as a function of its data set."""

    def log_likelihood(instance, dataset):
        other = copy.copy(analysis)
        other.dataset = dataset
        return other.log_likelihood_function(instance)

    return log_likelihood


@pytest.mark.parametrize("name", FITS)
def test_likelihood_of_a_traced_data_set_is_that_of_numpy(name):
    case = CASES[name]()
    instance = case.instance_from()
    dataset = case.analysis_from(use_jax=True).dataset
    function = as_function_of_data(case.analysis_from(use_jax=True))
    expected = case.analysis_from(use_jax=False).log_likelihood_function(instance)
    # The order of summation differs, and so do the solvers of NumPy and JAX.
    rtol = 1e-6 if "mesh" in name or "linear" in name else 1e-10
    np.testing.assert_allclose(jax.jit(function)(instance, dataset), expected, rtol=rtol)


@pytest.mark.parametrize("psf_shape", [(3, 3), (4, 5)], ids=str)
@pytest.mark.parametrize("on", [False, True], ids=["one by one", "together"])
def test_likelihood_and_gradient_are_those_of_the_analysis(psf_shape, on):
    case = CASES["image, linear light"]()
    instance, dataset = case.instance_from(), image_with(psf_shape)
    analysis = al.AnalysisImaging(dataset=dataset, use_jax=True)
    with autolens_patch.evaluate_together(on):
        expected = jax.jit(jax.value_and_grad(analysis.log_likelihood_function))(instance)
        found = jax.jit(jax.value_and_grad(as_function_of_data(analysis)))(
            instance, dataset
        )
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-12)
    for mine, other in zip(*map(jax.tree.leaves, (found[1], expected[1])), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-8, atol=1e-8)


def test_visibilities_at_traced_baselines_are_those_of_the_transformer():
    dataset = nufft()
    image = al.Array2D(
        values=np.random.default_rng(1).normal(
            size=dataset.real_space_mask.pixels_in_mask
        ),
        mask=dataset.real_space_mask,
    )

    def visibilities(dataset):
        return dataset.transformer.visibilities_from(image, xp=jnp).array

    expected = dataset.transformer.visibilities_from(image).array
    np.testing.assert_allclose(jax.jit(visibilities)(dataset), expected, rtol=1e-9)
    other = jax.tree.map(lambda leaf: leaf, dataset)
    np.testing.assert_allclose(
        other.transformer.visibilities_from(image).array, expected, rtol=1e-12
    )


@pytest.mark.parametrize("on", [False, True], ids=["one by one", "together"])
def test_gradient_by_what_was_observed_is_that_of_finite_differences(on):
    case = CASES["image, linear light"]()
    instance, dataset = case.instance_from(), image_with()
    function = as_function_of_data(al.AnalysisImaging(dataset=dataset, use_jax=True))
    with autolens_patch.evaluate_together(on):
        jitted = jax.jit(jax.value_and_grad(function, argnums=1))
        _, gradient = jitted(instance, dataset)
        leaves, structure = jax.tree.flatten(dataset)
        for index, slopes in enumerate(jax.tree.leaves(gradient)):
            direction = np.random.default_rng(2).normal(size=leaves[index].shape)

            def value_at(step, index=index, direction=direction):
                moved = list(leaves)
                moved[index] = leaves[index] + step * direction
                return jitted(instance, jax.tree.unflatten(structure, moved))[0]

            differences = (value_at(1e-5) - value_at(-1e-5)) / 2e-5
            np.testing.assert_allclose((slopes * direction).sum(), differences, rtol=1e-5)


@cache
def datasets() -> dict:
    return {"image": imaging(), "visibilities": interferometer(), "nufft": nufft()}


@pytest.mark.parametrize("name", ["image", "visibilities", "nufft"])
def test_leaves_are_what_was_observed(name):
    dataset = datasets()[name]
    paths = [keystr(path) for path, _ in tree_leaves_with_path(dataset)]
    third = ".psf" if name == "image" else ".uv_wavelengths"
    assert paths == [".data", ".noise_map", third]
    leaves = jax.tree.leaves(dataset)
    np.testing.assert_array_equal(leaves[0], dataset.data.array)
    np.testing.assert_array_equal(leaves[1], dataset.noise_map.array)


@pytest.mark.parametrize("name", ["image", "visibilities", "nufft"])
def test_data_sets_of_one_structure_compile_once_alone_and_in_batches(name):
    traces = []

    @jax.jit
    def total(dataset):
        traces.append(1)
        return sum(abs(leaf).sum() for leaf in jax.tree.leaves(dataset))

    one = datasets()[name]
    other = jax.tree.map(lambda leaf: 2.0 * leaf, pickle.loads(pickle.dumps(one)))
    np.testing.assert_allclose(total(other), 2.0 * total(one))
    assert len(traces) == 1
    for count in (1, 3):
        stacked = batch.stack([one] * count)
        assert jax.tree.structure(stacked) == jax.tree.structure(one)
        assert jax.tree.leaves(stacked)[0].shape == (count, *one.data.array.shape)
    values = batch.map(total.__wrapped__, progress=False)(batch.stack([one, other]))
    np.testing.assert_allclose(values, [total(one), total(other)])


@pytest.mark.parametrize(
    "change",
    [
        {"radius": 1.8},
        {"psf_shape": (5, 5)},
        {"over_sample_size_lp": 4},
        {"over_sample_size_pixelization": 2},
    ],
    ids=lambda change: next(iter(change)),
)
def test_mask_and_shapes_and_over_sampling_are_structure(change):
    structures = list(map(jax.tree.structure, (image_with(), image_with(**change))))
    assert structures[0] != structures[1]
    assert structures[0] == jax.tree.structure(image_with(noise=3.0))


def test_header_of_a_file_is_no_part_of_a_data_set():
    one, other = image_with(), image_with()
    other.data.header = Header({"EXPTIME": 3.0})
    assert jax.tree.structure(one) == jax.tree.structure(other)


def test_structure_says_what_it_is():
    assert "Imaging(data, noise_map, psf, 137 pixels)" in str(
        jax.tree.structure(image_with())
    )


def test_what_was_edited_is_what_is_flattened():
    dataset = image_with()
    dataset.data.array[0] = 17.0
    assert jax.tree.leaves(dataset)[0][0] == 17.0
    before = jax.tree.structure(dataset)
    dataset.mask.array[0, 0] = not dataset.mask.array[0, 0]
    assert jax.tree.structure(dataset) != before


@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, "pickle", "unstack"],
    ids=["copy", "deepcopy", "pickle", "unstack"],
)
def test_rebuilt_data_set_is_fitted_by_numpy_as_before(copied):
    dataset = image_with()
    instance = CASES["image"]().instance_from()

    def value(dataset):
        analysis = al.AnalysisImaging(dataset=dataset, use_jax=False)
        return analysis.log_likelihood_function(instance)

    rebuilt = jax.tree.map(lambda leaf: leaf, dataset)
    if copied == "pickle":
        rebuilt = pickle.loads(pickle.dumps(rebuilt))
    elif copied == "unstack":
        _, rebuilt = batch.unstack(batch.stack([image_with(noise=2.0), dataset]))
    else:
        rebuilt = copied(rebuilt)
    assert type(rebuilt.data) is al.Array2D
    assert value(rebuilt) == pytest.approx(value(dataset), rel=1e-12)


def test_data_set_out_of_jit_can_be_pickled_and_fitted():
    dataset = image_with()
    out = pickle.loads(pickle.dumps(jax.jit(lambda dataset: dataset)(dataset)))
    np.testing.assert_array_equal(out.data.native.array, dataset.data.native.array)
    fit = al.FitImaging(dataset=out, tracer=al.Tracer(galaxies=[al.Galaxy(redshift=0.5)]))
    other = al.FitImaging(
        dataset=dataset, tracer=al.Tracer(galaxies=[al.Galaxy(redshift=0.5)])
    )
    assert fit.log_likelihood == pytest.approx(other.log_likelihood, rel=1e-12)


def test_psf_at_a_higher_resolution_is_a_leaf_too():
    # Each pixel is seen at 2 x 2 places, for which the kernel is known.
    random = np.random.default_rng(1)
    kernel = random.uniform(size=(3, 3))
    psf = al.Convolver(
        kernel=al.Array2D.no_mask(kernel / kernel.sum(), pixel_scales=0.15),
        convolve_over_sample_size=2,
    )
    like = image_with()
    dataset = al.Imaging(
        data=like.data,
        noise_map=like.noise_map,
        psf=psf,
        over_sample_size_lp=2,
        convolve_over_sample_size_lp=2,
    )
    case = CASES["image"]()
    analysis = al.AnalysisImaging(dataset=dataset, use_jax=True)
    expected = jax.jit(analysis.log_likelihood_function)(case.instance_from())
    found = jax.jit(as_function_of_data(analysis))(case.instance_from(), dataset)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_image_without_a_psf_has_two_leaves():
    like = image_with()
    dataset = al.Imaging(data=like.data, noise_map=like.noise_map)
    assert len(jax.tree.leaves(dataset)) == 2
    assert jax.tree.map(lambda leaf: leaf, dataset).psf is None


def test_what_was_computed_from_the_noise_is_refused():
    dataset = interferometer()
    dataset = copy.copy(dataset)
    dataset.sparse_operator = object()
    with pytest.raises(ValueError, match="sparse_operator, which was computed from"):
        jax.tree.leaves(dataset)


def test_unknown_transformer_is_refused():
    class Mine(al.TransformerDFT):
        pass

    dataset = copy.copy(interferometer())
    dataset.transformer = Mine(dataset.uv_wavelengths, dataset.real_space_mask)
    with pytest.raises(ValueError, match="has a Mine.*TransformerNUFFT"):
        jax.tree.leaves(dataset)


def test_subclasses_are_pytrees_too():
    class Mine(al.Imaging):
        pass

    class Framed(FramedImaging):
        pass

    like = image_with()
    mine = Mine(data=like.data, noise_map=like.noise_map, psf=like.psf)
    sizes = np.ones(len(like.data)), np.ones(len(like.data))
    for dataset in (mine, Framed(like, like.mask, sizes)):
        assert len(jax.tree.leaves(dataset)) == 3
        rebuilt = jax.tree.map(lambda leaf: leaf, dataset)
        assert type(rebuilt) is type(dataset)
        assert type(rebuilt.grids.lp) is type(dataset.grids.lp)


@pytest.mark.parametrize("name", ["image", "visibilities", "nufft"])
def test_data_set_may_hold_whatever_jax_puts_into_a_tree(name):
    dataset = datasets()[name]
    for leaf in (None, object(), jax.ShapeDtypeStruct((2, 2), float)):
        outline = jax.tree.map(lambda _, leaf=leaf: leaf, dataset)
        assert jax.tree.structure(dataset).flatten_up_to(outline) == [leaf] * 3
    shapes = jax.eval_shape(lambda dataset: dataset, dataset)
    assert [leaf.shape for leaf in jax.tree.leaves(shapes)] == [
        np.shape(leaf) for leaf in jax.tree.leaves(dataset)
    ]


def test_structures_of_another_process_have_the_same_hash():
    structure = jax.tree.structure(image_with()).node_data()[1]
    state = pickle.dumps(structure)
    found = json_from_python(
        f"""
        import json, pickle
        import autolens_patch, autolens
        from test_datasets import image_with
        import jax
        other = pickle.loads({state!r})
        here = jax.tree.structure(image_with()).node_data()[1]
        print(json.dumps([here == other, hash(here) == hash(other)]))
        """
    )
    assert found == [True, True]


def test_nothing_keeps_a_data_set():
    dataset = image_with()
    data = weakref.ref(dataset.data)
    jitted = jax.jit(lambda dataset: sum(map(jnp.sum, jax.tree.leaves(dataset))))
    jitted(dataset)
    jax.tree.map(lambda leaf: leaf, dataset)
    del dataset
    gc.collect()
    assert data() is None
