"""The cluster that the point-source script fits, and what its gradient is checked by."""

import autolens as al
import jax
import numpy as np
import pytest

from jax_profiling.checks import FollowedImages
from jax_profiling.cluster import (
    LUMINOSITIES,
    cluster_model_from,
    vectors_from_priors,
)

SOLVER = al.PointSolver.for_grid(
    grid=al.Grid2D.uniform(shape_native=(40, 40), pixel_scales=0.1),
    pixel_scale_precision=0.01,
)
BEHIND = (0.1, 0.3)


def sphere_from(einstein_radius: float, centre=(0.0, 0.0)) -> al.Tracer:
    mass = al.mp.IsothermalSph(centre=centre, einstein_radius=einstein_radius)
    return al.Tracer(galaxies=[al.Galaxy(redshift=0.5, mass=mass), al.Galaxy(1.0)])


def test_images_are_followed_along_the_lens_equation():
    # An isothermal sphere deflects by its Einstein radius, whatever the distance from its
    # centre: images of a fixed point move outwards by as much as that radius grows.
    followed = FollowedImages(SOLVER, sphere_from(1.0), BEHIND)
    assert len(followed.images) == 2
    outwards = followed.images / np.linalg.norm(followed.images, axis=1)[:, np.newaxis]
    for growth in (1e-5, 0.1):
        images = followed.solve(sphere_from(1.0 + growth), BEHIND).array
        np.testing.assert_allclose(images, followed.images + growth * outwards, rtol=1e-9)


def test_images_are_followed_to_those_that_the_solver_finds():
    followed = FollowedImages(SOLVER, sphere_from(1.0), BEHIND)
    tracer, centre = sphere_from(1.05, centre=(0.02, -0.01)), (0.12, 0.28)
    images = followed.solve(tracer, centre).array
    expected = SOLVER.solve(tracer, centre).array
    for image in images:
        assert np.linalg.norm(expected - image, axis=1).min() < 0.02


def test_image_that_is_gone_cannot_be_followed():
    followed = FollowedImages(SOLVER, sphere_from(1.0), BEHIND)
    with pytest.raises(RuntimeError, match="has no counterpart"):
        followed.solve(sphere_from(0.2), BEHIND)


def test_images_that_merged_cannot_be_followed():
    mass = al.mp.Isothermal(ell_comps=(0.2, 0.0), einstein_radius=1.0)
    tracer = al.Tracer(galaxies=[al.Galaxy(redshift=0.5, mass=mass), al.Galaxy(1.0)])
    followed = FollowedImages(SOLVER, tracer, (0.0, 0.1))
    assert len(followed.images) == 4
    with pytest.raises(RuntimeError, match="has no counterpart"):
        followed.solve(tracer, (0.0, 0.3))


def test_images_of_a_point_in_another_plane_are_not_followed():
    followed = FollowedImages(SOLVER, sphere_from(1.0), BEHIND)
    with pytest.raises(ValueError, match="plane at redshift 0.7"):
        followed.solve(sphere_from(1.0), BEHIND, plane_redshift=0.7)


@pytest.mark.parametrize("total_galaxies", [1, 5])
def test_two_parameters_drive_all_galaxies_of_the_cluster(total_galaxies):
    model = cluster_model_from(total_galaxies)
    (vector,) = vectors_from_priors(model, total=1)
    instance = model.instance_from_vector(vector)
    paths, _ = zip(*jax.tree_util.tree_leaves_with_path(instance), strict=True)
    names = list(map(jax.tree_util.keystr, paths))
    assert len(names) == 10
    assert names[-2:] == [".scaling_relation.sigma", ".scaling_relation.r_cut"]

    def total_b0(instance):
        galaxies = list(instance.galaxies)[1:-1]
        assert len(galaxies) == total_galaxies
        return sum(galaxy.mass.b0 for galaxy in galaxies)

    # The strength of a mass is proportional to the square of its velocity dispersion.
    gradient = jax.grad(total_b0)(instance)
    assert gradient.scaling_relation.sigma == pytest.approx(
        2.0 * total_b0(instance) / instance.scaling_relation.sigma, rel=1e-12
    )
    assert gradient.scaling_relation.r_cut == 0.0


def test_masses_of_the_galaxies_follow_from_their_luminosities():
    instance = cluster_model_from(5).instance_from_prior_medians()
    relation = instance.scaling_relation
    _, *galaxies, _ = instance.galaxies
    luminosities = [(g.mass.sigma / relation.sigma) ** 4 for g in galaxies]
    assert len(set(luminosities)) == 5
    for galaxy, luminosity in zip(galaxies, luminosities, strict=True):
        assert LUMINOSITIES[0] <= luminosity <= LUMINOSITIES[1]
        assert galaxy.mass.r_cut / relation.r_cut == pytest.approx(luminosity**0.5)


def test_instances_of_the_cluster_scatter_as_wide_as_its_priors():
    model = cluster_model_from(1)
    vectors = np.array(vectors_from_priors(model, total=2000))
    priors = [model.object_for_path(path) for path in model.unique_prior_paths]
    for values, prior in zip(vectors.T, priors, strict=True):
        assert values.mean() == pytest.approx(prior.mean, abs=0.1 * prior.sigma)
        assert values.std() == pytest.approx(prior.sigma, rel=0.1)
