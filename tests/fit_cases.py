"""
A small fit of every kind that the analyses of the libraries make. Programs without the
patch use them too.
"""

from dataclasses import dataclass
from functools import cache, partial

import autofit as af
import autogalaxy as ag
import autolens as al
import numpy as np

#: A plausible value of each parameter.
VALUES = {
    "centre_0": 0.03,
    "centre_1": -0.05,
    "ell_comps_0": 0.1,
    "ell_comps_1": -0.06,
    "einstein_radius": 1.2,
    "gamma_1": 0.04,
    "gamma_2": -0.03,
    "intensity": 0.8,
    "effective_radius": 0.5,
    "sersic_index": 1.5,
    "coefficient": 1.2,
    "inner_coefficient": 1.2,
    "outer_coefficient": 0.6,
    "signal_scale": 0.9,
    "scale": 0.8,
    "flux": 1.1,
    "background_sky_level": 0.05,
    "grid_offset_0": 0.06,
    "grid_offset_1": -0.04,
    "major_axis": 0.9,
    "multipole_comps_0": 0.02,
    "multipole_comps_1": 0.03,
}

IMAGE = {"shape_native": (15, 15), "pixel_scales": 0.3}


@dataclass
class Case:
    """A model, and what makes the analysis of its data when called with ``use_jax``."""

    model: af.Collection
    analysis_from: partial

    @property
    def vector(self) -> np.ndarray:
        """A point of the model: no two of its parameters have the same value."""
        names = [path[-1] for path in self.model.unique_prior_paths]
        factors = np.linspace(1.0, 1.1, len(names))
        return np.array([VALUES[name] for name in names]) * factors

    def instance_from(self, factor: float = 1.0) -> af.ModelInstance:
        return self.model.instance_from_vector(factor * self.vector)


@cache
def tracer() -> al.Tracer:
    """The lens and the source in the data."""
    lens = al.Galaxy(
        redshift=0.5,
        light=al.lp.Sersic(intensity=1.0, effective_radius=0.6),
        mass=al.mp.Isothermal(ell_comps=(0.1, -0.05), einstein_radius=1.25),
    )
    source = al.Galaxy(
        redshift=1.0,
        light=al.lp.Sersic(centre=(0.05, 0.1), intensity=1.5, effective_radius=0.3),
    )
    return al.Tracer(galaxies=[lens, source])


@cache
def imaging() -> al.Imaging:
    simulator = al.SimulatorImaging(
        exposure_time=1000.0,
        psf=al.Convolver.from_gaussian(
            shape_native=(3, 3), sigma=0.3, pixel_scales=0.3, normalize=True
        ),
        background_sky_level=0.1,
        noise_seed=1,
    )
    grid = al.Grid2D.uniform(**IMAGE)
    dataset = simulator.via_tracer_from(tracer=tracer(), grid=grid)
    dataset = dataset.apply_mask(mask=al.Mask2D.circular(radius=2.0, **IMAGE))
    return dataset.apply_over_sampling(
        over_sample_size_lp=2, over_sample_size_pixelization=2
    )


@cache
def interferometer() -> al.Interferometer:
    simulator = al.SimulatorInterferometer(
        uv_wavelengths=np.random.default_rng(1).normal(scale=1e5, size=(20, 2)),
        exposure_time=100.0,
        noise_sigma=0.1,
        noise_seed=1,
    )
    grid = al.Grid2D.uniform(**IMAGE)
    dataset = simulator.via_tracer_from(tracer=tracer(), grid=grid)
    return al.Interferometer(
        data=dataset.data,
        noise_map=dataset.noise_map,
        uv_wavelengths=dataset.uv_wavelengths,
        real_space_mask=al.Mask2D.circular(radius=2.0, **IMAGE),
        transformer_class=al.TransformerDFT,
    )


def adapt_images() -> al.AdaptImages:
    """The image by which meshes and regularizations adapt, and a mesh in the image."""
    name = "('galaxies', 'source')"
    mesh_grid = al.image_mesh.Overlay(shape=(5, 5)).image_plane_mesh_grid_from(
        mask=imaging().mask
    )
    return al.AdaptImages(
        galaxy_name_image_dict={name: imaging().data},
        galaxy_name_image_plane_mesh_grid_dict={name: mesh_grid},
    )


def lens_model_from(source: dict, lens: dict | None = None, **others) -> af.Collection:
    """The model of a lens with mass, and of a source with the given components."""
    lens = af.Model(
        al.Galaxy,
        redshift=0.5,
        mass=al.mp.Isothermal,
        shear=al.mp.ExternalShear,
        **(lens or {}),
    )
    source = af.Model(al.Galaxy, redshift=1.0, **source)
    return af.Collection(galaxies=af.Collection(lens=lens, source=source), **others)


def galaxy_model_from(**components) -> af.Collection:
    galaxy = af.Model(ag.Galaxy, redshift=0.5, **components)
    return af.Collection(galaxies=af.Collection(galaxy=galaxy))


def offset_sky() -> af.Model:
    """A sky of free brightness, and an image that is not where it should be."""
    model = af.Model(al.DatasetModel)
    model.grid_offset.grid_offset_0 = af.UniformPrior(-1.0, 1.0)
    model.grid_offset.grid_offset_1 = af.UniformPrior(-1.0, 1.0)
    return model


def basis():
    return al.model_util.mge_model_from(mask_radius=1.0, total_gaussians=2)


def pixelization(mesh, regularization) -> dict:
    model = af.Model(al.Pixelization, mesh=mesh, regularization=regularization)
    return {"pixelization": model}


#: Its shape is the only thing that a rectangular mesh is made from.
RECTANGULAR = al.mesh.RectangularUniform(shape=(4, 4))


def delaunay() -> al.mesh.Delaunay:
    """The mesh with a vertex at each point of the grid in the adapt images."""
    grids = adapt_images().galaxy_name_image_plane_mesh_grid_dict
    return al.mesh.Delaunay(pixels=sum(map(len, grids.values())), zeroed_pixels=0)


def image_fit(model, **settings) -> Case:
    return Case(model, partial(al.AnalysisImaging, imaging(), **settings))


def pixelized(mesh, regularization) -> Case:
    """A fit of a pixelized source, whose mesh and regularization adapt to its image."""
    source = pixelization(mesh, regularization)
    return image_fit(lens_model_from(source), adapt_images=adapt_images())


def visibility_fit(**source) -> Case:
    model = lens_model_from(source)
    return Case(model, partial(al.AnalysisInterferometer, interferometer()))


def galaxy_image_fit(**components) -> Case:
    model = galaxy_model_from(**components)
    return Case(model, partial(ag.AnalysisImaging, imaging()))


def galaxy_visibility_fit(**components) -> Case:
    model = galaxy_model_from(**components)
    return Case(model, partial(ag.AnalysisInterferometer, interferometer()))


def ellipse_fit(major_axis=0.9, **others) -> Case:
    ellipses = [af.Model(ag.Ellipse, major_axis=major_axis)]
    model = af.Collection(ellipses=ellipses, **others)
    return Case(model, partial(ag.AnalysisEllipse, imaging()))


def point_fit(profile, observed: dict | None = None, **fit_classes) -> Case:
    """
    A fit of a point source.

    Parameters
    ----------
    profile
        The class of the point source.
    observed
        Its fluxes or time delays.
    fit_classes
        What fits the positions, the fluxes and the time delays.
    """
    observed = observed or {}
    dataset = al.PointDataset(
        name="point",
        positions=[(1.3, 0.1), (-1.0, -0.2), (0.1, -1.2), (0.2, 1.15)],
        positions_noise_map=0.05,
        **observed,
        **{f"{name}_noise_map": 0.5 for name in observed},
    )
    solver = al.PointSolver.for_grid(
        grid=al.Grid2D.uniform(shape_native=(20, 20), pixel_scales=0.2),
        pixel_scale_precision=0.05,
    )
    analysis_from = partial(al.AnalysisPoint, dataset, solver, **fit_classes)
    return Case(lens_model_from({"point": profile}), analysis_from)


def shear_fit(**kwargs) -> Case:
    random = np.random.default_rng(1)
    shear = ag.ShearYX2DIrregular(
        values=0.1 * random.normal(size=(6, 2)),
        grid=al.Grid2DIrregular(3.0 * random.normal(size=(6, 2))),
    )
    dataset = al.WeakDataset(shear_yx=shear, noise_map=0.1, **kwargs)
    return Case(lens_model_from({}), partial(al.AnalysisWeak, dataset))


FLUXES = {"fluxes": [1.0, 2.0, 1.5, 0.5]}
TIME_DELAYS = {"time_delays": [3.0, 5.0, 0.0, 1.0]}
REDSHIFTS = [0.8, 0.9, 1.0, 1.2, 0.4, 2.0]

#: Each is made when it is called.
CASES = {
    "image": lambda: image_fit(
        lens_model_from({"light": al.lp.Sersic}, {"light": al.lp.Sersic})
    ),
    "image with a sky": lambda: image_fit(
        lens_model_from({"light": al.lp.Sersic}, dataset_model=af.Model(al.DatasetModel))
    ),
    "image with a sky and an offset": lambda: image_fit(
        lens_model_from({"light": al.lp.Sersic}, dataset_model=offset_sky())
    ),
    "image, linear light": lambda: image_fit(
        lens_model_from({"light": al.lp_linear.Sersic}, {"bulge": basis()})
    ),
    "image, rectangular mesh": lambda: pixelized(RECTANGULAR, al.reg.Constant),
    "image, mesh of the density": lambda: pixelized(
        al.mesh.RectangularBilinearAdaptDensity(shape=(4, 4)), al.reg.GaussianKernel
    ),
    "image, mesh of the brightness": lambda: pixelized(
        al.mesh.RectangularBilinearAdaptImage(shape=(4, 4)), al.reg.Adapt
    ),
    "image, Delaunay mesh": lambda: pixelized(delaunay(), al.reg.ConstantSplit),
    "image, linear light and mesh": lambda: image_fit(
        lens_model_from(pixelization(RECTANGULAR, al.reg.Constant), {"bulge": basis()})
    ),
    "visibilities": lambda: visibility_fit(light=al.lp.Sersic),
    "visibilities, linear light": lambda: visibility_fit(bulge=basis()),
    "visibilities, rectangular mesh": lambda: visibility_fit(
        **pixelization(RECTANGULAR, al.reg.Constant)
    ),
    "galaxy image": lambda: galaxy_image_fit(light=ag.lp.Sersic),
    "galaxy image, linear light": lambda: galaxy_image_fit(bulge=basis()),
    "galaxy image, rectangular mesh": lambda: galaxy_image_fit(
        **pixelization(RECTANGULAR, al.reg.Constant)
    ),
    "galaxy visibilities": lambda: galaxy_visibility_fit(light=ag.lp.Sersic),
    "galaxy visibilities, rectangular mesh": lambda: galaxy_visibility_fit(
        **pixelization(RECTANGULAR, al.reg.Constant)
    ),
    "ellipse": lambda: ellipse_fit(),
    "ellipse with a multipole": lambda: ellipse_fit(
        multipoles=[[af.Model(ag.EllipseMultipole, m=4)]]
    ),
    "ellipse of free size": lambda: ellipse_fit(af.UniformPrior(0.0, 2.0)),
    "positions, solved": lambda: point_fit(al.ps.PointSolved),
    "positions, all pairs": lambda: point_fit(
        al.ps.Point, fit_positions_cls=al.FitPositionsImagePairAll
    ),
    "positions, repeated pairs": lambda: point_fit(
        al.ps.Point, fit_positions_cls=al.FitPositionsImagePairRepeat
    ),
    "positions, pairs": lambda: point_fit(
        al.ps.Point, fit_positions_cls=al.FitPositionsImagePair
    ),
    "positions in the source": lambda: point_fit(
        al.ps.Point, fit_positions_cls=al.FitPositionsSource
    ),
    "positions in the source, solved": lambda: point_fit(
        al.ps.PointSolved, fit_positions_cls=al.FitPositionsSourceSolved
    ),
    "fluxes": lambda: point_fit(
        al.ps.PointFlux, FLUXES, fit_positions_cls=al.FitPositionsSource
    ),
    "fluxes, solved": lambda: point_fit(
        al.ps.Point,
        FLUXES,
        fit_positions_cls=al.FitPositionsSource,
        fit_flux_cls=al.FitFluxesSolved,
    ),
    "time delays": lambda: point_fit(
        al.ps.Point, TIME_DELAYS, fit_positions_cls=al.FitPositionsImagePairAll
    ),
    "time delays, solved": lambda: point_fit(
        al.ps.Point,
        TIME_DELAYS,
        fit_positions_cls=al.FitPositionsSource,
        fit_time_delays_cls=al.FitTimeDelaysSolved,
    ),
    "shear": lambda: shear_fit(),
    "reduced shear": lambda: shear_fit(redshifts=REDSHIFTS, is_reduced=True),
}
