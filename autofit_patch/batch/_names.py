"""
The names of leaves: ``galaxies.lens.mass.einstein_radius``.
"""

import difflib

from jax.tree_util import keystr, tree_leaves_with_path


def names(tree) -> list[str]:
    """
    The name of every leaf, in the order of the leaves.

    A parameter that components share has one leaf and one name.

    Examples
    --------
    >>> batch.names(instance)
    ['galaxies.lens.mass.centre.centre_0', 'galaxies.lens.mass.centre.centre_1', ...]
    """
    return [name_from(path) for path, _ in tree_leaves_with_path(tree)]


def name_from(path) -> str:
    """The name of the leaf at a key path of JAX."""
    return keystr(path).removeprefix(".")


def positions_from(tree, wanted) -> list[int]:
    """
    The positions of named leaves.

    Raises
    ------
    KeyError
        If the tree has no leaf of a name. The message lists those most like it.
    """
    position_of = {name: index for index, name in enumerate(names(tree))}
    for name in wanted:
        if name not in position_of:
            raise KeyError(unknown_name(name, list(position_of)))
    return [position_of[name] for name in wanted]


def unknown_name(name: str, known: list[str]) -> str:
    """The message for a name that no leaf has."""
    near = nearest(str(name), known)
    if not known:
        return f"there is no parameter {name!r}: nothing here is free"
    text = f"there is no parameter {name!r}; the nearest of {len(known)} are:"
    return "\n  ".join([text, *near]) + (
        "\nA parameter that components share goes by the name that batch.names lists."
    )


def nearest(name: str, known: list[str], count: int = 5) -> list[str]:
    """The known names that are most like a name: by their ends first, then as a whole."""

    def likeness(other):
        ends = [text.rsplit(".", 1)[-1] for text in (name, other)]
        return sum(
            difflib.SequenceMatcher(None, *pair).ratio()
            for pair in ((name, other), ends, ends)
        )

    return sorted(known, key=likeness, reverse=True)[:count]
