"""
Write docs/coverage.md: what works under JAX, class by class.

    uv run python docs/coverage.py

Takes a few minutes. What the table says works is computed and compared with NumPy and
with finite differences by tests/test_every_class.py; what it says does not work was asked
of the libraries without the patch too.
"""

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))
os.environ["CLASS_EXAMPLES"] = "2"  # nothing is left out

import autolens_patch  # noqa: E402, F401, I001  (before the libraries' JAX is used)

from catalogue import NOT_COVERED, TOO_SLOW, classes  # noqa: E402
from proof import proof_of  # noqa: E402
from tqdm import tqdm  # noqa: E402

TEXT = """\
# Every class under JAX

Written by `uv run python docs/coverage.py`, checked by `tests/test_every_class.py`.

Each class is made in two ways, by a model and by hand, and each public numerical method
of its kind is computed on NumPy, under `jax.jit`, under `jax.vmap` over different objects
and under `jax.grad` by each of its numbers (redshifts and other arguments that are
structure are fixed). *yes*: every method, both ways; *some*: not
every method; *no*: none; *-*: the class has no numbers. The last column says which method
fails first where, and how: **the libraries without the patch fail there in the same way**
(asked in a process of their own when the table is checked, so that an entry must go when
the libraries learn to do it).

Gaps that are the patch's own: {gaps}.

| class | by model | by hand | `jit` | `vmap` | `grad` | not possible in the libraries |
| --- | --- | --- | --- | --- | --- | --- |
{rows}

## Not in the table

{others}
"""


def main():
    rows, gaps = [], 0
    for name in tqdm(classes(), disable=None):
        try:
            row = proof_of(name).row()
        except AssertionError as gap:
            gaps += 1
            row = [f"`{name}`", *["**gap**"] * 5, str(gap).replace("|", "/")]
        rows.append("| " + " | ".join(row) + " |")
    left_out = {**NOT_COVERED, **TOO_SLOW}
    others = [f"- `{name}`: {reason}" for name, reason in left_out.items()]
    text = TEXT.format(rows="\n".join(rows), gaps=gaps, others="\n".join(others))
    (HERE / "coverage.md").write_text(text)
    print(f"{len(rows)} classes, gaps of the patch: {gaps}")


if __name__ == "__main__":
    main()
