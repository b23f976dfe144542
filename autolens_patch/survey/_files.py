"""What a survey writes: a row and the posterior of each lens, when it ends."""

import json
import uuid
from pathlib import Path

import pandas


class Folder:
    """
    The folder of a survey.

    ::

        survey.json              what was fitted, and how
        rows/<lens>.parquet      one row of the table
        posteriors/<lens>.parquet  draws, a column for each parameter

    Every file is written under another name and then renamed, so that one that is there
    is whole, whenever the survey is killed; the row comes last.

    Parameters
    ----------
    path
        The folder. It is made when something is written.
    """

    def __init__(self, path):
        self.path = Path(path)

    def claim(self, survey: dict):
        """
        Say what is fitted in the folder.

        Parameters
        ----------
        survey
            What the results depend on, as JSON has it.

        Raises
        ------
        ValueError
            If another survey was fitted in it.
        """
        file = self.path / "survey.json"
        if not file.exists():
            self._write(file, json.dumps(survey, indent=1).encode())
        try:
            before = dict(json.loads(file.read_text()))
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{file} cannot be read, so that it is not known what was fitted in its "
                "folder: give the survey another one"
            ) from error
        differing = [
            key for key in {**before, **survey} if before.get(key) != survey.get(key)
        ]
        if differing:
            raise ValueError(
                f"{self.path} has the results of another survey, whose "
                f"{' and '.join(sorted(differing))} differ: give this one another "
                "folder, or delete that"
            )

    def has_ended(self, name: str) -> bool:
        """Whether there is a row of a lens."""
        return self._row(name).exists()

    def forget(self, name: str):
        """Remove the row of a lens, which is then fitted again."""
        self._row(name).unlink(missing_ok=True)

    def write(self, name: str, row: dict, draws: pandas.DataFrame | None):
        """Write what was found of a lens."""
        if draws is not None:
            self._write(self.path / "posteriors" / f"{name}.parquet", draws.to_parquet())
        table = pandas.DataFrame([row])
        self._write(self._row(name), table.to_parquet())

    def row(self, name: str) -> dict:
        """The row of a lens that has ended."""
        return self._read(self._row(name)).iloc[0].to_dict()

    def has_fitted(self) -> bool:
        """Whether a lens was fitted."""
        return any((self.path / "posteriors").glob("*.parquet"))

    def table(self) -> pandas.DataFrame:
        """All rows, by the name of the lens."""
        rows = sorted((self.path / "rows").glob("*.parquet"))
        if not rows:
            raise FileNotFoundError(f"no lens of a survey has ended in {self.path}")
        table = pandas.concat(map(self._read, rows), ignore_index=True)
        return table.set_index("lens").sort_index()

    def draws(self, name: str) -> pandas.DataFrame:
        """The draws of a lens."""
        return pandas.read_parquet(self.path / "posteriors" / f"{name}.parquet")

    def _read(self, file: Path) -> pandas.DataFrame:
        try:
            return pandas.read_parquet(file)
        except (OSError, ValueError) as error:
            raise ValueError(
                f"{file} is damaged: delete it, and the lens is fitted again"
            ) from error

    def _row(self, name: str) -> Path:
        return self.path / "rows" / f"{name}.parquet"

    def _write(self, file: Path, content: bytes):
        file.parent.mkdir(parents=True, exist_ok=True)
        # Processes that write the same file do not write into each other's.
        part = file.with_name(f".{uuid.uuid4().hex}")
        part.write_bytes(content)
        part.replace(file)


def table(folder) -> pandas.DataFrame:
    """
    What a survey has found so far, one row a lens.

    Parameters
    ----------
    folder
        The folder of the survey (:func:`autolens_patch.survey.fit`).

    Returns
    -------
    A table whose index are the names of the lenses. A parameter has three columns: its
    median by its name, and the limits of its 68% interval by ``<name> lower`` and
    ``<name> upper``. ``state`` is ``"fitted"`` or ``"failed"``, and ``flags`` says why
    it failed, or what is to be known of a fit; it is empty if all is well.
    ``chi_squared`` is that of the highest posterior for each datum (where a pixelization
    is fitted, with its regularization).

    Raises
    ------
    FileNotFoundError
        If no lens has ended in the folder.
    """
    return Folder(folder).table()


def draws(folder, lens: str) -> pandas.DataFrame:
    """
    The draws from the posterior of a lens.

    Parameters
    ----------
    folder
        The folder of the survey.
    lens
        The name of the lens.

    Returns
    -------
    A table with a column for each parameter, and the columns ``chain`` and
    ``log_posterior``. ``batch.instances_from(model, draws)`` makes instances of it.
    """
    return Folder(folder).draws(lens)
