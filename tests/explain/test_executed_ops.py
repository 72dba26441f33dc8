"""The executed ops of a layer are found in both generations, and what none of them does."""

from __future__ import annotations

import pytest

from bridge.capsule import ExecutedGraph, ExecutedOp, LayerState
from bridge.explain.executed_ops import labels, lost_in, ops_of

KNOWN = ("dense", "dense_1", "dense_2")


def graph(*names: str) -> ExecutedGraph:
    ops = tuple(ExecutedOp(op="_FusedMatMul", name=name, fused=("BiasAdd",)) for name in names)
    carrier = ExecutedOp(op="ReadVariableOp", name=f"{names[0]}/ReadVariableOp")
    return ExecutedGraph(ops=(carrier, *ops))


SECOND = graph(*(f"sequential/{name}/Relu" for name in KNOWN))
THIRD = graph("sequential_1/dense_1/Relu", "sequential_1/dense_1_2/Relu",
              "sequential_1/dense_2_1/Relu")  # fmt: skip


@pytest.mark.parametrize("executed", [SECOND, THIRD], ids=["keras 2", "keras 3"])
def test_each_layer_has_its_own_op(executed: ExecutedGraph) -> None:
    found = [ops_of(executed, {name}, KNOWN) for name in KNOWN]
    assert found == [(op,) for op in executed.ops[1:]]
    assert labels(executed) == ("_FusedMatMul[BiasAdd]",) * 3
    assert ops_of(None, {"dense"}, KNOWN) == ()


def op(kind: str, *fused: str) -> ExecutedOp:
    return ExecutedOp(op=kind, name="m/dense/x", fused=fused)


def dense(activation: object = "relu", **config: object) -> LayerState:
    return LayerState.model_validate(
        {
            "name": "dense",
            "cls": "keras.layers.Dense",
            "config": {"activation": activation} | config,
        }
    )


@pytest.mark.parametrize(
    ("ops", "layer", "lost"),
    [
        ((op("_FusedMatMul", "BiasAdd"),), dense(), ("Relu",)),
        ((op("MatMul"), op("Relu")), dense(), ("BiasAdd",)),
        ((op("_FusedMatMul", "BiasAdd", "Relu"),), dense(), ()),
        ((op("MatMul"), op("BiasAdd"), op("Relu")), dense(), None),
        ((op("MatMul"), op("AddV2"), op("Relu")), dense(), None),
        ((op("_FusedMatMul", "BiasAdd", "Relu"), op("BiasAdd")), dense(), None),
        ((op("MatMul"),), dense("linear", use_bias=False), None),
        ((op("_FusedMatMul", "BiasAdd"),), dense("gelu"), None),
        ((op("_FusedMatMul", "BiasAdd"),), dense({"class_name": "mine"}), None),
        ((), dense(), None),
    ],
)
def test_what_no_op_lists_is_lost(
    ops: tuple[ExecutedOp, ...], layer: LayerState, lost: tuple[str, ...] | None
) -> None:
    assert lost_in(ops, [layer]) == lost


def test_a_layer_that_is_no_product_leaves_it_open() -> None:
    other = LayerState(name="norm", cls="keras.layers.BatchNormalization")
    assert lost_in([op("_FusedMatMul", "BiasAdd")], [dense(), other]) is None
