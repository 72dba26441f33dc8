"""What TensorFlow really executed: the graph after optimisation, read from the run metadata."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from bridge.capsule import ExecutedGraph
from bridge.facts.ops import PLUMBING

#: What feeds a model batch by batch, outside its layers or to them.
_FEEDING: Final = frozenset({"ReadVariableOp", "ExpandDims", "Cast", "Shape"})

#: TensorFlow wraps single eager operations and input pipelines into functions as well.
_EAGER_OP: Final = "_Device"


class GraphRecorder:
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
        described: set[tuple[str, str, tuple[str, ...]]] = set()
        for graph in self.graphs:
            for node in _in_order(graph.node):
                jit = jit or node.attr["_XlaMustCompile"].b
                if node.op in PLUMBING:
                    continue
                fused = _fused(node)
                about = (node.op, node.name, tuple(fused))
                if about in described:
                    continue
                described.add(about)
                ops.append(
                    {"op": node.op, "name": node.name, "fused": fused, "device": _device(node)}
                )
        return {"ops": ops, "functions": len(self.graphs), "jit_compiled": jit}

    def arithmetic(self) -> list[Counter[str]]:
        """Count the layers' ops, for each function by itself.

        An op that calls a function counts with the number of what it returns: TensorFlow leaves
        out of a function what nobody asks for.
        """
        found = [
            Counter(_work(node) for node in graph.node if _is_work(node.op, node.name))
            for graph in self.graphs
        ]
        return sorted((graph for graph in found if graph), key=lambda graph: sorted(graph.items()))

    def nodes(self) -> dict[str, list[str]]:
        """Return what is fused into each op, by the op's name."""
        return {node.name: _fused(node) for graph in self.graphs for node in graph.node}


def arithmetic(graph: ExecutedGraph) -> Counter[str]:
    """Count the ops that belong to layers; what feeds them in batches differs and may."""
    return Counter(op.label for op in graph.ops if _is_work(op.op, op.name))


def calls_functions(graph: ExecutedGraph) -> bool:
    """Say whether an op calls a function, inside of which nothing is recorded."""
    return any(op.op.endswith("PartitionedCall") for op in graph.ops)


#: What is collected at the moment, the innermost last.
_open: list[GraphRecorder] = []


@contextmanager
def executed_graphs() -> Iterator[GraphRecorder]:
    """Collect the optimised graph of every function that is instantiated inside.

    Inside another such block nothing of it is lost: each block gets its own functions only.
    """
    from tensorflow.python.eager import context

    ctx = context.context()
    if _open:
        _open[-1].graphs += _collected(ctx)
    found = GraphRecorder()
    _open.append(found)
    ctx.enable_graph_collection()
    try:
        yield found
    finally:
        found.graphs += _collected(ctx)
        _open.remove(found)
        if _open:
            ctx.enable_graph_collection()
        else:
            ctx.disable_graph_collection()


def _collected(ctx: Any) -> list[Any]:
    """Return the graphs of the functions that were instantiated since this was last asked."""
    metadata = ctx.export_run_metadata()
    if metadata is None:
        return []
    graphs = [graph.post_optimization_graph for graph in metadata.function_graphs]
    return [graph for graph in graphs if _is_function(graph)]


def _is_function(graph: Any) -> bool:
    ops = {node.op for node in graph.node}
    if any(op.startswith(_EAGER_OP) for op in ops):
        return False
    return any(not op.endswith("Dataset") for op in ops - PLUMBING)


def _is_work(op: str, name: str) -> bool:
    return "/" in name and op not in _FEEDING and op not in PLUMBING


def _work(node: Any) -> str:
    fused = _fused(node)
    label = f"{node.op}[{','.join(fused)}]" if fused else str(node.op)
    returned = len(node.attr["Tout"].list.type) if "f" in node.attr else 0
    return f"{label}({returned})" if returned else label


def _fused(node: Any) -> list[str]:
    return [part.decode() for part in node.attr["fused_ops"].list.s]


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
            inputs = [source.lstrip("^").partition(":")[0] for source in by_name[name].input]
            stack.extend((source, False) for source in reversed(inputs) if source not in placed)
            by_cycle = len(stack) > 4 * len(by_name) + 16
            if by_cycle:  # loops of control flow: fall back to the given order
                return list(nodes)
    return [by_name[name] for name in placed]
