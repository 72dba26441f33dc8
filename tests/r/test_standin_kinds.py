"""Every kind of coercion gives the answers that the real package was measured to give."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from bridge.r.standin import build, generate
from tests.standin import needs_r, rscript

pytestmark = [*needs_r, pytest.mark.tf]

#: How the answers in the tables are written.
DESCRIBE = """
import numpy as np

def describe(x):
    if isinstance(x, np.ndarray):
        flags = ("C" if x.flags.c_contiguous else "") + ("F" if x.flags.f_contiguous else "")
        return f"ndarray({x.dtype}, {x.shape}, {flags or '-'}, {x.tolist()})"
    if isinstance(x, list):
        return "[" + ", ".join(map(describe, x)) + "]"
    if isinstance(x, tuple):
        return "(" + ", ".join(map(describe, x)) + ("," if len(x) == 1 else "") + ")"
    if isinstance(x, dict):
        return "{" + ", ".join(f"{k!r}: {describe(v)}" for k, v in x.items()) + "}"
    if type(x).__name__ == "EagerTensor":
        return f"Tensor({x.dtype.name}, {tuple(x.shape)}, {x.numpy().tolist()})"
    if type(x).__name__ == "function":
        return "function python_function(*args, **kwargs)"
    for base in type(x).__mro__:
        if base.__name__ in ("Constraint", "Callback"):
            place = {"Constraint": "constraints", "Callback": "callbacks"}[base.__name__]
            return f"<keras.{place}.{base.__name__}*>"
    if type(x).__name__ == "RGenerator":
        return "<rpytools.generator.RGenerator>"
    return repr(x)
"""

SCRIPT = """
library(PACKAGE, character.only = TRUE)
tf <- tensorflow::tf
ns <- asNamespace(PACKAGE)
invisible(reticulate::py_run_string(paste(readLines("describe.py"), collapse = "\\n")))
describe <- reticulate::py_eval("describe")
values <- list("tensor" = tf$constant(matrix(c(1, 2, 3, 4), 2)))
matrices <- list(matrix(1:4, 2), matrix(c(.5, 1, 2, 3), 2))
values[["list(tensor)"]] <- list(values$tensor)
values[["list(matrix,matrix)"]] <- matrices
probes <- jsonlite::fromJSON("probes.json", simplifyVector = FALSE)
kinds <- jsonlite::fromJSON("kinds.json", simplifyVector = FALSE)
answers <- lapply(names(probes), function(kind) {
  convert <- get(paste0("kind_", kinds[[kind]]), ns)
  lapply(probes[[kind]], function(probe) tryCatch({
    known <- probe %in% names(values)
    value <- if (known) values[[probe]] else eval(str2lang(probe))
    result <- suppressWarnings(convert(value))
    if (inherits(result, "spliced")) {
      if (length(result) == 1L) describe(unclass(result)) else "dropped"
    } else describe(result)
  }, error = function(e) paste("error:", conditionMessage(e))))
})
names(answers) <- names(probes)
writeLines(jsonlite::toJSON(answers, auto_unbox = TRUE, digits = NA), "answers.json")
"""

TABLES = generate.read_tables()

#: Answers that say more about reticulate than about the package: how its version at hand converts
#: a missing logical, and what R's arithmetic on Python objects without a meaning ends in.
OUTSIDE = {
    ("inputs_flattened", "shape(2,3)"),
    ("as_tuple", "tensor"),
    ("as_node_index", "tensor"),
    ("split_size", "NA_integer_"),
    ("split_size", 'factor(c("a","b"))'),
    ("constraint", "function(x) x"),
}
NO_MEANING = ("error: unused argument", "dropped", "DType(float64)", "error: the condition")


def outside(kind: str, probe: str, expected: str) -> bool:
    """Whether an answer is left out: see OUTSIDE."""
    raw = kind not in ("keras_array", "data_or_dropped", "as_array", "as_py_array")
    missing_logical = raw and "ndarray(bool" in expected and "NA" in probe
    no_sum = probe == "tensor" and expected.startswith(NO_MEANING)
    return (kind, probe) in OUTSIDE or missing_logical or no_sum or "/opt/" in expected


def measured(package: str) -> dict[str, dict[str, str]]:
    """The probes of every kind that the runtime of ``package`` has; kind -> probe -> answer."""
    table = json.loads(json.dumps(TABLES[package].model_dump()))
    spec = next(p for p in generate.PACKAGES if p.name == package)
    known = generate.kinds_in(build.runtime_files(spec))
    return {
        kind: {
            probe: table["plain"][probe] if answer == "=" else answer
            for probe, answer in about.get("probes", {}).items()
        }
        for kind, about in table["kinds"].items()
        if kind in known and about.get("probes")
    }


FUNCTION = re.compile(r"function \w+\([^)]*\)|@[\w.]+|<keras\.constraints\.Constraint\*>")


def same(expected: str, answer: str) -> bool:
    """Whether an answer is the measured one; of errors only that there is one is compared.

    How a function is called in Python is another test's matter, and what becomes of one that is
    taken for a list is nobody's.
    """
    if "PyCapsule" in expected or "C stack usage" in expected:
        return True
    expected, answer = (FUNCTION.sub("a function", text) for text in (expected, answer))
    if expected.startswith("error"):
        return answer.startswith("error")
    if expected == "dropped":
        return answer in ("None", "dropped")
    return answer == expected


def answers(
    package: str,
    folder: Path,
    probes: dict[str, dict[str, str]] | None = None,
    kinds: dict[str, str] | None = None,
) -> dict[str, dict[str, Any]]:
    """What the runtime makes of ``probes``, whose keys are kinds or are given some."""
    probes = probes or measured(package)
    (folder / "kinds.json").write_text(json.dumps(kinds or {k: k for k in probes}), "utf-8")
    (folder / "describe.py").write_text(DESCRIBE, encoding="utf-8")
    (folder / "probes.json").write_text(
        json.dumps({kind: list(asked) for kind, asked in probes.items()}), encoding="utf-8"
    )
    done = rscript(SCRIPT.replace("PACKAGE", f'"{package}"'), folder)
    assert done.returncode == 0, done.stderr
    found = json.loads((folder / "answers.json").read_text(encoding="utf-8"))
    return {k: dict(zip(probes[k], found[k], strict=True)) for k in probes}


@pytest.mark.parametrize("package", ["keras", "keras3"])
def test_the_kinds_answer_as_measured(package: str, tmp_path: Path) -> None:
    probes = measured(package)
    assert len(probes) > 20
    found = answers(package, tmp_path)
    wrong = [
        f"{kind}({probe}): measured {expected}, here {found[kind][probe]}"
        for kind, asked in probes.items()
        for probe, expected in asked.items()
        if not outside(kind, probe, expected) and not same(expected, found[kind][probe])
    ]
    assert not wrong, "\n".join(wrong)


def test_the_kinds_chosen_for_arguments_without_one_have_their_answers(tmp_path: Path) -> None:
    chosen = {
        (name, argument): kind
        for (package, name, argument), kind in generate.RESOLVED.items()
        if package == "keras"
    }
    table = TABLES["keras"]
    probes = {
        f"{name} {argument}": dict(
            table.functions[name].arguments[argument].model_dump().get("probes", {})
        )
        for name, argument in chosen
    }
    assert all(probes.values())
    found = answers(
        "keras", tmp_path, probes, {f"{n} {a}": kind for (n, a), kind in chosen.items()}
    )
    plain = table.model_dump()["plain"]
    wrong = [
        f"{what} {probe}: measured {expected}, here {found[what][probe]}"
        for what, asked in probes.items()
        for probe, expected in asked.items()
        if not same(plain[probe] if expected == "=" else expected, found[what][probe])
        and "<cwd>" not in expected
        and probe != "matrix(c(TRUE,FALSE,NA,TRUE),2)"
    ]
    assert not wrong, "\n".join(wrong)
