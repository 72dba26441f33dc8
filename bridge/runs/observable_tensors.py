"""Which tensors can be seen without changing what is executed.

Asking for the output of a layer may change what is executed: what was fused with the next layer is
fused no more. So the executed graph is fingerprinted, function by function, with nothing asked for,
and no tensor is asked for that changes the fingerprint.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bridge.capsule import ExecutedGraph
from bridge.facts.ops import PASSING
from bridge.runs.model_execution import Sight, worth_seeing
from bridge.runs.model_rebuild import LookError
from bridge.trace.executed_graph import arithmetic, calls_functions

#: Runs of a model, at most, for finding out what can be seen.
_TRIES: Final = 24

Try = Callable[[frozenset[int] | None], Sight]


@dataclass(frozen=True)
class View:
    """A run with what could be seen, and whether seeing it left what is executed unchanged."""

    sight: Sight
    visible: frozenset[int]
    unchanged: bool | None


def look(attempt: Try, recorded: ExecutedGraph | None, hidden_work: bool) -> View:
    """Run a model with as many tensors handed out as leave unchanged what is executed.

    Args:
        attempt: runs the model with some tensors handed out, or all for None.
        recorded: what was executed when nobody looked, if that is known.
        hidden_work: the graph does not show what is executed (eager, XLA).
    """
    if hidden_work:
        return _view(attempt(None), None)
    everything = _harmless(attempt, None)
    if everything is not None and _is(everything, recorded):
        unused = _unused(everything)
        if not (unused and calls_functions(_described(everything))):
            return _view(everything, True)
        # A function that is called for more than before is another one inside.
        used = frozenset(worth_seeing(everything.calls) - unused)
        some = _harmless(attempt, used)
        if some is not None and _is(some, recorded):
            if _functions(some) == _functions(everything):
                return _view(everything, True)
            search = _Search(attempt, some, set(used), {used | unused})
            search.add(sorted(unused))
            return _view(search.best, True)
    bare = attempt(frozenset())
    if recorded is not None and not _is(bare, recorded):
        return _view(everything or bare, False)
    if everything is not None and _functions(everything) == _functions(bare):
        return _view(everything, True)
    search = _Search(attempt, bare, set(), {worth_seeing(bare.calls)})
    executed, _, other = _sorted_out(bare)
    search.add(executed)
    search.add(other)
    return _view(search.best, True)


def _view(sight: Sight, unchanged: bool | None) -> View:
    return View(sight, frozenset(sight.values), unchanged)


def _harmless(attempt: Try, wanted: frozenset[int] | None) -> Sight | None:
    """Run the model; None if it makes other bits than recorded when it is asked for so much."""
    try:
        return attempt(wanted)
    except LookError:
        return None


def _described(sight: Sight) -> ExecutedGraph:
    assert sight.executed is not None
    return ExecutedGraph.model_validate(sight.executed.describe())


def _functions(sight: Sight) -> list[Counter[str]]:
    assert sight.executed is not None
    return sight.executed.arithmetic()


def _is(sight: Sight, recorded: ExecutedGraph | None) -> bool:
    return recorded is not None and arithmetic(recorded) == arithmetic(_described(sight))


def _unused(sight: Sight) -> frozenset[int]:
    """Return the outputs of layers that no layer receives and the model does not return."""
    made = {number for call in sight.calls for number in call.outputs}
    received = {number for call in sight.calls for number in call.inputs}
    return frozenset(made - received - sight.returned)


class _Search:
    """Asks for tensors in groups, and halves of groups, as long as the fingerprint stays.

    Args:
        attempt: runs the model with some tensors handed out.
        best: a run that left unchanged what is executed.
        kept: the tensors that were handed out then.
        failed: tensors that change something when they are asked for together.
    """

    def __init__(
        self, attempt: Try, best: Sight, kept: set[int], failed: set[frozenset[int]]
    ) -> None:
        self.best = best
        self._attempt, self._kept, self._failed = attempt, kept, failed
        self._unasked = _functions(best)
        self._tries = 0

    def add(self, group: Sequence[int]) -> None:
        """Ask for what is possible of a group."""
        wanted = frozenset((*self._kept, *group))
        if not group or self._tries >= _TRIES:
            return
        if wanted not in self._failed:
            self._tries += 1
            sight = _harmless(self._attempt, wanted)
            if sight is not None and _functions(sight) == self._unasked:
                self.best = sight
                self._kept.update(group)
                return
        if len(group) > 1:
            half = len(group) // 2
            self.add(group[:half])
            self.add(group[half:])


def _sorted_out(bare: Sight) -> tuple[list[int], list[int], list[int]]:
    """Sort tensors into those whose op is executed, those that are fused into another, and others.

    A fused op has the name of the last op in it, and lists all but the first: what is not there by
    name and leads to a fused op in no more steps is a part of that.
    """
    assert bare.executed is not None
    nodes = bare.executed.nodes()
    found: tuple[list[int], list[int], list[int]] = ([], [], [])
    for number in sorted(worth_seeing(bare.calls) - set(bare.values)):
        op = _maker(bare.tensors[number].op, nodes)
        place = 0 if op.name in nodes else 1 if _leads_to_fused(op, nodes) else 2
        found[place].append(number)
    return found


def _maker(op: Any, nodes: Mapping[str, object]) -> Any:
    """Return the op that made a value which others only hand on."""
    while op.name not in nodes and op.type in PASSING:
        op = op.inputs[0].op
    return op


def _leads_to_fused(op: Any, nodes: Mapping[str, Sequence[str]]) -> bool:
    steps = 0
    while op.name not in nodes:
        users = _users(op.outputs)
        if len(users) != 1:
            return False
        (op,) = users
        steps += 1
    return steps <= len(nodes[op.name])


def _users(tensors: Iterable[Any]) -> list[Any]:
    found = {op.name: op for tensor in tensors for op in tensor.consumers()}
    return list(found.values())
