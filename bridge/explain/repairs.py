"""Calls that raise, with one thing of them as Python would have had it: what to try.

R has no whole numbers unless they are written with an L, no numbers without a length, and only
doubles. Where a call raises, each of these may be why. A repair is the recording with that one
thing put right; replaying it shows whether the call then works. Only what the script itself writes
is put right: what a package or Python adds is not the script's to mend.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from bridge.capsule import Call, Capsule
from bridge.capsule.values import ArrayValue, Items, Method, ObjectValue, Pairs, Scalar, Value
from bridge.rules.run import Mended
from bridge.translate.syntax import Node, RCall, Row, SyntaxRowsError, build, walk
from bridge.translate.wrappers import Wrapper, wrappers


@dataclass(frozen=True)
class Repair:
    """A recording in which one thing is put right.

    ``call`` is the number of the call that raised, ``said`` says what is other in the recording.
    """

    call: int
    said: Mended
    capsule: Capsule
    #: The calls that the script went on to make: they must not raise for the repair's sake.
    followers: frozenset[int] = frozenset()


def works(repair: Repair, replay: Capsule) -> bool:
    """Say whether a replay of the repair makes the call that raised, and those that follow.

    A replay lists only calls that raise, or that raised when they were recorded.
    """
    errors = {call.id: call.error for call in replay.manifest.calls}
    raised = {call.id for call in repair.capsule.manifest.calls if call.error}
    return errors.get(repair.call, True) is None and not any(
        errors[number] for number in errors.keys() & (repair.followers - raised)
    )


def repairs(capsule: Capsule, replay: Capsule, tree: Sequence[Row]) -> Iterator[Repair]:
    """Yield what may be tried for the first call that raised, the likeliest first.

    Nothing is, where the ``replay`` does not raise there too: then more than the arguments of the
    recording is needed for the error, and no trial says anything. ``tree`` has the rows of the
    script's syntax tree.
    """
    calls = capsule.manifest.calls
    raised = (c for c in calls if c.kind == "call" and c.error and not c.parent and not c.internal)
    failing = next(raised, None)
    again = {call.id for call in replay.manifest.calls if call.error is not None}
    if failing is None or failing.id not in again:
        return
    try:
        nodes = [node for item in build(tree) for node in walk(item)]
    except SyntaxRowsError:
        return
    followers = frozenset(
        call.id
        for call in calls[calls.index(failing) + 1 :]
        if call.kind == "call" and not call.parent and not call.internal
    )
    for words, change in _CHANGES:
        for call in (failing, *_makers(capsule, failing)):
            work = _RepairAttempt(capsule, change, _written(capsule, nodes, call))
            repaired = work.call(call)
            if repaired is None:
                continue
            put_right = tuple(
                repaired if recorded.id == call.id else recorded for recorded in calls
            )
            manifest = capsule.manifest.model_copy(update={"calls": put_right})
            changed = Capsule(manifest, {**capsule.arrays, **work.arrays})
            headline, why, help_ = (word.format(names=work.names) for word in words)
            said = Mended(headline, why, help_, call.line)
            yield Repair(failing.id, said, changed, followers)


@dataclass
class _RepairAttempt:
    """One change, made to all values of a call that it applies to."""

    capsule: Capsule
    change: Callable[[_RepairAttempt, str, Value], Value | None]
    written: frozenset[str]
    arrays: dict[str, Any] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)

    @property
    def names(self) -> str:
        """Name the arguments that were changed."""
        return " and ".join(dict.fromkeys(self.changed))

    def call(self, call: Call) -> Call | None:
        """Return the call with the change made, None where there is nothing to change."""
        whole = call.target.name if isinstance(call.target, Method) else ""
        args = tuple(self.value(whole or f"argument {n}", v) for n, v in enumerate(call.args, 1))
        kwargs = {
            name: self.value(name, value) if name in self.written else value
            for name, value in call.kwargs.items()
        }
        return call.model_copy(update={"args": args, "kwargs": kwargs}) if self.changed else None

    def value(self, name: str, value: Value) -> Value:
        """Return a value with the change made, to it or to what is in it."""
        changed = self.change(self, name, value)
        if changed is not None:
            self.changed.append(name)
            return changed
        if isinstance(value, Items):
            return value.model_copy(
                update={"items": tuple(self.value(name, item) for item in value.items)}
            )
        if isinstance(value, Pairs):
            pairs = tuple((key, self.value(name, item)) for key, item in value.items)
            return value.model_copy(update={"items": pairs})
        return value

    def keep(self, elements: Any) -> str:
        """Keep the elements of an array that the recording does not have, and name them."""
        key = f"repaired{len(self.arrays)}"
        self.arrays[key] = elements
        return key


def _written(capsule: Capsule, nodes: Sequence[Node], call: Call) -> frozenset[str]:
    """Return the arguments of a recorded call that the text names or gives by place.

    By the names that they have in R, and those that the R package's function gives them.
    """
    front = capsule.manifest.frontend
    known = wrappers(front.package) if front is not None else {}
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, RCall) and call.line in {inner.line for inner in walk(node)}:
            found |= _names_given(node, known.get(node.name))
    return frozenset(found)


def _names_given(node: RCall, wrapper: Wrapper | None) -> set[str]:
    named = {argument.name for argument in node.arguments if argument.name}
    if wrapper is None:
        return named
    # R fills the places that no name has taken, in order.
    places = [name for name in wrapper.formals if name != "..." and name not in named]
    given = named | set(places[: sum(not argument.name for argument in node.arguments)])
    sent = {parameter.to for name, parameter in wrapper.parameters.items() if name in given}
    return given | {name for name in sent if isinstance(name, str)}


def _makers(capsule: Capsule, call: Call) -> Iterator[Call]:
    """Yield the calls that made what a call was given, and what it was called on."""
    given = [*call.args, *call.kwargs.values(), call.target]
    numbers = {value.id for value in given if isinstance(value, (ObjectValue, ArrayValue))}
    for recorded in capsule.manifest.calls:
        number = getattr(recorded.result, "id", None)
        if number is not None and number in numbers:
            yield recorded


def _whole(_work: _RepairAttempt, _name: str, value: Value) -> Value | None:
    if isinstance(value, Scalar) and value.t == "float" and value.v.endswith(".0"):
        return Scalar(t="int", v=value.v.removesuffix(".0"))
    return None


def _vector(work: _RepairAttempt, name: str, value: Value) -> Value | None:
    """Give single numbers among arrays one dimension."""
    if not isinstance(value, Items):
        return None
    single = [isinstance(v, Scalar) and v.t in ("int", "float") for v in value.items]
    arrays = any(isinstance(v, ArrayValue) for v in value.items)
    if not any(single) or not (arrays or name in ("weights", "set_weights")):
        return None
    items: list[Value] = []
    for item in value.items:
        if isinstance(item, Scalar) and item.t in ("int", "float"):
            key = work.keep(np.array([float(item.v)]))
            items.append(ArrayValue(t="array", dtype="float64", shape=(1,), order="CF", key=key))
        else:
            items.append(item)
    return value.model_copy(update={"items": tuple(items)})


def _single(work: _RepairAttempt, _name: str, value: Value) -> Value | None:
    if not isinstance(value, ArrayValue) or value.dtype != "float64" or value.key is None:
        return None
    key = work.keep(np.asarray(work.capsule.arrays[value.key], np.float32))
    return value.model_copy(update={"dtype": "float32", "key": key, "id": None})


#: What is put right, and how: the headline, the reason and what to do.
_CHANGES: Final[
    tuple[
        tuple[
            tuple[str, str, str],
            Callable[[_RepairAttempt, str, Value], Value | None],
        ],
        ...,
    ]
] = (
    (
        (
            "Python wants a whole number for {names}, and R sent a double",
            "R writes a double for 1 and a whole number for 1L. With whole numbers there the call "
            "works.",
            "Write the number with an L, as in 3L.",
        ),
        _whole,
    ),
    (
        (
            "A single number in {names} reached Python without a dimension",
            "A vector of length one becomes a plain number on its way. With an array of one there "
            "the call works.",
            "Wrap it in as.array(), which keeps its dimension.",
        ),
        _vector,
    ),
    (
        (
            "Python got float64 for {names}, and other numbers are float32",
            "R's numbers are doubles, and arrays of them become float64. With float32 there the "
            "call works.",
            'Name the type where it is converted, as in tf$constant(x, dtype = "float32").',
        ),
        _single,
    ),
)
