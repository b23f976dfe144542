"""The log likelihood as a function of the data set too."""

from collections.abc import Callable

import autolens as al

from autogalaxy_patch.datasets import FramedImaging


def likelihood(**options) -> Callable:
    """
    The log likelihood as a function of an instance and of a data set.

    Parameters
    ----------
    options
        Those of ``al.AnalysisImaging`` and ``al.AnalysisInterferometer``, but for the
        data set: settings, a cosmology ...

    Returns
    -------
    A function that JAX can transform, by both arguments. It is the analysis's own
    ``log_likelihood_function``; of a data set in a common frame, what it is in its own
    mask.

    Examples
    --------
    >>> log_likelihood = survey.likelihood()
    >>> values = batch.map(log_likelihood)(instances, survey.stack(datasets))
    """
    if "dataset" in options or not options.get("use_jax", True):
        raise ValueError(
            "survey.likelihood is a function of the data set, by JAX: it takes the other "
            "options of an analysis"
        )

    if of_one := {"adapt_images", "positions_likelihood_list"} & options.keys():
        raise ValueError(
            f"{' and '.join(sorted(of_one))} belong to one data set, and would be used "
            "for all of them"
        )

    def log_likelihood(instance, dataset):
        if isinstance(dataset, al.Interferometer):
            analysis = al.AnalysisInterferometer
        elif isinstance(dataset, al.Imaging):
            analysis = al.AnalysisImaging
        else:
            raise TypeError(
                "the log likelihood of a survey takes an instance and an al.Imaging or "
                f"an al.Interferometer, and was given a {type(dataset).__name__}"
            )
        value = analysis(dataset=dataset, **{**options, "use_jax": True})
        value = value.log_likelihood_function(instance)
        if isinstance(dataset, FramedImaging):
            value = value + 0.5 * dataset.noise_normalization_outside
        return value

    return log_likelihood
