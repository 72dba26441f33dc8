"""Writes the R text of one wrapper from what was measured of it.

A wrapper gets the formals of the real one, so that ``args(layer_dense)`` and partial matching
work. What it sends is written out argument by argument in terms of the kinds that the runtime
carries out; an argument whose kind the runtime does not know refuses with a sentence.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from bridge.r.standin.rsyntax import r_literal, r_name, r_string, r_vector, r_vector_named
from bridge.r.standin.tables import Argument, Function, Mode

#: Python modules and the lazy objects through which R reaches them.
MODULES = {"keras": "keras", "tensorflow": "tf"}


def wrapper(name: str, function: Function, package: str, kinds: frozenset[str]) -> str:
    """Write one wrapper, or one that refuses where ``function`` was not measured."""
    formals = ", ".join(
        r_name(formal) if default is None else f"{r_name(formal)} = {default}"
        for formal, default in function.formals
    )
    head = f"{r_name(name)} <- function({formals or '...'})"
    if not function.measured or function.python.split(".")[0] not in MODULES:
        return f"{head} refuse_function({r_string(name)}, {r_string(package)})\n"
    writer = _Writer(name, function, package, kinds)
    modes = "".join(
        f"  if ({condition}) {{\n{_indent(writer.body(mode, returns=True))}  }}\n"
        for key, mode in function.modes.items()
        if (condition := _condition(key, function)) and mode.measured
    )
    text = f"{head} {{\n{modes}{writer.body(function)}}}\n"
    attributes = {"py_function_name": function.py_function_name}
    if not function.method:
        # What the wrapper stands for where it is itself given as an argument.
        target = function.modes.get("function", function)
        attributes["python_path"] = target.python
    for attribute, value in attributes.items():
        if value:
            text += f"attr({r_name(name)}, {r_string(attribute)}) <- {r_string(value)}\n"
    return text


def _condition(mode: str, function: Function) -> str:
    """Return the R condition under which a mode holds; nothing for a mode that is not known."""
    names = [name for name, _ in function.formals]
    match mode:
        case "called":
            return f"!missing({r_name(names[0])})"
        case "joined":
            return f"!missing({r_name(names[0])}) && length(unnamed_dots(environment()))"
        case "function":
            given = [name for name in ("y_true", "y_pred") if name in names]
            return " || ".join(f"!missing({r_name(name)})" for name in given)
    return ""


def _dollars(path: str) -> str:
    """Write a dotted path as R reaches it: keras.layers.Dense -> keras$layers$Dense."""
    root, *rest = path.split(".")
    return "$".join(map(r_name, [MODULES[root], *rest]))


def _constant(text: str) -> JsonValue:
    """Read a value as Python writes it."""
    value: JsonValue = ast.literal_eval(text)
    return value


def _indent(text: str) -> str:
    return "".join(f"  {line}" if line.strip() else line for line in text.splitlines(True))


@dataclass(frozen=True)
class _Writer:
    """Writes the calls of one wrapper."""

    name: str
    function: Function
    package: str
    kinds: frozenset[str]

    def body(self, mode: Mode, returns: bool = False) -> str:
        """Write the statements that collect the arguments of ``mode`` and make its call."""
        rules = self._rules(mode)
        if self.function.method:
            owner = next((n for n, r in rules.items() if r.to == "self"), None)
            if owner is None:
                return f"  refuse_function({r_string(self.name)}, {r_string(self.package)})\n"
            target = f"{r_name(owner)}${r_name(mode.python.rpartition('.')[2])}"
            del rules[owner]
        else:
            target = _dollars(mode.python)
        args = self._typed(mode, rules) if mode.sends == "typed" else self._all(mode, rules)
        if self.function.composes:
            call = f"make_layer({target}, {r_name(self.function.object)}, {args})"
        elif self._merges and mode is not self.function and mode.python.split(".")[-1][0].isupper():
            inputs = f"{self._first}, unnamed_dots(environment())"
            call = f"merge_layers({target}, {inputs}, {args})"
        else:
            call = f"call_python({target}, {args})"
        before = "".join(f"  {_dollars(path)}()\n" for path in self.function.before)
        before += "  .call <- match.call()\n" if mode.sends == "typed" else ""
        before += "  .frame <- environment()\n" if self._merges else ""
        if self.function.returns_zero_indexed:
            if self.function.returns.startswith("when Python returns"):
                call = f"one_based({call}, zero_indexed)"
            elif self.function.returns.startswith("not measured"):
                refusal = self._refusal("zero_indexed = FALSE")
                before += f"  if (!isTRUE(zero_indexed)) refuse_argument({refusal})\n"
        if self.function.gives == "self":
            return f"{before}  {call}\n  invisible({self._first})\n"
        if self.function.gives == "true":
            return f"{before}  {call}\n  invisible(TRUE)\n"
        return f"{before}  {f'return({call})' if returns else call}\n"

    @property
    def _formals(self) -> list[str]:
        return [name for name, _ in self.function.formals]

    @property
    def _first(self) -> str:
        return r_name(self._formals[0])

    def _rules(self, mode: Mode) -> dict[str, Argument]:
        """Return the rule of each formal in order, the mode's own before the wrapper's."""
        skip = {"...", self.function.object} if self.function.composes else {"..."}
        known = self.function.arguments | mode.arguments
        return {
            name: known.get(name, Argument())
            for name, _ in self.function.formals
            if name not in skip
        }

    def _converter(self, argument: str, rule: Argument) -> str:
        """Return an R function of one value."""
        # The table writes ARG for the name of the argument.
        words = rule.error.removeprefix("error: ").replace("ARG", argument)
        stop = f"refuse({r_string(words)})"
        match rule.kind:
            case "always_error":
                return f"function(x) {stop}"
            case "refused":
                return f'function(x) refuse("unused argument ({argument})")'
            case "ignored":
                return "kind_ignored"
            case "choice":
                return f"function(x) kind_choice(x, {r_vector(rule.choices)})"
            case "only":
                known = f"identical(x, {r_string(rule.choices[0])})"
                return f"function(x) if ({known}) x else refuse_argument({self._refusal(argument)})"
            case "as_index" if "zero_indexed" in self._formals:
                return "function(x) if (isTRUE(zero_indexed)) x else kind_as_index(x)"
            case kind if kind in self.kinds:
                return f"kind_{kind}"
        return f"function(x) refuse_argument({self._refusal(argument)})"

    def _refusal(self, argument: str) -> str:
        return ", ".join(map(r_string, (self.name, argument, self.package)))

    def _warned(self, rules: Mapping[str, Argument]) -> str:
        named = {name: rule.warns for name, rule in rules.items() if rule.warns}
        if not named:
            return ""
        return f", warns = {r_literal(dict(named))}"

    def _finish(self, mode: Mode, rules: Mapping[str, Argument], values: str) -> str:
        """Wrap collected arguments into what the whole of them still needs."""
        options = ""
        if mode.drops_null:
            options += f", drop = {r_vector(mode.drops_null)}"
        if mode.constants:
            options += f", add = {r_literal(dict(mode.constants))}"
        placed = sorted((r.to, name) for name, r in rules.items() if isinstance(r.to, int))
        if placed:
            options += f", first = {r_vector(name for _, name in placed)}"
        return f"finish_arguments({values}{options})" if options else values

    def _dots(self, mode: Mode) -> str:
        if not any(formal == "..." for formal, _ in self.function.formals):
            return ""
        rules = mode.dots_arguments or self.function.dots_arguments
        changed = {n: r for n, r in rules.items() if r.kind not in ("as_is", "identity")}
        entries = [f"{r_name(n)} = {self._converter(n, r)}" for n, r in changed.items()]
        named = ", named_only = TRUE" if self._merges else ""
        return f"dots_arguments(environment(), list({', '.join(entries)}){named})"

    @property
    def _merges(self) -> bool:
        """Whether unnamed arguments in ``...`` are further inputs of a merging layer."""
        return "called" in self.function.modes and "..." in self._formals

    def _joined(self, rules: Mapping[str, Argument]) -> bool:
        """Whether further inputs are joined to the first argument before it crosses."""
        first = rules.get(self._formals[0]) if self._merges else None
        return first is not None and first.kind in ("inputs_list", "inputs_flattened")

    def _typed(self, mode: Mode, rules: Mapping[str, Argument]) -> str:
        entries = [f"    {r_name(n)} = {self._converter(n, r)}" for n, r in rules.items()]
        if self._joined(rules):
            joined = f"kind_{rules[self._formals[0]].kind}(x, unnamed_dots(.frame))"
            entries[0] = f"    {self._first} = function(x) {joined}"
        renamed = {n: r.to for n, r in rules.items() if isinstance(r.to, str) and r.to != n}
        options = f", to = {r_vector_named(renamed)}" if renamed else ""
        if dots := self._dots(mode):
            options += f", dots = {dots}"
        omitted = {
            str(r.to or n): _constant(r.when_omitted)
            for n, r in rules.items()
            if r.when_omitted is not None and not isinstance(r.to, int)
        }
        if omitted:
            options += f", omitted = {r_literal(omitted)}"
        options += self._warned(rules)
        kinds = ",\n".join(entries)
        values = f"typed_arguments(.call, environment(), list(\n{kinds}){options})"
        return self._finish(mode, rules, values)

    def _all(self, mode: Mode, rules: Mapping[str, Argument]) -> str:
        entries = []
        for argument, rule in rules.items():
            if rule.kind == "ignored":
                continue
            converter = self._converter(argument, rule)
            value = r_name(argument)
            if rule.kind == "as_is":
                pass
            elif argument == self._formals[0] and self._joined(rules):
                value = f"kind_{rule.kind}({value}, unnamed_dots(environment()))"
            elif converter.startswith("kind_"):
                value = f"{converter}({value})"
            elif rule.kind == "choice":
                value = f"kind_choice({value}, {r_vector(rule.choices)})"
            else:
                value = f"if (missing({value})) {value} else ({converter})({value})"
            sent = rule.to if isinstance(rule.to, str) else argument
            entries.append(f"    {r_name(sent)} = {value}")
        values = "list(\n" + ",\n".join(entries) + ")" if entries else "list()"
        if dots := self._dots(mode):
            values = f"c({values}, {dots})"
        return self._finish(mode, rules, values)
