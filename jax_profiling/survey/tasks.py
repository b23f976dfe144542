"""
The lenses of a survey as tasks of a Dask cluster, whose workers may come and go.

A lens does not depend on any other, and is written when it ends: a task that is begun
anew on another worker goes on with the lenses that have not ended.
"""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

logger = logging.getLogger(__name__)


def fit_in_tasks(
    fit: Callable, names: Sequence[str], scheduler_file: Path, lenses_a_task: int
) -> None:
    """
    Fit lenses on the workers of a Dask cluster.

    A task whose worker is lost is given to another, by default three times
    (``distributed.scheduler.allowed-failures``). A worker needs one thread, since
    ``survey.fit`` shares its work out over all cores or devices that it has.

    Parameters
    ----------
    fit
        A function of a list of names that calls ``survey.fit`` for these lenses, in a
        folder that every worker can write to. It is pickled; what it returns is not kept.
    names
        The names of all lenses.
    scheduler_file
        The file of ``dask scheduler --scheduler-file``.
    lenses_a_task
        How many lenses a task has. Not few, since each task compiles for itself.

    Raises
    ------
    ImportError
        If Dask is not installed.
    Exception
        Whatever a task raised.
    """
    try:
        from distributed import Client, as_completed
    except ImportError as error:
        raise ImportError(
            "tasks need Dask's scheduler: pip install distributed"
        ) from error

    def task(some: Sequence[str]) -> None:
        fit(some)

    groups = [
        names[first : first + lenses_a_task]
        for first in range(0, len(names), lenses_a_task)
    ]
    with Client(scheduler_file=str(scheduler_file)) as client:
        tasks = client.map(task, groups, pure=False)
        for count, ended in enumerate(as_completed(tasks), start=1):
            ended.result()
            logger.info(f"{count} of {len(tasks)} tasks")
