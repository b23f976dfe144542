"""
A round trip of every public class that JAX was given, for the check of an installation.

The classes are found by walking the public modules of PyAutoLens, so that those of a
newer release are checked too.
"""

import inspect
import numbers
from collections import defaultdict
from dataclasses import dataclass, field

import autofit as af
import autolens as al
import jax
import numpy as np

from autofit_patch.pytree._registration import is_registered

#: The kind of the classes that are in no module of PyAutoLens but the first.
TOP = "al"

#: Constructor arguments that have no default, by name.
VALUES = {"n": 2, "m": 0, "n_y": 1, "n_x": 2, "pixels": 12, "shape": (4, 4)}


@dataclass
class Kind:
    """
    What became of the classes of a kind.

    Attributes
    ----------
    by_model, by_hand
        The classes whose objects were made by a model, or only by hand, and came back.
    not_made
        Those of which no object could be made without being told its arguments.
    failed
        Those whose objects did not come back as they were, with what went wrong.
    """

    by_model: list[str] = field(default_factory=list)
    by_hand: list[str] = field(default_factory=list)
    not_made: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    def __str__(self):
        parts = []
        if self.by_model:
            parts.append(f"{len(self.by_model)} by a model")
        if self.by_hand:
            parts.append(f"{len(self.by_hand)} by hand")
        if self.not_made:
            parts.append(f"{len(self.not_made)} not made ({', '.join(self.not_made)})")
        if self.failed:
            parts.append(f"{len(self.failed)} failed")
        return ", ".join(parts)


def classes() -> dict[str, dict[str, type]]:
    """
    The public classes that JAX was given, by kind and name, without those which are for
    the libraries' own tests.
    """
    found, seen = defaultdict(dict), set()
    modules = {
        name: module
        for name, module in vars(al).items()
        if inspect.ismodule(module) and "mock" not in module.__name__
    }
    for kind, module in (modules | {TOP: al}).items():
        for name, cls in vars(module).items():
            if inspect.isclass(cls) and is_registered(cls) and cls not in seen:
                seen.add(cls)
                found[kind][name] = cls
    return dict(found)


def check_every_class() -> dict[str, Kind]:
    """
    Make an object of every class, by a model if the libraries have priors for it or else
    by hand, and see that it comes back as it was.

    Returns
    -------
    What became of the classes, by kind.
    """
    return {kind: checked(members) for kind, members in classes().items()}


def checked(members: dict[str, type]) -> Kind:
    """What became of the classes of a kind, which are given by name."""
    kind = Kind()
    for name, cls in members.items():
        made = made_by_model(cls) or made_by_hand(cls)
        if made is None:
            kind.not_made.append(name)
            continue
        try:
            problem = problem_of(*made)
        except Exception as error:
            problem = f"{error!r}"
        if problem is not None:
            kind.failed[name] = problem
        else:
            (kind.by_hand if made[1] is None else kind.by_model).append(name)
    return kind


def composed() -> dict[type, dict]:
    """The arguments of models whose components have no default, by class."""
    galaxy = {"redshift": 0.5, "light": al.lp.Sersic, "mass": al.mp.Isothermal}
    found = {
        al.Galaxy: galaxy,
        al.lp_basis.Basis: {"profile_list": [al.lp.Gaussian, al.lp.Sersic]},
        al.Pixelization: {
            "mesh": al.mesh.RectangularUniform(shape=(4, 4)),
            "regularization": al.reg.Constant,
        },
    }
    if hasattr(al, "MassField"):
        found[al.MassField] = {"redshift": 0.5, "shear": al.mp.ExternalShear}
    return found


def made_by_model(cls: type) -> tuple | None:
    """An object made by a model with the default priors, and the model."""
    try:
        model = af.Model(cls, **composed().get(cls, {}))
        instance = model.instance_from_prior_medians()
    except Exception:
        return None
    return (instance, model) if type(instance) is cls else None


def made_by_hand(cls: type) -> tuple | None:
    """An object made with the default arguments, if there are any."""
    if cls in (al.Galaxies, al.Tracer):
        mass = al.mp.Isothermal(einstein_radius=1.5)
        arguments = {"galaxies": [al.Galaxy(redshift=0.5, mass=mass)]}
    else:
        arguments = {
            name: VALUES[name]
            for name, parameter in inspect.signature(cls).parameters.items()
            if parameter.default is parameter.empty and name in VALUES
        }
    try:
        return cls(**arguments), None
    except Exception:
        return None


def problem_of(obj, model) -> str | None:
    """
    What is wrong with an object that JAX takes apart and puts together again.

    Parameters
    ----------
    obj
        The object.
    model
        The model that made it from the medians of its priors, or ``None``.

    Returns
    -------
    A text, or ``None`` if nothing is wrong.
    """
    leaves, structure = jax.tree_util.tree_flatten_with_path(obj)
    found = {jax.tree_util.keystr(path): value for path, value in leaves}
    if model is not None:
        names = ["." + ".".join(path) for path in model.unique_prior_paths]
        medians = model.physical_values_from_prior_medians
        expected = dict(zip(names, medians, strict=True))
        if [*found.items()] != [*expected.items()]:
            return f"its leaves are {found}, and the model's parameters {expected}"
    rebuilt = jax.tree.unflatten(structure, found.values())
    if type(rebuilt) is not type(obj):
        return f"it comes back as a {type(rebuilt).__name__}"
    if jax.tree.structure(rebuilt) != structure:
        return "it comes back with another structure"
    held = numbers_of(obj)
    for name, number in numbers_of(rebuilt).items():
        if not np.array_equal(number, held.pop(name, None), equal_nan=True):
            return f"it comes back with another {name}: {number}"
    return f"it comes back without {', '.join(held)}" if held else None


def numbers_of(obj) -> dict:
    """
    The attributes of an object that are numbers, tuples of them or arrays, without those
    by which the libraries count their objects.
    """
    counters = {"id", *getattr(obj, "__exclude_identifier_fields__", ())}
    kinds = (numbers.Number, np.ndarray, jax.Array)

    def is_number(value):
        entries = value if isinstance(value, tuple) and value else (value,)
        return all(isinstance(entry, kinds) for entry in entries)

    return {
        name: value
        for name, value in vars(obj).items()
        if name not in counters and is_number(value)
    }
