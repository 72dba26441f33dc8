"""What R's run gave, for a run that cannot compute it: its variables, its draws, its calls.

R's answers are those of one statement at the top of the script. Python objects in them are known by
their numbers in R's recording: the calls that made them there are set beside the calls of this run,
statement by statement, and what this run does not make by itself it makes as R asked for it.
"""

from __future__ import annotations

import ast
import copy
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from bridge.capsule import Answer, Call, Capsule
from bridge.capsule.values import Items, ObjectValue, Scalar, Symbol, Value
from bridge.runs.replay import Replay, ReplayError
from bridge.trace.call_semantics import FRONT_ENDS, is_aside, of_script
from bridge.translate.rbase.values import Missing, NoValueError, answered
from bridge.translate.spelling import Written
from bridge.translate.writing import python_name

# Layers made in the order in which R made them, and not in that of the text.
#
# R evaluates an argument where it is first needed, so that a pipe may make its layers last first,
# or the layers inside of others before those that stand before them. Each layer draws the seeds of
# its weights when it is made: with the same seed another order gives other weights.

#: What stands for a layer in a statement that was rearranged.
LAYER: Final = "_bridge_layer"
#: Code that may not be run, or more than once: its layers stay where they are.
_CLOSED: Final = (ast.Lambda, ast.FunctionDef, ast.ClassDef, ast.IfExp, ast.comprehension)


class StatementLayers:
    """The layers of one statement: each is made when R made it, or when it is first needed."""

    def __init__(self) -> None:
        self._makers: dict[int, Callable[[], Any]] = {}
        self._made: dict[int, Any] = {}

    def make(self, makers: dict[int, Callable[[], Any]]) -> None:
        """Make layers in the order of ``makers``."""
        self._makers, self._made = makers, {}
        for number in makers:
            self.layer(number)

    def layer(self, number: int) -> Any:
        """Return a layer; it is made if it was not."""
        if number not in self._made:
            self._made[number] = self._makers[number]()
        return self._made[number]


def makes_layers(call: Call) -> bool:
    """Say whether a recorded call makes a layer."""
    path = _path(call)
    return call.kind == "call" and ".layers." in path and "Input" not in path


def rearranged(statement: ast.stmt, calls: Sequence[Call]) -> list[ast.stmt]:
    """Return statements that do the same, and make layers in the order of R's ``calls``.

    Args:
        statement: of Python, at the top of the script's translation.
        calls: those of R that make layers, in order, in the statement that it is of.
    """
    taken = _Taken()
    left = taken.visit(copy.deepcopy(statement))
    order = _order(taken.layers, calls)
    if len(order) < 2:
        return [statement]
    makers = ast.Dict(
        [ast.Constant(number) for number in order],
        [_thunk(taken.layers[number]) for number in order],
    )
    function = ast.Attribute(ast.Name(LAYER, ast.Load()), "make", ast.Load())
    first = ast.copy_location(ast.Expr(ast.Call(function, [makers], [])), statement)
    return [first, left]


class _Taken(ast.NodeTransformer):
    """Takes the calls that make layers out of a statement, inner ones first."""

    def __init__(self) -> None:
        self.layers: list[ast.Call] = []

    def visit(self, node: ast.AST) -> Any:
        return node if isinstance(node, _CLOSED) else super().visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        inside = [self.visit(argument) for argument in node.args]
        keywords = [
            ast.keyword(keyword.arg, self.visit(keyword.value)) for keyword in node.keywords
        ]
        function = self.visit(node.func)
        call = ast.copy_location(ast.Call(function, inside, keywords), node)
        # A layer that is called is no call that makes one.
        makes = isinstance(node.func, ast.Attribute)
        if not (makes and ast.unparse(node.func).startswith("keras.layers.")):
            return call
        self.layers.append(call)
        number = ast.Constant(len(self.layers) - 1)
        method = ast.Attribute(ast.Name(LAYER, ast.Load()), "layer", ast.Load())
        return ast.copy_location(ast.Call(method, [number], []), node)


def _order(layers: Sequence[ast.Call], calls: Sequence[Call]) -> list[int]:
    """Return the places of ``layers`` in the order of R's calls; none where they do not match.

    Layers that are given to another are those that R gave it. The others stand in the text in the
    order of their lines; on one line, in the order in which they were made, or the other way round
    where the lines are made last first.
    """
    made_by = {call.result.id: call for call in calls if isinstance(call.result, ObjectValue)}
    inside = {number for layer in layers for number in _input_layers(layer).values()}
    given = {id_ for call in calls for id_ in _objects(call).values() if id_ in made_by}
    outer = [call for call in calls if getattr(call.result, "id", None) not in given]
    lines = [call.line or 0 for call in outer]
    backwards = len(outer) > 1 and lines[0] > lines[-1]
    outer = sorted(reversed(outer) if backwards else outer, key=lambda call: call.line or 0)
    found: dict[int, int] = {}

    def match(number: int, call: Call) -> bool:
        found[call.id] = number
        objects = _objects(call)
        return _is_made_by(layers[number], call) and all(
            objects.get(name) in made_by and match(part, made_by[objects[name]])
            for name, part in _input_layers(layers[number]).items()
        )

    shown = [number for number in range(len(layers)) if number not in inside]
    if len(shown) != len(outer) or not all(map(match, shown, outer)):
        return []
    return [found[call.id] for call in calls] if len(found) == len(layers) == len(calls) else []


def _input_layers(layer: ast.Call) -> dict[str, int]:
    """Return the layers that are given to a layer, by the argument: its name, or its place."""
    arguments = {str(place): value for place, value in enumerate(layer.args)}
    arguments |= {keyword.arg or "": keyword.value for keyword in layer.keywords}
    return {
        name: value.args[0].value
        for name, value in arguments.items()
        if isinstance(value, ast.Call)
        and ast.unparse(value.func) == f"{LAYER}.layer"
        and isinstance(value.args[0], ast.Constant)
        and isinstance(value.args[0].value, int)
    }


def _objects(call: Call) -> dict[str, int]:
    """Return the objects that R gave to a call, by the argument."""
    arguments = {str(place): value for place, value in enumerate(call.args)} | call.kwargs
    return {name: value.id for name, value in arguments.items() if isinstance(value, ObjectValue)}


def _is_made_by(layer: ast.Call, call: Call) -> bool:
    """Say whether R's call may be the one that the text means: one class, the same settings."""
    if ast.unparse(layer.func).rpartition(".")[2] != _path(call).rpartition(".")[2]:
        return False
    for keyword in layer.keywords:
        given = call.kwargs.get(keyword.arg or "")
        if isinstance(keyword.value, ast.Constant) and isinstance(given, Scalar):
            written = keyword.value.value
            if isinstance(written, (int, float)) and given.t in ("int", "float"):
                if float(given.v) != float(written):
                    return False
            elif isinstance(written, str) and given.t == "str" and given.v != written:
                return False
    return True


def _path(call: Call) -> str:
    if not isinstance(call.target, Symbol):
        return ""
    return (call.target.public or call.target.path).replace(":", ".")


def _thunk(node: ast.expr) -> ast.expr:
    empty = ast.arguments([], [], None, [], [], None, [])
    return ast.copy_location(ast.Lambda(empty, node), node)


Target = tuple[str, str]


@dataclass(frozen=True)
class OwnCall:
    """A call that this run made: what was called, and what it gave."""

    target: Target
    result: Any


#: What tells one thing that is called from another in every run, by the kind of value that it is.
_TOLD_BY: Final = {"symbol": "path", "method": "name", "object": "cls"}


def called(target: Mapping[str, Any]) -> Target:
    """Return what a call is made on, as two runs have in common, of its value as data."""
    kind = str(target["t"])
    return kind, str(target.get(_TOLD_BY.get(kind, ""), ""))


def _called(call: Call) -> Target:
    target = call.target
    return target.t, str(getattr(target, _TOLD_BY.get(target.t, ""), ""))


class RAnswers(Replay):
    """R's answers, in the process of a run that may ask for them."""

    def __init__(self, recorded: Capsule, keras: Any) -> None:
        super().__init__(recorded, keras, lambda _, error: self._cut.append(str(error)))
        manifest = recorded.manifest
        self._cut: list[str] = []
        self._answers = {answer.statement: answer for answer in manifest.answers}
        self._calls = list(of_script(recorded))
        self._draws: dict[int, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
        for draw in manifest.draws:
            drawn: Any = list(draw.strings)
            if draw.array is not None and draw.array.key is not None:
                drawn = recorded.array(draw.array)
                drawn = drawn.reshape(-1)[0].item() if drawn.shape == (1,) else drawn
            elif len(drawn) == 1:
                drawn = drawn[0]
            self._draws[draw.statement][draw.name].append(drawn)
        #: Callbacks that the front end makes itself while it trains.
        self._beside = {
            call.result.id
            for call in self._calls
            if isinstance(call.result, ObjectValue)
            and call.result.cls.partition(".")[0] in FRONT_ENDS
            and Written(call).is_method
        }
        self._own: dict[int, list[OwnCall]] = defaultdict(list)
        self._bound: set[int] = set()

    def draws(self, statement: int) -> dict[str, list[Any]]:
        """Return what R drew in a statement, by function, in order."""
        return self._draws[statement]

    def places(self, statement: int) -> dict[int, list[Callable[[], Any]]]:
        """Return what R computed in a statement at watched places, each as it is asked for."""
        found: dict[int, list[Callable[[], Any]]] = defaultdict(list)
        answer = self._answers.get(statement)
        for place in () if answer is None else answer.places:
            found[place.place].append(partial(self._placed, statement, place.value))
        return found

    def _placed(self, statement: int, value: Value) -> Any:
        try:
            return answered(self.value(value))
        except (NoValueError, ReplayError):
            # It may hold an object of Python's that this run has made since it was last asked.
            self._bind_before(statement)
            self._bind_alike(self._of(self._answers[statement]), self._own[statement])
        try:
            return answered(self.value(value))
        except (NoValueError, ReplayError) as error:
            return Missing(f"R's value cannot be had: {error}")

    def _bind_before(self, statement: int) -> None:
        for earlier in sorted(self._answers):
            if earlier < statement and earlier not in self._bound:
                self._bound.add(earlier)
                self._bind_alike(self._of(self._answers[earlier]), self._own[earlier])

    def has(self, statement: int) -> bool:
        """Say whether R came through a statement."""
        return statement in self._answers

    def is_beyond(self, statement: int) -> bool:
        """Say whether R's run ended before it came to a statement."""
        return statement > max(self._answers, default=statement) + 1

    def note(self, statement: int, call: OwnCall) -> None:
        """Remember a call that this run made in a statement."""
        self._own[statement].append(call)

    def take(self, statement: int, names: dict[str, Any]) -> Iterator[str]:
        """Make a statement of R's be done: its calls, and what it made of the variables.

        Yield what cannot be had, in words.
        """
        answer = self._answers[statement]
        self._bind_before(statement)
        self._bound.add(statement)
        yield from self._made_again(self._of(answer), self._own[statement])
        for variable in answer.variables:
            name = python_name(variable.name)
            try:
                names[name] = answered(self.value(variable.value))
            except (NoValueError, ReplayError) as error:
                if variable.name in names and callable(names[name]):
                    continue
                names[name] = Missing(f"R's value of {variable.name} cannot be had: {error}")

    def _argument(self, _name: str, value: Value) -> Any:
        if _name == "callbacks" and isinstance(value, Items):
            kept = [
                item
                for item in value.items
                if not (isinstance(item, ObjectValue) and item.id in self._beside)
            ]
            value = value.model_copy(update={"items": tuple(kept)})
        return super()._argument(_name, value)

    def makings(self, statement: int) -> list[Call]:
        """Return the calls by which R made layers in a statement, in order."""
        answer = self._answers.get(statement)
        return [call for call in self._of(answer) if makes_layers(call)] if answer else []

    def _of(self, answer: Answer) -> list[Call]:
        first, last = answer.calls
        return [call for call in self._calls if first <= call.id <= last]

    def _bind_alike(self, calls: Sequence[Call], own: Sequence[OwnCall]) -> None:
        """Give what this run made the numbers of what R's calls of the same things made."""
        mine: dict[Target, list[Any]] = defaultdict(list)
        for own_call in own:
            mine[own_call.target].append(own_call.result)
        theirs: dict[Target, int] = defaultdict(int)
        for call in calls:
            theirs[_called(call)] += call.kind == "call"
        for call in calls:
            target = _called(call)
            if call.kind == "call" and len(mine[target]) > 0 and theirs[target] > 0:
                self._bind(call.result, mine[target].pop(0))
                theirs[target] -= 1
            elif call.kind == "getattr":
                self._read_again(call)

    def _read_again(self, call: Call) -> None:
        try:
            self.step(call)
        except Exception:
            # What it is read from is not known, or refuses: then its value is not known either.
            return

    def _made_again(self, calls: Sequence[Call], own: Sequence[OwnCall]) -> Iterator[str]:
        """Make R's calls of a statement but for those that this run has made there already."""
        left = list(own)
        for call in calls:
            if left and call.kind == "call" and _called(call) == left[0].target:
                self._bind(call.result, left.pop(0).result)
                continue
            if left:
                # R makes calls of its own on the way; what they gave may be asked for later.
                if call.kind == "getattr":
                    self._read_again(call)
                continue
            try:
                self.step(call)
            except ReplayError as error:
                if (call.kind != "getattr" or call.error) and not is_aside(call):
                    self.lack(call, error)
                    yield f"{call.r_call or call.name}: {error}"
            except Exception as error:  # as it may have done in R
                if call.error is None:
                    yield f"{call.r_call or call.name}: {error}"
        yield from self._cut
        self._cut.clear()
