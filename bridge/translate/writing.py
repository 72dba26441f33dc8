"""Python as it is written: lines with the R lines they come from, names, scopes and gaps."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from bridge.capsule import Reading
from bridge.errors import BridgeError
from bridge.translate.syntax import (
    Assign,
    For,
    Function,
    Index,
    Member,
    Node,
    Operation,
    RSymbol,
    children,
)

_TAKEN: Final = frozenset({"np", "r", "tf", "keras", "os", "_", *dir(builtins), *keyword.kwlist})
#: A place of :attr:`Writer.as_r`: the order in which keras makes the layers of a pipe.
ORDER: Final = ("order", 0)
#: The kind of a place of it: a statement that Python refuses, for which R's run stands in.
REFUSED: Final = "refused"
NUMBERS: Final = frozenset({"int", "float", "num"})
#: Kinds of values that are objects of Python's own.
OBJECTS: Final = frozenset({"py", "model", "sequential", "layer", "tensor", "module"})


class NeedsStatementsError(BridgeError):
    """An expression cannot be written without statements before it."""


class WatchedError(BridgeError):
    """R answers for an expression that stands around the one that is not known."""

    def __init__(self, node: Node, what: str) -> None:
        super().__init__(what)
        self.node = node
        self.what = what


@dataclass(frozen=True)
class Code:
    """An expression of Python: its text, what kind of value it is, and whether it binds tightly."""

    text: str
    kind: str = "any"
    atom: bool = True

    @property
    def tight(self) -> str:
        """The text, in parentheses where an operator beside it would tear it apart."""
        return self.text if self.atom else f"({self.text})"


@dataclass(frozen=True)
class Gap:
    """Something that is not translated: the line of the script, and what it is."""

    line: int
    what: str
    script: str

    @property
    def sentence(self) -> str:
        """The gap as reports name it."""
        return f"{self.script}:{self.line}: {self.what}"


@dataclass(frozen=True)
class Translation:
    """The Python of a script: text, the R line of each of its lines (0 for none), gaps."""

    text: str
    lines: tuple[int, ...]
    gaps: tuple[Gap, ...]
    readings: tuple[Reading, ...] = ()
    #: The first line of the script's own expression that each line of Python belongs to, and the
    #: place of that expression in the script, counted from 1 (0 for none).
    tops: tuple[int, ...] = ()
    statements: tuple[int, ...] = ()
    #: Layers are made in the order in which R made them, not in that of the text.
    as_made: bool = False
    #: The expressions at which R answers, by their rows in R's syntax tree.
    places: tuple[int, ...] = ()


@dataclass
class Scope:
    """The names of one function, or of the script itself."""

    outer: Scope | None = None
    names: set[str] = field(default_factory=set)
    kinds: dict[str, str] = field(default_factory=dict)
    #: Variables of enclosing loops: functions made inside keep their own round.
    looping: tuple[str, ...] = ()
    #: A block of the same R function: it shares the names of ``outer``.
    block: bool = False

    @property
    def home(self) -> Scope:
        """The scope in which R keeps the names of this one."""
        return self.outer.home if self.block and self.outer is not None else self

    @property
    def is_script(self) -> bool:
        """Say whether names of this scope are the script's own."""
        return self.home.outer is None

    def kind(self, name: str) -> str:
        """Return the kind of a variable, "any" where it is not known."""
        scope: Scope | None = self.home
        while scope is not None:
            if name in scope.names:
                return scope.kinds.get(name, "any")
            scope = scope.outer
        return "any"


class Writer:
    """Collects lines; ``here`` is the R line that is being translated."""

    def __init__(self, script: str, as_r: frozenset[tuple[str, int]] = frozenset()) -> None:
        self.script = script
        self.written: list[tuple[str, int]] = []
        self.gaps: list[Gap] = []
        self.readings: list[Reading] = []
        #: What is taken as R has it, although a reader of the text would not: kinds and lines.
        self.as_r = as_r
        self.here = 0
        #: Finds the expression to be watched where one is not known, and those that were found.
        self.place_of: Callable[[Node], Node | None] = lambda _: None
        self.places: list[int] = []
        self._depth = 0
        self._count = 0
        self._pure = 0

    def line(self, text: str, line: int | None = None) -> None:
        """Write a line (or several) at the current depth."""
        for part in text.split("\n"):
            self.written.append((f"{'    ' * self._depth}{part}" if part else "",
                                 self.here if line is None else line))  # fmt: skip

    @contextmanager
    def indented(self) -> Iterator[None]:
        """Write deeper inside."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1

    @contextmanager
    def pure(self) -> Iterator[None]:
        """Inside, nothing may be written: an expression must stand by itself."""
        self._pure += 1
        try:
            yield
        finally:
            self._pure -= 1

    @contextmanager
    def statements(self) -> Iterator[None]:
        """Inside, statements may be written again (the body of a ``def``)."""
        before, self._pure = self._pure, 0
        try:
            yield
        finally:
            self._pure = before

    def may_write(self) -> None:
        """Refuse where an expression must stand by itself.

        Raises:
            NeedsStatementsError: it must.
        """
        if self._pure:
            raise NeedsStatementsError

    def fresh(self, stem: str) -> str:
        """Return a name that nothing has."""
        self._count += 1
        return f"_{stem}_{self._count}"

    def mark(self) -> tuple[int, int, int, int]:
        """Return where the writing is, to go back there."""
        return len(self.written), len(self.gaps), len(self.readings), len(self.places)

    def back_to(self, mark: tuple[int, int, int, int]) -> None:
        """Forget what was written since."""
        del self.written[mark[0] :], self.gaps[mark[1] :], self.readings[mark[2] :]
        del self.places[mark[3] :]

    def answered(self, node: Node, what: str) -> Code:
        """Leave the place of a value that R answers."""
        gap = Gap(node.line, what, self.script)
        self.places.append(node.row)
        if not self._pure:
            self.line(f"# R answers: {gap.sentence}", node.line)
        return Code(f"r.answer({node.row}, {gap.sentence!r})")

    def gap(self, node: Node, what: str) -> Code:
        """Leave a marked gap, and name it; or the place of a value that R answers.

        Raises:
            WatchedError: R answers for more than ``node``.
        """
        place = self.place_of(node)
        if place is node:
            return self.answered(node, what)
        if place is not None:
            raise WatchedError(place, what)
        gap = Gap(node.line, what, self.script)
        self.gaps.append(gap)
        if not self._pure:
            self.line(f"# GAP {gap.sentence}", node.line)
        return Code(f"r.gap({gap.sentence!r})")

    def reading(self, node: Node, kind: str, cause: str, what: str) -> bool:
        """Note that the intent reads something otherwise than R does.

        Return whether it is to be read so: False where it was asked for as R has it.
        """
        reading = Reading(kind=kind, cause=cause, line=node.line, what=what)
        if reading.place in self.as_r:
            return False
        if reading not in self.readings:
            self.readings.append(reading)
        return True


def python_name(name: str) -> str:
    """Return a name of R's as Python may have it."""
    spelled = re.sub(r"\W", "_", name.replace(".", "_"))
    spelled = spelled.lstrip("_") or "dot"
    if spelled[0].isdigit():
        spelled = f"v{spelled}"
    return f"{spelled}_" if spelled in _TAKEN else spelled


def assigned_in(nodes: Iterable[Node]) -> list[str]:
    """Return the names that are assigned to, but inside functions, in order of appearance."""
    found: list[str] = []
    for node in nodes:
        _assigned(node, found)
    return list(dict.fromkeys(found))


def _assigned(node: Node, found: list[str]) -> None:
    if isinstance(node, Function):
        return
    if isinstance(node, Assign) and not node.outer:
        name = root_of(node.target)
        found.extend([name] if name else destructured(node.target))
    if isinstance(node, For):
        found.append(node.variable)
    if isinstance(node, Operation) and node.operator in ("%<-%", "%<>%") and node.left is not None:
        name = root_of(node.left)
        found.extend([name] if name and node.operator == "%<>%" else destructured(node.left))
    if isinstance(node, Operation) and node.operator == "%as%" and isinstance(node.right, RSymbol):
        found.append(node.right.name)
    for child in children(node):
        _assigned(child, found)


def root_of(node: Node) -> str:
    """Return the variable that an assignment's target changes, "" if it is none."""
    from bridge.translate.syntax import RCall

    while not isinstance(node, RSymbol):
        if isinstance(node, (Index, Member)):
            node = node.object
        elif isinstance(node, RCall) and node.arguments and node.arguments[0].value is not None:
            if node.name == "c":
                return ""
            node = node.arguments[0].value
        else:
            return ""
    return node.name


def destructured(node: Node) -> list[str]:
    """Return the names in ``c(a, c(b, d)) %<-% ...``."""
    if isinstance(node, RSymbol):
        return [node.name]
    return [name for child in children(node) if not _is_c(child) for name in destructured(child)]


def _is_c(node: Node) -> bool:
    return isinstance(node, RSymbol) and node.name in ("c", "list")
