"""The R files of a stand-in package, generated from measured tables and what is set by hand."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from bridge._text import r_number
from bridge.errors import BridgeError
from bridge.facts.r import TABLES, newest_tables

# Coercion tables: what each argument of each R wrapper becomes in Python, as it was measured.
#
# A table is JSON, one file a package and version (``keras3-1.5.1.json``), and is checked here
# before anything is made from it, so that a field of the wrong type is an error and not a rule that
# silently does not hold. Of several tables of a package the one of the newest version counts.

Sends = Literal["all", "typed", "unknown"]
Forces = Literal["layer-first", "object-first"]


class TableError(BridgeError, ValueError):
    """A table that cannot be read; the message names the file and the place in it."""


class _Part(BaseModel):
    # A table also says how it was measured; what is not a rule is kept and not looked at.
    model_config = ConfigDict(frozen=True, extra="allow")


class WrapperArgument(_Part):
    """One argument of a wrapper.

    It goes ``to`` a Python argument (a name, or a number when it is sent by position) after the
    ``kind`` of change. ``choices`` belong to the kind ``choice``, ``error`` is the text of an
    argument that always fails, ``warns`` of one that warns; ``when_omitted`` is what crosses (as
    Python text) where only typed arguments do and this one was not typed.
    """

    to: str | int | None = None
    kind: str = "unknown"
    choices: tuple[str, ...] = ()
    error: str = ""
    warns: str = ""
    when_omitted: str | None = None


class Mode(_Part):
    """One way in which a wrapper calls Python.

    ``python`` is the dotted path of what is called; ``sends`` says whether all arguments cross
    or only the typed ones; ``drops_null`` are the Python arguments that do not cross when they
    are NULL; ``constants`` always cross; ``dots_arguments`` are rules for names in ``...``.
    """

    python: str = ""
    sends: Sends = "unknown"
    arguments: dict[str, WrapperArgument] = Field(default_factory=dict)
    dots_arguments: dict[str, WrapperArgument] = Field(default_factory=dict)
    drops_null: tuple[str, ...] = ()
    constants: dict[str, JsonValue] = Field(default_factory=dict)

    @property
    def measured(self) -> bool:
        """Whether enough is known to make this call."""
        return bool(self.python) and self.sends != "unknown"


class ExportedWrapper(Mode):
    """One exported wrapper.

    ``formals`` are (name, default as R text or None for no default) in order. A wrapper that
    ``composes`` makes a layer and adds it to, or calls it on, its argument ``object``; ``forces``
    says which of the two exists first. ``modes`` are other calls: ``called`` when the first
    argument is given, ``function`` when y_true or y_pred is. A ``method`` is looked up on the
    argument that goes to ``self``; what is listed in ``before`` is called first, with nothing; R
    gets what Python ``gives`` back, or, without printing it, the object or TRUE.
    """

    formals: tuple[tuple[str, str | None], ...] = ()
    composes: bool = False
    object: str = "object"
    forces: Forces | None = None
    modes: dict[str, Mode] = Field(default_factory=dict)
    method: bool = False
    before: tuple[str, ...] = ()
    gives: Literal["result", "self", "true"] = "result"
    py_function_name: str = ""
    returns: str = ""
    returns_zero_indexed: str = ""
    unmeasured: str = ""


class PackageTable(_Part):
    """The table of one R package at one version."""

    package: str
    version: str
    functions: dict[str, ExportedWrapper] = Field(default_factory=dict)
    exports: tuple[str, ...] = ()


def read_table(path: Path) -> PackageTable:
    """Read one table.

    Raises:
        TableError: The file is not JSON or not a table.
    """
    try:
        return PackageTable.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (ValidationError, ValueError) as error:
        raise TableError(f"{path.name} is not a coercion table: {error}") from error


def table_path(package: str, folder: Path = TABLES) -> Path:
    """Return the file of the newest version of a package that was measured.

    Raises:
        TableError: There is none.
    """
    found = newest_tables(folder)
    if package not in found:
        raise TableError(f"there is no table {package}-<version>.json in {folder}")
    return found[package]


def read_tables(folder: Path = TABLES) -> dict[str, PackageTable]:
    """Read the newest table of every package in ``folder``; package name -> table."""
    return {package: read_table(path) for package, path in sorted(newest_tables(folder).items())}


_PLAIN_NAME = re.compile(r"(?:[A-Za-z]|\.(?![0-9]))[A-Za-z0-9._]*\Z")
_RESERVED = frozenset(
    (
        *("if", "else", "repeat", "while", "function", "for", "in", "next", "break"),
        *("TRUE", "FALSE", "NULL", "Inf", "NaN"),
        *("NA", "NA_integer_", "NA_real_", "NA_complex_", "NA_character_"),
    )
)


def is_plain(name: str) -> bool:
    """Whether R reads ``name`` as a name without backticks."""
    return bool(_PLAIN_NAME.match(name)) and name not in _RESERVED


def r_name(name: str) -> str:
    """Write ``name`` as R reads it back, in backticks where it is no plain name.

    >>> r_name("layer_dense"), r_name("%>%")
    ('layer_dense', '`%>%`')
    """
    return name if is_plain(name) or name == "..." else f"`{name}`"


def r_string(text: str) -> str:
    """Write ``text`` as an R string literal."""
    return json.dumps(text, ensure_ascii=True).replace("\\/", "/")


def r_literal(value: JsonValue) -> str:
    """Write a JSON value as R: whole numbers are integers, lists are lists.

    >>> r_literal({"axis": -1, "name": None, "rates": [0.5]})
    'list(axis = -1L, name = NULL, rates = list(0.5))'
    """
    match value:
        case None:
            return "NULL"
        case bool() | int() | float():
            return r_number(value)
        case str():
            return r_string(value)
        case list():
            return f"list({', '.join(map(r_literal, value))})"
        case dict():
            return f"list({', '.join(f'{r_name(k)} = {r_literal(v)}' for k, v in value.items())})"


def r_vector(names: Iterable[str]) -> str:
    """Write strings as an R character vector."""
    return f"c({', '.join(map(r_string, names))})" if (names := list(names)) else "character()"


def r_vector_named(pairs: Mapping[str, str]) -> str:
    """Write a named R character vector."""
    return f"c({', '.join(f'{r_name(k)} = {r_string(v)}' for k, v in pairs.items())})"


# Writes the R text of one wrapper from what was measured of it.
#
# A wrapper gets the formals of the real one, so that ``args(layer_dense)`` and partial matching
# work. What it sends is written out argument by argument in terms of the kinds that the runtime
# carries out; an argument whose kind the runtime does not know refuses with a sentence.

#: Python modules and the lazy objects through which R reaches them.
MODULES = {"keras": "keras", "tensorflow": "tf"}


def wrapper(name: str, function: ExportedWrapper, package: str, kinds: frozenset[str]) -> str:
    """Write one wrapper, or one that refuses where ``function`` was not measured."""
    formals = ", ".join(
        r_name(formal) if default is None else f"{r_name(formal)} = {default}"
        for formal, default in function.formals
    )
    head = f"{r_name(name)} <- function({formals or '...'})"
    if not function.measured or function.python.split(".")[0] not in MODULES:
        return f"{head} refuse_function({r_string(name)}, {r_string(package)})\n"
    writer = _WrapperWriter(name, function, package, kinds)
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


def _condition(mode: str, function: ExportedWrapper) -> str:
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
class _WrapperWriter:
    """Writes the calls of one wrapper."""

    name: str
    function: ExportedWrapper
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

    def _rules(self, mode: Mode) -> dict[str, WrapperArgument]:
        """Return the rule of each formal in order, the mode's own before the wrapper's."""
        skip = {"...", self.function.object} if self.function.composes else {"..."}
        known = self.function.arguments | mode.arguments
        return {
            name: known.get(name, WrapperArgument())
            for name, _ in self.function.formals
            if name not in skip
        }

    def _converter(self, argument: str, rule: WrapperArgument) -> str:
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

    def _warned(self, rules: Mapping[str, WrapperArgument]) -> str:
        named = {name: rule.warns for name, rule in rules.items() if rule.warns}
        if not named:
            return ""
        return f", warns = {r_literal(dict(named))}"

    def _finish(self, mode: Mode, rules: Mapping[str, WrapperArgument], values: str) -> str:
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

    def _joined(self, rules: Mapping[str, WrapperArgument]) -> bool:
        """Whether further inputs are joined to the first argument before it crosses."""
        first = rules.get(self._formals[0]) if self._merges else None
        return first is not None and first.kind in ("inputs_list", "inputs_flattened")

    def _typed(self, mode: Mode, rules: Mapping[str, WrapperArgument]) -> str:
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

    def _all(self, mode: Mode, rules: Mapping[str, WrapperArgument]) -> str:
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


#: Questions that a wrapper asks Python before its own call; the tables list only the call.
BEFORE = {
    ("keras", "layer_lambda"): ("keras.backend.backend",),
    ("keras", "save_model_hdf5"): ("keras.backend.backend",),
}

#: Arguments without a kind in the tables although one of the runtime's gives their answers
#: (a test compares them).
RESOLVED = {
    ("keras", "fit_text_tokenizer", "x"): "texts",
    ("keras", "image_load", "path"): "path",
    ("keras", "image_dataset_from_directory", "directory"): "known_path",
}

#: Layers that send their inputs to the constructor, which fails: a fault of the real package.
SENDS_INPUTS = {("keras", "layer_multi_head_attention")}

#: What R gets back where that is not what Python returned.
GIVES: dict[tuple[str, str], Literal["self", "true"]] = {
    ("keras", "adapt"): "self",
    ("keras", "fit_text_tokenizer"): "self",
    ("keras", "load_model_weights_hdf5"): "self",
    ("keras", "load_model_weights_tf"): "self",
    ("keras", "reset_states"): "self",
    ("keras", "save_model_hdf5"): "true",
    ("keras", "save_model_tf"): "true",
    ("keras", "save_model_weights_hdf5"): "true",
    ("keras", "save_model_weights_tf"): "true",
    ("keras3", "adapt"): "self",
    ("keras3", "load_model_weights"): "self",
}


def amend(package: str, name: str, function: ExportedWrapper) -> ExportedWrapper:
    """Return ``function`` with what is known of it besides its table.

    A function whose constants were accidents of measuring (they stand in the place of a formal,
    or have a number for a name) becomes one that was not measured.
    """
    if not function.measured:
        return function
    formals = {formal for formal, _ in function.formals}
    if any(key.isdigit() or key in formals for key in function.constants):
        return ExportedWrapper(formals=function.formals, unmeasured="its call was not understood")
    arguments = {
        argument: _amend_argument(package, name, argument, rule, dict(function.formals))
        for argument, rule in function.arguments.items()
    }
    update: dict[str, object] = {
        "arguments": arguments,
        "before": BEFORE.get((package, name), ()),
        "gives": GIVES.get((package, name), "result"),
    }
    called = function.modes.get("called")
    if called is not None and called.sends == "all" and "..." in formals:
        # Inputs given one by one, and not in a list: then only what is typed crosses.
        joined = called.model_copy(update={"sends": "typed"})
        update["modes"] = {"joined": joined} | function.modes
    if (package, name) in SENDS_INPUTS:
        update["composes"] = False
        arguments[function.object] = WrapperArgument(to=function.object, kind="as_is")
    return function.model_copy(update=update)


def _amend_argument(
    package: str, name: str, argument: str, rule: WrapperArgument, formals: dict[str, str | None]
) -> WrapperArgument:
    if kind := RESOLVED.get((package, name, argument)):
        return rule.model_copy(update={"kind": kind})
    default = formals.get(argument) or ""
    if rule.kind == "choice" and not rule.choices:
        # Only the default is known to be among the choices.
        plain = default.startswith('"') and default.endswith('"')
        return rule.model_copy(
            update={"kind": "only" if plain else "unknown", "choices": (default.strip('"'),)}
        )
    return rule


# Makes the source of the stand-in R packages from the coercion tables: table in, files out.

#: The version of a package that has no table.
_NOT_MEASURED = "0.0"

#: The field of DESCRIPTION that tells these packages from CRAN's.
MARKER = "Config/keras-bridge"

_DEFINED_KIND = re.compile(r"^kind_(\w+)\s*<-", re.MULTILINE)
_TAG = re.compile(r"^#' @(\w+)\s*(.*?)\s*$")
_ASSIGNED = re.compile(r"^(`[^`]+`|\"[^\"]+\"|[A-Za-z.][\w.]*)\s*<-")


@dataclass(frozen=True)
class Package:
    """What is known of a package besides its table: its words and the runtime it is made of."""

    name: str
    title: str
    imports: tuple[str, ...]
    folders: tuple[str, ...]


#: In the order in which they must be installed.
PACKAGES = (
    Package(
        name="tensorflow",
        title="Stand-in for the R Interface to 'TensorFlow'",
        imports=("reticulate",),
        folders=("common", "tensorflow"),
    ),
    Package(
        name="keras",
        title="Stand-in for the R Interface to 'Keras' 2",
        imports=("reticulate", "tensorflow"),
        folders=("common", "pipe", "training", "classes", "keras"),
    ),
    Package(
        name="keras3",
        title="Stand-in for the R Interface to 'Keras' 3",
        imports=("reticulate", "tensorflow"),
        folders=("common", "pipe", "training", "classes", "keras3"),
    ),
)


def kinds_in(runtime: Mapping[str, str]) -> frozenset[str]:
    """Return the kinds that the runtime files define as ``kind_NAME <- function``."""
    return frozenset(kind for text in runtime.values() for kind in _DEFINED_KIND.findall(text))


def defined_in(runtime: Mapping[str, str]) -> frozenset[str]:
    """Return every name that the runtime's R files assign at the top level."""
    found = (
        _ASSIGNED.match(line)
        for path, text in runtime.items()
        if path.endswith(".R")
        for line in text.splitlines()
    )
    return frozenset(match[1].strip('`"') for match in found if match)


@dataclass(frozen=True)
class Tags:
    """What the ``#'`` comments of the runtime say, as in R's own documentation comments.

    ``exports`` are names; ``methods`` are S3 methods as (generic, class); ``refused`` are names
    to export that only refuse; ``lines`` are further lines of NAMESPACE.
    """

    exports: frozenset[str]
    methods: frozenset[tuple[str, str]]
    refused: frozenset[str]
    lines: frozenset[str]


def tags_in(runtime: Mapping[str, str]) -> Tags:
    """Read ``@export``, ``@method``, ``@refuse``, ``@import(From)`` and ``@reexport``.

    Raises:
        ValueError: There is another tag.
    """
    names: set[str] = set()
    methods: set[tuple[str, str]] = set()
    refused: set[str] = set()
    lines: set[str] = set()
    for path, text in runtime.items():
        if not path.endswith(".R"):
            continue
        pending = False
        for line in text.splitlines():
            if tag := _TAG.match(line):
                word, rest = tag.groups()
                match word:
                    case "export":
                        pending = True
                    case "method":
                        generic, cls = rest.split()
                        methods.add((generic.strip('"`'), cls))
                    case "refuse":
                        refused.update(rest.split())
                    case "import":
                        lines.update(f"import({package})" for package in rest.split())
                    case "importFrom":
                        package, *names_there = rest.split()
                        lines.add(f"importFrom({', '.join([package, *names_there])})")
                    case "reexport":
                        package, _, name = rest.partition("::")
                        lines.add(f"importFrom({package}, {r_namespace_name(name)})")
                        names.add(name)
                    case _:
                        raise ValueError(f"unknown tag in the runtime: {line}")
            elif pending and (assigned := _ASSIGNED.match(line)):
                names.add(assigned[1].strip('`"'))
                pending = False
    return Tags(frozenset(names), frozenset(methods), frozenset(refused - names), frozenset(lines))


def r_namespace_name(name: str) -> str:
    """Write a name for NAMESPACE, quoted where R's parser needs it."""
    return name if is_plain(name) else r_string(name)


def description(package: Package, version: str) -> str:
    """Write DESCRIPTION, with the field that says what this is."""
    return (
        f"Package: {package.name}\n"
        f"Version: {version}.9999\n"
        f"Title: {package.title}\n"
        "Description: A stand-in made by keras-bridge from measured coercion tables, for\n"
        f"    machines where CRAN's {package.name} {version} cannot be installed. It never\n"
        "    clears the CRAN package of anything.\n"
        "Author: The keras-bridge authors [aut]\n"
        "Maintainer: The keras-bridge authors <nobody@invalid>\n"
        "License: file LICENSE\n"
        "Encoding: UTF-8\n"
        "Depends: R (>= 4.2)\n"
        f"Imports: {', '.join(package.imports)}, methods, stats, utils, graphics\n"
        f"{MARKER}: standin\n"
    )


def namespace(
    names: Iterable[str], methods: Iterable[tuple[str, str]], lines: Iterable[str]
) -> str:
    """Write NAMESPACE: imports, exports and S3 methods, each sorted."""
    text = sorted(lines)
    text += [f"export({r_namespace_name(name)})" for name in sorted(names)]
    text += [
        f"S3method({r_string(generic) if '::' not in generic else generic}, {r_string(cls)})"
        for generic, cls in sorted(methods)
    ]
    return "\n".join(text) + "\n"


def generate(
    package: Package, table: PackageTable | None, runtime: Mapping[str, str]
) -> dict[str, str]:
    """Make the source files of one package; path inside the package -> text.

    Args:
        package: What the package is called and made of.
        table: Its coercion table; None gives a package of hand-written functions only.
        runtime: Path -> text of the hand-written files that belong to it.

    Returns:
        The files, ready to be written and installed with ``R CMD INSTALL``.
    """
    kinds = kinds_in(runtime)
    tags = tags_in(runtime)
    functions = {name: ExportedWrapper() for name in tags.refused}
    if table is not None:
        functions |= dict.fromkeys(table.exports, ExportedWrapper()) | table.functions
    # What is a method here, such as summary(), is no function of the package.
    taken = tags.exports | {generic for generic, _ in tags.methods}
    functions = {
        n: amend(package.name, n, f) for n, f in sorted(functions.items()) if n not in taken
    }
    if clash := functions.keys() & defined_in(runtime):
        raise ValueError(f"defined by hand but not exported: {', '.join(sorted(clash))}")
    files = dict(runtime)
    files["R/wrappers.R"] = (
        "# Made by bridge/r/standin/generate.py from the coercion table; do not edit.\n\n"
        + "\n".join(wrapper(n, f, package.name, kinds) for n, f in functions.items())
    )
    files["DESCRIPTION"] = description(package, table.version if table else _NOT_MEASURED)
    files["NAMESPACE"] = namespace(tags.exports | functions.keys(), tags.methods, tags.lines)
    files["LICENSE"] = "Part of keras-bridge, under its terms.\n"
    return files
