"""A recorded run as a Python script that a person would read, and that makes the same bits.

Pure: a function of the capsule. The script needs neither R nor keras-bridge; arrays that are too
long to read lie in a ``.npz`` file beside it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from bridge._typing import AnyArray
from bridge.capsule import Capsule
from bridge.capsule.values import Method
from bridge.facts.keras import generation_of
from bridge.translate import spelling
from bridge.translate.spelling import (
    Apply,
    Attribute,
    Expression,
    PythonText,
    StatementResult,
    write,
)
from bridge.translate.steps import Step, Steps, needed

_LONGEST: Final = 100
#: Functions of R's that make many things of one kind: none of them is what the name stands for.
_MANY: Final = r"(list|c|lapply|sapply|Map|vapply|replicate)"


@dataclass(frozen=True)
class Replayed:
    """A script: its text, the arrays that lie beside it by name, and what it could not take over.

    ``source`` loads ``data``, a file name, from its own folder where there are arrays.
    """

    source: str
    data: str
    arrays: dict[str, AnyArray] = field(default_factory=dict)
    gaps: tuple[str, ...] = ()

    def save(self, path: Path) -> None:
        """Write the script to ``path`` and its arrays, if it has any, beside it."""
        path.write_text(self.source, "utf-8")
        beside = path.parent / self.data
        if self.arrays:
            with beside.open("wb") as file:
                np.savez_compressed(file, allow_pickle=False, **self.arrays)
        else:
            beside.unlink(missing_ok=True)


def replayed(capsule: Capsule, seed: int, stem: str = "replay") -> Replayed:
    """Write what R asked of Python as a script.

    Args:
        capsule: R's run.
        seed: where the generators of chance were started in it.
        stem: the name of the script's file, without its ending; its arrays go to ``STEM.npz``.
    """
    found = Steps(capsule)
    kept = needed(found.steps)
    _take_names(kept, capsule)
    script = _StatementWriter(capsule, kept)
    body = list(script.lines())
    data = f"{stem}.npz"
    head = _head(capsule, found, seed, data, "\n".join(body))
    source = "\n".join([*head, *body]).rstrip() + "\n"
    used = {name: array for name, array in found.arrays.items() if f'data["{name}"]' in source}
    return Replayed(source, data, used, tuple(dict.fromkeys(found.gaps)))


def _take_names(steps: Sequence[Step], capsule: Capsule) -> None:
    """Give what a statement of R made the name that the statement assigns to."""
    text = capsule.manifest.script.text if capsule.manifest.script else ""
    group: list[Step] = []
    last = ""
    for step in [*steps, None]:
        name = step.call.assigned if step is not None and step.call is not None else ""
        if step is not None and step.call is None:
            continue
        if name != last or not name:
            _name(group, last, text)
            group, last = [], name
        if step is not None and name:
            group.append(step)


def _name(group: Sequence[Step], name: str, text: str) -> None:
    consumed = {number for step in group for number in _arguments(step)}
    found = [step for step in group if step.binds and step.expression is not None]
    found = [step for step in found if not step.asking and step.number not in consumed]
    if not found or not spelling.identifier(name):
        return
    step = found[-1]
    result = step.call.result if step.call is not None else None
    number = getattr(result, "id", None)
    if re.search(rf"(?<![\w.]){re.escape(name)}\s*(<-|=)\s*{_MANY}\s*\(", text):
        return
    if number is None and not _is_the_call(step, name, text):
        # R went on computing with what Python gave: the name is that of the end.
        return
    step.wanted = step.wanted or spelling.identifier(name)


def _is_the_call(step: Step, name: str, text: str) -> bool:
    """Say whether R's text assigns the very result of a call to the name."""
    if step.call is None:
        return False
    head = re.escape(step.call.r_call.partition("(")[0])
    assigns = rf"(?<![\w.]){re.escape(name)}\s*(<-|=)\s*{head}\s*\("
    piped = rf"(?<![\w.]){re.escape(name)}\s*(<-|=)\s*[\w.$]+\s*(%>%|\|>)\s*{head}\s*\([^()]*\)\s*$"
    if not re.search(rf"{assigns}|{piped}", text, re.MULTILINE):
        return False
    # What is taken from it, or computed with it, is something else.
    return not re.search(rf"{assigns}[^\n]*\)\s*[\[$@+*/^-]", text)


def _arguments(step: Step) -> list[int]:
    if not isinstance(step.expression, Apply):
        return []
    given = Apply(PythonText(""), step.expression.args, step.expression.kwargs)
    return Step(0, given).refers_to()


class _StatementWriter:
    """Writes steps as statements: what is used once, at once, stands where it is used."""

    def __init__(
        self, capsule: Capsule, steps: Sequence[Step], outer: _StatementWriter | None = None
    ) -> None:
        self._capsule = capsule
        self._outer = outer
        self._by = {step.number: step for step in steps}
        self._uses = Counter(number for step in steps for number in step.refers_to())
        self._inside: set[int] = set()
        self._carried: dict[int, list[str]] = {}
        self._statements = self._gather(steps)
        self._variables: dict[int, str] = {}
        self._last_use: dict[int, int] = {}
        for place, step in enumerate(self._statements):
            for number in self._refers_to(step):
                # A function may be called at any time after it was written.
                last = len(self._statements) if step.head else place
                self._last_use[number] = max(last, self._last_use.get(number, 0))
        self._choose_names()

    def _gather(self, steps: Sequence[Step]) -> list[Step]:
        out: list[Step] = []
        for step in steps:
            for number in () if step.head else reversed(step.refers_to()):
                if out and out[-1].number == number and self._can_move(out[-1]):
                    moved = out.pop()
                    self._inside.add(number)
                    step.remarks[:0] = moved.remarks
            out.append(step)
        return out

    def _can_move(self, step: Step) -> bool:
        return (
            self._uses[step.number] == 1
            and not (step.wanted or step.fails or step.layered or step.sets or step.shown)
            and not (step.head or step.gives)
            and step.expression is not None
        )

    def _refers_to(self, step: Step) -> Iterator[int]:
        for number in step.refers_to():
            yield number
            if number in self._inside:
                yield from self._refers_to(self._by[number])

    def _choose_names(self) -> None:
        taken = {step.wanted for step in self._statements if step.wanted}
        # What a function assigns to would hide what it takes from outside.
        hidden = set() if self._outer is None else self._outer.names()
        taken |= hidden
        defined = {step.wanted for step in self._statements if step.head}
        current: dict[str, int] = {}
        for place, step in enumerate(self._statements):
            used = step.number in self._last_use
            if not step.binds or not (step.wanted or used):
                continue
            base = step.wanted or step.default
            base = f"{base}_1" if not step.wanted and base in taken else base
            name, count = base, 1
            while (
                (name in current and self._last_use.get(current[name], -1) > place)
                or name in hidden
                or (name in defined and not step.head)
            ):
                count += 1
                name = f"{base}_{count}"
            current[name] = step.number
            self._variables[step.number] = name

    def names(self) -> set[str]:
        """Return the names that it gave, and those around it."""
        around = set() if self._outer is None else self._outer.names()
        return around | set(self._variables.values())

    def _stands_for(self, number: int) -> Expression:
        if number not in self._by and self._outer is not None:
            return self._outer._stands_for(number)
        if number in self._inside:
            expression = self._by[number].expression
            assert expression is not None
            return expression
        return PythonText(self._variables[number])

    def lines(self, indent: int = 0) -> Iterator[str]:
        """Yield the lines of the body."""
        source = (
            self._capsule.manifest.script.text.splitlines()
            if (self._capsule.manifest.script)
            else []
        )
        ends = self._ends()
        above = (0, "")
        last = max(
            (n for n, statement in enumerate(self._statements) if statement.fails), default=-1
        )
        stopped = self._capsule.manifest.status == "error"
        for place, step in enumerate(self._statements):
            pad = " " * indent
            if step.call is not None and step.call.line and place not in ends.leaves:
                here = (step.call.line, step.call.assigned)
                if here[0] != above[0] and (not here[1] or here[1] != above[1]):
                    inside = self._outer is not None or place - 1 in ends.enters
                    if place == 0 or not inside:
                        yield from () if self._outer is not None else ("",)
                    text = source[here[0] - 1] if here[0] <= len(source) else step.call.r_call
                    yield f"{pad}# R, line {here[0]}: {_comment(text)}"
                above = here
            for remark in step.remarks:
                yield f"{pad}# {_comment(remark)}"
            if place in ends.leaves:
                indent = max(0, indent - 4)
                continue
            if step.head:
                yield from self._definition(step, indent)
                continue
            if step.expression is None or place in ends.merged:
                continue
            if place in ends.enters:
                yield f"{pad}with {self._context(step, place, indent)}:"
                indent += 4
                if place + 1 in ends.leaves:
                    yield f"{pad}    pass"
                continue
            if step.fails and not (stopped and place == last):
                yield f"{pad}try:"
                yield from self._statement(step, indent + 4)
                yield f"{pad}except Exception as error:  # {_comment(step.fails)}"
                yield f"{pad}    print(error)"
                continue
            if step.fails:
                yield f"{pad}# R stopped here: {_comment(step.fails)}"
            yield from self._statement(step, indent)

    def _definition(self, step: Step, indent: int) -> Iterator[str]:
        """Yield a function or a class that was written in R."""
        pad = " " * indent
        for line in step.head.split("\n"):
            yield f"{pad}{line}"
        blank = step.wanted != ""
        inner = list(_StatementWriter(self._capsule, step.body, self).lines(indent + 4))
        yield from inner
        if not any(line.strip() and not line.lstrip().startswith("#") for line in inner):
            yield f"{pad}    pass"
        if blank:
            yield ""

    def _statement(self, step: Step, indent: int) -> Iterator[str]:
        pad = " " * indent
        if step.gives and step.expression is not None:
            yield f"{pad}{step.gives} {self._text(step.expression, indent, len(step.gives) + 1)}"
            return
        assert step.expression is not None
        name = self._variables.get(step.number, "")
        if step.sets and isinstance(step.expression, Apply):
            left = self._text(step.expression.function, indent, 0)
            value = self._text(step.expression.args[0], indent, len(left) + 3)
            yield f"{pad}{left} = {value}"
        elif name:
            yield f"{pad}{name} = {self._text(step.expression, indent, len(name) + 3)}"
            if step.shown and step.number not in self._last_use:
                yield f"{pad}print({name})"
        elif step.shown and not step.fails:
            yield f"{pad}print({self._text(step.expression, indent, 7)})"
        else:
            yield f"{pad}{self._text(step.expression, indent, 0)}"

    def _context(self, step: Step, place: int, indent: int) -> str:
        owner = _owner(step)
        before = self._statements[place - 1] if place else None
        if (
            before is not None
            and before.expression is not None
            and owner == StatementResult(before.number)
        ):
            name = self._variables[before.number]
            return f"{self._text(before.expression, indent, len(name) + 10)} as {name}"
        return self._text(owner, indent, 6)

    def _text(self, of: Expression, indent: int, used: int) -> str:
        return write(of, self._stands_for, indent, used)

    def _ends(self) -> _Blocks:
        """Find where a context is entered and left, as with a gradient's tape."""
        open_: list[tuple[int, Expression]] = []
        blocks = _Blocks()
        for place, step in enumerate(self._statements):
            name = _method(step)
            if name == "__enter__" and step.number not in self._last_use:
                open_.append((place, _owner(step)))
            elif name == "__exit__" and open_ and open_[-1][1] == _owner(step):
                blocks.enters.add(open_.pop()[0])
                blocks.leaves.add(place)
        for place in blocks.enters:
            # What is made to be entered at once is named there.
            if place and _owner(self._statements[place]) == StatementResult(
                self._statements[place - 1].number
            ):
                blocks.merged.add(place - 1)
        return blocks


@dataclass
class _Blocks:
    enters: set[int] = field(default_factory=set)
    leaves: set[int] = field(default_factory=set)
    merged: set[int] = field(default_factory=set)


def _method(step: Step) -> str:
    target = step.call.target if step.call is not None else None
    return target.name if isinstance(target, Method) else ""


def _owner(step: Step) -> Expression:
    function = step.expression.function if isinstance(step.expression, Apply) else None
    return function.owner if isinstance(function, Attribute) else PythonText("")


def _head(capsule: Capsule, found: Steps, seed: int, data: str, body: str) -> list[str]:
    manifest = capsule.manifest
    name = manifest.script.name if manifest.script else manifest.case
    versions = manifest.environment.packages
    legacy = generation_of(manifest.environment.keras) == 2
    used = [f"TensorFlow {versions['tensorflow']}"] if "tensorflow" in versions else []
    used += [manifest.environment.keras] if manifest.environment.keras else []
    quoted = _comment(name).replace("\\", "\\\\").replace('"', "'")
    lines = [
        f'"""What {quoted} asked of Python, made by keras-bridge from a recorded run.',
        "",
        f"Recorded with {_comment(', '.join(used)) or 'unknown versions'}. R is not needed.",
    ]
    if found.gaps:
        lines.append("What was written in R is left out; its recorded values stand in its place.")
    lines += ['"""', "", "import os"]
    lines += sorted(line for line in found.imports if line.startswith("import "))
    lines += ["import tempfile"] if found.keeps_files else []
    lines += ["from pathlib import Path"] if 'data["' in body else []
    setting = '"TF_USE_LEGACY_KERAS"] = "1"' if legacy else '"KERAS_BACKEND"] = "tensorflow"'
    lines += ["", f"os.environ[{setting}", ""]
    seeding = _seeding(seed, legacy, body)
    named = "\n".join([*seeding, body])
    lines += ["import numpy as np"] if re.search(r"\bnp\.|\bdata\[", named) else []
    lines += ["import tensorflow as tf"] if re.search(r"\btf\.", named) else []
    lines += ["import tf_keras as keras" if legacy else "import keras"]
    lines += [line for line in found.imports if line.startswith("from ")]
    lines += ["", *seeding]
    if 'data["' in body:
        lines.append(f'data = np.load(Path(__file__).with_name("{data}"))')
    lines += ["folder = tempfile.mkdtemp()"] if found.keeps_files else []
    return lines


def _seeding(seed: int, legacy: bool, body: str) -> list[str]:
    """Return the lines that start the generators of chance, so that the script's own seeds count.

    ``keras.utils.set_random_seed()`` of tf_keras makes a generator of Keras's own, which draws from
    then on, and which ``random.seed()`` in the script does not reach.
    """
    if legacy and re.search(r"(?<![\w.])random\.seed\(", body):
        return [
            f"{name}({seed})" for name in ("random.seed", "np.random.seed", "tf.random.set_seed")
        ]
    return [f"keras.utils.set_random_seed({seed})"]


def _comment(text: str) -> str:
    """A stranger's text on one line, and nothing in it that could end the comment."""
    shown = "".join(sign if sign.isprintable() else " " for sign in text)
    shown = " ".join(shown.split())
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 3]}..."
