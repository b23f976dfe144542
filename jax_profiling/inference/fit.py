"""
Inference: MGE lens model, from the prior to the posterior
==========================================================

Fits the lens that `mge.py` profiles, from the prior, with a search of PyAutoFit, and
compares what it finds with what was simulated:

    python fit.py
    python fit.py --search nautilus

`posterior` is `autofit_patch.posterior.Search`, which maximises from many starts and
then draws by the No-U-Turn sampler, with gradients in coordinates in which the prior of
every parameter is a standard normal distribution. `blackjax_nuts` is PyAutoFit's own
search with gradients, started near the maximum that `posterior` finds; `nautilus` is its
nested sampler. All are given the same model, data and analysis.

It prints a table by parameter, writes a figure of the fit and a corner plot with the
truth, and fails if a parameter is further from the truth than `--tolerance` of its
standard deviations, or the chains disagree.
"""

import autolens_patch  # noqa: F401

# isort: split

import logging
import time
from pathlib import Path

import autofit as af
import autolens as al
import corner
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from autonerves import conf

from autofit_patch import posterior
from jax_profiling.dataset import imaging_from
from jax_profiling.model import mge_model_from, true_vector_from
from jax_profiling.options import (
    GAUSSIANS,
    add_size,
    options_from,
    parser_from,
)

FOLDER = Path(__file__).resolve().parents[1]
SEARCHES = ("posterior", "blackjax_nuts", "nautilus")

"""
__Options__
"""
parser = parser_from(
    description="Fit an MGE lens model from the prior, and compare with the truth.",
    examples=(
        "  python fit.py\n"
        "  python fit.py --instrument euclid --search nautilus\n"
        "  python fit.py --quick"
    ),
    output=FOLDER / "results" / "inference",
)
parser.add_argument(
    "--search",
    choices=SEARCHES,
    default="posterior",
    help="the search (default: %(default)s)",
)
add_size(parser, *GAUSSIANS[:3], 20)
add_size(parser, "--starts", "how many points are maximised", 16, 8)
add_size(parser, "--effective", "how many effective draws are enough", 1000, 100)
add_size(parser, "--seed", "the seed of the search", 1, 1)
add_size(parser, "--sub-pixels", "N x N sub-pixels in each pixel, at least", 2, 2)
parser.add_argument(
    "--tolerance",
    type=float,
    default=4.0,
    metavar="SIGMA",
    help="how far from the truth a parameter may be (default: %(default)s)",
)
options = options_from(parser)

logging.getLogger("autofit").setLevel(logging.WARNING)
matplotlib.use("Agg")
# What PyAutoFit writes of every search.
conf.instance.output_path = str(options.output / "output")

"""
__Dataset, Model, Analysis__

The Gaussians are evaluated together, which all of the searches gain from.
"""
dataset = imaging_from(
    instrument=options.instrument, folder=FOLDER / "dataset" / "imaging"
)
# The scripts that time a likelihood evaluate one sub-pixel where light changes slowly. A
# fit has to be more accurate than its noise.
sub_pixels = np.maximum(np.array(dataset.grids.lp.over_sample_size), options.sub_pixels)
dataset = dataset.apply_over_sampling(
    over_sample_size_lp=al.Array2D(values=sub_pixels, mask=dataset.mask)
)
model = mge_model_from(total_gaussians=options.gaussians)
truth = true_vector_from(model)
autolens_patch.evaluate_together()
analysis = al.AnalysisImaging(dataset=dataset, use_jax=True)

"""
__Search__
"""


#: Fits of other data or models are other fits.
tag = f"gaussians_{options.gaussians}_sub_pixels_{options.sub_pixels}"


def posterior_search() -> posterior.Search:
    return posterior.Search(
        name=f"{options.instrument.name}_posterior",
        unique_tag=tag,
        starts=options.starts,
        effective=options.effective,
        rhat=1.01 if options.effective >= 1000 else 1.05,
        chains=2 if options.quick else 4,
        seed=options.seed,
    )


def nuts_search(start: af.Result) -> af.BlackJAXNUTS:
    return af.BlackJAXNUTS(
        name=f"{options.instrument.name}_blackjax_nuts",
        unique_tag=tag,
        num_chains=4,
        # A third of a standard deviation apart: PyAutoFit takes no equal ones.
        initializer=start.start_point_from(n_points=4, jitter=0.3),
        seed=options.seed,
    )


def search_from(name: str) -> af.NonLinearSearch:
    if name == "posterior":
        return posterior_search()
    if name == "nautilus":
        return af.Nautilus(
            name=f"{options.instrument.name}_nautilus", unique_tag=tag, seed=options.seed
        )
    start = posterior_search().fit(model=model, analysis=analysis)
    return nuts_search(start)


search = search_from(options.search)
begin = time.perf_counter()
result = search.fit(model=model, analysis=analysis)
seconds = time.perf_counter() - begin
samples = result.samples

"""
__Table__

Medians and 68% intervals of what the search drew, beside the truth.
"""
names = posterior.prior_space(model).names
values, weights = np.array(samples.parameter_lists), np.array(samples.weight_list)
info = samples.samples_info


def quantiles_from(column: np.ndarray) -> np.ndarray:
    return corner.quantile(column, [0.16, 0.5, 0.84], weights=weights)


quantiles = np.array([quantiles_from(column) for column in values.T])
below, median, above = quantiles.T
deviations = (median - truth) / (0.5 * (above - below))
rhat = info.get("rhat_per_param", [np.nan] * len(names))
effective = info.get("ess_per_param", [np.nan] * len(names))

width = max(map(len, names))
print(
    f"{'parameter':<{width}}{'truth':>10}{'median':>10}{'-':>9}{'+':>9}"
    f"{'sigmas':>8}{'R-hat':>8}{'effective':>11}"
)
for row in zip(
    names, truth, median, median - below, above - median, deviations, rhat, effective,
    strict=True,
):  # fmt: skip
    name, *numbers = row
    print(
        f"{name:<{width}}{numbers[0]:>10.4f}{numbers[1]:>10.4f}{numbers[2]:>9.4f}"
        f"{numbers[3]:>9.4f}{numbers[4]:>8.2f}{numbers[5]:>8.3f}{numbers[6]:>11.0f}"
    )
highest = max(samples.log_likelihood_list)
print(
    f"{type(search).__name__}: {seconds:.0f} s, {len(values)} samples, the highest log "
    f"likelihood {highest:.2f}"
)
for name in ("starts", "starts_at_the_maximum", "n_divergent", "n_logl_evals"):
    if name in info:
        print(f"{name.replace('_', ' ')}: {info[name]}")

"""
__Figures__

The data, the model at the highest likelihood, the residuals in units of the noise, and
the source without a lens in front of it; and the corner plot.
"""
fit = al.FitImaging(
    dataset=dataset,
    tracer=al.Tracer(galaxies=list(result.max_log_likelihood_instance.galaxies)),
)
source = fit.tracer_linear_light_profiles_to_light_profiles.galaxies[-1]
centre = np.array(source.bulge.profile_list[0].centre)
grid = al.Grid2D.uniform(shape_native=(80, 80), pixel_scales=0.02, origin=tuple(centre))
panels = (
    ("data", fit.data.native, "viridis", dataset.pixel_scales[0], (0.0, 0.0)),
    ("model", fit.model_data.native, "viridis", dataset.pixel_scales[0], (0.0, 0.0)),
    (
        "normalized residuals",
        fit.normalized_residual_map.native,
        "RdBu_r",
        dataset.pixel_scales[0],
        (0.0, 0.0),
    ),
    ("source", source.image_2d_from(grid=grid).native, "viridis", 0.02, centre),
)
figure, axes = plt.subplots(1, 4, figsize=(17, 4), layout="constrained")
for ax, (title, image, colours, scale, (y, x)) in zip(axes, panels, strict=True):
    image = np.asarray(image)
    half = 0.5 * scale * np.array(image.shape)
    extent = (x - half[1], x + half[1], y - half[0], y + half[0])
    limits = {"vmin": -4.0, "vmax": 4.0} if colours == "RdBu_r" else {}
    shown = ax.imshow(image, cmap=colours, extent=extent, **limits)
    ax.set(title=title, xlabel="x (arcsec)", ylabel="y (arcsec)")
    figure.colorbar(shown, ax=ax)
options.output.mkdir(parents=True, exist_ok=True)
stem = f"{options.instrument.name}_{options.search}"
figure.savefig(options.output / f"{stem}_fit.png", dpi=80)


def short(name: str) -> str:
    """The galaxy, the profile and the parameter, a line each."""
    _, galaxy, profile, *_, parameter = name.split(".")
    return f"{galaxy}\n{profile}\n{parameter}"


# Contours of a few hundred samples are of none in most places.
enough = len(values) >= 1000
figure = corner.corner(
    values,
    fig=plt.figure(figsize=(22, 22)),
    weights=weights,
    labels=list(map(short, names)),
    truths=truth,
    # Samples of Nautilus without a weight are from all of the prior.
    range=[0.999] * len(names),
    max_n_ticks=2,
    plot_contours=enough,
    plot_density=enough,
    plot_datapoints=not enough,
    label_kwargs={"fontsize": 10},
    labelpad=0.25,
)
# The labels are outside of where `corner` ends the figure.
figure.savefig(options.output / f"{stem}_corner.png", dpi=60, bbox_inches="tight")
print(
    f"Written: {options.output / stem}_fit.png and _corner.png; {search.paths.image_path}"
)

"""
__Checks__
"""
far = {
    name: deviation
    for name, deviation in zip(names, deviations, strict=True)
    if abs(deviation) > options.tolerance
}
if far:
    raise SystemExit(f"further than {options.tolerance} sigma from the truth: {far}")
if np.nanmax(rhat, initial=1.0) >= 1.05:
    raise SystemExit(f"the chains disagree: R-hat of the worst parameter {max(rhat):.3f}")
