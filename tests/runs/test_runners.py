"""Twin, replay and look: processes without R that run models and change nothing by looking."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bridge._typing import AnyArray
from bridge.capsule import Capsule, Manifest, Script, read_capsule
from bridge.capsule.schema import Call
from bridge.capsule.values import ArrayValue, Closure, Method, ObjectValue, Scalar, Symbol
from bridge.process.pool import MIB, Limits, Pool, Warm
from bridge.runs.layer_capture import look
from bridge.runs.replay import run_replay
from bridge.runs.twin import run_twin, twin_job

pytestmark = pytest.mark.tf


def twin(pool: Pool, tmp_path: Path, text: str, generation: int = 2) -> Capsule:
    path = tmp_path / "twin.py"
    path.write_text(text)
    return run_twin(pool, "case", path, generation, Limits(seconds=60))


SMALL = """
import numpy as np
import {keras} as keras
model = keras.Sequential([
    keras.layers.InputLayer({shape}=(3,)),
    keras.layers.Dense(4, activation="relu", name="first"),
    keras.layers.Dense(2, name="second"),
])
y = model.predict(np.arange(12, dtype="float32").reshape(4, 3), verbose=0)
"""
SMALL_OF = {
    2: SMALL.format(keras="tf_keras", shape="input_shape"),
    3: SMALL.format(keras="keras", shape="shape"),
}


@pytest.mark.parametrize("generation", [2, 3])
def test_a_prediction_is_recorded_with_its_model_weights_input_and_output(
    pool: Pool, tmp_path: Path, generation: int
) -> None:
    capsule = twin(pool, tmp_path, SMALL_OF[generation], generation)
    assert capsule.manifest.status == "ok"
    (probe,) = capsule.manifest.probes
    assert probe.kind == "predict"
    assert capsule.array(probe.inputs[0]).tolist() == np.arange(12.0).reshape(4, 3).tolist()
    state = capsule.manifest.states[probe.state or 0]
    dense = [layer for layer in state.layers if layer.cls.endswith("Dense")]
    assert [[w.name for w in layer.weights] for layer in dense] == [["kernel", "bias"]] * 2
    x = capsule.array(probe.inputs[0]).astype(np.float64)
    for layer in dense:
        kernel, bias = (capsule.array(weight.array) for weight in layer.weights)
        x = x @ kernel + bias
        x = np.maximum(x, 0) if layer.name == "first" else x
    assert np.abs(x - capsule.array(probe.outputs[0])).max() < 1e-4


@pytest.mark.parametrize("generation", [2, 3])
def test_looking_inside_leaves_the_executed_graph_as_it_was(
    pool: Pool, tmp_path: Path, generation: int
) -> None:
    capsule = twin(pool, tmp_path, SMALL_OF[generation], generation)
    looked = look(pool, capsule, generation, Limits())
    layers = looked.manifest.probes[0].layers
    assert [layer.layer for layer in layers] == ["first", "second"]
    assert [layer.graph_unchanged for layer in layers] == [True, True]
    last = looked.array(layers[-1].outputs[0])
    assert last.tobytes() == looked.array(looked.manifest.probes[0].outputs[0]).tobytes()
    assert layers[1].inputs[0].key == layers[0].outputs[0].key


def test_a_model_with_code_of_its_own_is_not_built_again(pool: Pool, tmp_path: Path) -> None:
    text = """
import numpy as np
import keras
model = keras.Sequential([keras.layers.InputLayer(shape=(1,)), keras.layers.Lambda(lambda x: -x)])
model.predict(np.ones((2, 1)), verbose=0)
"""
    looked = look(pool, twin(pool, tmp_path, text, 3), 3, Limits())
    (probe,) = looked.manifest.probes
    assert probe.layers == ()
    assert any("not Keras' own" in note for note in probe.notes)


def test_training_is_recorded_with_its_curve_and_the_weights_before_it(
    pool: Pool, tmp_path: Path
) -> None:
    text = """
import numpy as np
import tf_keras as keras
model = keras.Sequential([keras.layers.Dense(1, kernel_initializer="ones", input_shape=(1,))])
model.compile(keras.optimizers.SGD(0.01), "mse")
x = np.arange(4.0).reshape(4, 1)
model.fit(x, 3 * x, epochs=3, verbose=0, shuffle=False)
"""
    capsule = twin(pool, tmp_path, text)
    (probe,) = capsule.manifest.probes
    assert probe.kind == "fit"
    assert len(probe.curves["loss"]) == 3
    assert probe.curves["loss"][0] > probe.curves["loss"][2]
    before = capsule.manifest.states[probe.state or 0].layers[-1].weights[0]
    assert capsule.array(before.array).tolist() == [[1.0]]


def test_a_labelled_error_is_recorded_and_survived(pool: Pool, tmp_path: Path) -> None:
    text = """
from contextlib import suppress
from bridge import probe
with suppress(ValueError), probe("here"):
    raise ValueError("no")
"""
    (caught,) = twin(pool, tmp_path, text).manifest.caught
    assert (caught.cls, caught.message, caught.label) == ("ValueError", "no", "here")


def test_a_twin_that_raises_is_told_with_its_line(pool: Pool, tmp_path: Path) -> None:
    capsule = twin(pool, tmp_path, "x = 1\n1 / 0\n")
    assert capsule.manifest.status == "error"
    assert capsule.manifest.error is not None
    assert (capsule.manifest.error.cls, capsule.manifest.error.line) == ("ZeroDivisionError", 2)


def test_a_twin_that_never_ends_is_stopped(pool: Pool, tmp_path: Path) -> None:
    path = tmp_path / "twin.py"
    path.write_text("while True: pass\n")
    capsule = run_twin(pool, "case", path, 2, Limits(seconds=1))
    assert capsule.manifest.status == "time-limit"


def test_a_child_that_leaves_processes_behind_is_cleared_away(pool: Pool, tmp_path: Path) -> None:
    text = "import subprocess\nsubprocess.Popen(['sleep', '60'])\n"
    (tmp_path / "twin.py").write_text(text)
    outcome = pool.run(
        Warm(2),
        twin_job,
        {
            "script": str(tmp_path / "twin.py"),
            "spool": str(tmp_path / "spool"),
            "workdir": str(tmp_path),
        },
        Limits(seconds=120, memory_bytes=2000 * MIB),
    )
    assert outcome.status == "exited"
    assert outcome.seconds < 50


def recorded(*calls: Call, arrays: dict[str, AnyArray]) -> Capsule:
    manifest = Manifest(
        runner="r",
        case="case",
        status="ok",
        calls=calls,
        script=Script(name="case.R", language="r", text="", sha256=""),
    )
    return Capsule(manifest, arrays)


def test_a_replay_makes_the_recorded_calls_with_the_recorded_values(pool: Pool) -> None:
    number = Scalar(t="int", v="1")
    model = ObjectValue(id=2, cls="tf_keras:Sequential")
    dense = ObjectValue(id=1, cls="tf_keras:Dense")
    x = ArrayValue(t="array", dtype="float32", shape=(2, 1), order="C", key="a0")
    path = "tf_keras.src.layers.core.dense:Dense"
    quiet = {"verbose": Scalar(t="int", v="0")}
    calls = (
        Call(id=1, kind="call", target=Symbol(path=path, public="keras.layers.Dense"),
             args=(number,), kwargs={"kernel_initializer": Scalar(t="str", v="ones")},
             result=dense),
        Call(id=2, kind="call", target=Symbol(path="tf_keras.src.engine.sequential:Sequential",
                                              public="keras.Sequential"), result=model),
        Call(id=3, kind="call", target=Method(owner=model, name="add"), args=(dense,),
             result=Scalar(t="none")),
        Call(id=4, kind="call", target=Method(owner=model, name="predict"), args=(x,),
             kwargs=quiet),
    )  # fmt: skip
    array = np.array([[2], [5]], np.float32)
    replayed = run_replay(pool, recorded(*calls, arrays={"a0": array}), 2, Limits())
    (probe,) = replayed.manifest.probes
    assert replayed.array(probe.outputs[0]).tolist() == [[2.0], [5.0]]
    assert replayed.manifest.gaps == ()


@pytest.mark.parametrize("path", ["os:system", "builtins:exec", "builtins:eval", "subprocess:run"])
def test_a_replay_calls_nothing_but_the_libraries(pool: Pool, tmp_path: Path, path: str) -> None:
    marker = tmp_path / "ran"
    call = Call(
        id=1,
        kind="call",
        target=Symbol(path=path),
        args=(Scalar(t="str", v=f"touch {marker}"),),
        r_call="hostile()",
    )
    replayed = run_replay(pool, recorded(call, arrays={}), 2, Limits())
    assert not marker.exists()
    assert any("is not called" in gap for gap in replayed.manifest.gaps)


def test_a_function_of_rs_is_named_and_the_rest_is_replayed(pool: Pool) -> None:
    call = Call(
        id=1,
        kind="call",
        target=Symbol(path="tf_keras.src.layers.core.lambda_layer:Lambda"),
        args=(Closure(id=9, name="mine"),),
        r_call="layer_lambda(mine)",
        line=3,
    )
    replayed = run_replay(pool, recorded(call, arrays={}), 2, Limits())
    assert any("line 3" in n and "written in R" in n for n in replayed.manifest.gaps)
    assert replayed.manifest.status == "ok"


def test_what_tensorflow_writes_beside_the_run_goes_with_the_pool(tmp_path: Path) -> None:
    text = """
import tensorflow as tf

@tf.function
def doubled(x):
    if x > 0:
        x = x + x
    return x

doubled(tf.constant(1.0))
"""
    with Pool() as own:
        assert twin(own, tmp_path, text).manifest.status == "ok"
        written = list(own.folder.glob("__autograph*"))
    assert written
    assert not any(path.exists() for path in written)


def test_a_capsule_is_written_once_for_all_jobs_and_goes_with_it() -> None:
    def bare(whole: Capsule) -> Capsule:
        return Capsule(whole.manifest.model_copy(update={"calls": ()}), {})

    with Pool() as pool:
        capsule = recorded(Call(id=1, kind="call", target=Symbol(path="a:b")), arrays={})
        path = Path(pool.file_of(capsule))
        assert Path(pool.file_of(capsule)) == path
        part = Path(pool.file_of(capsule, bare))
        assert part != path
        assert [read_capsule(each).manifest.calls for each in (path, part)] == [
            capsule.manifest.calls,
            (),
        ]
        other = Path(pool.file_of(Capsule(capsule.manifest, {})))
        assert not other.exists()
        del capsule
        assert not path.exists()
        assert not part.exists()
