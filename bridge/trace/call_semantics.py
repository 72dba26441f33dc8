"""What a recorded call means where it is made again without R, and which calls that needs.

The replay makes the calls, and the replay's script writes them down: both ask here.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from bridge.capsule import Call, Capsule
from bridge.capsule.schema import Invocation
from bridge.capsule.values import (
    ArrayValue,
    Class,
    Closure,
    Descriptor,
    Frozen,
    Generator,
    Items,
    Method,
    ObjectValue,
    Opaque,
    Pairs,
    Scalar,
    Slice,
    Symbol,
    Value,
)
from bridge.facts.keras import METHODS

KERAS: Final = ("keras", "tf_keras")
#: A recording may come from a stranger: only these are called.
LIBRARIES: Final = frozenset({"tensorflow", "numpy", *KERAS})
#: The generators of chance that Python and NumPy make when they start, and where they are found:
#: scripts seed them.
STANDING: Final[Mapping[str, str]] = {
    "random:Random": "random",
    "numpy.random.mtrand:RandomState": "np.random",
}

#: Modules with which reticulate and the front ends do their own work.
FRONT_ENDS: Final = frozenset({"kerastools", "rclasses", "rpytools"})
#: Modules of Python's own that work beside the models.
_BESIDE: Final = frozenset(
    {
        *("builtins", "os", "posix", "posixpath", "sys", "io", "_io", "warnings", "logging"),
        *("time", "datetime", "platform", "locale", "gc", "json", "re", "math", "string"),
    }
)
#: What of these runs code, or a program, of which nothing is known.
_RUNNING: Final = re.compile(r"exec|spawn|^(eval|compile|__import__|system|popen|fork)$")
_HOLDERS: Final = (Frozen, tuple, dict)
_IN_MEMORY: Final = frozenset({"_io:StringIO", "_io:BytesIO"})
#: What only looks at what it is given, or waits for its end; and what hears what Python prints.
_LOOKING: Final = frozenset({"inspect", "weakref", "bridge"})

_WRITING_METHODS: Final = frozenset(
    ["save", "save_weights", "export", "save_own_variables", "to_csv", "tofile", "write", "dump"]
)
#: Parts of the names of functions that write, or change what is written.
_WRITING: Final = ("save", "write", "remove", "unlink", "rmtree", "rename", "copy", "mkdir")


def of_script(capsule: Capsule) -> Iterator[Call]:
    """Yield the calls that a script asked for.

    Calls inside a call were made by a function of R's, or by what that call does anyway.
    """
    for call in capsule.manifest.calls:
        if not call.internal and call.parent is None and call.within is None:
            yield call


def owner(call: Call) -> Value:
    """Return what a call is made on."""
    return call.target.owner if isinstance(call.target, Method) else call.target


def writes(target: Value) -> bool:
    """Say whether calling ``target`` writes files, where the script wrote its own."""
    if isinstance(target, Method):
        return target.name in _WRITING_METHODS
    if not isinstance(target, Symbol):
        return False
    module, _, name = target.path.partition(":")
    name = name.rpartition(".")[2].lower()
    # NumPy's arrays are copied and renamed in memory.
    words = ("save",) if _root(module) == "numpy" else _WRITING
    return any(word in name for word in words)


def made_in_r(module: str) -> bool:
    """Say whether a class of this module was written in R, as the R packages name such modules."""
    return module == "R6type" or module.startswith("<r-")


def is_front_end(module: str) -> bool:
    """Say whether a module is one that reticulate or a front end brings."""
    return _root(module) in FRONT_ENDS


def is_aside(call: Call) -> bool:
    """Say whether nothing is missing where a call is not made.

    So it is with what makes functions, classes and generators of R's, which are recorded as such,
    and with functions of the script's own in Python that give plain data and change nothing.

    So it is with the front ends' own work, and with those of Python's own modules that work beside
    the models, where no object of another library's was at hand: what they gave is recorded, or is
    missed where it is used. What runs programs or changes files is missing.
    """
    if call.kind == "setattr":
        if isinstance(call.target, Closure):
            return True
    elif isinstance(call.result, (Class, Closure, Generator)):
        return True
    if isinstance(owner(call), (Items, Pairs)):
        # A list of Python's own, of which R has a copy: nothing of the script's hangs on it.
        return True
    path = _path(owner(call))
    root, name = _root(path), path.partition(":")[2]
    live = any(map(_is_live, (*call.args, *call.kwargs.values())))
    if (path == "builtins:function" or root == "__main__") and (
        (not live and is_plain_data(call.result)) or _path(call.result) == path
    ):
        return True
    if root in FRONT_ENDS or root in _LOOKING:
        return True
    if root not in _BESIDE or _RUNNING.search(name):
        return False
    if writes(call.target) and path not in _IN_MEMORY:
        return False
    return not live


def is_answer(call: Call) -> bool:
    """Say whether a call gave the script data that another run must give as well.

    What is asked of the machine, as the time or a file's name, is none.
    """
    if call.internal or call.parent is not None or call.within is not None:
        return False
    if call.kind not in ("call", "getattr") or call.error is not None:
        return False
    root = _root(_path(owner(call)))
    own = root in (*LIBRARIES, "R6type") or root.startswith("<r-")
    return own and _has_data(call.result)


def _has_data(value: Value | None) -> bool:
    match value:
        case Scalar():
            return value.t != "none"
        case ArrayValue():
            return value.key is not None
        case Items():
            return any(map(_has_data, value.items))
        case Pairs():
            return bool(value.items)
    return False


def classes_of(capsule: Capsule) -> Iterator[Class]:
    """Yield the classes that a script made, as they were when they were first seen."""
    manifest = capsule.manifest
    stack: list[object] = [*manifest.calls, *manifest.invocations]
    while stack:
        item = stack.pop()
        if isinstance(item, Class):
            yield item
        if isinstance(item, Frozen):
            stack.extend(part for part in vars(item).values() if isinstance(part, _HOLDERS))
        elif isinstance(item, tuple):
            stack.extend(item)
        elif isinstance(item, dict):
            stack.extend(item.values())


def is_plain_data(value: Value | None) -> bool:
    """Say whether a value is there with all that is in it."""
    match value:
        case None | Scalar():
            return True
        case ArrayValue():
            return value.t == "array" and value.key is not None
        case Items():
            return all(map(is_plain_data, value.items))
        case Pairs():
            return all(is_plain_data(item) for pair in value.items for item in pair)
    return False


def _path(value: Value | None) -> str:
    if isinstance(value, Symbol):
        return value.path
    return value.cls if isinstance(value, ObjectValue) else ""


def _root(path: str) -> str:
    return path.partition(":")[0].partition(".")[0]


def _is_live(value: Value | None) -> bool:
    """Say whether something may be changed by what is given it."""
    match value:
        case ObjectValue():
            return _root(value.cls) not in _BESIDE | _LOOKING
        case Method():
            return _is_live(value.owner)
        case Items():
            return any(map(_is_live, value.items))
        case Pairs():
            return any(_is_live(item) for pair in value.items for item in pair)
        case _:
            return isinstance(value, (Closure, Class, Descriptor, Generator, Opaque))


# The part of a recording that is needed to reach some of its calls. Whether a call raises does not
# hang on models that it has nothing to do with: training those again only takes time.


def up_to(capsule: Capsule, wanted: Collection[int]) -> Capsule:
    """Return the recording up to the last of the calls numbered ``wanted``.

    Left out before it is the training and use of models that share no object with these calls.
    """
    calls = capsule.manifest.calls
    last = max((n for n, call in enumerate(calls) if call.id in wanted), default=-1)
    kin = _Kin()
    for call in calls[: last + 1]:
        kin.join(_objects(call))
    needed = {kin.of(number) for call in calls if call.id in wanted for number in _objects(call)}
    kept = tuple(
        call
        for call in calls[: last + 1]
        if call.id in wanted or not _is_long(call) or needed & set(map(kin.of, _objects(call)))
    )
    return Capsule(capsule.manifest.model_copy(update={"calls": kept}), capsule.arrays)


class _Kin:
    """Objects that have met in a call, directly or by way of others, have one head."""

    def __init__(self) -> None:
        self._head: dict[int, int] = {}

    def of(self, number: int) -> int:
        while (head := self._head.setdefault(number, number)) != number:
            self._head[number] = self._head[head]
            number = head
        return number

    def join(self, numbers: Collection[int]) -> None:
        heads = {self.of(number) for number in numbers}
        for head in heads:
            self._head[head] = min(heads)


def _is_long(call: Call) -> bool:
    return call.kind == "call" and isinstance(call.target, Method) and call.target.name in METHODS


def _objects(call: Call) -> set[int]:
    """Return the numbers of the objects that a call was given, was made on, or gave."""
    values = (call.target, *call.args, *call.kwargs.values(), call.result)
    return {number for value in values for number in _numbers(value)}


def _numbers(value: Value | None) -> Iterator[int]:
    match value:
        case ObjectValue() | Class() | Closure():
            yield value.id
        case Generator():
            yield value.id
            yield from _numbers(value.source)
        case Method():
            yield from _numbers(value.owner)
        case Items():
            for item in value.items:
                yield from _numbers(item)
        case Pairs():
            for pair in value.items:
                yield from (number for item in pair for number in _numbers(item))
        case Slice():
            for part in (value.start, value.stop, value.step):
                yield from _numbers(part)
        case _:
            return


def own_functions(
    capsule: Capsule, model: int, argument: str, before: int | None = None
) -> list[Closure]:
    """Return the functions of R's that a model was given when it was compiled last.

    Args:
        capsule: the run.
        model: the number of the model as an object.
        argument: of ``compile``: ``loss`` or ``metrics``.
        before: the number of the call that made use of it; None where the last one counts.
    """
    found: list[Closure] = []
    for call in capsule.manifest.calls:
        made_on = owner(call)
        if not isinstance(call.target, Method) or call.target.name != "compile":
            continue
        own = isinstance(made_on, ObjectValue) and made_on.id == model
        if own and (before is None or call.id < before):
            found = list(_closures(call.kwargs.get(argument)))
    return found


def _closures(value: Value | None) -> Iterator[Closure]:
    if isinstance(value, Closure):
        yield value
    elif isinstance(value, Items):
        for item in value.items:
            yield from _closures(item)
    elif isinstance(value, Pairs):
        for _, item in value.items:
            yield from _closures(item)


class Invocations:
    """The invocations of a run by function, in order."""

    def __init__(self, capsule: Capsule) -> None:
        self._of: dict[tuple[int, bool], list[Invocation]] = defaultdict(list)
        for invocation in capsule.manifest.invocations:
            self._of[invocation.closure, invocation.looked].append(invocation)
        self._calls: dict[int, list[Call]] = defaultdict(list)
        for call in capsule.manifest.calls:
            if call.within is not None and not call.internal:
                self._calls[call.within].append(call)

    def of(self, closure: int, looked: bool = False) -> Sequence[Invocation]:
        """Return the calls of a function that were made for themselves, or to describe something.

        Where there is none of a kind, those of the other.
        """
        found = self._of.get((closure, looked)) or self._of.get((closure, not looked))
        return found or ()

    def asked(self, closure: int) -> bool:
        """Say whether a function was called for itself, and not to describe something."""
        return (closure, False) in self._of

    def knows(self, closure: Closure) -> bool:
        """Say whether calls of a function were recorded, if there were any.

        Older versions recorded none, and no module of the function.
        """
        return bool(closure.module) or bool(self.of(closure.id))

    def calls(self, invocation: Invocation) -> Sequence[Call]:
        """Return what R called itself during an invocation."""
        return self._calls.get(invocation.id, ())

    def alike(self, invocations: Sequence[Invocation]) -> bool:
        """Say whether R did the same in each, but for the objects at hand."""
        return len(set(map(self.look, invocations))) <= 1

    def look(self, invocation: Invocation) -> object:
        """Return what R did and gave, without the objects at hand: equal where it is the same."""
        calls = tuple(map(_plain_call, self.calls(invocation)))
        return calls, _plain(invocation.result)

    def is_constant(self, invocations: Sequence[Invocation]) -> bool:
        """Say whether R did the same at every call, as far as was seen."""
        if not self.alike(invocations):
            return False
        # What was seen once may hang on what it was given, if R could read that.
        return len(invocations) > 1 or not any(
            isinstance(value, ArrayValue) for value in _leaves(invocations[0])
        )


def _plain_call(call: Call) -> tuple[Any, ...]:
    """Return a call without what differs anyhow: which objects were at hand."""
    given = (*call.args, *call.kwargs.values())
    return call.kind, call.name, _plain(call.target), tuple(map(_plain, given))


def _plain(value: Value | None) -> Any:
    match value:
        case Scalar():
            return value.t, value.v
        case Items():
            return tuple(map(_plain, value.items))
        case Pairs():
            return tuple((_plain(key), _plain(item)) for key, item in value.items)
        case ArrayValue() if value.t == "array":
            return value.digest or value.key
        case Method():
            return value.name
        case Slice():
            return tuple(map(_plain, (value.start, value.stop, value.step)))
        case Closure() | Class():
            return value.name
        case None:
            return None
    return getattr(value, "path", "") or getattr(value, "cls", "")


def _leaves(invocation: Invocation) -> Iterator[Value]:
    stack: list[Value] = [*invocation.args, *invocation.kwargs.values()]
    while stack:
        value = stack.pop()
        if isinstance(value, Items):
            stack += value.items
        elif isinstance(value, Pairs):
            stack += [item for pair in value.items for item in pair]
        else:
            yield value
