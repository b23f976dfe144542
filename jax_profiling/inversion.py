"""
The steps of a likelihood that solves for intensities: a linear inversion.

Notation follows Warren & Dye 2003 (https://arxiv.org/abs/astro-ph/0302587): the data
vector D, the curvature matrix F and the regularization matrix H give the reconstruction
s of (F + H) s = D.
"""

from collections.abc import Callable

import autolens as al
import jax.numpy as jnp
import numpy as np

from jax_profiling.profiler import LikelihoodProfiler


def traced_grids_from(tracer: al.Tracer, grids: list[al.Grid2D], xp=jnp) -> list:
    """
    The (y,x) coordinates of the sub-pixels of grids in every plane, in arcsec.

    Parameters
    ----------
    tracer
        What deflects light.
    grids
        Grids in the image plane.
    xp
        The array module.

    Returns
    -------
    Arrays of shape (sub-pixels, 2): of the first grid in every plane, then of the next.
    """
    return [
        traced.over_sampled.array
        for grid in grids
        for traced in tracer.traced_grid_2d_list_from(grid=grid, xp=xp)
    ]


class InversionProfiler:
    """
    Profiles the steps of an inversion, each with the libraries' own code.

    A step that depends on parameters takes the instance. Every other takes the arrays of
    the steps before it: an inversion keeps each of its matrices once it has computed it,
    and one that is given a matrix continues from there.

    Parameters
    ----------
    profiler
        The profiler of the likelihood.
    dataset
        The dataset that is fitted.
    fit
        The fit of the first instance with NumPy, which the steps are compared with.
    """

    def __init__(
        self,
        profiler: LikelihoodProfiler,
        dataset,
        fit,
    ):
        self.profiler = profiler
        self.dataset = dataset
        self.fit = fit
        #: What each step gave for the first instance, and what computes it.
        self.arrays: dict[str, np.ndarray] = {}
        self.steps: list[tuple[str, tuple[str, ...], Callable]] = []

    def to_inversion_from(self, instance, xp=jnp) -> al.TracerToInversion:
        """What makes the inversion of an instance, and the grids that it needs."""
        tracer = al.Tracer(galaxies=list(instance.galaxies))
        adapt_images = self.profiler.analysis.adapt_images_via_instance_from(
            instance=instance, galaxies=tracer.galaxies, xp=xp
        )
        return al.TracerToInversion(
            dataset=self.dataset, tracer=tracer, adapt_images=adapt_images, xp=xp
        )

    def inversion_from(self, instance):
        """The inversion of an instance; it computes a matrix when it is asked for."""
        return self.to_inversion_from(instance).inversion

    def inversion_given(self, **matrices):
        """An inversion of the same linear objects that has some of its matrices."""
        inversion = al.Inversion(
            dataset=self.dataset,
            linear_obj_list=self.fit.inversion.linear_obj_list,
            xp=jnp,
        )
        for name, matrix in matrices.items():
            setattr(inversion, name, matrix)
        return inversion

    def mapping_matrix(self) -> None:
        """Profiles the mapping matrix, which no later step takes."""
        self.profiler.parameter_step(
            "mapping matrix",
            lambda instance: self.inversion_from(instance).mapping_matrix,
            reference=self.fit.inversion.mapping_matrix,
        )

    def from_instance(self, attribute: str, step: str) -> None:
        """Profiles a matrix that depends on the parameters."""

        def matrix_from(instance):
            return getattr(self.inversion_from(instance), attribute)

        reference = getattr(self.fit.inversion, attribute)
        self._add(
            attribute, (), self.profiler.parameter_step(step, matrix_from, reference)
        )

    def from_arrays(
        self,
        attribute: str,
        step: str,
        given: tuple[str, ...],
        closure: Callable | None = None,
        reference=None,
        **tolerance,
    ) -> None:
        """
        Profiles a step that takes the arrays of others.

        Parameters
        ----------
        attribute
            What it computes, an attribute of the inversion.
        step
            What it is called.
        given
            The attributes that it takes.
        closure
            The step, if not that attribute of an inversion that is given the arrays.
        reference
            What NumPy gives, if not that attribute of the fit's inversion.
        tolerance
            Passed on to `assert_close`.
        """

        def attribute_from(*arrays):
            inversion = self.inversion_given(**dict(zip(given, arrays, strict=True)))
            return getattr(inversion, attribute)

        if reference is None:
            reference = getattr(self.fit.inversion, attribute)
        arrays = [self.arrays[name] for name in given]
        profile = self.profiler.array_step(
            step, closure or attribute_from, arrays, reference, **tolerance
        )
        self._add(attribute, given, profile)

    def _add(self, attribute: str, given: tuple[str, ...], profile) -> None:
        arrays = [self.arrays[name] for name in given] or [self.profiler.instance]
        self.arrays[attribute] = profile(*arrays)
        self.steps.append((attribute, given, profile))

    def chained(self, instance):
        """What the last step gives for an instance, by all steps one after another."""
        arrays = {}
        for attribute, given, profile in self.steps:
            arguments = [arrays[name] for name in given] or [instance]
            arrays[attribute] = profile(*arguments)
        return arrays[attribute]

    def reconstruction(self, matrix: str = "curvature_matrix") -> None:
        """
        Profiles the intensities which fit the data best, none of them negative.

        NumPy solves for them with another algorithm. An intensity that the data say
        nothing about, like that of a Gaussian too narrow to leave light in any sub-pixel,
        can differ between the two. They are therefore compared in units of their
        uncertainty, of which 1e-5 is no difference.

        Parameters
        ----------
        matrix
            The matrix of the linear system: F, or F + H where there is regularization.
        """
        given = ("data_vector", matrix)
        inversion = self.fit.inversion
        scale = np.sqrt(np.diag(getattr(inversion, matrix)))
        self.from_arrays(
            "reconstruction",
            "positive reconstruction",
            given,
            atol=1e-5,
            scale=scale,
        )

    def mapped_reconstruction(self) -> None:
        """Profiles the model data: the columns, each times its intensity."""
        self.from_arrays(
            "mapped_reconstruction",
            "mapped reconstruction",
            ("operated_mapping_matrix", "reconstruction"),
            lambda matrix, reconstruction: (
                al.util.inversion.mapped_reconstructed_data_via_mapping_matrix_from(
                    mapping_matrix=matrix, reconstruction=reconstruction, xp=jnp
                )
            ),
            self.fit.inversion.mapped_reconstructed_operated_data.array,
        )

    def log_likelihood(self) -> None:
        """Profiles the log likelihood, of the chi-squared and the noise normalization."""
        self.from_arrays(
            "log_likelihood",
            "log likelihood",
            ("mapped_reconstruction",),
            lambda mapped: al.util.fit.log_likelihood_from(
                chi_squared=self.chi_squared_from(mapped),
                noise_normalization=self.fit.noise_normalization,
            ),
            self.fit.log_likelihood,
        )

    def log_determinants(self) -> None:
        """Profiles ln det(F + H) and ln det H, over the regularized parameters."""
        for term, matrix in (
            ("log_det_curvature_reg_matrix_term", "curvature_reg_matrix"),
            ("log_det_regularization_matrix_term", "regularization_matrix"),
        ):
            symbol = "F + H" if "curvature" in term else "H"
            self.from_arrays(term, f"log determinant of {symbol}", (matrix,))

    def log_evidence(self) -> None:
        """
        Profiles the log evidence, equation (5) of Suyu et al. 2006
        (https://arxiv.org/abs/astro-ph/0601493): -2 ln E = chi-squared + s H s
        + ln det(F + H) - ln det H + noise normalization.
        """

        def log_evidence_from(mapped, reconstruction, matrix, log_det_both, log_det):
            inversion = self.inversion_given(
                reconstruction=reconstruction, regularization_matrix=matrix
            )
            return al.util.fit.log_evidence_from(
                chi_squared=self.chi_squared_from(mapped),
                regularization_term=inversion.regularization_term,
                log_curvature_regularization_term=log_det_both,
                log_regularization_term=log_det,
                noise_normalization=self.fit.noise_normalization,
            )

        self.from_arrays(
            "log_evidence",
            "log evidence",
            (
                "mapped_reconstruction",
                "reconstruction",
                "regularization_matrix",
                "log_det_curvature_reg_matrix_term",
                "log_det_regularization_matrix_term",
            ),
            log_evidence_from,
            self.fit.log_evidence,
        )

    def chi_squared_from(self, mapped_reconstruction):
        """The chi-squared of the model data of shape (pixels,)."""
        residual_map = al.util.fit.residual_map_from(
            data=self.dataset.data.array, model_data=mapped_reconstruction
        )
        chi_squared_map = al.util.fit.chi_squared_map_from(
            residual_map=residual_map, noise_map=self.dataset.noise_map.array
        )
        return al.util.fit.chi_squared_from(chi_squared_map=chi_squared_map, xp=jnp)
