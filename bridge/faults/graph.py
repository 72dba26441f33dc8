"""Faults of the executed graph: the ops that TensorFlow really runs, rewritten.

The graph is taken after TensorFlow optimised it, changed, and run with the optimiser off, so that
nothing is fused or folded again. What is run is what would be run if an optimiser pass or a kernel
had the defect: everything else keeps its ops, their order and their bits.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from bridge.faults.kernels import RULES, SCOPES, Graph, Rewriting
from bridge.faults.layers import KINDS as IN_LAYERS
from bridge.faults.layers import Fault, FaultError
from bridge.trace.executed_graph import GraphRecorder, executed_graphs

_times: Final = itertools.count(1)

#: The kinds of faults that can be put into an executed graph.
KINDS: Final[frozenset[str]] = frozenset(RULES)


def rewrites(fault: Fault | None, *, eager: bool = False, jit: bool = False) -> bool:
    """Say whether a fault stands in the executed graph when a model is run in this way.

    Run eagerly there is no graph, and XLA fuses by itself. A faulty kernel that a layer is named
    for stands in the layer in all ways of running (:func:`bridge.faults.layers.put_in`).
    """
    if fault is None or fault.kind not in KINDS or (fault.kind in IN_LAYERS and fault.layer):
        return False
    return not (eager or jit) and (fault.shows("graph") or fault.shows("predict"))


@dataclass(frozen=True)
class Rewritten:
    """A function whose executed graph was rewritten; called as the function was.

    ``changed`` names the nodes that have the fault, none if there was nothing to change: the
    function is then run as it is. ``executed`` are the labels of the ops that carry layers, in the
    order of the graph, as they are after the change.
    """

    changed: tuple[str, ...]
    executed: tuple[str, ...]
    _call: Callable[..., Any]

    def __call__(self, *args: Any) -> Any:
        """Run it, on arguments of the function's signature."""
        return self._call(*args)


def apply(fault: Fault, function: Any) -> Rewritten:
    """Return the concrete function with the fault in its executed graph.

    The function is run once, on zeros, to learn what TensorFlow executes for it; what it keeps in
    variables is put back.

    Raises:
        FaultError: there is no such kind of fault, or no such scope; or what is executed cannot be
            read or written.
    """
    if fault.kind not in KINDS:
        raise FaultError(
            f"there is no fault {fault.kind!r} of graphs; there are {', '.join(KINDS)}"
        )
    if fault.scope not in SCOPES:
        raise FaultError(f"there is no scope {fault.scope!r}; there are {', '.join(SCOPES)}")
    graph = Graph(_executed(function), _names_held(function))
    before = graph.labels()
    changed = Rewriting(graph, fault.layer, fault.scope).apply(RULES[fault.kind])
    if not changed:
        return Rewritten((), before, function)
    return Rewritten(changed, graph.labels(), _runnable(function, graph))


class Faulty:
    """A traced function (``tf.function``) with a fault in whatever is executed for it.

    It is called as the function is. ``last`` is what was called last.
    """

    def __init__(self, fault: Fault, traced: Any) -> None:
        self._fault, self._traced = fault, traced
        # Concrete functions are kept, so that no other can get the identity of one.
        self._made: dict[int, tuple[Any, Rewritten]] = {}
        self.last: Rewritten | None = None

    def __call__(self, *args: Any) -> Any:
        """Run it.

        Raises:
            FaultError: what is executed cannot be rewritten.
        """
        concrete = self._traced.get_concrete_function(*args)
        if id(concrete) not in self._made:
            self._made[id(concrete)] = (concrete, apply(self._fault, concrete))
        self.last = self._made[id(concrete)][1]
        return self.last(*args)


def _executed(function: Any) -> Any:
    """Return the graph that TensorFlow executes for a function."""
    import tensorflow as tf

    zeros = [tf.zeros([part or 1 for part in spec.shape], spec.dtype) for spec in _fed(function)]
    args, _ = function.structured_input_signature
    kept = [(variable, variable.read_value()) for variable in function.graph.variables]
    with executed_graphs() as seen, _options(_told_again):
        function(*tf.nest.pack_sequence_as(args, zeros))
    for variable, value in kept:
        if variable.trainable is False:
            variable.assign(value)
    return _largest(seen)


def _largest(seen: GraphRecorder) -> Any:
    """Return the graph of the function itself; beside it are single ops that were run eagerly."""
    if not seen.found:
        raise FaultError("TensorFlow did not say which graph it executed")
    return max(seen.graphs, key=lambda graph: len(graph.node))


def _fed(function: Any) -> Sequence[Any]:
    inputs: Sequence[Any] = function.inputs
    return inputs[: len(inputs) - len(function.captured_inputs)]


def _names_held(function: Any) -> Mapping[int, str]:
    """Return the name of the variable that each argument of the graph holds, by its place."""
    first = len(_fed(function))
    by_handle = {id(variable.handle): variable for variable in function.graph.variables}
    names = {}
    for place, held in enumerate(function.captured_inputs, first):
        if id(held) in by_handle:
            names[place] = str(by_handle[id(held)].name).partition(":")[0]
    return names


def _runnable(function: Any, graph: Graph) -> Callable[..., Any]:
    import tensorflow as tf

    fed = _fed(function)
    specs = [tf.TensorSpec(x.shape, x.dtype, f"fed_{place}") for place, x in enumerate(fed)]
    held = list(function.captured_inputs)
    body, arguments, results = graph.body()

    def rewritten(*given: Any) -> Any:
        inside = tf.compat.v1.get_default_graph()
        holding = [inside.capture(x, name=f"held_{place}") for place, x in enumerate(held)]
        values = [*given, *holding]
        known = {name: values[place] for name, place in arguments.items()}
        return tf.graph_util.import_graph_def(body, known, list(results), name="")

    missing = graph.missing_functions()
    if missing:
        raise FaultError(
            f"the executed graph calls a function that TensorFlow does not show: {missing[0]}"
        )
    try:
        # Unlike tf.function, this lets nothing wait for anything that it did not wait for.
        concrete = tf.compat.v1.wrap_function(rewritten, specs)
    except (ValueError, TypeError) as error:
        raise FaultError(f"the executed graph cannot be written: {error}"[:300]) from None

    def call(*args: Any) -> Any:
        flat = tf.nest.flatten(args)
        with _options(_optimiser_off):
            outputs = concrete(*[tf.convert_to_tensor(x) for x in flat])
        return tf.nest.pack_sequence_as(function.structured_outputs, list(outputs))

    return call


@contextmanager
def _options(change: Callable[[Any], None]) -> Iterator[None]:
    """Call functions inside with other options of TensorFlow's.

    They go with each call, not with the process, so that nothing leaks to what follows.
    """
    from tensorflow.python.eager import context

    ctx = context.context()
    before = ctx.function_call_options
    config = ctx.config
    change(config)
    ctx.function_call_options = context.FunctionCallOptions(before.executor_type, config)
    try:
        yield
    finally:
        ctx.function_call_options = before


def _optimiser_off(config: Any) -> None:
    config.graph_options.rewrite_options.disable_meta_optimizer = True


def _told_again(config: Any) -> None:
    """Have a function instantiated again that ran before, by options that change nothing else."""
    config.experimental.session_metadata.name = "read the executed graph"
    config.experimental.session_metadata.version = next(_times)
