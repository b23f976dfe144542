"""
What differs between an instance and what its model makes, for people to read.
"""

from autofit_patch.pytree._contents import MISSING, attribute_from
from autofit_patch.pytree._keys import same, same_number
from autofit_patch.pytree.by_model._layout import Layout
from autofit_patch.pytree.by_model._reading import has_entries, was_extended
from autofit_patch.pytree.by_model._structure import ModelStructure


def differences(structure: ModelStructure, instance, given: tuple) -> list[str]:
    """
    What of an instance is not as its model makes it, a line for each.

    Parameters
    ----------
    structure
        The structure of the model's instances.
    instance
        An instance that the model made.
    given
        The values of the parameters that it was made with.

    Returns
    -------
    Lines such as ``galaxies.lens.redshift: 0.7, the model has 0.5``. A parameter that was
    set is no difference, unless it was set at some of its places only.
    """
    found: list[str] = []
    values_of: dict[int, dict] = {}
    compare(structure.layout, instance, "", found, values_of)
    for index, values in values_of.items():
        (first, value), *others = values.items()
        if any(not same_number(value, other) for _, other in others):
            listed = ", ".join(f"{path} = {held!r}" for path, held in values.items())
            found.append(f"{structure.names[index]} has several values: {listed}")
    return found


def compare(layout: Layout, obj, path: str, found: list, values_of: dict):
    """Find the differences of an object and of those below it."""

    def at(name):
        return f"{path}.{name}" if path else str(name)

    if type(obj) is not layout.cls:
        what = "is missing" if obj is MISSING else f"a {type(obj).__name__}"
        found.append(f"{path or 'it'}: {what}, the model has a {layout.cls.__name__}")
        return
    for name, index in layout.scalars:
        held = attribute_from(obj, name)
        if held is MISSING:
            found.append(f"{at(name)}: is missing, the model has a parameter")
        else:
            values_of.setdefault(index, {})[at(name)] = held
    for name, cls, shape, free, fixed in layout.arrays:
        held = attribute_from(obj, name)
        if not has_entries(held, cls, shape):
            kind = "a tuple" if cls is tuple else "an array"
            found.append(f"{at(name)}: {shown(held)}, the model has {kind} {shape}")
            continue
        for position, index in free:
            values_of.setdefault(index, {})[f"{at(name)}[{position}]"] = held[position]
        for position, value in fixed:
            if not same_number(held[position], value):
                found.append(
                    f"{at(name)}[{position}]: {shown(held[position])}, the model has "
                    f"{shown(value)}"
                )
    for name, value in layout.constants:
        held = attribute_from(obj, name)
        if not same(held, value):
            found.append(f"{at(name)}: {shown(held)}, the model has {shown(value)}")
    attributes = layout.attributes_of(obj)
    if was_extended(layout, attributes):
        found += [
            f"{at(name)}: {shown(attributes[name])}, the model has nothing"
            for name in attributes.keys() - layout.names
            if not str(name).startswith("_")
        ]
    for name, child in layout.children:
        compare(child, attribute_from(obj, name), at(name), found, values_of)


def shown(value) -> str:
    """A value as it is shown to people, on one line."""
    if value is MISSING:
        return "is missing"
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"a {type(value).__name__}"
