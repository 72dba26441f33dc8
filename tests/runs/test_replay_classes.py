"""What R made of classes of its own cannot be replayed, and is not taken for something else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bridge.capsule import Capsule, Manifest, Script
from bridge.capsule.schema import Call
from bridge.capsule.values import ArrayValue, Closure, Method, ObjectValue, Scalar, Symbol, Value
from bridge.process.pool import Limits, Pool
from bridge.runs.replay import run_replay

pytestmark = pytest.mark.tf

MODEL = ObjectValue(id=2, cls="tf_keras.src.engine.sequential:Sequential")
DENSE = ObjectValue(id=1, cls="tf_keras.src.layers.core.dense:Dense")
X = ArrayValue(t="array", dtype="float32", shape=(2, 1), order="C", key="a0")
ONES = {"kernel_initializer": Scalar(t="str", v="ones")}


def replayed(pool: Pool, *middle: Call) -> Capsule:
    """Replay a model of one layer, then ``middle``, then a prediction."""
    dense = Symbol(path="tf_keras.src.layers.core.dense:Dense", public="keras.layers.Dense")
    sequential = Symbol(path=MODEL.cls, public="keras.Sequential")
    calls = (
        Call(id=1, kind="call", target=dense, args=(Scalar(t="int", v="1"),), kwargs=ONES,
             result=DENSE),
        Call(id=2, kind="call", target=sequential, result=MODEL),
        Call(id=3, kind="call", target=Method(owner=MODEL, name="add"), args=(DENSE,)),
        *middle,
        Call(id=9, kind="call", target=Method(owner=MODEL, name="predict"), args=(X,),
             kwargs={"verbose": Scalar(t="int", v="0")}, r_call="predict(model, x)"),
    )  # fmt: skip
    manifest = Manifest(
        runner="r",
        case="case",
        status="ok",
        calls=calls,
        script=Script(name="case.R", language="r", text="", sha256=""),
    )
    recorded = Capsule(manifest, {"a0": np.array([[2], [5]], np.float32)})
    return run_replay(pool, recorded, 2, Limits())


def added(value: Value, name: str = "add") -> Call:
    return Call(id=5, kind="call", target=Method(owner=MODEL, name=name), args=(value,))


@pytest.mark.parametrize("module", ["R6type", "<r-globalenv>", "<r-namespace:mine.pkg>"])
def test_a_model_with_a_layer_of_rs_predicts_nothing(pool: Pool, module: str) -> None:
    made = replayed(pool, added(ObjectValue(id=7, cls=f"{module}:Scale")))
    assert made.manifest.probes == ()
    assert "the class Scale is written in R" in made.manifest.gaps[0]
    assert made.manifest.gaps[-1].startswith("predict(model, x): it was not made whole")


def test_a_model_trained_on_a_function_of_rs_predicts_nothing(pool: Pool) -> None:
    made = replayed(pool, added(Closure(id=7, name="batches"), "fit"))
    assert made.manifest.probes == ()


@pytest.mark.parametrize("path", ["model.h5", "<work>/Rtmp1/model.h5", "~/models/model.h5"])
def test_a_model_is_saved_into_a_folder_of_the_replays_own(pool: Pool, path: str) -> None:
    there = Path(path).expanduser()
    made = replayed(pool, added(Scalar(t="str", v=path), "save"))
    (probe,) = made.manifest.probes
    assert made.array(probe.outputs[0]).tolist() == [[2.0], [5.0]]
    assert made.manifest.gaps == ()
    assert not there.exists()


def test_the_helper_that_makes_classes_is_no_gap(pool: Pool) -> None:
    helper = Call(id=5, kind="call", target=Symbol(path="rclasses:make_class"))
    made = replayed(pool, helper)
    assert made.manifest.gaps == ()
    assert len(made.manifest.probes) == 1


def test_setting_a_variable_of_the_environment_is_no_gap(pool: Pool) -> None:
    environ = ObjectValue(id=7, cls="os:_Environ")
    one = Call(id=5, kind="setattr", target=environ, name="PYTHONHASHSEED",
               result=Scalar(t="str", v="7"))  # fmt: skip
    # R's os$environ["NAME"] <- "7" also sets the whole to itself.
    whole = Call(id=6, kind="setattr", target=Symbol(path="os"), name="environ", result=environ)
    made = replayed(pool, one, whole)
    assert made.manifest.gaps == ()
