"""What a survey is given: names, constants and options, as its files have them."""

import hashlib
from collections.abc import Mapping, Sequence
from itertools import pairwise

import autofit as af
import jax
import numpy as np
from autofit.mapper.identifier import Identifier

from autofit_patch.pytree._keys import key_from

#: Most file systems take names of 255 bytes.
LONGEST_NAME = 200


def named_from(datasets) -> dict:
    """The data sets by name."""
    if isinstance(datasets, Mapping):
        named = dict(datasets)
    elif isinstance(datasets, Sequence):
        named = {f"{index:05}": each for index, each in enumerate(datasets)}
    else:
        raise TypeError(
            "survey.fit expected data sets in a list, or in a dictionary by the names of "
            f"the lenses, and was given a {type(datasets).__name__} (a stack of data "
            "sets is taken apart by batch.unstack)"
        )
    if not named:
        raise ValueError("survey.fit was given no data set")
    for name in named:
        if not isinstance(name, str) or not name or set(name) & set('/\\\0:*?"<>|'):
            raise ValueError(
                f"the name of a lens is that of its files: {name!r} cannot be"
            )
        if len(name) > LONGEST_NAME:
            raise ValueError(
                f"the name of a lens is that of its files, and has at most "
                f"{LONGEST_NAME} characters, not {len(name)}"
            )
    folded = [name.lower() for name in named]
    if len(set(folded)) < len(folded):
        raise ValueError("two lenses have names that differ in their capitals alone")
    return named


def constants_from(model, names: list, constants: Mapping | None) -> dict:
    """The constants of each lens, by its name."""
    constants = dict(constants or {})
    parameters = [".".join(path) for path in model.unique_prior_paths]
    # A shared parameter has more than one path.
    for paths, _ in model.all_paths_prior_tuples:
        known = [name for name in map(".".join, paths) if name in constants]
        if len(known) > 1:
            raise ValueError(f"{' and '.join(known)} are one parameter of the model")
        for name in known:
            (unique,) = {".".join(path) for path in paths} & set(parameters)
            constants[unique] = constants.pop(name)
    if unknown := [name for name in constants if name not in parameters]:
        raise ValueError(
            f"{', '.join(unknown)} is no parameter of the model, which has "
            f"{', '.join(parameters)}"
        )
    columns = {name: np.asarray(values, float) for name, values in constants.items()}
    for name, values in columns.items():
        if values.shape != (len(names),) or not np.isfinite(values).all():
            raise ValueError(
                f"the constant {name} has the shape {values.shape}: a finite number for "
                f"each of {len(names)} lenses was expected"
            )
    check_redshifts(model, names, columns)
    if len(columns) == len(parameters):
        raise ValueError(
            "all parameters of the model are constants: nothing is to be fitted"
        )
    return {
        lens: {name: values[index] for name, values in columns.items()}
        for index, lens in enumerate(names)
    }


def check_redshifts(model, names: list, columns: dict) -> None:
    """
    Raise an error where galaxies could be out of order: by redshifts that are traced the
    libraries do not sort them, and each such galaxy is a plane of its own.
    """
    known = {
        prior: columns[name]
        for paths, prior in model.all_paths_prior_tuples
        for name in map(".".join, paths)
        if name in columns
    }
    redshifts = {
        ".".join(map(str, path)): value
        for path, value in model.path_instance_tuples_for_class((float, int, af.Prior))
        if path[-1] == "redshift"
    }
    # A galaxy's may be shared with another parameter, or made of others.
    galaxies = {
        f"galaxies.{name}.redshift": galaxy.redshift
        for name, galaxy in getattr(model, "galaxies", af.Collection()).items()
        if hasattr(galaxy, "redshift")
    }
    redshifts |= galaxies
    traced = [name for name, z in redshifts.items() if not isinstance(z, (float, int))]
    if unknown := [
        name
        for name in traced
        if not (isinstance(redshifts[name], af.Prior) and redshifts[name] in known)
    ]:
        raise ValueError(
            f"{' and '.join(unknown)} would be traced, and the libraries sort galaxies "
            "by redshifts that they know: make it a number, or give that of each lens in "
            "constants"
        )
    if not traced:
        return
    if others := redshifts.keys() - galaxies.keys():
        raise ValueError(
            f"{', '.join(sorted(others))} beside {' and '.join(traced)}: with redshifts "
            "that are constants, all galaxies have to be listed by redshift in the "
            "model's galaxies"
        )
    for (before, _), (after, _) in pairwise(galaxies.items()):
        lower, upper = (
            known[galaxies[name]] if name in traced else galaxies[name]
            for name in (before, after)
        )
        is_traced = before in traced or after in traced
        wrong = np.broadcast_to(
            upper <= lower if is_traced else upper < lower, len(names)
        )
        if wrong.any():
            lenses = [name for name, each in zip(names, wrong, strict=True) if each]
            raise ValueError(
                f"{after} is not above {before} for {', '.join(lenses[:3])}"
                f"{' and others' if len(lenses) > 3 else ''}: by redshifts that are "
                "constants the libraries do not sort galaxies, so that the model has to "
                "list them by redshift"
            )


def described(model, structure) -> dict:
    """What a model is, as text: its structure, and the numbers of its priors."""
    priors = {
        ".".join(path): [type(prior).__name__, *map(float, jax.tree.leaves(prior))]
        for path, prior in model.path_priors_tuples
    }
    return {
        "model": str(Identifier([model])),
        "structure": str(structure).splitlines(),
        "priors": priors,
    }


def digest_of(value) -> str:
    """What an option is: one that has the same in it is the same."""
    digest = hashlib.sha256(repr(key_from(value)).encode()).hexdigest()
    return f"{type(value).__name__} {digest[:12]}"


def seed_of(name: str, seed: int) -> int:
    """The seed of a lens, whichever others there are."""
    digest = hashlib.sha256(f"{seed} {name}".encode()).digest()
    return int.from_bytes(digest[:4], "little") >> 1
