"""
Checks of what a likelihood returns against the libraries' NumPy calculation.
"""

from collections.abc import Callable

import autolens as al
import jax
import numpy as np
from scipy.optimize import root

from jax_profiling.timing import progress_from

RTOL = 1e-6
GRADIENT_RTOL = 1e-3

# A parameter of light that the solver switched off has no gradient but rounding errors.
GRADIENT_ATOL = 1e-6

# The steps of the finite differences. Log likelihoods of a good dataset change by their
# own size within 0.01 (arcsec, or of an ellipticity), and are exact to about 1e-10.
STEPS = (4e-4, 1e-4, 2.5e-5, 6.25e-6)


def assert_close(
    actual, desired, what: str, atol: float | None = None, scale=1.0
) -> None:
    """
    Raises an error unless two results agree to `RTOL`.

    Parameters
    ----------
    actual, desired
        The results, of the same shape.
    what
        What they are the results of, for the message.
    atol
        The absolute difference that counts as equal whatever the relative one is. Left
        out, it is a thousandth of `RTOL` times the largest finite entry: the rounding
        errors of a convolution.
    scale
        What both are multiplied by first: inverse uncertainties, for example.

    Raises
    ------
    AssertionError
        If any entry differs by more.
    """
    actual, desired = np.asarray(actual) * scale, np.asarray(desired) * scale
    if atol is None:
        sizes = np.abs(desired)
        atol = 1e-3 * RTOL * np.max(sizes, where=np.isfinite(sizes), initial=0.0)
    np.testing.assert_allclose(
        actual,
        desired,
        rtol=RTOL,
        atol=atol,
        err_msg=f"{what} differs from the NumPy calculation",
    )


def assert_all_close(actual, desired, what: str, **tolerance) -> None:
    """`assert_close` for every array of two pytrees of one structure."""
    for one, other in zip(jax.tree.leaves(actual), jax.tree.leaves(desired), strict=True):
        assert_close(one, other, what, **tolerance)


def gradient_by_differences_from(
    function: Callable[[np.ndarray], float],
    vector: np.ndarray,
    steps: list[tuple[float, ...]] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """
    The gradient of a function by central finite differences.

    A long step has an error of its square, a short one magnifies the function's
    rounding error, and which step is best differs between parameters. Every parameter
    is differenced with all of the steps, and the two neighbouring steps that agree best
    are combined so that the error of the square cancels (Richardson's extrapolation).
    The gradient which is to be checked has no part in the choice.

    Parameters
    ----------
    function
        A function of a vector.
    vector
        Where the gradient is taken; shape (parameters,).
    steps
        The steps for each parameter, each shorter than the last; `STEPS` if left out.

    Returns
    -------
    The gradient, and the difference between the two steps it was made from, which is an
    upper limit of its error; both of shape (parameters,).
    """
    gradient, error = np.empty((2, len(vector)))
    directions = progress_from(np.eye(len(vector)), "parameters")
    steps_of_all = steps or [STEPS] * len(vector)
    for index, direction in enumerate(directions):
        steps = steps_of_all[index]
        differences = np.array(
            [
                (function(vector + h * direction) - function(vector - h * direction))
                / (2.0 * h)
                for h in steps
            ]
        )
        disagreements = np.abs(np.diff(differences))
        best = np.argmin(disagreements)

        squared = (steps[best] / steps[best + 1]) ** 2
        longer, shorter = differences[best : best + 2]
        gradient[index] = (squared * shorter - longer) / (squared - 1.0)
        error[index] = disagreements[best]
    return gradient, error


class FollowedImages:
    """
    The images that a solver of the lens equation finds for one tracer, followed to those
    of tracers nearby.

    A solver halves triangles until they are small, so its images move in steps, and no
    difference of them is a derivative. These move continuously: they are roots of the
    lens equation, found anew for every tracer.

    Parameters
    ----------
    solver
        The solver.
    tracer, source_plane_coordinate
        Where the images start: what the solver is given to find them; (y,x) in arcsec, in
        the last plane.

    Attributes
    ----------
    images
        The images that it finds; shape (images, 2), in arcsec.
    offsets
        How far beside the point each of them is traced to, for the solver stops a little
        beside it. An image keeps its offset; shape (images, 2), in arcsec.
    """

    def __init__(
        self,
        solver: al.PointSolver,
        tracer: al.Tracer,
        source_plane_coordinate: tuple[float, float],
    ):
        self.images = solver.solve(tracer, source_plane_coordinate).array
        self.offsets = _traced_from(self.images, tracer) - source_plane_coordinate
        # An image that moves halfway to another may have become that one.
        separations = np.linalg.norm(self.images[:, np.newaxis] - self.images, axis=2)
        np.fill_diagonal(separations, np.inf)
        self._reach = 0.5 * separations.min(axis=1, initial=np.inf)

    def solve(
        self,
        tracer: al.Tracer,
        source_plane_coordinate: tuple[float, float],
        plane_redshift: float | None = None,
        **_,
    ) -> al.Grid2DIrregular:
        """
        The images of a point behind another tracer, as `PointSolver.solve`; (y,x) in
        arcsec.

        Raises
        ------
        ValueError
            If the point is not in the last plane.
        RuntimeError
            If an image cannot be followed so far: it merged with another, perhaps.
        """
        last = tracer.planes[-1].redshift
        if plane_redshift not in (None, last):
            raise ValueError(
                f"The point is in the plane at redshift {plane_redshift}. Images are "
                f"followed to a point in the last plane only, which is at {last}."
            )
        targets = self.offsets + source_plane_coordinate
        images = np.empty_like(self.images)
        for index, (image, target) in enumerate(zip(self.images, targets, strict=True)):

            def beside(position, target=target):
                return _traced_from(position[np.newaxis], tracer)[0] - target

            solution = root(beside, image, tol=1e-13)
            images[index] = solution.x
            is_root = np.max(np.abs(solution.fun)) < 1e-10
            if not is_root or np.linalg.norm(solution.x - image) > self._reach[index]:
                raise RuntimeError(
                    f"The image at (y,x) = {image} arcsec has no counterpart near it in "
                    "the tracer that it is followed to. Take a tracer that differs less."
                )
        return al.Grid2DIrregular(images)


def _traced_from(positions: np.ndarray, tracer: al.Tracer) -> np.ndarray:
    """Positions of shape (images, 2), in the last plane; (y,x) in arcsec."""
    grid = al.Grid2DIrregular(positions)
    return tracer.traced_grid_2d_list_from(grid=grid)[-1].array


def compared_derivatives_from(names, derivatives, differences, errors) -> dict:
    """
    The derivatives of a gradient beside their finite differences, by name, printed too.

    Parameters
    ----------
    names, derivatives
        The names of the parameters, and the entries of the gradient.
    differences, errors
        Their finite differences, and how well neighbouring steps agree.

    Raises
    ------
    AssertionError
        If one differs.
    """
    entries = {}
    width = max(map(len, names))
    for index, (name, derivative) in enumerate(zip(names, derivatives, strict=True)):
        difference, error = differences[index], errors[index]
        entries[name] = {
            "gradient": derivative,
            "finite_difference": float(difference),
            "finite_difference_error": float(error),
        }
        print(f"  {name:<{width}}{derivative:>18.4f}{difference:>18.4f}")
        np.testing.assert_allclose(
            derivative,
            difference,
            rtol=GRADIENT_RTOL,
            atol=GRADIENT_ATOL,
            err_msg=f"The gradient of {name} differs from its finite difference",
        )
    return entries
