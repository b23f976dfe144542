"""
Many lenses at once: data sets are pytrees too.

::

    from autofit_patch import batch
    from autolens_patch import survey

    datasets = survey.stack([dataset_0, dataset_1, ...])
    values = batch.map(survey.likelihood())(instances, datasets)

    survey.fit(model, {"lens_0": dataset_0, "lens_1": dataset_1}, folder="output/survey")
    survey.table("output/survey")

Attributes
----------
stack, groups, common_frame
    Data sets as one, and which of them can be.
likelihood
    The log likelihood as a function of an instance and a data set.
fit
    The posteriors of many lenses.
table, draws
    What was found.
"""

from autolens_patch.survey._files import draws, table
from autolens_patch.survey._fit import fit
from autolens_patch.survey._likelihood import likelihood
from autolens_patch.survey._stack import common_frame, groups, stack

__all__ = ["common_frame", "draws", "fit", "groups", "likelihood", "stack", "table"]
