"""A recorded run becomes a script that a person would read, and that gives the same bits."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bridge.capsule import Call, Capsule, Environment, ErrorRecord, Manifest, Script
from bridge.capsule.schema import Invocation
from bridge.capsule.values import (
    ArrayValue,
    Class,
    Closure,
    Generator,
    Items,
    Method,
    ObjectValue,
    Parameter,
    Scalar,
    Symbol,
    Value,
)
from bridge.cases.case import read_case
from bridge.pipeline.examine_case import Settings, Suite
from bridge.process.pool import MIB, Limits, Pool
from bridge.runs.twin import prove
from bridge.translate import spelling
from bridge.translate.replayed import Replayed, replayed
from bridge.translate.spelling import write

DENSE = Symbol(path="tf_keras.src.layers.core.dense:Dense", public="keras.layers.Dense")
SEQUENTIAL = Symbol(path="tf_keras.src.engine.sequential:Sequential", public="keras.Sequential")
MODEL = ObjectValue(id=2, cls="tf_keras.src.engine.sequential:Sequential")
LAYER = ObjectValue(id=1, cls="tf_keras.src.layers.core.dense:Dense")


def number(value: int) -> Scalar:
    return Scalar(t="int", v=str(value))


def make(number: int, target: Value, result: Value | None = None, **about: Any) -> Call:
    return Call(id=number, kind="call", target=target, result=result, line=1, **about)


def script(calls: list[Call], arrays: dict[str, Any] | None = None, text: str = "") -> Replayed:
    manifest = Manifest(
        runner="r",
        case="case",
        status="ok",
        script=Script(name="case.R", language="r", text=text, sha256=""),
        environment=Environment(keras="tf_keras 2.21.0"),
        calls=tuple(calls),
    )
    return replayed(Capsule(manifest, arrays or {}), 1)


def body(found: Replayed) -> str:
    return found.source.partition("set_random_seed(1)\n")[2]


def array(shape: tuple[int, ...], key: str = "a0", dtype: str = "float64") -> ArrayValue:
    return ArrayValue(t="array", dtype=dtype, shape=shape, order="F", key=key)


def built(**about: Any) -> list[Call]:
    return [
        make(1, DENSE, LAYER, kwargs={"units": number(2)}),
        make(2, SEQUENTIAL, MODEL, args=(Items(t="list", items=(LAYER,)),), **about),
    ]


def test_what_is_used_once_at_once_stands_where_it_is_used() -> None:
    calls = [*built(), make(3, Method(owner=MODEL, name="summary"))]
    assert "keras.Sequential([keras.layers.Dense(units=2)]).summary()" in body(script(calls))


def test_a_variable_has_the_name_that_r_gave_it() -> None:
    calls = built(assigned="my.model")
    assert "my_model = keras.Sequential(" in body(script(calls))


def test_a_name_is_not_given_again_while_it_is_needed() -> None:
    other = ObjectValue(id=9, cls=MODEL.cls)
    calls = [
        *built(assigned="m"),
        make(3, Method(owner=MODEL, name="summary")),
        make(4, SEQUENTIAL, other, assigned="m"),
        make(5, Method(owner=MODEL, name="compile")),
        make(6, Method(owner=other, name="compile")),
    ]
    said = body(script(calls))
    assert "m_2 = keras.Sequential()" in said
    assert "m.compile()" in said
    assert "m_2.compile()" in said


def test_keras_2_is_asked_for_before_tensorflow_is_imported() -> None:
    source = script(built()).source
    assert source.index('os.environ["TF_USE_LEGACY_KERAS"] = "1"') < source.index("import tf_keras")


def test_arguments_that_say_what_python_does_anyway_are_left_out() -> None:
    given = {"units": number(2), "use_bias": Scalar(t="bool", v="True")}
    calls = [make(1, DENSE, LAYER, kwargs=given, defaults=("use_bias",))]
    assert "keras.layers.Dense(units=2)" in body(script(calls))


def test_questions_that_nobody_uses_the_answer_of_are_left_out() -> None:
    asks = Symbol(path="tensorflow.python.framework.tensor_util:is_tf_type", public="tf.is_tensor")
    assert (
        "is_tensor"
        not in script([make(1, asks, Scalar(t="bool", v="True"), args=(number(1),))]).source
    )


def test_a_function_of_r_is_named_with_its_line_and_what_it_touched_is_not_made() -> None:
    layer = make(1, DENSE, LAYER, args=(Closure(id=7, name="f"),), r_call="layer_dense(f)")
    result = array((1, 1))
    calls = [
        layer,
        make(2, SEQUENTIAL, MODEL, args=(Items(t="list", items=(LAYER,)),)),
        make(3, Method(owner=MODEL, name="predict"), result),
    ]
    found = script(calls, {"a0": np.array([[2.5]])}, "m <- layer_dense(f)")
    assert "layer_dense(f) (line 1): it was given a function that is written in R" in found.gaps
    assert "# R, line 1: m <- layer_dense(f)" in found.source
    assert "keras.Sequential" not in found.source
    assert "prediction = np.array([[2.5]]" in found.source


def test_a_model_that_lacks_what_r_gave_it_predicts_nothing() -> None:
    calls = [
        *built(),
        make(3, Method(owner=MODEL, name="add"), args=(Closure(id=7),)),
        make(4, Method(owner=MODEL, name="predict"), array((1, 1))),
    ]
    assert ".predict(" not in script(calls, {"a0": np.zeros((1, 1))}).source


def test_large_arrays_lie_beside_the_script() -> None:
    values = np.random.default_rng(1).normal(size=(50, 3))
    calls = [
        *built(),
        make(3, Method(owner=MODEL, name="predict"), None, kwargs={"x": array((50, 3))}),
    ]
    found = script(calls, {"a0": values})
    assert list(found.arrays) == ["x"]
    assert 'np.asfortranarray(data["x"])' in found.source


def test_an_error_that_r_caught_is_caught() -> None:
    error = ErrorRecord(language="python", cls="ValueError", message="no\nsuch")
    said = body(script([make(1, DENSE, None, error=error)]))
    assert (
        "try:\n    keras.layers.Dense()\nexcept Exception as error:  # ValueError: no such" in said
    )


@pytest.mark.parametrize(
    "hostile",
    [
        "x\nimport os; os.abort()",
        '"""\nboom()\n"""',
        "x\rboom()",
        "x\u2028boom()",
        "\x0cboom()",
        "\\",
    ],
)
def test_a_strangers_text_stays_text(hostile: str) -> None:
    calls = [
        make(1, DENSE, LAYER, kwargs={"name": Scalar(t="str", v=hostile)}, r_call=hostile),
        make(2, Symbol(path=f"tensorflow:{hostile}", public=f"tf.{hostile}")),
        make(3, Method(owner=LAYER, name=hostile)),
        make(4, DENSE, None, kwargs={hostile: number(1)}, assigned=hostile),
        Call(id=5, kind="setattr", target=LAYER, name=hostile, result=number(1), line=1),
    ]
    source = script(calls, text=hostile).source
    compile(source, "replay.py", "exec")
    assert not [
        line for line in source.splitlines() if line.strip().startswith(("boom", "import os;"))
    ]


@pytest.mark.parametrize(
    "values",
    [
        np.array([0.1, np.nan, np.inf, -np.inf, -0.0]),
        np.array([0.1, 1e-45, 16777217, 3.4e38], np.float32),
        np.array([[1, 2], [3, 4]], np.int32),
        np.arange(3, 300, 3),
        np.zeros((3, 4), np.float32),
        np.full(7, -2.5),
        np.array([True, False]),
        np.array(3.0),
        np.zeros((0, 2)),
        np.array([1 + 2j]),
        np.array([2**63 - 1, -(2**63)]),
        np.array([65504.0, 6e-8], np.float16),
    ],
)
def test_an_array_that_is_written_out_has_its_bits(values: np.ndarray[Any, Any]) -> None:
    made = spelling.array(values)
    assert made is not None
    back = eval(write(made, lambda _: made), {"np": np})
    assert (back.dtype, back.shape) == (values.dtype, values.shape)
    assert back.tobytes() == values.tobytes()


def test_the_missing_value_of_r_is_not_written_as_a_number() -> None:
    missing = np.array([0x7FF00000000007A2], np.uint64).view(np.float64)
    assert spelling.array(missing) is None


SCRIPT = """
library(tensorflow)
library(keras)
set_random_seed(42L)
x.train <- matrix(rnorm(60), 20)
w <- tf$Variable(tf$zeros(shape(3L, 1L)))
model <- keras_model_sequential(input_shape = 3) %>% layer_dense(4, "relu") %>%
  layer_dropout(0.2) %>% layer_dense(1)
model %>% compile(optimizer = optimizer_adam(0.01), loss = "mse", metrics = "mae")
history <- model %>% fit(x.train, rowSums(x.train), epochs = 3, batch_size = 5, verbose = 0)
with(tf$GradientTape() %as% tape, {
  l <- tf$reduce_mean(tf$square(tf$matmul(x.train, tf$cast(w, "float64")) - 1))
})
w$assign_sub(0.1 * tape$gradient(l, w))
first <- as_tensor(1:6, "float32")[2:3]
save_model_hdf5(model, file.path(tempdir(), "m.h5"))
again <- load_model_hdf5(file.path(tempdir(), "m.h5"))
p <- predict(again, x.train, verbose = 0)
print(evaluate(again, x.train, rowSums(x.train), verbose = 0))
inp <- layer_input(2)
a <- inp %>% layer_dense(3, "relu")
m2 <- keras_model(inp, layer_concatenate(list(a, inp)))
for (i in 1:2) print(predict(m2, matrix(i, 2, 2), verbose = 0))
try(predict(m2, matrix(1, 2, 5), verbose = 0))
"""


def _renamed(text: str) -> str:
    return (
        text.replace("library(keras)", "library(keras3)")
        .replace("_hdf5", "")
        .replace(".h5", ".keras")
    )


@pytest.fixture(scope="module")
def recorded(pool: Pool, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Capsule]:
    folder = tmp_path_factory.mktemp("scripts")
    (folder / "two.R").write_text(SCRIPT)
    (folder / "three.R").write_text(_renamed(SCRIPT))
    with Suite(Settings(quick=True), pool=pool) as suite:
        cases = [read_case(folder / name) for name in ("two.R", "three.R")]
        return {each.report.case: each.runs["r"] for each in suite.examine(cases)}


@pytest.mark.r
@pytest.mark.tf
def test_a_script_of_a_recorded_run_has_its_bits(
    recorded: dict[str, Capsule], pool: Pool, tmp_path: Path
) -> None:
    for name, capsule in recorded.items():
        assert capsule.manifest.status == "ok", capsule.manifest.error
        proof = prove(pool, capsule, tmp_path / f"{name}.py", Limits(120, 3000 * MIB))
        assert proof.run.manifest.status == "ok", proof.run.manifest.error
        assert proof.holds, proof.bits.differences
        assert proof.bits.probes == 6
        assert proof.script.gaps == ()


@pytest.mark.r
@pytest.mark.tf
def test_a_script_of_a_recorded_run_is_idiomatic(recorded: dict[str, Capsule]) -> None:
    source = replayed(recorded["three"], 1).source
    assert "model.add(keras.layers.Dropout(rate=0.2))\n" in source
    assert "with tf.GradientTape() as tape:\n" in source
    assert "history = model.fit(\n" in source
    assert "getattr" not in source
    assert "<work>" not in source


@pytest.mark.r
@pytest.mark.tf
def test_a_script_runs_by_itself(recorded: dict[str, Capsule], tmp_path: Path) -> None:
    path = tmp_path / "alone.py"
    replayed(recorded["two"], 1, "alone").save(path)
    words = [sys.executable, "-I", str(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "[" in done.stdout


# Functions, classes and generators of R's.

TENSOR = ObjectValue(id=30, cls="tensorflow.python.framework.tensor:SymbolicTensor")
MEAN = Symbol(path="tensorflow.python.ops.math_ops:reduce_mean", public="tf.reduce_mean")


def with_functions(calls: list[Call], *invocations: Invocation) -> Replayed:
    manifest = Manifest(
        runner="r",
        case="case",
        status="ok",
        script=Script(name="case.R", language="r", text="", sha256=""),
        environment=Environment(keras="tf_keras 2.21.0"),
        calls=tuple(calls),
        invocations=invocations,
    )
    return replayed(Capsule(manifest, {}), 1)


def loss_of_rs(*names: str) -> Closure:
    parameters = tuple(Parameter(name=name) for name in names) or None
    return Closure(id=20, name="loss", module="rpytools.call", parameters=parameters)


def compiled(closure: Closure) -> list[Call]:
    method = Method(owner=MODEL, name="compile")
    return [
        make(1, SEQUENTIAL, MODEL),
        make(2, method, kwargs={"loss": closure}, r_call="compile(m)"),
    ]


def test_a_function_of_rs_is_written_as_what_it_called() -> None:
    inside = make(3, MEAN, TENSOR, args=(ObjectValue(id=31, cls=TENSOR.cls),), within=1)
    args = (ObjectValue(id=31, cls=TENSOR.cls), ObjectValue(id=32, cls=TENSOR.cls))
    asked = Invocation(id=1, closure=20, args=args, result=TENSOR)
    found = with_functions([*compiled(loss_of_rs("y_true", "y_pred")), inside], asked)
    assert found.gaps == ()
    assert "def loss(y_true, y_pred):" in found.source
    assert "return tf.reduce_mean(y_true)" in found.source
    assert "model.compile(loss=loss)" in found.source


def test_what_r_computed_itself_is_what_it_was_call_by_call() -> None:
    asked = [
        Invocation(id=n, closure=20, args=(number(n),), result=Scalar(t="float", v=repr(0.5**n)))
        for n in (1, 2)
    ]
    found = with_functions(compiled(loss_of_rs("epoch")), *asked)
    assert "iter([0.5, 0.25])" in found.source
    assert "return next(loss_gave)" in found.source
    compile(found.source, "replay.py", "exec")


def test_what_r_did_at_some_calls_only_is_done_at_these() -> None:
    stop = Call(id=5, kind="setattr", target=MODEL, name="stop_training", within=2,
                result=Scalar(t="bool", v="True"))  # fmt: skip
    asked = [Invocation(id=n, closure=20, args=(number(n),)) for n in (1, 2, 3)]
    found = with_functions([*compiled(loss_of_rs("epoch")), stop], *asked)
    lines = [line.strip() for line in found.source.splitlines()]
    place = lines.index("if asked in (2,):")
    assert "model.stop_training = True" in lines[place : place + 3]
    compile(found.source, "replay.py", "exec")


def test_an_argument_that_goes_on_under_its_name_stays_an_argument() -> None:
    training = {"training": Scalar(t="bool", v="False")}
    inside = make(3, LAYER, TENSOR, kwargs=training, within=1)
    asked = Invocation(id=1, closure=20, args=(training["training"],), result=TENSOR)
    calls = [make(9, DENSE, LAYER), *compiled(loss_of_rs("training")), inside]
    assert "(training=training)" in with_functions(calls, asked).source


def test_a_class_of_rs_is_a_class_with_its_methods() -> None:
    own = ObjectValue(id=40, cls="<r-globalenv>:Scale")
    layer = Symbol(path="keras.src.layers.layer:Layer", public="keras.layers.Layer")
    start = Method(owner=own, name="__init__", of=layer)
    kind = Class(
        id=41, name="Scale", bases=(layer,), members=(("__init__", loss_of_rs("self", "units")),)
    )
    calls = [
        make(1, Symbol(path="types:new_class"), kind),
        make(2, ObjectValue(id=41, cls="builtins:type"), own, kwargs={"units": number(3)}),
        make(3, start, within=1),
        Call(id=4, kind="setattr", target=own, name="units", result=number(3), within=1),
        make(5, SEQUENTIAL, MODEL),
        make(6, Method(owner=MODEL, name="add"), args=(own,)),
    ]
    found = with_functions(calls, Invocation(id=1, closure=20, args=(own, number(3))))
    assert "class Scale(keras.layers.Layer):" in found.source
    assert "super().__init__()" in found.source
    assert "self.units = units" in found.source
    assert "scale = Scale(units=3)" in found.source
    assert ".add(scale)" in found.source
    compile(found.source, "replay.py", "exec")


def test_a_generator_of_rs_is_what_it_gave() -> None:
    source = ObjectValue(id=50, cls="rpytools.generator:RGenerator")
    target = Symbol(path="rpytools.generator:RGenerator")
    calls = [
        make(1, SEQUENTIAL, MODEL),
        make(2, target, source, args=(loss_of_rs(),)),
        make(3, Method(owner=MODEL, name="fit"), args=(Generator(id=51, source=source),)),
    ]
    asked = [Invocation(id=n, closure=20, result=number(n)) for n in (1, 2)]
    found = with_functions(calls, *asked)
    assert "batches_1 = iter([1, 2])" in found.source
    assert "yield from batches_1" in found.source
    assert "model.fit(batches())" in found.source


def test_a_function_may_speak_of_what_is_made_after_it() -> None:
    callback = ObjectValue(id=60, cls="tf_keras.src.callbacks:LambdaCallback")
    target = Symbol(path=callback.cls, public="keras.callbacks.LambdaCallback")
    stop = Call(id=5, kind="setattr", target=MODEL, name="stop_training", within=1,
                result=Scalar(t="bool", v="True"))  # fmt: skip
    calls = [
        make(1, target, callback, kwargs={"on_epoch_end": loss_of_rs()}),
        make(2, SEQUENTIAL, MODEL, assigned="m", r_call="m <- keras_model_sequential()"),
        stop,
        make(6, Method(owner=MODEL, name="fit"), kwargs={"callbacks": Items(t="list",
             items=(callback,))}),
    ]  # fmt: skip
    found = with_functions(calls, Invocation(id=1, closure=20))
    assert found.gaps == ()
    assert "    m.stop_training = True" in found.source


def test_further_arguments_are_taken_from_where_python_has_them() -> None:
    tensors = [ObjectValue(id=n, cls=TENSOR.cls) for n in (31, 32)]
    parameters = (Parameter(name="more", kind="rest"), Parameter(name="named", kind="keywords"))
    closure = loss_of_rs().model_copy(update={"parameters": parameters})
    inside = make(3, MEAN, TENSOR, args=tuple(tensors), within=1)
    asked = Invocation(id=1, closure=20, args=(tensors[0],), kwargs={"k": tensors[1]},
                       result=TENSOR)  # fmt: skip
    found = with_functions([*compiled(closure), inside], asked)
    assert 'tf.reduce_mean(more[0], named["k"])' in found.source
