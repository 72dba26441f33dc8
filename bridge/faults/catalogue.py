"""Every kind of fault that can be put in on purpose: what it does, and whose doing it would be.

Faults test the explanation: the cause that is named for a run with a fault has to be the fault's
own. How one is put in is known to others, by its kind: ``bridge.faults.recording`` changes recorded
runs, ``bridge.faults.layers`` and ``bridge.faults.graph`` put them into layers and executed graphs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from bridge.facts.causes import family
from bridge.facts.layers import LAYERS, doing

#: What a fault is put into: a recorded run, a layer that is run, or the graph that is executed.
Into = Literal["recording", "layer", "graph"]
Group = Literal["marshalling", "arguments", "weights", "layers", "graph", "kernel"]
Stage = Literal["config", "weights", "input", "layer"]

#: The ways of running that a fault shows in, by a name; the first is all of them.
EVERYWHERE: Final[tuple[str, ...]] = ()
IN_GRAPHS: Final[tuple[str, ...]] = ("graph", "predict")
#: What Keras traces is also what XLA compiles.
TRACED: Final[tuple[str, ...]] = ("graph", "predict", "xla")
#: TensorFlow's own kernels run in all ways but XLA's, which brings its own.
IN_KERNELS: Final[tuple[str, ...]] = ("eager", "call", "graph", "predict")
IN_XLA: Final[tuple[str, ...]] = ("xla",)

#: Layers that have weights which multiply, an activation, an epsilon.
_DENSE: Final = tuple(name for name, row in LAYERS.items() if row.units)
_OTHER_CONVS: Final = tuple(name for name in doing("products") if name not in _DENSE)
_RECURRENT: Final = tuple(name for name, row in LAYERS.items() if row.family == "recurrent")
_NORMS: Final = tuple(name for name, row in LAYERS.items() if row.family == "normalising")
_ACTIVATING: Final = tuple(name for name, row in LAYERS.items() if row.activates)


@dataclass(frozen=True)
class FaultKind:
    """One kind of fault.

    Args:
        kind: its name.
        causes: the cause that is right for it, by the ways in which it shows; ``kernel:`` stands
            for the op that the layer is executed by.
        stage: where a run with it first differs from one without.
        sentence: what it does.
        group: under which heading reports count it.
        into: what it is put into.
        layers: the classes of layers that can have it; empty says that every class can.
    """

    kind: str
    causes: Mapping[tuple[str, ...], str]
    stage: Stage
    sentence: str
    group: Group
    into: Into
    layers: tuple[str, ...] = ()

    @property
    def cause(self) -> str:
        """The cause that is right for it where nothing is said about ways."""
        return next(iter(self.causes.values()))

    def fits(self, cls: str) -> bool:
        """Say whether a layer of this class can have it."""
        return not self.layers or cls in self.layers


def is_cause_of(truth: str, named: str) -> bool:
    """Say whether a cause that was named is the true one.

    A kernel is right by its op, whether others were fused into it or not, in any version.
    """
    kernels = family(truth) == family(named) == "kernel"
    return truth == named or (kernels and _op(truth) == _op(named))


def _op(cause: str) -> str:
    name = cause.partition(":")[2].partition("[")[0].removeprefix("_Fused").removeprefix("Batch")
    stem, found, version = name.rpartition("V")
    return stem if found and version.isdigit() else name


def _recorded(
    kind: str, cause: str, stage: Stage, group: Group, sentence: str, *layers: str
) -> FaultKind:
    return FaultKind(kind, {EVERYWHERE: cause}, stage, sentence, group, "recording", layers)


def _layer(kind: str, sentence: str, *layers: str) -> FaultKind:
    causes = {EVERYWHERE: "keras-layer", TRACED: "tracing", IN_XLA: "xla"}
    return FaultKind(kind, causes, "layer", sentence, "layers", "layer", layers)


def _graph(kind: str, sentence: str) -> FaultKind:
    causes = {IN_GRAPHS: "grappler:remapping"}
    return FaultKind(kind, causes, "layer", sentence, "graph", "graph", _DENSE)


def _kernel(kind: str, sentence: str) -> FaultKind:
    layers = (*_DENSE, *_RECURRENT)
    return FaultKind(kind, {IN_KERNELS: "kernel:"}, "layer", sentence, "kernel", "layer", layers)


_LIST: Final = (
    # What R hands over.
    _recorded("column-major", "r-conversion", "weights", "marshalling",
              "A matrix of weights is read by columns where Python reads by rows.",
              *_DENSE, "Embedding"),
    _recorded("column-major-input", "r-conversion", "input", "marshalling",
              "What the model is given is read by columns where Python reads by rows."),
    _recorded("float-for-int", "r-conversion", "input", "marshalling",
              "Whole numbers arrive as float32, which keeps 24 bits of them."),
    _recorded("null-dropped", "r-conversion", "config", "marshalling",
              "NULL in a list of sizes vanishes instead of becoming None."),
    _recorded("index-base", "r-index-base", "config", "marshalling",
              "An axis is counted from 1 where Python counts from 0.",
              "Softmax", "Concatenate", *_NORMS),
    _recorded("factor-codes", "r-index-base", "input", "marshalling",
              "A factor's codes begin with 1 where the model's table begins with 0."),
    # What the wrapper makes of the arguments.
    _recorded("argument-dropped", "r-conversion", "config", "arguments",
              "An argument that was given never arrives, and Keras' default holds."),
    _recorded("argument-truncated", "r-conversion", "config", "arguments",
              "A fraction arrives cut to a whole number."),
    _recorded("default-changed", "r-default", "config", "arguments",
              "An argument that was not given arrives with a value that is not Keras' default."),
    # The weights that a layer really has.
    _recorded("weights-transposed", "r-conversion", "weights", "weights",
              "A square matrix of weights arrives transposed.", *_DENSE, *_RECURRENT),
    _recorded("weights-swapped", "r-conversion", "weights", "weights",
              "Two columns of a matrix of weights are exchanged.", *_DENSE, *_RECURRENT),
    _recorded("weights-stale", "r-semantics", "weights", "weights",
              "The weights are those that the model had at an earlier moment."),
    # What a layer does.
    _layer("activation-lost", "The activation is not applied.",
           *_DENSE, *_OTHER_CONVS, *_ACTIVATING),
    _layer("activation-lost-in-unit", "The activation is not applied in one unit.",
           *_DENSE, *_OTHER_CONVS),
    _layer("bias-lost", "The bias is not added.", *_DENSE, *_OTHER_CONVS),
    _layer("columns-swapped", "Two columns of the kernel are exchanged.", *_DENSE),
    _layer("kernel-transposed", "The kernel is transposed.", *_DENSE),
    _layer("weight-moved", "One weight has another value.",
           *_DENSE, *_OTHER_CONVS, *_RECURRENT),
    _layer("gelu-approximate", "gelu is approximated by tanh.", *_DENSE),
    _layer("epsilon-changed", "Another epsilon is added to the variance.", *_NORMS),
    _layer("padding-shifted", "The padding is on the wrong side.", *_DENSE[1:]),
    _layer("input-shifted", "The input is read one place to the side.",
           *_DENSE, *_OTHER_CONVS, "MaxPooling1D", "MaxPooling2D", "AveragePooling1D",
           "AveragePooling2D", "UnitNormalization"),
    _layer("training-mode", "The layer runs as in training.", "BatchNormalization", "Dropout"),
    # What TensorFlow executes.
    _graph("relu-lost-in-fused", "relu is not applied where it is fused into another op."),
    _graph("fused-activation-lost", "An activation is not applied where it is fused."),
    _graph("fused-bias-lost", "The bias is not added where it is fused into another op."),
    _graph("fused-order-wrong", "The bias is added after the activation that is fused with it."),
    # What a kernel computes.
    _kernel("kernel-bf16", "What is multiplied is rounded to bfloat16."),
    _kernel("kernel-tf32", "What is multiplied is rounded to TensorFloat-32."),
    _kernel("flush-to-zero", "Subnormal numbers that are multiplied are taken for zero."),
)  # fmt: skip

#: Every kind, by its name.
FAULTS: Final[Mapping[str, FaultKind]] = {kind.kind: kind for kind in _LIST}
