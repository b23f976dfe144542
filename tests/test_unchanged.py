"""What does not go through JAX is as it was without the patch (rule 9)."""

import textwrap

import pytest
from conftest import json_from_python

#: Printed with and without the patch by two fresh interpreters.
PROGRAM = """
    {first}
    import os, sys
    import copy, json, pickle, random
    import numpy as np
    import autofit as af
    import autolens as al
    from autonerves.dictable import to_dict

    results = dict()
    for name, body in {bodies}.items():
        variables = dict(globals())
        exec(body, variables)
        results[name] = variables["result"]
    assert ("autofit_patch" in sys.modules) == bool("{first}")
    print(json.dumps(results, default=str, sort_keys=True))
"""

MODEL = """
    bulge = al.model_util.mge_model_from(mask_radius=3.0, total_gaussians=3)
    lens = af.Model(
        al.Galaxy, redshift=0.5, bulge=bulge, mass=al.mp.Isothermal,
        shear=al.mp.ExternalShear,
    )
    halo = af.Model(al.Galaxy, redshift=1.0, halo=al.mp.NFWMCRLudlowSph)
    model = af.Collection(galaxies=af.Collection(lens=lens, halo=halo))
    vector = [0.01, -0.02, 0.05, 0.03, 0.02, 0.01, 0.1, -0.05, 1.6, 0.03, -0.02]
    vector = vector + [0.0, 0.1, 1e11, 0.5, 1.5][: model.prior_count - len(vector)]
    instance = model.instance_from_vector(vector)
"""

BODIES = {
    "instance": """
    def held(obj):
        return {
            str(name): held(value) if hasattr(value, "__dict__") else repr(value)
            for name, value in vars(obj).items()
            if name != "id"  # a counter of all objects made so far
        }
    result = held(instance)
""",
    "equality and hash": """
    again = model.instance_from_vector(vector)
    result = [
        instance == again,
        instance.galaxies.lens.mass == again.galaxies.lens.mass,
        instance.galaxies.lens == again.galaxies.lens,
        model == copy.deepcopy(model),
        hash(model) == model.id,
        hash(model.galaxies.lens.mass.einstein_radius),
        al.mp.Isothermal() == al.mp.Isothermal(),
        al.lp_linear.Gaussian() == al.lp_linear.Gaussian(),
    ]
    try:
        hash(instance)
    except TypeError as error:
        result.append(str(error))
""",
    "pickle": """
    twin = pickle.loads(pickle.dumps(instance))
    result = [
        sorted(vars(twin)),
        sorted(vars(twin.galaxies.lens.mass)),
        twin.galaxies.lens.mass.einstein_radius,
        sorted(pickle.loads(pickle.dumps(model)).__dict__),
        "_patch" in str(pickle.dumps(model)),
    ]
""",
    "deep copy": """
    twin = copy.deepcopy(instance)
    twin.galaxies.lens.mass.einstein_radius = 3.0
    result = [
        sorted(vars(twin)),
        instance.galaxies.lens.mass.einstein_radius,
        twin.galaxies.lens.mass.einstein_radius,
        repr(copy.copy(instance).galaxies.lens.bulge.profile_list[1].sigma),
    ]
""",
    "dict": """
    result = [
        to_dict(instance.galaxies.lens),
        model.dict(),
        instance.galaxies.lens.dict(),
        model.identifier,
        model.info,
    ]
""",
    "likelihood": """
    from lens import imaging_from, lens_model_from
    model = lens_model_from()
    analysis = al.AnalysisImaging(dataset=imaging_from(), use_jax=False)
    from autofit.non_linear.fitness import Fitness
    fitness = Fitness(model=model, analysis=analysis, resample_figure_of_merit=-1e99)
    vector = [0.01, -0.02, 0.05, 0.03, 0.02, 0.01, 0.1, -0.05, 1.6, 0.03, -0.02]
    vector = vector + [0.05, 0.1, 0.08, -0.04]
    result = [repr(float(fitness.call(vector))), repr(fitness.call([9.0] * 15))]
""",
    "jax likelihood": """
    from lens import imaging_from, lens_model_from
    model = lens_model_from()
    analysis = al.AnalysisImaging(dataset=imaging_from(), use_jax=True)
    from autofit.non_linear.fitness import Fitness
    fitness = Fitness(model=model, analysis=analysis, resample_figure_of_merit=-1e99)
    vector = [0.01, -0.02, 0.05, 0.03, 0.02, 0.01, 0.1, -0.05, 1.6, 0.03, -0.02]
    vector = np.array(vector + [0.05, 0.1, 0.08, -0.04])
    result = [repr(float(fitness.call_wrap(vector)))]
""",
    "prior passing": """
    passed = model.mapper_from_prior_means(vector, a=0.1)
    result = [
        str(passed.galaxies.lens.mass.einstein_radius.mean),
        passed.prior_count,
        instance.as_model((al.mp.Isothermal,)).prior_count,
        type(af.Model(al.mp.Isothermal).instance_from_prior_medians()).__name__,
    ]
""",
    "exceptions": """
    model = af.Collection(a=af.UniformPrior(0.0, 1.0), b=af.UniformPrior(0.0, 1.0))
    model.add_assertion(model.a < model.b)
    result = []
    for call in (
        lambda: model.instance_from_vector([0.9, 0.1]),
        lambda: model.instance_from_vector([0.9]),
        lambda: model.instance_from_vector([0.9, 0.1], ignore_assertions=True).a,
    ):
        try:
            result.append(call())
        except Exception as error:
            result.append([type(error).__name__, str(error)])
""",
}


@pytest.fixture(scope="module")
def results():
    """What the bodies give with the patch, and without."""
    bodies = {
        name: textwrap.dedent(body if "likelihood" in name else MODEL + body)
        for name, body in BODIES.items()
    }
    return [
        json_from_python(PROGRAM.format(first=first, bodies=bodies))
        for first in ("import autolens_patch", "")
    ]


@pytest.mark.parametrize("name", BODIES)
def test_is_unchanged_by_the_patch(results, name):
    with_patch, without = (result[name] for result in results)
    assert with_patch == without
