"""The R files of a stand-in package, generated from measured tables and what is set by hand."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from bridge.r.standin.rsyntax import is_plain, r_string
from bridge.r.standin.tables import Argument, Function, Table
from bridge.r.standin.wrapper import wrapper

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


def amend(package: str, name: str, function: Function) -> Function:
    """Return ``function`` with what is known of it besides its table.

    A function whose constants were accidents of measuring (they stand in the place of a formal,
    or have a number for a name) becomes one that was not measured.
    """
    if not function.measured:
        return function
    formals = {formal for formal, _ in function.formals}
    if any(key.isdigit() or key in formals for key in function.constants):
        return Function(formals=function.formals, unmeasured="its call was not understood")
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
        arguments[function.object] = Argument(to=function.object, kind="as_is")
    return function.model_copy(update=update)


def _amend_argument(
    package: str, name: str, argument: str, rule: Argument, formals: dict[str, str | None]
) -> Argument:
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


def generate(package: Package, table: Table | None, runtime: Mapping[str, str]) -> dict[str, str]:
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
    functions = {name: Function() for name in tags.refused}
    if table is not None:
        functions |= dict.fromkeys(table.exports, Function()) | table.functions
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
