"""Levers: what there is, what it is called, and where it can be pulled."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest

from bridge.capsule import Manifest
from bridge.facts.causes import is_cause
from bridge.facts.ops import PASSES
from bridge.process.pool import Limits, Pool
from bridge.runs import levers as module
from bridge.runs.levers import (
    EXACT_LEVERS,
    LEVERS,
    OFF_BY_DEFAULT,
    Lever,
    LeverError,
    available,
    find_lever,
    isa_levers,
    together,
    without,
)
from bridge.runs.twin import run_twin

AGREED = [
    "eager", "graph", "xla", "xla-off", "call", "onednn-off", "one-thread", "float64", "cpu-only",
    "batch-1", "grappler-off", "remapping-off", "constant-folding-off", "arithmetic-off",
    "layout-off", "dependency-off", "loop-off", "function-off", "shape-off", "common-subgraph-off",
    "scoped-allocator-off", "pin-to-host-off", "implementation-selector-off",
    "auto-mixed-precision-off", "debug-stripper-off", "backend-numpy", "backend-jax",
    "backend-torch", "onednn-isa-sse41", "onednn-isa-avx", "onednn-isa-avx2",
    "onednn-isa-avx512-core", "onednn-isa-avx512-core-vnni", "onednn-isa-avx512-core-bf16",
    "xla-isa-sse4-2", "xla-isa-avx", "xla-isa-avx2", "xla-isa-avx512", "xla-isa-avx512-vnni",
    "xla-isa-avx512-bf16",
]  # fmt: skip


def test_every_agreed_lever_is_there_under_its_own_name() -> None:
    assert set(AGREED) <= set(LEVERS)
    assert all(lever.name == name for name, lever in LEVERS.items())


def test_the_levers_of_exact_probes_are_those_that_leave_the_way_of_running_alone() -> None:
    assert list(EXACT_LEVERS) == ["onednn-off", "remapping-off", "one-thread"]


def test_every_pass_has_a_lever_that_names_its_cause() -> None:
    for name in PASSES:
        lever = LEVERS[f"{name.replace('_', '-')}-off"]
        assert lever.grappler_pass == name
        assert is_cause(f"grappler:{lever.grappler_pass}")
    of_passes = {f"{name.replace('_', '-')}-off" for name in PASSES}
    others = [lever for lever in LEVERS.values() if lever.name not in of_passes]
    assert {lever.grappler_pass for lever in others} == {""}


def test_a_pass_whose_switch_disables_is_turned_off_by_turning_that_on() -> None:
    assert LEVERS["model-pruning-off"].optimizer == (("disable_model_pruning", True),)
    assert LEVERS["remapping-off"].optimizer == (("remapping", False),)


def test_several_passes_are_turned_off_by_one_lever_in_whatever_order_they_are_named() -> None:
    lever = without(["arithmetic", "constant-folding"])
    assert lever == without(["constant_folding", "arithmetic"])
    assert lever.name == "constant-folding+arithmetic-off"
    assert lever.passes == ("constant_folding", "arithmetic")
    assert lever.grappler_pass == ""
    assert find_lever(lever.name) == lever


def test_an_unknown_lever_or_pass_is_answered_with_the_near_ones_and_all() -> None:
    with pytest.raises(LeverError, match="near it are: remapping-off") as told:
        find_lever("remaping-off")
    assert all(name in str(told.value) for name in LEVERS)
    with pytest.raises(LeverError, match="no pass 'folding'"):
        without(["folding"])
    with pytest.raises(LeverError, match="no lever 'remapping\\+nothing-off'"):
        find_lever("remapping+nothing-off")


def test_levers_are_pulled_together_unless_they_contradict_each_other() -> None:
    both = together([LEVERS["one-thread"], LEVERS["remapping-off"], LEVERS["onednn-off"]])
    assert both == Lever(
        "one-thread + remapping-off + onednn-off", env=(("TF_ENABLE_ONEDNN_OPTS", "0"),),
        optimizer=(("remapping", False),), threads=1,
    )  # fmt: skip
    assert together([]) is None
    assert together([LEVERS["eager"]]) is LEVERS["eager"]
    with pytest.raises(LeverError, match="'eager' and 'xla' contradict"):
        together([LEVERS["eager"], LEVERS["xla"]])


def test_what_a_job_is_told_says_all_that_a_lever_does() -> None:
    told = {key for lever in LEVERS.values() for key, value in lever.params().items() if value}
    assert told == {
        "name", "optimizer", "threads", "way", "dtype", "rows", "backend", "hide_gpus",
    }  # fmt: skip
    assert LEVERS["onednn-off"].warm(3).env == (("TF_ENABLE_ONEDNN_OPTS", "0"),)


def test_another_back_end_is_refused_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LeverError, match="needs Keras 3"):
        LEVERS["backend-numpy"].warm(2)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(LeverError, match="pip install jax scipy"):
        LEVERS["backend-numpy"].warm(3)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    assert LEVERS["backend-numpy"].warm(3).env == (("KERAS_BACKEND", "numpy"),)


def test_only_levers_that_can_make_a_difference_here_are_available(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    third, second = available(3), available(2)
    assert [name for name in third if name not in second] == [
        "backend-numpy", "backend-jax", "backend-torch",
    ]  # fmt: skip
    assert not [name for name in third if LEVERS[name].grappler_pass in OFF_BY_DEFAULT]
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    assert available(3) == second


OLD = ("sse4_1", "sse4_2", "avx")
NEW = (*OLD, "avx2", "avx512f", "avx512bw", "avx512_vnni")


def test_a_library_is_only_held_down_to_less_than_the_processor_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert isa_levers(()) == []
    assert isa_levers(OLD) == ["onednn-isa-sse41", "xla-isa-sse4-2"]
    newer = isa_levers(NEW)
    assert "onednn-isa-avx512-core" in newer
    assert "xla-isa-avx512" in newer
    assert not [name for name in newer if name.endswith(("vnni", "bf16", "amx"))]
    monkeypatch.setattr(module, "cpu_flags", lambda: OLD)
    there = [name for name in available(3) if "-isa-" in name]
    assert there == ["onednn-isa-sse41", "xla-isa-sse4-2"]


def test_holding_xla_down_keeps_the_flags_that_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=false")
    flags = "--xla_cpu_enable_fast_math=false --xla_cpu_max_isa=AVX2"
    assert LEVERS["xla-isa-avx2"].warm(3).env == (("XLA_FLAGS", flags),)
    both = together([LEVERS["xla-isa-avx2"], LEVERS["onednn-isa-avx2"]])
    assert both is not None
    assert dict(both.warm(3).env) == {"XLA_FLAGS": flags, "ONEDNN_MAX_CPU_ISA": "AVX2"}


@pytest.mark.parametrize("found", [True, False])
def test_hiding_devices_is_only_worth_trying_where_there_is_a_sign_of_one(
    found: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if found:
        (tmp_path / "tensorflow-plugins").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.setattr(module, "_DRIVERS", ())
    assert ("cpu-only" in available(3)) is found
    assert ("plugin-off" in available(3)) is found


@pytest.mark.tf
def test_the_switches_of_all_passes_but_one_are_those_that_tensorflow_knows() -> None:
    from tensorflow.core.protobuf import rewriter_config_pb2
    from tensorflow.python.eager import context

    fields = {each.name for each in rewriter_config_pb2.RewriterConfig.DESCRIPTOR.fields}
    assert set(PASSES.values()) <= fields
    source = Path(context.__file__).read_text()
    body = source.partition("def get_optimizer_experimental_options")[2].partition("\n  def set_")[
        0
    ]
    known = set(re.findall(r'rewriter_(?:toggle|bool)\("(\w+)"\)', body))
    # This one Python takes and ignores; it is handed on by us.
    assert set(PASSES.values()) - known == {"common_subgraph_elimination"}
    assert known - set(PASSES.values()) == {"disable_meta_optimizer"}


SCRIPT = """
import os
import numpy as np
import tensorflow as tf
if os.environ.get("TF_USE_LEGACY_KERAS") == "1":
    import tf_keras as keras
else:
    import keras
@tf.function(jit_compile=True)
def compiled(x):
    return tf.nn.relu(x), tf.constant(tf.executing_eagerly())
print("eager", bool(compiled(tf.constant([1.0]))[1]))
print("xla", compiled.experimental_get_compiler_ir(tf.constant([1.0]))() is not None
      if compiled._jit_compile else False)
model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, activation="relu"),
                          keras.layers.Dense(2)])
print("dtype", model.predict(np.ones((5, 3)), verbose=0).dtype)
"""


@pytest.mark.tf
@pytest.mark.parametrize("generation", [2, 3])
def test_a_script_runs_under_each_lever_in_a_process_of_its_own(
    generation: int, pool: Pool, tmp_path: Path
) -> None:
    path = tmp_path / "twin.py"
    path.write_text(SCRIPT)
    found: dict[str, list[Manifest]] = {}
    for name in ("", "eager", "xla-off", "float64", "remapping-off", "one-thread", ""):
        lever = LEVERS[name] if name else None
        made = run_twin(pool, "case", path, generation, Limits(), lever)
        assert made.manifest.status == "ok", made.manifest.error
        assert made.manifest.lever == (name or None)
        found.setdefault(name, []).append(made.manifest)
    with pytest.raises(LeverError, match="keras-bridge replay FILE --lever batch-1"):
        run_twin(pool, "case", path, generation, Limits(), LEVERS["batch-1"])
    (plain, again), (eager,), (off,) = (found[name] for name in ("", "eager", "xla-off"))
    assert said(plain) == said(again) == {"eager": "False", "xla": "True", "dtype": "float32"}
    assert said(eager)["eager"] == "True"
    assert said(off)["xla"] == "False"
    assert [each.probes[0].eager for each in (plain, eager, again)] == [False, True, False]
    assert eager.probes[0].executed is None
    (wide,) = found["float64"]
    assert said(wide)["dtype"] == "float64"
    assert any("float type is float64" in note for note in wide.notes)
    for manifest, fused in ((plain, True), (found["remapping-off"][0], False), (again, True)):
        executed = manifest.probes[0].executed
        assert executed is not None
        assert ("_FusedMatMul[BiasAdd,Relu]" in executed.fingerprint()) is fused
    threads = [each.environment.threads for each in (plain, found["one-thread"][0], again)]
    assert threads == [(0, 0), (1, 1), (0, 0)]


def said(manifest: Manifest) -> dict[str, str]:
    """Return what the script printed, by its first word."""
    text = "".join(each.text for each in manifest.output)
    return dict(re.findall(r"^(eager|xla|dtype) (\w+)$", text, re.M))
