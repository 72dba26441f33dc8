"""Every kind of coercion gives the answers that the real package was measured to give."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bridge.r.standin import build, generate, tables
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
library(keras)
library(tensorflow)
ns <- asNamespace(PACKAGE)
invisible(reticulate::py_run_string(paste(readLines("describe.py"), collapse = "\\n")))
describe <- reticulate::py_eval("describe")
values <- list("tensor" = tf$constant(matrix(c(1, 2, 3, 4), 2)))
matrices <- list(matrix(1:4, 2), matrix(c(.5, 1, 2, 3), 2))
values[["list(tensor)"]] <- list(values$tensor)
values[["list(matrix,matrix)"]] <- matrices
probes <- jsonlite::fromJSON("probes.json", simplifyVector = FALSE)
answers <- lapply(names(probes), function(kind) {
  convert <- get(paste0("kind_", kind), ns)
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

TABLES = tables.read_tables()

#: Answers that say more about reticulate than about the package: how its version at hand converts
#: a missing logical, and what R's arithmetic on Python objects without a meaning ends in.
OUTSIDE = {
    (kind, probe)
    for kind in ("callbacks_list", "data_or_dropped", "fit_callbacks", "keras_array")
    for probe in ("matrix(c(TRUE,FALSE,NA,TRUE),2)", "NA")
} | {
    ("loss_weights", "matrix(c(TRUE,FALSE,NA,TRUE),2)"),
    ("text_vector", "matrix(c(TRUE,FALSE,NA,TRUE),2)"),
    ("as_node_index", "tensor"),
    ("flag_checked", "tensor"),
    ("tensor_shape", "tensor"),
    ("inputs_flattened", "shape(2,3)"),
}


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


def same(expected: str, answer: str) -> bool:
    """Whether an answer is the measured one; of errors only that there is one is compared."""
    if expected.startswith("error"):
        return answer.startswith("error")
    if expected == "dropped":
        return answer in ("None", "dropped")
    return answer == expected


def answers(package: str, folder: Path) -> dict[str, dict[str, Any]]:
    probes = measured(package)
    (folder / "describe.py").write_text(DESCRIBE, encoding="utf-8")
    (folder / "probes.json").write_text(
        json.dumps({kind: list(asked) for kind, asked in probes.items()}), encoding="utf-8"
    )
    done = rscript(SCRIPT.replace("PACKAGE", f'"{package}"'), folder)
    assert done.returncode == 0, done.stderr
    found = json.loads((folder / "answers.json").read_text(encoding="utf-8"))
    return {k: dict(zip(probes[k], found[k], strict=True)) for k in probes}


@pytest.mark.skipif("keras" not in TABLES, reason="keras has no table")
def test_the_kinds_of_keras_answer_as_measured(tmp_path: Path) -> None:
    probes = measured("keras")
    assert len(probes) > 20
    found = answers("keras", tmp_path)
    wrong = [
        f"{kind}({probe}): measured {expected}, here {found[kind][probe]}"
        for kind, asked in probes.items()
        for probe, expected in asked.items()
        if (kind, probe) not in OUTSIDE and not same(expected, found[kind][probe])
    ]
    assert not wrong, "\n".join(wrong)
