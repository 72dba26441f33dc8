"""A recorded model evaluated in float64 from end to end, by the rules of its layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from bridge._typing import AnyArray
from bridge.capsule import Capsule, LayerState, ModelState
from bridge.rounding.layer_graph import feeds, in_order, input_names, is_sequential, output_names
from bridge.rounding.rules import Evaluation, Layer, UnsupportedError, evaluate, layer_of
from bridge.rounding.rules.rounding import FLOAT32

#: What is handed on of a layer's evaluation: its value, or something near it.
HandOn = Callable[[Evaluation], AnyArray]


def exactly(evaluation: Evaluation) -> AnyArray:
    """Hand on the value as it is."""
    return evaluation.value


class Network:
    """A recorded model with its weights read once, to be evaluated as often as one likes.

    Raises:
        WiringError: how the layers are connected was not recorded.
        CapsuleError: a weight was not recorded.
    """

    def __init__(self, capsule: Capsule, state: ModelState) -> None:
        self._state = state
        self._feeds = feeds(state)
        self._order = tuple(in_order(self._feeds))
        self._layers = {
            layer.name: layer_of(capsule, state, layer)
            for layer in state.layers
            if not _is_input(layer)
        }

    def run(self, inputs: Sequence[AnyArray], hand_on: HandOn = exactly) -> list[AnyArray]:
        """Evaluate the model on its inputs, given as the model received them.

        Doubles are cast to float32 first, as Keras casts them.

        Raises:
            UnsupportedError: a layer has no rule, or the inputs do not fit the model.
        """
        values = self._fed([FLOAT32.cast(x) if x.dtype.kind == "f" else x for x in inputs])
        for name in self._order:
            if name not in values:
                fed = self._feeds[name]
                given = [values[each] for each in fed] if fed else [values[""]]
                values[name] = hand_on(_evaluate(self._layers[name], given))
        names = output_names(self._state)
        lost = next((name for name in names if name not in values), None)
        if lost is not None:
            # An operation of Keras 3 is called like a layer, and recorded as its call alone.
            raise UnsupportedError(f"the model returns what {lost!r} makes, which is not a layer")
        return [values[name] for name in names]

    def _fed(self, inputs: Sequence[AnyArray]) -> dict[str, AnyArray]:
        """Return the inputs by the name of the input layer; "" is a Sequential's only one."""
        names = ("",) if is_sequential(self._state) else input_names(self._state)
        if len(names) != len(inputs):
            raise UnsupportedError(f"the model has {len(names)} inputs and was given {len(inputs)}")
        values: Mapping[str, AnyArray] = dict(zip(names, inputs, strict=True))
        first = [layer.name for layer in self._state.layers[:1] if _is_input(layer)]
        return {**values, **({first[0]: values[""]} if first and "" in values else {})}


def _is_input(layer: LayerState) -> bool:
    return layer.cls.rpartition(".")[2] == "InputLayer"


def _evaluate(layer: Layer, given: Sequence[AnyArray]) -> Evaluation:
    try:
        evaluations = evaluate(layer, given, received=False)
    except UnsupportedError as error:
        raise UnsupportedError(f"layer {layer.name!r} cannot be evaluated: {error}") from None
    if len(evaluations) != 1:
        raise UnsupportedError(f"layer {layer.name!r} has {len(evaluations)} outputs")
    return evaluations[0]
