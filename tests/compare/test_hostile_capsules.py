"""A stranger's capsule may hold any configuration; comparing it ends in a verdict all the same."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bridge.capsule import Capsule, LayerState, ModelState, Probe
from bridge.compare.config_normal_form import compare_configs
from bridge.compare.stages import compare_runs
from bridge.rounding.rules import RULES, Layer
from bridge.runs.reference import reference
from tests.compare_samples import Sample, grid, judge_layer, two_layers
from tests.examples import examples

KEYS = [
    "activation", "alpha", "axis", "class_name", "config", "data_format", "dtype", "input_layers",
    "layers", "max_value", "name", "negative_slope", "offset", "output_layers", "scale",
    "target_shape", "threshold", "units", "value", "batch_input_shape", "batch_shape",
]  # fmt: skip
WORDS = ["relu", "softmax", "hard_sigmoid", "channels_first", "LeakyReLU", "Activation", "float32",
         "nan", "-inf", "1e999", "dense", ""]  # fmt: skip

leaves = st.one_of(
    st.none(), st.booleans(), st.sampled_from(WORDS), st.text(max_size=5),
    st.sampled_from([0, 1, -1, -2, 2, 3, 10**30, -(10**400), 2**62, 2**63]),
    st.floats(allow_nan=False),
)  # fmt: skip
json_values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)
    ),
    max_leaves=8,
)
configs = st.dictionaries(st.sampled_from(KEYS), json_values, max_size=6)
classes = st.sampled_from([*sorted(RULES), "Lambda", "mine:Dense", "", "keras.layers.ReLU"])


@examples(200)
@given(cls=classes, config=configs, generation=st.sampled_from([0, 2, 3]), rank=st.integers(0, 3))
def test_no_configuration_makes_a_rule_crash(
    cls: str, config: Any, generation: Any, rank: int
) -> None:
    x = np.ones((2,) * rank, np.float32)
    weights = {"kernel": np.ones((2, 2), np.float32)} if cls == "Dense" else {}
    found = judge_layer(Layer("it", cls, config, weights, generation), [x], [x])
    assert found.verdict in ("same-bits", "within-rounding", "different", "abstained")
    assert found.why or found.verdict != "abstained"


@examples(150)
@given(cls=classes, one=configs, other=configs)
def test_any_two_configurations_can_be_compared(cls: str, one: Any, other: Any) -> None:
    def state(config: Any) -> ModelState:
        layer = LayerState(name="it", cls=cls, config=config, inbound=("it",))
        return ModelState(id=1, cls="keras.Model", keras="", name="", layers=(layer,),
                          config=config)  # fmt: skip

    deciding, telling = compare_configs(state(one), state(other))
    for unlike in (*deciding, *telling):
        assert unlike.spell(state(one))
        assert unlike.tell()
    assert compare_configs(state(one), state(one)) == ([], [])


@examples(200)
@given(
    config=configs,
    cls=classes,
    model=st.sampled_from(["keras.Sequential", "keras.Model", "mine.Model"]),
    inbound=st.lists(st.sampled_from(["dense", "dense_1", "gone"]), max_size=2),
    state=st.sampled_from([-1, 0, 1, 7]),
)
def test_a_capsule_whose_parts_do_not_fit_is_compared_and_evaluated(
    config: Any, cls: str, model: str, inbound: list[str], state: int
) -> None:
    honest = Sample().predict(two_layers(), grid()).capsule()
    (known,), (probe,) = honest.manifest.states, honest.manifest.probes
    layer = known.layers[1].model_copy(
        update={"cls": cls, "config": config, "inbound": tuple(inbound)}
    )
    bent = known.model_copy(
        update={"cls": model, "layers": (known.layers[0], layer), "config": config}
    )
    manifest = honest.manifest.model_copy(
        update={"states": (bent,), "probes": (probe.model_copy(update={"state": state}),)}
    )
    run = Capsule(manifest, honest.arrays)
    for other in (honest, run, reference(run)):
        assert compare_runs(run, other).verdict
        assert compare_runs(other, run).verdict


def test_probes_without_anything_are_compared() -> None:
    kinds: list[Any] = ["predict", "call", "evaluate", "fit", "train", "value"]
    probes = tuple(Probe(index=number, kind=kind) for number, kind in enumerate(kinds))
    manifest = Sample().capsule().manifest.model_copy(update={"probes": probes})
    run = Capsule(manifest, {})
    found = compare_runs(run, run)
    assert [each.verdict for each in found.probes] == ["abstained"] * len(kinds)
    assert compare_runs(run, reference(run)).verdict == "abstained"
