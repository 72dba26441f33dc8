"""What TensorFlow really executed: the graph after optimisation, read from the run metadata."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

#: Nodes that move values and compute nothing.
_PLUMBING: Final = frozenset(
    {"NoOp", "Identity", "IdentityN", "_Arg", "_Retval", "Const", "Placeholder"}
)

#: TensorFlow wraps single eager operations and input pipelines into functions as well.
_EAGER_OP: Final = "_Device"


class Executed:
    """The functions that TensorFlow instantiated while this was open."""

    def __init__(self) -> None:
        self.graphs: list[Any] = []

    @property
    def found(self) -> bool:
        """Say whether any function was instantiated; one that ran before is not made again."""
        return bool(self.graphs)

    def describe(self) -> dict[str, Any]:
        """Return the executed ops as :class:`bridge.capsule.ExecutedGraph` data."""
        ops: list[dict[str, Any]] = []
        jit = False
        # A function that is traced again for another batch size does the same work: once is told.
        told: set[tuple[str, str, tuple[str, ...]]] = set()
        for graph in self.graphs:
            for node in _in_order(graph.node):
                jit = jit or node.attr["_XlaMustCompile"].b
                if node.op in _PLUMBING:
                    continue
                fused = [part.decode() for part in node.attr["fused_ops"].list.s]
                about = (node.op, node.name, tuple(fused))
                if about in told:
                    continue
                told.add(about)
                ops.append(
                    {"op": node.op, "name": node.name, "fused": fused, "device": _device(node)}
                )
        return {"ops": ops, "functions": len(self.graphs), "jit_compiled": jit}


@contextmanager
def executed_graphs() -> Iterator[Executed]:
    """Collect the optimised graph of every function that is instantiated inside."""
    from tensorflow.python.eager import context

    found = Executed()
    ctx = context.context()
    ctx.enable_graph_collection()
    try:
        yield found
    finally:
        metadata = ctx.export_run_metadata()
        ctx.disable_graph_collection()
        if metadata is not None:
            graphs = [each.post_optimization_graph for each in metadata.function_graphs]
            found.graphs = [graph for graph in graphs if _is_function(graph)]


def _is_function(graph: Any) -> bool:
    ops = {node.op for node in graph.node}
    if any(op.startswith(_EAGER_OP) for op in ops):
        return False
    return any(not op.endswith("Dataset") for op in ops - _PLUMBING)


def _device(node: Any) -> str:
    # "/job:localhost/replica:0/task:0/device:CPU:0": only the last part says something.
    device: str = node.device
    return device.rpartition("device:")[2]


def _in_order(nodes: Any) -> list[Any]:
    """Sort nodes so that each comes after its inputs, keeping the given order otherwise."""
    by_name = {node.name: node for node in nodes}
    placed: dict[str, None] = {}
    for first in nodes:
        stack = [(first.name, False)]
        while stack:
            name, ready = stack.pop()
            if name in placed or name not in by_name:
                continue
            if ready:
                placed[name] = None
                continue
            stack.append((name, True))
            inputs = [each.lstrip("^").partition(":")[0] for each in by_name[name].input]
            stack.extend((each, False) for each in reversed(inputs) if each not in placed)
            by_cycle = len(stack) > 4 * len(by_name) + 16
            if by_cycle:  # loops of control flow: fall back to the given order
                return list(nodes)
    return [by_name[name] for name in placed]
