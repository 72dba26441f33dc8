"""Two names for one model: an assignment does not copy it, and a pipe does not either."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from bridge.capsule import Call, Capsule
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run, asked, name_of, owner_of
from bridge.translate.syntax import Assign, Block, Member, Node, RCall, RSymbol, walk

RULE = Rule("R03", "one-model-two-names", cause="r-semantics", whose="R's rules", needs=("text",))
#: Functions that change the model they are given, and those that use it.
_CHANGES: Final = re.compile(
    r"^(layer_.*|fit|fit_generator|set_weights|pop_layer|train_on_batch|load_model_weights.*)$"
)
_METHODS: Final = frozenset({"add", "pop", "fit", "set_weights", "train_on_batch", "load_weights"})
#: Functions that give back the very model that they were given. Training gives back its history,
#: and a step of training its loss: these are no models.
_GIVES_BACK: Final = re.compile(
    r"^(layer_.*|compile|set_weights|load_model_weights.*|(un)?freeze_weights)$"
)
#: Functions that give another model than the one that they were given.
_COPIES: Final = frozenset({"clone_model", "from_config", "unserialize_model"})


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find models that were changed under one name and then used under another."""
    capsule, tree = run.capsule, run.tree
    statements = list(_statements(tree))
    changed_at = _changed(capsule)
    names: dict[str, str] = {}  # name -> the name that its model had first
    changed: dict[str, tuple[str, int]] = {}  # model -> the name and line of the last change
    for statement in statements:
        value = statement.value if isinstance(statement, Assign) else statement
        root = _root(value)
        target = _assigned(statement)
        if root and root in names:
            model = names[root]
            finding = _used(capsule, changed, model, root, statement)
            if finding is not None:
                yield finding
                return
            if _lines(statement) & changed_at and _is_change(value):
                by = target if target and _gives_back(value) else root
                changed[model] = (by, statement.line)
                if target and target != root and _gives_back(value):
                    # The name that is assigned has the very same model.
                    names[target] = model
                    continue
        for used in _reads(value):
            if used != root and used in names:
                finding = _used(capsule, changed, names[used], used, statement)
                if finding is not None:
                    yield finding
                    return
        if target is None:
            continue
        if isinstance(value, RSymbol) and value.name in names:
            names[target] = names[value.name]
        elif _lines(statement) & _made_at(capsule):
            names[target] = target
            changed.pop(target, None)
        else:
            names.pop(target, None)


def _used(
    capsule: Capsule,
    changed: dict[str, tuple[str, int]],
    model: str,
    name: str,
    statement: Node,
) -> Finding | None:
    if model not in changed or changed[model][0] == name:
        return None
    by, line = changed[model]
    if not _lines(statement) & {call.line for call in asked(capsule) if owner_of(call)}:
        return None
    return RULE.finding(
        f"{name} and {by} are two names for one model",
        f"Line {line} changes it under the name {by}, and line {statement.line} uses it as {name}. "
        "R copies numbers when they are assigned, but a model is one Python object.",
        at=statement.line,
        also=(line,),
        help="clone_model() makes a copy.",
    )


def _statements(tree: Sequence[Node]) -> Iterator[Node]:
    for node in tree:
        if isinstance(node, Block):
            yield from _statements(node.items)
        else:
            yield node


def _assigned(node: Node) -> str | None:
    if isinstance(node, Assign) and isinstance(node.target, RSymbol):
        return node.target.name
    return None


def _root(node: Node) -> str:
    """Return the name of the model at the beginning of a pipe, "" if a copy stands there."""
    while True:
        if isinstance(node, RSymbol):
            return node.name
        if isinstance(node, RCall) and node.name in _COPIES:
            return ""
        if isinstance(node, RCall) and isinstance(node.function, Member):
            node = node.function.object
        elif isinstance(node, RCall) and node.arguments and node.arguments[0].value is not None:
            node = node.arguments[0].value
        else:
            return ""


def _is_change(node: Node) -> bool:
    return any(
        isinstance(inner, RCall)
        and (
            _CHANGES.match(inner.name)
            or (isinstance(inner.function, Member) and inner.function.name in _METHODS)
        )
        for inner in walk(node)
    )


def _gives_back(node: Node) -> bool:
    """Say whether the last step of a pipe hands on the model that it began with."""
    return isinstance(node, RCall) and _GIVES_BACK.match(node.name) is not None


def _reads(node: Node) -> Iterator[str]:
    for inner in walk(node):
        if isinstance(inner, RSymbol):
            yield inner.name


def _lines(node: Node) -> set[int]:
    return {inner.line for inner in walk(node)}


def _changed(capsule: Capsule) -> set[int]:
    """Return the lines that changed a model."""
    return {line for call in asked(capsule) if (line := _line(call)) and name_of(call) in _METHODS}


def _made_at(capsule: Capsule) -> set[int]:
    """Return the lines that made a model of layers to which others can be added."""
    return {
        line
        for call in asked(capsule)
        if (line := _line(call)) and name_of(call) in ("Sequential", "Model", "clone_model")
    }


def _line(call: Call) -> int:
    return call.line or 0
