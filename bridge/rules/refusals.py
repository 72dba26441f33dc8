"""What Keras or the R package refuses, where the script's own data or indices are why."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from typing import Final

from bridge.capsule import Capsule, ErrorRecord
from bridge.capsule.values import Items, Pairs
from bridge.explain.result import CauseEvidence
from bridge.facts.keras import METHODS
from bridge.rules.recorded_run import answer, asked, at, name_of
from bridge.translate.syntax import (
    Assign,
    Call,
    Index,
    Node,
    Number,
    Symbol,
    nodes_in,
    number_of,
    walk,
)
from bridge.translate.wrappers import wrappers

#: What TensorFlow says of an index that its table does not have (gather, embedding), and of a
#: class that a sparse loss does not know.
_BEYOND: Final = re.compile(
    r"indices\[[\d,]*\] = (\d+) is not in \[0, (\d+)\)"
    r"|label value of (\d+) which is outside the valid range of \[0, (\d+)\)"
)
#: What an error says, and what the script does then.
_SAYING: Final = (
    (
        re.compile(
            r"Cast string to \w+ is not supported|could not convert string to float"
            r"|Invalid dtype: (?:str|object)|Unsupported object type str"
        ),
        "texts were given where Keras computes with numbers. For classes, "
        "as.integer(factor(y)) - 1 gives their numbers, counted from 0.",
    ),
    (
        re.compile("only be called for the variables it was originally built with"),
        "the optimizer was used with another model before, and keeps what it knows of that one's "
        "weights. Make a new one for every model, inside the loop or function.",
    ),
)
#: What R and Python say of an argument that they do not know.
_UNKNOWN: Final = re.compile(
    r"unused argument \((\w[\w.]*) =|Unrecognized keyword arguments? passed to \w+: \{'(\w+)'"
    r"|unexpected keyword argument '(\w+)'"
    r"|Keyword argument not understood: '?(\w+)"
    r"|\('Keyword argument not understood:', '(\w+)'\)"
)
_AXES: Final = re.compile(r"found ndim=(\d+)|received input with shape \((?:None|\d+),\)")
_COUNTED: Final = frozenset({"axis", "axes", "dims", "index"})


def one_beyond(capsule: Capsule, _tree: Sequence[Node]) -> Iterator[CauseEvidence]:
    """Find indices that are refused because they are just one too large: counted from 1."""
    for error, text in _errors(capsule):
        found = _BEYOND.search(text)
        if found is None:
            continue
        value, size = (int(each) for each in found.groups() if each is not None)
        if value == size:
            yield answer(
                "r-index-base",
                f"{at(error.line)}the index {value} is refused: there are {size}, and Python "
                f"counts them from 0 to {size - 1}. R counts from 1 (levels of a factor, "
                "match(), seq_along()); subtract 1, or make room for one more.",
                line=error.line,
                refused=True,
            )
            return


def zero_axis(capsule: Capsule, tree: Sequence[Node]) -> Iterator[CauseEvidence]:
    """Find an axis 0, as Python writes it, given to an R package that counts axes from 1."""
    error = capsule.manifest.error
    if error is None or error.origin not in ("keras", "keras3"):
        return
    for node in _at(tree, error.line):
        for argument in node.arguments:
            value = argument.value
            if argument.name not in _COUNTED or not isinstance(value, Number):
                continue
            if number_of(value.text)[0] == 0:
                yield answer(
                    "r-index-base",
                    f"Line {node.line}: {node.name}() of the R package counts from 1, so that "
                    f"there is no {argument.name} 0, as Python would have it: the first one is 1.",
                    line=node.line,
                    refused=True,
                )
                return


def data_frames(capsule: Capsule, _tree: Sequence[Node]) -> Iterator[CauseEvidence]:
    """Find data frames given to a model of one input, which arrive as a dict of columns."""
    single = {
        probe.line
        for probe in capsule.manifest.probes
        if (state := capsule.state_of(probe)) is not None and state.cls.endswith("Sequential")
    }
    for call in asked(capsule):
        if call.error is None or name_of(call) not in METHODS or call.line not in single:
            continue
        for value in (*call.args[:1], call.kwargs.get("x")):
            if not isinstance(value, Pairs) or len(value.items) < 2:
                continue
            if all(isinstance(each, Items) or hasattr(each, "shape") for _, each in value.items):
                names = ", ".join(str(getattr(key, "v", key)) for key, _ in value.items[:3])
                yield answer(
                    "r-conversion",
                    f"{at(call.line)}the data frame reached Python as a dict of "
                    f"{len(value.items)} columns ({names} ...), and the model takes one matrix: "
                    "as.matrix() makes one of a data frame of numbers.",
                    line=call.line,
                    refused=True,
                )
                return


def dropped_axis(capsule: Capsule, tree: Sequence[Node]) -> Iterator[CauseEvidence]:
    """Find a single row taken out of a matrix, which R makes a vector of."""
    taken = {
        node.target.name: node.value
        for node in nodes_in(tree, Assign)
        if isinstance(node.target, Symbol)
    }
    for error, text in _errors(capsule):
        if not _AXES.search(text):
            continue
        for node in _at(tree, error.line):
            if node.name not in METHODS:
                continue
            for argument in node.arguments:
                value = argument.value
                value = taken.get(value.name) if isinstance(value, Symbol) else value
                if not isinstance(value, Index) or not _drops(value):
                    continue
                yield answer(
                    "r-semantics",
                    f"Line {value.line}: R drops an axis of which one element is left, so that "
                    "one row of a matrix is a plain vector, and the model misses an axis. "
                    "drop = FALSE inside the brackets keeps it.",
                    line=value.line,
                    refused=True,
                )
                return


def misspelled(capsule: Capsule, tree: Sequence[Node]) -> Iterator[CauseEvidence]:
    """Find arguments that nobody knows, and one of nearly the same name that is known."""
    for error, text in _errors(capsule):
        found = _UNKNOWN.search(text)
        if found is None:
            continue
        name = next(filter(None, found.groups()))
        for node in _at(tree, error.line):
            formals = {
                package: wrappers(package)[node.name].formals
                for package in ("keras3", "keras")
                if node.name in wrappers(package)
            }
            if any(name in each for each in formals.values()):
                # It is spelled right, for the other generation.
                continue
            front = capsule.manifest.frontend
            known = formals.get(front.package if front is not None else "", ())
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
            if near and name in (argument.name for argument in node.arguments):
                yield answer(
                    "user-script",
                    f"Line {node.line}: {node.name}() has no argument {name}; did you mean "
                    f"{near[0]}?",
                    line=node.line,
                    refused=True,
                )
                return


def by_what_is_said(capsule: Capsule, _tree: Sequence[Node]) -> Iterator[CauseEvidence]:
    """Find errors whose words alone tell what the script does."""
    for pattern, sentence in _SAYING:
        for error, text in _errors(capsule):
            if pattern.search(text):
                said = f"{at(error.line)}{sentence}"
                yield answer("user-script", said, line=error.line, refused=True)
                break


def _drops(node: Index) -> bool:
    """Say whether brackets take one element of an axis, and nothing keeps the axis."""
    if node.double or len(node.arguments) < 2:
        return False
    if any(each.name == "drop" for each in node.arguments):
        return False
    return any(isinstance(each.value, Number) for each in node.arguments)


def _errors(capsule: Capsule) -> Iterator[tuple[ErrorRecord, str]]:
    """Yield the errors that the script met, each with all that Python said of it."""
    raised = [call for call in asked(capsule) if call.error is not None]
    ended = capsule.manifest.error
    for error in (*capsule.manifest.caught, *((ended,) if ended is not None else ())):
        said = [call.error.message for call in raised if call.error and call.line == error.line]
        yield error, "\n".join((error.message, *said))


def _at(tree: Sequence[Node], line: int | None) -> Iterator[Call]:
    """Yield the calls that the text has at a line, or around it."""
    for node in nodes_in(tree, Call):
        if line in {each.line for each in walk(node)}:
            yield node


# Slips of R that Python or the R package refuses, told from the text.

#: Functions that are built into R's interpreter (``is.primitive``), of those that look like
#: activations, losses or metrics.
_PRIMITIVES: Final = frozenset(
    {"abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "ceiling", "cos", "cosh", "exp"}
    | {"expm1", "floor", "gamma", "log", "log1p", "log2", "log10", "max", "min", "prod", "range"}
    | {"round", "sign", "sin", "sinh", "sqrt", "sum", "tan", "tanh", "trunc"}
)
_PREFIXES: Final = ("layer_", "compile", "metric_", "loss_", "rnn_cell", "callback_", "fit")


def primitives(capsule: Capsule, tree: Sequence[Node]) -> Iterator[CauseEvidence]:
    """Find functions of R's interpreter that were handed over as if they were R functions."""
    own = {node.target.name for node in nodes_in(tree, Assign) if isinstance(node.target, Symbol)}
    worked = {call.line for call in asked(capsule) if call.error is None and _makes(call.r_call)}
    for node in nodes_in(tree, Call):
        if not node.name.startswith(_PREFIXES):
            continue
        for argument in node.arguments:
            value = argument.value
            if not isinstance(value, Symbol) or value.name not in _PRIMITIVES - own:
                continue
            if value.package not in ("", "base") or node.line in worked:
                continue
            yield answer(
                "r-conversion",
                f"Line {node.line}: {value.name} is built into R's interpreter, and such a "
                f"function cannot be handed to Python; a name in quotes can ({value.name!r} in "
                f"quotes, where Keras has one), and so can a function that is written in R.",
                line=node.line,
                refused=True,
            )
            return


def _makes(r_call: str) -> bool:
    return r_call.startswith(_PREFIXES)


def dropped_null(capsule: Capsule, tree: Sequence[Node]) -> Iterator[CauseEvidence]:
    """Find shapes in which c() lost a NULL."""
    lines = {call.line for call in asked(capsule)}
    manifest = capsule.manifest
    refused = bool(manifest.error or manifest.caught or any(c.error for c in asked(capsule)))
    for node in nodes_in(tree, Call):
        for argument in node.arguments:
            inner = argument.value
            if (
                "shape" in argument.name
                and isinstance(inner, Call)
                and inner.name == "c"
                and any(
                    isinstance(part.value, Symbol) and part.value.name == "NULL"
                    for part in inner.arguments
                )
                and lines & {each.line for each in walk(node)}
            ):
                yield answer(
                    "r-semantics",
                    f"Line {inner.line}: c() leaves NULL out, so that {argument.name} has "
                    f"{len(inner.arguments) - 1} dimensions where {len(inner.arguments)} are "
                    "written. NA keeps a dimension of unknown size, and so does list().",
                    line=inner.line,
                    refused=refused,
                )
                return


def factors(capsule: Capsule, tree: Sequence[Node]) -> Iterator[CauseEvidence]:
    """Find factors given to Keras 2 as targets, which arrive as lists of words."""
    frontend = capsule.manifest.frontend
    if frontend is None or frontend.package != "keras":
        return
    made = {
        node.target.name
        for node in nodes_in(tree, Assign)
        if isinstance(node.target, Symbol)
        and isinstance(node.value, Call)
        and node.value.name in ("factor", "as.factor", "cut", "gl")
    }
    probed = {probe.line for probe in capsule.manifest.probes}
    for node in nodes_in(tree, Call):
        if node.name not in ("fit", "evaluate", "predict"):
            continue
        lines = {each.line for each in walk(node)}
        for argument in node.arguments:
            value = argument.value
            if isinstance(value, Symbol) and value.name in made and not lines & probed:
                yield answer(
                    "r-conversion",
                    f"Line {node.line}: {value.name} is a factor, and reaches Python as a list of "
                    "words, not as numbers of classes: as.integer(...) - 1 gives these.",
                    line=node.line,
                    refused=True,
                )
                return
