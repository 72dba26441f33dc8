"""How a model's layers are called, read from configurations as both generations write them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bridge.capsule import LayerState, ModelState, Probe
from bridge.compare.config_normal_form import Unlike, compare_configs
from bridge.rounding.layer_graph import (
    Feed,
    LayerCall,
    WiringError,
    calls,
    fed_inputs,
    feeds,
    find_layer,
    outputs_of,
    recorded_calls,
)
from tests.compare_samples import Sample

#: A layer: its class, its name and its calls; a call is what it is fed and its arguments.
Spec = tuple[str, str, list[tuple[list[Feed], dict[str, Any]]]]


def fed(*feeds: str | Feed, **arguments: Any) -> tuple[list[Feed], dict[str, Any]]:
    return [Feed(each) if isinstance(each, str) else each for each in feeds], arguments


def second(*layers: Spec, nested: tuple[str, ...] = (), **wires: Any) -> Any:
    """Write a configuration as Keras 2 does."""

    def node(feeds: list[Feed], arguments: dict[str, Any]) -> Any:
        return [
            [each.layer, each.node + (each.layer in nested), each.tensor, arguments]
            for each in feeds
        ]

    return written(layers, node, nested, wires)


def third(*layers: Spec, nested: tuple[str, ...] = (), **wires: Any) -> Any:
    """Write a configuration as Keras 3 does."""

    def tensor(feed: Feed) -> Any:
        history = [feed.layer, feed.node, feed.tensor]
        return {"class_name": "__keras_tensor__", "config": {"keras_history": history}}

    def node(feeds: list[Feed], arguments: dict[str, Any]) -> Any:
        given = [tensor(each) for each in feeds]
        return {"args": [given if len(given) > 1 else given[0]], "kwargs": arguments}

    return written(layers, node, nested, wires)


def written(layers: Any, node: Any, nested: tuple[str, ...], wires: dict[str, Any]) -> Any:
    return {
        "layers": [
            {
                "class_name": cls,
                "name": name,
                "config": {"name": name, **({"layers": []} if name in nested else {})},
                "inbound_nodes": [node(*call) for call in made],
            }
            for cls, name, made in layers
        ],
        **wires,
    }


BOTH = pytest.mark.parametrize("write", [second, third])
A: Spec = ("InputLayer", "a", [])
B: Spec = ("InputLayer", "b", [])


def state(config: Any, cls: str = "keras.Model", keras: str = "keras") -> ModelState:
    layers = tuple(
        LayerState(
            name=layer["name"],
            cls=f"keras.layers.{layer['class_name']}",
            config=layer["config"],
        )
        for layer in config["layers"]
    )
    return ModelState(id=1, cls=cls, keras=keras, name="m", layers=layers, config=config)


@BOTH
def test_the_calls_of_a_model_are_read_with_their_feeds_in_order(write: Any) -> None:
    config = write(
        A, B,
        ("Dense", "shared", [fed("b"), fed("a")]),
        ("Add", "twice", [fed("a", "a")]),
        ("LSTM", "lstm", [fed("a")]),
        ("Subtract", "minus", [fed(Feed("shared", 1), Feed("lstm", 0, 2))]),
    )  # fmt: skip
    assert recorded_calls(config) == (
        LayerCall("shared", 0, (Feed("b"),)),
        LayerCall("shared", 1, (Feed("a"),)),
        LayerCall("twice", 0, (Feed("a"), Feed("a"))),
        LayerCall("lstm", 0, (Feed("a"),)),
        LayerCall("minus", 0, (Feed("shared", 1), Feed("lstm", 0, 2))),
    )


@BOTH
def test_arguments_are_told_but_for_those_that_hold_anyhow(write: Any) -> None:
    config = write(
        A,
        ("Dropout", "on", [fed("a", training=True)]),
        ("Dropout", "off", [fed("a", training=False, mask=None)]),
    )
    on, off = recorded_calls(config) or ()
    assert (on.arguments, off.arguments) == ({"training": True}, {})


def test_tensors_among_the_arguments_are_feeds_too() -> None:
    of_second = second(A, B, ("MultiHeadAttention", "m", [fed("a", value=["b", 0, 0])]))
    history = {"class_name": "__keras_tensor__", "config": {"keras_history": ["b", 0, 0]}}
    of_third = third(A, B, ("MultiHeadAttention", "m", [fed("a", value=history)]))
    call = LayerCall("m", 0, (Feed("a"), Feed("b")), {"value": {"input": 1}})
    assert recorded_calls(of_second) == recorded_calls(of_third) == (call,)


def test_a_constant_in_the_place_of_an_input_is_an_argument() -> None:
    config = second(A, ("Add", "add", [fed("a")]))
    config["layers"][1]["inbound_nodes"][0].append(["_CONSTANT_VALUE", -1, [1.0], {}])
    (call,) = recorded_calls(config) or ()
    assert (call.feeds, list(call.arguments.values())) == ((Feed("a"),), [[1.0]])


def test_the_call_that_a_model_has_of_its_own_is_not_counted() -> None:
    layers = (A, ("Sequential", "inner", [fed("a")]), ("Dense", "d", [fed("inner")]))
    for write in (second, third):
        found = recorded_calls(write(*layers, nested=("inner",))) or ()
        assert found[1].feeds == (Feed("inner"),)


@pytest.mark.parametrize(
    "config",
    [None, {}, {"layers": []}, {"layers": [{"name": "a"}]}, {"layers": [3]},
     {"layers": [{"name": "a", "inbound_nodes": [[3]]}]},
     {"layers": [{"name": "a", "inbound_nodes": [{"args": 1}]}]},
     {"layers": [{"name": "a"}, {"name": "a"}]}],
)  # fmt: skip
def test_what_tells_of_no_calls_has_none(config: Any) -> None:
    assert recorded_calls(config) is None


# --- wiring -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "why"),
    [
        (("Dense", "d", [fed("a"), fed("a")]), "called more than once"),
        (("Dropout", "d", [fed("a", training=True)]), "called with arguments: training"),
        (("Dense", "d", [fed(Feed("a", 0, 1))]), "one of the outputs of 'a'"),
        (("Dense", "d", [fed("gone")]), "what feeds layer 'd'"),
        (("Dense", "d", []), "what feeds layer 'd'"),
    ],
)
def test_what_names_of_layers_cannot_say_is_refused(layer: Spec, why: str) -> None:
    with pytest.raises(WiringError, match=why):
        feeds(state(second(A, layer)))


def test_a_layer_that_feeds_another_twice_is_named_twice() -> None:
    assert feeds(state(third(A, ("Add", "add", [fed("a", "a")])))) == {"a": (), "add": ("a", "a")}


def test_without_calls_in_the_configuration_each_layer_is_called_once() -> None:
    dense = LayerState(name="d", cls="keras.layers.Dense", inbound=("a", "a"))
    inputs = LayerState(name="a", cls="keras.layers.InputLayer")
    model = ModelState(id=1, cls="keras.Model", keras="", name="m", layers=(inputs, dense))
    assert calls(model) == (LayerCall("d", 0, (Feed("a"), Feed("a"))),)


def inner() -> LayerState:
    dense = LayerState(name="dense", cls="keras.layers.Dense", config={"units": 2})
    return LayerState(name="in/ner", cls="keras.Sequential", layers=(dense, dense.model_copy(
        update={"name": "last"})))  # fmt: skip


def test_a_layer_within_a_model_that_is_a_layer_is_found_by_its_path() -> None:
    dense = LayerState(name="dense", cls="keras.layers.Dense", config={"units": 1})
    layers = (dense, inner())
    found = [find_layer(layers, path) for path in ("dense", "in/ner/dense", "in/ner/gone")]
    assert [each.config if each else None for each in found] == [{"units": 1}, {"units": 2}, None]


@BOTH
def test_outputs_are_known_by_their_names(write: Any) -> None:
    layers = (A, ("Dense", "p", [fed("a")]), ("Dense", "q", [fed("a"), fed("p")]))
    by_key = state(write(*layers, output_layers={"z": ["p", 0, 0], "b": ["q", 1, 0]}))
    assert outputs_of(by_key, ["y['z']", "y['b']"]) == (Feed("p"), Feed("q", 1))
    assert outputs_of(by_key, ["y[0]", "y[1]"]) is None
    in_list = state(write(*layers, output_layers=[["p", 0, 0], ["q", 0, 0]]))
    assert outputs_of(in_list, ["y[0]", "y[1]"]) == (Feed("p"), Feed("q"))
    alone = state(write(*layers, output_layers=[["q", 0, 0]]))
    assert outputs_of(alone, ["y"]) == (Feed("q"),)


def test_the_output_of_a_model_that_is_a_layer_is_that_of_its_last_layer() -> None:
    inputs = LayerState(name="a", cls="keras.layers.InputLayer")
    model = ModelState(
        id=1, cls="keras.Model", keras="tf_keras", name="m", layers=(inputs, inner()),
        config={"output_layers": [["in/ner", 0, 0]]},
    )  # fmt: skip
    assert outputs_of(model, ["y"]) == (Feed("in/ner/last"),)


@pytest.mark.parametrize(
    ("wires", "names"),
    [
        ([["a", 0, 0], ["b", 0, 0]], ("x[0]", "x[1]")),
        ([["a", 0, 0], ["b", 0, 0]], ("x['b']", "x['a']")),
        ({"two": ["b", 0, 0], "one": ["a", 0, 0]}, ("x['two']", "x['one']")),
    ],
)
def test_inputs_are_put_in_the_order_of_the_model(wires: Any, names: tuple[str, str]) -> None:
    model = state(second(A, B, input_layers=wires))
    sample = Sample()
    arrays = {name: np.array([number]) for number, name in enumerate(names)}
    refs = tuple(sample.array(name, x) for name, x in arrays.items())
    found = fed_inputs(model, Probe(index=0, kind="predict", inputs=refs), arrays)
    assert [x.item() for x in found] == ([0, 1] if names[0] == "x[0]" else [1, 0])


# --- configurations -----------------------------------------------------------------------------


def unlike(one: Any, other: Any) -> list[Unlike]:
    deciding, _ = compare_configs(state(one), state(other))
    return deciding


def two_inputs(write: Any, first: str, then: str, wires: Any = None) -> Any:
    return write(A, B, ("Concatenate", "c", [fed(first, then)]), output_layers=[["c", 0, 0]],
                 input_layers=wires or [["a", 0, 0], ["b", 0, 0]])  # fmt: skip


@BOTH
def test_the_order_of_a_models_inputs_matters(write: Any) -> None:
    (found,) = unlike(two_inputs(write, "a", "b"), two_inputs(write, "b", "a"))
    assert found.tell() == "['input 0', 'input 1'] against ['input 1', 'input 0']"
    swapped = two_inputs(write, "a", "b", [["b", 0, 0], ["a", 0, 0]])
    assert unlike(two_inputs(write, "b", "a"), swapped) == []


def test_a_dict_of_inputs_is_compared_by_its_keys() -> None:
    one = two_inputs(third, "a", "b", {"p": ["a", 0, 0], "q": ["b", 0, 0]})
    other = two_inputs(third, "b", "a", {"q": ["a", 0, 0], "p": ["b", 0, 0]})
    assert unlike(one, other) == []
    (found,) = unlike(one, two_inputs(third, "b", "a", {"p": ["a", 0, 0], "q": ["b", 0, 0]}))
    assert "input ['p']" in found.tell()


@BOTH
def test_an_input_that_is_received_twice_counts_twice(write: Any) -> None:
    twice = write(A, ("Add", "add", [fed("a", "a")]), output_layers=[["add", 0, 0]])
    thrice = write(A, ("Add", "add", [fed("a", "a", "a")]), output_layers=[["add", 0, 0]])
    assert unlike(twice, twice) == []
    assert len(unlike(twice, thrice)) == 1


def shared(write: Any, first: str, then: str, one: int, two: int) -> Any:
    return write(
        A, B, ("Dense", "d", [fed(first), fed(then)]),
        ("Subtract", "s", [fed(Feed("d", one), Feed("d", two))]),
        input_layers=[["a", 0, 0], ["b", 0, 0]], output_layers=[["s", 0, 0]],
    )  # fmt: skip


@BOTH
def test_the_calls_of_a_shared_layer_are_known_by_what_they_are_fed(write: Any) -> None:
    a_minus_b = shared(write, "a", "b", 0, 1)
    assert unlike(a_minus_b, shared(write, "b", "a", 1, 0)) == []
    (found,) = unlike(a_minus_b, shared(write, "a", "b", 1, 0))
    assert found.spell(state(a_minus_b)) == "model.get_layer('s').input"
    assert unlike(a_minus_b, shared(write, "a", "a", 0, 1))


@BOTH
def test_another_output_of_a_layer_or_of_the_model_is_a_difference(write: Any) -> None:
    def model(tensor: int, *outputs: str) -> Any:
        layers = (A, ("LSTM", "l", [fed("a")]), ("Dense", "d", [fed(Feed("l", 0, tensor))]))
        return write(*layers, output_layers=[[name, 0, 0] for name in outputs])

    (found,) = unlike(model(0, "d"), model(1, "d"))
    assert found.tell() == "[0] against [[0, 'output 1']]"
    (found,) = unlike(model(0, "d", "l"), model(0, "l", "d"))
    assert found.spell(state(model(0, "d"))) == "model.outputs"


@BOTH
def test_an_argument_of_a_call_is_a_difference(write: Any) -> None:
    def model(**arguments: Any) -> Any:
        return write(A, ("Dropout", "d", [fed("a", **arguments)]), output_layers=[["d", 0, 0]])

    assert unlike(model(), model(training=False)) == []
    (found,) = unlike(model(), model(training=True))
    assert found.tell() == "{} against {'training': True}"


def test_a_model_that_is_a_layer_is_compared_without_the_names_of_its_layers() -> None:
    def model(*names: str, order: tuple[int, int] = (0, 1)) -> ModelState:
        first, then, last = names
        wired = (names[order[0]], names[order[1]])
        config = second(
            ("InputLayer", first, []), ("InputLayer", then, []),
            ("Concatenate", last, [fed(*wired)]),
            input_layers=[[first, 0, 0], [then, 0, 0]], output_layers=[[last, 0, 0]],
        )  # fmt: skip
        layer = LayerState(name="inner", cls="keras.Model", config=config, inbound=("x",))
        return ModelState(id=1, cls="keras.Model", keras="tf_keras", name="m", layers=(layer,))

    one, other = model("a", "b", "c"), model("a_1", "b_1", "c_1")
    assert compare_configs(one, other) == ([], [])
    (found,), _ = compare_configs(one, model("a", "b", "c", order=(1, 0)))
    assert found.position == 0
