"""Slips of R that Python or the R package refuses, told from the text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from bridge.capsule import Capsule
from bridge.rules.said import Said, asked
from bridge.translate.syntax import Assign, Call, Node, Symbol, walk

#: Functions that are built into R's interpreter (``is.primitive``), of those that look like
#: activations, losses or metrics.
_PRIMITIVES: Final = frozenset(
    {"abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "ceiling", "cos", "cosh", "exp"}
    | {"expm1", "floor", "gamma", "log", "log1p", "log2", "log10", "max", "min", "prod", "range"}
    | {"round", "sign", "sin", "sinh", "sqrt", "sum", "tan", "tanh", "trunc"}
)
_PREFIXES: Final = ("layer_", "compile", "metric_", "loss_", "rnn_cell", "callback_", "fit")


def primitives(capsule: Capsule, tree: Sequence[Node]) -> Iterator[Said]:
    """Find functions of R's interpreter that were handed over as if they were R functions."""
    own = {
        node.target.name
        for item in tree
        for node in walk(item)
        if isinstance(node, Assign) and isinstance(node.target, Symbol)
    }
    worked = {call.line for call in asked(capsule) if call.error is None and _makes(call.r_call)}
    for node in (each for item in tree for each in walk(item)):
        if not isinstance(node, Call) or not node.name.startswith(_PREFIXES):
            continue
        for argument in node.arguments:
            value = argument.value
            if not isinstance(value, Symbol) or value.name not in _PRIMITIVES - own:
                continue
            if value.package not in ("", "base") or node.line in worked:
                continue
            yield Said(
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


def dropped_null(capsule: Capsule, tree: Sequence[Node]) -> Iterator[Said]:
    """Find shapes in which c() lost a NULL."""
    lines = {call.line for call in asked(capsule)}
    manifest = capsule.manifest
    refused = bool(manifest.error or manifest.caught or any(c.error for c in asked(capsule)))
    for node in (each for item in tree for each in walk(item)):
        if not isinstance(node, Call):
            continue
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
                yield Said(
                    "r-semantics",
                    f"Line {inner.line}: c() leaves NULL out, so that {argument.name} has "
                    f"{len(inner.arguments) - 1} dimensions where {len(inner.arguments)} are "
                    "written. NA keeps a dimension of unknown size, and so does list().",
                    line=inner.line,
                    refused=refused,
                )
                return


def factors(capsule: Capsule, tree: Sequence[Node]) -> Iterator[Said]:
    """Find factors given to Keras 2 as targets, which arrive as lists of words."""
    frontend = capsule.manifest.frontend
    if frontend is None or frontend.package != "keras":
        return
    nodes = [each for item in tree for each in walk(item)]
    made = {
        node.target.name
        for node in nodes
        if isinstance(node, Assign)
        and isinstance(node.target, Symbol)
        and isinstance(node.value, Call)
        and node.value.name in ("factor", "as.factor", "cut", "gl")
    }
    probed = {probe.line for probe in capsule.manifest.probes}
    for node in nodes:
        if not isinstance(node, Call) or node.name not in ("fit", "evaluate", "predict"):
            continue
        lines = {each.line for each in walk(node)}
        for argument in node.arguments:
            value = argument.value
            if isinstance(value, Symbol) and value.name in made and not lines & probed:
                yield Said(
                    "r-conversion",
                    f"Line {node.line}: {value.name} is a factor, and reaches Python as a list of "
                    "words, not as numbers of classes: as.integer(...) - 1 gives these.",
                    line=node.line,
                    refused=True,
                )
                return
