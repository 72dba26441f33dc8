"""Rewriting an executed graph, one rule for each kind of fault, and less precise kernels."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from bridge.facts.ops import ACTIVATIONS, CONTRACTIONS, HOLDING, NOT_ACTIVATIONS, PASSING, RESHAPING

#: Which ops have the fault: all that can, those whose output feeds another op of their kind, or
#: those after which no other comes.
SCOPES: Final = ("", "all", "feeds-matmul", "last")


class Graph:
    """An executed graph: its nodes by name, which arguments hold which variables.

    ``held`` has the name of the variable for places of arguments.
    """

    def __init__(self, graph_def: Any, held: Mapping[int, str]) -> None:
        self._def = type(graph_def)()
        self._def.CopyFrom(graph_def)
        self._held = held
        self.nodes: dict[str, Any] = {node.name: node for node in self._def.node}

    def labels(self) -> tuple[str, ...]:
        """Return what is executed, in the order of the graph: ``_FusedMatMul[BiasAdd,Relu]``."""
        found = []
        for node in self._def.node:
            fused = fused_ops(node)
            if "/" in node.name and node.op not in (
                "Const",
                "ReadVariableOp",
                *(RESHAPING | PASSING),
            ):
                found.append(f"{node.op}[{','.join(fused)}]" if fused else str(node.op))
        return tuple(found)

    def add(self, op: str, name: str, *inputs: str, **attributes: Any) -> str:
        """Add a node and return its name, made longer if there is one of that name already."""
        while name in self.nodes:
            name += "_"
        node = self._def.node.add(name=name, op=op, input=inputs)
        for key, value in attributes.items():
            node.attr[key].CopyFrom(value)
        self.nodes[name] = node
        return name

    def consumers(self, name: str) -> list[Any]:
        """Return the nodes that are fed by a node, not counting those that only wait for it."""
        return [node for node in self._def.node if name in map(producer, values(node))]

    def variables_of(self, node: Any) -> list[str]:
        """Return the names of the variables that a node is fed directly."""
        found = []
        for value in values(node):
            at = self.nodes.get(producer(value))
            while at is not None and at.op in HOLDING:
                at = self.nodes.get(producer(at.input[0]))
            if at is not None and at.op == "_Arg" and at.attr["index"].i in self._held:
                found.append(self._held[at.attr["index"].i])
        return found

    def missing_functions(self) -> list[str]:
        """Return the names of functions that nodes call and that are not in the graph."""
        there = {function.signature.name for function in self._def.library.function}
        called = {attr.func.name for node in self._def.node for attr in node.attr.values()}
        return sorted(called - there - {""})

    def body(self) -> tuple[Any, dict[str, int], tuple[str, ...]]:
        """Return the graph without arguments and results, the arguments' places, the results."""
        body = type(self._def)()
        body.versions.CopyFrom(self._def.versions)
        body.library.CopyFrom(self._def.library)
        arguments: dict[str, int] = {}
        results: dict[int, str] = {}
        waiting = {f"^{node.name}" for node in self._def.node if node.op == "_Arg"}
        for node in self._def.node:
            if node.op == "_Arg":
                arguments[f"{node.name}:0"] = node.attr["index"].i
            elif node.op == "_Retval":
                source = node.input[0]
                results[node.attr["index"].i] = source if ":" in source else f"{source}:0"
            else:
                kept = body.node.add()
                kept.CopyFrom(node)
                # Arguments are there before anything runs: nothing has to wait for one.
                kept.input[:] = [name for name in node.input if name not in waiting]
        return body, arguments, tuple(results[place] for place in sorted(results))


class Rewriting:
    """Where a fault stands in a graph."""

    def __init__(self, graph: Graph, layer: str, scope: str) -> None:
        self._graph, self._layer, self._scope = graph, layer, scope

    def apply(self, rule: Rule) -> tuple[str, ...]:
        """Change every op that the rule is for, and return their names."""
        found = [node for node in list(self._graph.nodes.values()) if self._stands_in(node)]
        return tuple([node.name for node in found if rule(self._graph, node)])

    def _stands_in(self, node: Any) -> bool:
        if node.op not in CONTRACTIONS:
            return False
        if self._layer:
            held = self._graph.variables_of(node)
            if not any(self._layer in name.split("/") for name in held):
                return False
        if self._scope == "feeds-matmul":
            return any(fed.op in CONTRACTIONS for fed in self._fed_by(node))
        if self._scope == "last":
            return not self._comes_before_another(node)
        return True

    def _fed_by(self, node: Any) -> Iterator[Any]:
        """Yield what is fed by a node, directly or through ops that hand values on."""
        for consumer in self._graph.consumers(node.name):
            yield consumer
            if consumer.op in (RESHAPING | PASSING):
                yield from self._fed_by(consumer)

    def _comes_before_another(self, node: Any) -> bool:
        seen: set[str] = set()
        left = [node.name]
        while left:
            for consumer in self._graph.consumers(left.pop()):
                if consumer.op in CONTRACTIONS:
                    return True
                if consumer.name not in seen:
                    seen.add(consumer.name)
                    left.append(consumer.name)
        return False


#: Changes a node of a graph, or returns False if it cannot have the fault.
Rule = Callable[[Graph, Any], bool]


def fused_ops(node: Any) -> list[str]:
    """Return what is fused into a node, in order."""
    if "fused_ops" not in node.attr:
        return []
    return [part.decode() for part in node.attr["fused_ops"].list.s]


def values(node: Any) -> list[str]:
    """Return the inputs of a node that are values, without those that it only waits for."""
    return [name for name in node.input if not name.startswith("^")]


def producer(value: str) -> str:
    """Return the name of the node that makes a value."""
    return value.removeprefix("^").partition(":")[0]


def _without(lost: Callable[[str], bool]) -> Rule:
    def rule(_graph: Graph, node: Any) -> bool:
        fused = fused_ops(node)
        left = [op for op in fused if not lost(op)]
        if left == fused or not left:
            # Nothing is fused but an activation: no kernel that is known is like that.
            return False
        node.attr["fused_ops"].list.s[:] = [op.encode() for op in left]
        return True

    return rule


def _is_activation(name: str) -> bool:
    return name not in NOT_ACTIVATIONS


def _bias_lost(graph: Graph, node: Any) -> bool:
    """Leave the bias out: what is executed is the op without it, and its activation."""
    fused = fused_ops(node)
    if fused[:1] != ["BiasAdd"]:
        return False
    return _taken_apart(graph, node, fused[1:])


def _order_wrong(graph: Graph, node: Any) -> bool:
    """Add the bias after the activation."""
    fused = fused_ops(node)
    if fused[:1] != ["BiasAdd"] or len(fused) < 2:
        return False
    return _taken_apart(graph, node, [*fused[1:], "BiasAdd"])


def _taken_apart(graph: Graph, node: Any, then: list[str]) -> bool:
    """Execute the op without what is fused into it, and then one op after the other.

    The last of them gets the name of the node, so that what it feeds is fed as before.
    """
    plain = node.op.removeprefix("_Fused")
    if not all(following in ("BiasAdd", *ACTIVATIONS) for following in then):
        return False
    whole = type(node)()
    whole.CopyFrom(node)
    waits = [name for name in node.input if name.startswith("^")]
    steps = [
        (plain, list(values(node)[:2])),
        *((following, values(node)[2:3]) for following in then),
    ]
    last = ""
    for place, (op, inputs) in enumerate(steps):
        given = [*inputs, *waits] if place == 0 else [last, *(inputs if op == "BiasAdd" else ())]
        if place == len(steps) - 1:
            node.Clear()
            node.name, node.op, node.device = whole.name, op, whole.device
            node.input.extend(given)
            at = node
        else:
            at = graph.nodes[graph.add(op, f"{whole.name}/{op}", *given)]
            at.device = whole.device
        _attributes(at, whole)
        last = at.name
    return True


def _attributes(node: Any, whole: Any) -> None:
    """Give a node the attributes of the op that it was part of, as far as it knows them."""
    from tensorflow.python.framework import op_def_registry

    for known in op_def_registry.get(node.op).attr:
        name = "leakyrelu_alpha" if (node.op, known.name) == ("LeakyRelu", "alpha") else known.name
        if name in whole.attr:
            node.attr[known.name].CopyFrom(whole.attr[name])


def _operands(rounded: Callable[[Graph, str, str, Any], str]) -> Rule:
    def rule(graph: Graph, node: Any) -> bool:
        if node.attr["T"].type != _float32():
            return False
        for place in (0, 1):
            # A real kernel does this inside: it is no op of any layer, by its name.
            name = f"operand_{place}.{node.name}".replace("/", ".")
            node.input[place] = rounded(graph, name, node.input[place], node.attr["T"])
        return True

    return rule


def _float32() -> int:
    import tensorflow as tf

    return int(tf.float32.as_datatype_enum)


def _typed(name: str) -> Any:
    import tensorflow as tf

    return tf.compat.v1.AttrValue(type=tf.as_dtype(name).as_datatype_enum)


def _constant(graph: Graph, name: str, value: Any, beside: str) -> str:
    """Add a constant; it waits for a value, so that it stands in the same loop."""
    import tensorflow as tf

    tensor = tf.compat.v1.AttrValue(tensor=tf.make_tensor_proto(value))
    kind = _typed(value.dtype.name)
    return graph.add("Const", name, f"^{producer(beside)}", dtype=kind, value=tensor)


def _bf16(graph: Graph, name: str, value: str, own: Any) -> str:
    half = _typed("bfloat16")
    low = graph.add("Cast", f"{name}.low", value, SrcT=own, DstT=half)
    return graph.add("Cast", f"{name}.back", low, SrcT=half, DstT=own)


def _tf32(graph: Graph, name: str, value: str, own: Any) -> str:
    import numpy as np

    bits = _typed("int32")
    half = _constant(graph, f"{name}.half", np.int32(TF32_HALF), value)
    kept = _constant(graph, f"{name}.kept", np.int32(TF32_KEPT), value)
    at = graph.add("Bitcast", f"{name}.bits", value, T=own, type=bits)
    at = graph.add("AddV2", f"{name}.up", at, half, T=bits)
    at = graph.add("BitwiseAnd", f"{name}.cut", at, kept, T=bits)
    return graph.add("Bitcast", f"{name}.back", at, T=bits, type=own)


def _flushed(graph: Graph, name: str, value: str, own: Any) -> str:
    """Compare bits, not numbers: what runs this may itself take subnormal numbers for zero."""
    import numpy as np

    bits = _typed("int32")
    exponent = _constant(graph, f"{name}.exponent", np.int32(EXPONENT), value)
    none = _constant(graph, f"{name}.none", np.int32(0), value)
    at = graph.add("Bitcast", f"{name}.bits", value, T=own, type=bits)
    part = graph.add("BitwiseAnd", f"{name}.part", at, exponent, T=bits)
    tiny = graph.add("Equal", f"{name}.tiny", part, none, T=bits)
    zeros = graph.add("ZerosLike", f"{name}.zeros", value, T=own)
    return graph.add("SelectV2", f"{name}.flushed", tiny, zeros, value, T=own)


#: TensorFloat-32 keeps 10 bits of the 23 that come after the point; ties go away from zero.
TF32_HALF: Final = 1 << 12
TF32_KEPT: Final = -(1 << 13)
#: The bits of a float32's exponent: none is set in a subnormal number and in zero.
EXPONENT: Final = 0x7F800000

RULES: Final[Mapping[str, Rule]] = {
    "relu-lost-in-fused": _without(lambda name: name == "Relu"),
    "fused-activation-lost": _without(_is_activation),
    "fused-bias-lost": _bias_lost,
    "fused-order-wrong": _order_wrong,
    "kernel-bf16": _operands(_bf16),
    "kernel-tf32": _operands(_tf32),
    "flush-to-zero": _operands(_flushed),
}


# Faulty kernels: the ops that multiply and add up, with their operands made less precise.

#: The functions through which TensorFlow's Python reaches these kernels, by the module's name.
_KERNELS: Final[Mapping[str, tuple[str, ...]]] = {
    "gen_math_ops": ("mat_mul", "batch_mat_mul", "batch_mat_mul_v2", "batch_mat_mul_v3"),
    "gen_nn_ops": ("conv2d", "conv3d", "depthwise_conv2d_native"),
}


def wrap(layer: Any, kind: str) -> None:
    """Let a layer run on faulty kernels of this kind from now on."""
    whole = layer.call
    lower = LOWERING[kind]

    @functools.wraps(whole)
    def call(*args: Any, **kwargs: Any) -> Any:
        with _kernels_operands(lower):
            return whole(*args, **kwargs)

    layer.call = call


@contextmanager
def _kernels_operands(lower: Callable[[Any], Any]) -> Iterator[None]:
    import importlib

    kept: list[tuple[Any, str, Any]] = []
    for name, functions in _KERNELS.items():
        module = importlib.import_module(f"tensorflow.python.ops.{name}")
        kept += [
            (module, function, getattr(module, function))
            for function in functions
            if hasattr(module, function)
        ]
    try:
        for module, function, whole in kept:
            setattr(module, function, _lowered(whole, lower))
        yield
    finally:
        for module, function, whole in kept:
            setattr(module, function, whole)


def _lowered(whole: Callable[..., Any], lower: Callable[[Any], Any]) -> Callable[..., Any]:
    @functools.wraps(whole)
    def lowered(*args: Any, **kwargs: Any) -> Any:
        import tensorflow as tf

        # The operands are the first two arguments of all of them, called by several names. What
        # lowers them is done inside of a real kernel: it is no op of any layer.
        graph = None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()
        with graph.name_scope(None) if graph is not None else contextlib.nullcontext():
            given = [lower(x) if place < 2 else x for place, x in enumerate(args)]
            named = {
                key: lower(x) if key in ("a", "b", "x", "y", "input", "filter") else x
                for key, x in kwargs.items()
            }
        return whole(*given, **named)

    return lowered


def _is_float32(x: Any) -> bool:
    return bool(getattr(x, "dtype", None) == "float32")


def to_bf16(x: Any) -> Any:
    """Return what bfloat16 keeps of the numbers."""
    import tensorflow as tf

    return tf.cast(tf.cast(x, tf.bfloat16), tf.float32) if _is_float32(x) else x


def to_tf32(x: Any) -> Any:
    """Return what TensorFloat-32 keeps: 10 bits after the point, ties away from zero."""
    import tensorflow as tf

    if not _is_float32(x):
        return x
    bits = tf.bitcast(x, tf.int32)
    return tf.bitcast(tf.bitwise.bitwise_and(bits + TF32_HALF, TF32_KEPT), tf.float32)


def flushed(x: Any) -> Any:
    """Return the numbers with zeros in the place of subnormal ones."""
    import tensorflow as tf

    if not _is_float32(x):
        return x
    none = tf.equal(tf.bitwise.bitwise_and(tf.bitcast(x, tf.int32), EXPONENT), 0)
    return tf.where(none, tf.zeros_like(x), x)


#: What each kind of faulty kernel does to its operands.
LOWERING: Final[Mapping[str, Callable[[Any], Any]]] = {
    "kernel-bf16": to_bf16,
    "kernel-tf32": to_tf32,
    "flush-to-zero": flushed,
}
