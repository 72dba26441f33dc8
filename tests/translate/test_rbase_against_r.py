"""R's own values against those of its text in Python: a batch of expressions in one R process."""

from __future__ import annotations

import math
import subprocess
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bridge.r.script import inspect
from bridge.translate import rbase
from bridge.translate.rbase.values import Factor, GapError, Missing, Named, vector
from bridge.translate.text import translate

pytestmark = pytest.mark.r

_TELL = """
tell <- function(x) {
  if (is.factor(x)) x <- as.integer(x)
  if (is.logical(x)) x <- x + 0
  text <- if (is.character(x)) x else sprintf("%.17g", as.numeric(x))
  cat(paste(c(if (is.null(dim(x))) "-" else paste(dim(x), collapse = "x"), text),
            collapse = "\\x1f"), "\\n", sep = "")
}
for (line in readLines(commandArgs(TRUE)[1])) {
  tryCatch(tell(suppressWarnings(eval(parse(text = line)))), error = function(e) cat("error\\n"))
}
"""

_number: st.SearchStrategy[str] = st.sampled_from(
    ["0", "1", "2", "3L", "-1", "0.5", "2.5", "-3", "10"]
)
_count = st.integers(1, 4).map(str)
_some = st.sampled_from(["c(1, 2, 3)", "1:4", "c(0.5, -2)", "c(3, 1, 2, 2, 5, -1)"])
_vector: st.SearchStrategy[str] = st.deferred(
    lambda: st.one_of(
        st.lists(_number, min_size=2, max_size=6).map(lambda x: f"c({', '.join(x)})"),
        st.tuples(st.integers(-2, 5), st.integers(-2, 6)).map(lambda x: f"({x[0]}:{x[1]})"),
        st.tuples(_count, st.integers(5, 9)).map(lambda x: f"seq({x[0]}, {x[1]}, by = 0.5)"),
        st.integers(2, 6).map(lambda n: f"seq(0, 1, length.out = {n})"),
        st.tuples(_some, _count).map(lambda x: f"rep({x[0]}, times = {x[1]})"),
        st.tuples(_some, _count).map(lambda x: f"rep({x[0]}, each = {x[1]})"),
    )
)
_matrix = st.sampled_from(
    [
        "matrix(1:6, 2)",
        "matrix(c(2, -1, 0, 4, 3, 1, 5, 2, 9), nrow = 3)",
        "matrix(1:6 / 4, ncol = 2, byrow = TRUE)",
        "outer(1:3, 1:2)",
        "cbind(1:3, c(4, 0, 1))",
        "rbind(c(1, 2, 3), 4:6)",
        "diag(3)",
        "t(matrix(1:6, 2))",
    ]
)
_operator = st.sampled_from(["+", "-", "*", "/", "%%", "%/%", "^", ">", "==", "<="])
_of_vector = st.sampled_from(
    [
        "sum({})", "mean({})", "cumsum({})", "rev({})", "sort({})", "order({})", "round({}, 1)",
        "diff({})", "range({})", "which({} > 1)", "length({})", "max({})", "var({})", "sd({})",
        "paste({}, collapse = \"-\")", "paste0(\"a\", {})", "unique({})", "head({}, 2)",
        "tail({}, 2)", "{}[-1]", "{}[2]", "{}[c(TRUE, FALSE)]", "pmax({}, 1)", "abs({})",
        "ifelse({} > 1, 1, 0)", "sapply({}, function(i) i^2)", "which.max({})", "cumprod({})",
        "append({}, 7)", "as.integer({})", "prod({})", "{} %in% c(1, 2)", "match(2, {})",
        "median({})", "any({} > 2)", "outer({}, 1:2)", "matrix({}, 2)", "exp({})", "floor({})",
        "seq_along({})", "sprintf(\"%.2f\", {})",
        "Reduce(`+`, {})", "is.na({})", "sign({})",
        "is.vector({})", "tcrossprod({})", "crossprod({})",
    ]
)  # fmt: skip
_of_matrix = st.sampled_from(
    [
        "with(data.frame(a = {}), a.1 + 1)", "with(list(k = {}), k[1, 2] * max(k))",
        "subset(data.frame(a = c(3, 1, 2), b = 4:6), a > 1)$b", "local({{ k <- {}; k[1, ] }})",
        "tcrossprod({})",
        "t({})", "dim({})", "nrow({})", "{}[1, ]", "{}[, 2]", "{}[-1, ]", "{}[2, 1]",
        "{}[, 1, drop = FALSE]", "apply({}, 1, sum)", "apply({}, 2, range)", "colMeans({})",
        "rowSums({})", "sweep({}, 2, colMeans({}))", "sweep({}, 1, 1, \"+\")", "{} %*% t({})",
        "crossprod({})", "c({})", "{}[{} > 1]", "as.vector({})", "cbind({}, 0)", "rbind({}, 7)",
        "max.col({}, ties.method = \"first\")", "{} + 1:2", "{} * c(1, 10, 100)", "sum({})",
        "t(t({}) - colMeans({}))", "scale({})", "apply({}, c(1, 2), function(v) v + 1)",
        "{}[3]", "array({}, c(1, 3, 2))", "aperm(array({}, c(1, 2, 3)))", "which({} > 1)",
        "range({})", "exp(-{})", "outer({}[, 1], {}[, 2])", "lapply(1, function(i) {}[i, ])[[1]]",
    ]
)  # fmt: skip
_expression = st.one_of(
    st.tuples(_vector, _operator, st.one_of(_vector, _number)).map(" ".join),
    st.tuples(_of_vector, _vector).map(lambda x: x[0].replace("{}", x[1])),
    st.tuples(_of_matrix, _matrix).map(lambda x: x[0].replace("{}", x[1])),
    st.tuples(_matrix, _operator, st.one_of(_number, _some)).map(" ".join),
)


def _in_r(folder: Path, expressions: list[str]) -> list[str]:
    (folder / "tell.R").write_text(_TELL, "utf-8")
    (folder / "lines.R").write_text("\n".join(expressions) + "\n", "utf-8")
    done = subprocess.run(
        ["Rscript", "--vanilla", "tell.R", "lines.R"],
        cwd=folder, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return done.stdout.splitlines()


def _in_python(folder: Path, expressions: list[str]) -> Iterator[object]:
    script = folder / "all.R"
    script.write_text("".join(f"v{n} <- {text}\n" for n, text in enumerate(expressions)), "utf-8")
    _, (found,) = inspect([script])
    made = translate(found.tree, script="all.R", package="tensorflow", generation=2)
    skipped = ("import tensorflow", "import tf_keras", '"""')
    by_line: dict[int, list[str]] = {}
    for text, line in zip(made.text.splitlines(), made.lines, strict=False):
        if not text.startswith(skipped):
            by_line.setdefault(line, []).append(text)
    names: dict[str, object] = {"np": np, "r": rbase}
    for number in range(len(expressions)):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                exec("\n".join(by_line[number + 1]), names)
            yield names[f"v{number}"]
        except Exception as error:
            yield error


def _same(told: str, value: object) -> bool:
    """Say whether a value is R's; a gap says nothing and is never wrong."""
    if isinstance(value, (GapError, Missing)):
        return True
    if told == "error" or isinstance(value, Exception):
        return told == "error" and isinstance(value, Exception)
    size, *texts = told.split("\x1f")
    if isinstance(value, Factor):
        value = np.where(value.codes == 0, np.nan, value.codes)
    mine = vector(list(value.values()) if isinstance(value, Named) else value)
    shape = "-"
    if isinstance(value, np.ndarray) and value.ndim > 1:
        shape = "x".join(map(str, value.shape))
    if shape != size or len(mine) != len(texts):
        return False
    if mine.dtype == object:
        return [str(each) for each in mine] == texts
    return all(_close(float(x), float(y)) for x, y in zip(mine, map(_float, texts), strict=True))


def _float(text: str) -> float:
    return math.nan if text in ("NA", "NaN") else float(text.replace("Inf", "inf"))


def _close(x: float, y: float) -> bool:
    # R sums in long double, and its libm is not NumPy's: some of the last bits are its own.
    return x == y or (x != x and y != y) or math.isclose(x, y, rel_tol=2**-46, abs_tol=2**-46)


@settings(
    max_examples=4, deadline=None, database=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow,
                           HealthCheck.data_too_large, HealthCheck.large_base_example],
    phases=(Phase.generate,),
)  # fmt: skip
@given(st.lists(_expression, min_size=80, max_size=120, unique=True))
def test_r_and_python_compute_the_same(tmp_path: Path, expressions: list[str]) -> None:
    told = _in_r(tmp_path, expressions)
    assert len(told) == len(expressions)
    values = list(_in_python(tmp_path, expressions))
    wrong = [
        f"{text}: R {one!r}, Python {value!r}"
        for text, one, value in zip(expressions, told, values, strict=True)
        if not _same(one, value)
    ]
    # Gaps are honest, and few.
    assert sum(isinstance(each, (GapError, Missing)) for each in values) < len(values) / 10
    assert not wrong, "\n".join(wrong)
