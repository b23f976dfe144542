"""Importing the patch again, by reloading it, changes nothing."""

import pytest
from conftest import json_from_python

PROGRAM = """
    import importlib, json
    import autolens_patch
    import autofit as af, autolens as al, jax
    from autofit.mapper.prior_model.abstract import AbstractPriorModel
    from autofit_patch.pytree import _registration

    WRAPPED = {{
        "instance_for_arguments": AbstractPriorModel,
        "instance_from_path_arguments": AbstractPriorModel,
        "__init__": af.Model,
    }}

    def state():
        lens = af.Model(al.Galaxy, redshift=0.5, mass=al.mp.PointMass)
        model = af.Collection(lens=lens)
        instances = [model.instance_from_vector(v) for v in ([0.0, 0.1, 1.0], [0.2] * 3)]
        traces = []
        function = jax.jit(lambda i: traces.append(i) or i.lens.mass.einstein_radius**2)
        values = [float(jax.grad(function)(instance).lens.mass.einstein_radius)
                  for instance in instances]
        paths, _ = jax.tree_util.tree_flatten_with_path(al.Tracer([instances[0].lens]))
        depths = []
        for name, cls in WRAPPED.items():
            function, depth = getattr(cls, name), 0
            while hasattr(function, "__wrapped__"):
                function, depth = function.__wrapped__, depth + 1
            depths.append((depth, function.__qualname__))
        return json.dumps([
            values, len(traces), [jax.tree_util.keystr(path) for path, _ in paths],
            depths, sorted(map(str, filter(_registration.is_registered, CLASSES))),
        ])

    CLASSES = {{
        cls for module in (al.lp, al.mp, al.mesh, al.reg, al)
        for cls in vars(module).values() if isinstance(cls, type)
    }}
    before = state()
    for name in {modules}:
        importlib.reload(importlib.import_module(name))
    print(json.dumps([before, state()]))
"""


@pytest.mark.parametrize(
    "modules",
    [
        ["autofit_patch"],
        ["autogalaxy_patch"],
        ["autolens_patch"],
        ["autofit_patch.libraries._patch"],
        ["autofit_patch.libraries._patch", "autofit_patch"],
        ["autofit_patch", "autogalaxy_patch", "autolens_patch"] * 2,
    ],
    ids=" ".join,
)
def test_reloading_is_harmless(modules):
    before, after = json_from_python(PROGRAM.format(modules=modules))
    assert "einstein_radius" in before
    assert after == before
