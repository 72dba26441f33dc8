"""Looking changes nothing: a script prints under us what it prints under plain ``Rscript``."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import plain
from benchmarks.transparent import changes, lines_of, printed, said, told_apart
from bridge.process.pool import Limits, Pool
from bridge.r.script import inspect, serve
from bridge.runs.r import run_r

R = r"""
f <- function(x,y=2)   {
  # said in the text only
  x+y }
f
str(f)
print(sys.nframe()); sys.call(); sys.calls(); parent.frame()
assign("there", 5, envir = parent.frame()); there
local(sys.nframe())
g <- function(x) { warning("with care"); x }
g(1)
for (i in 1:2) warning("number ", i)
print(warnings())
tryCatch(as.integer("a"), warning = function(w) print(conditionCall(w)))
withCallingHandlers(g(2), warning = function(w) {
  print(sys.calls()[[1]])
  invokeRestart("muffleWarning")
})
length(computeRestarts())
search()[1:3]; ls()
commandArgs(trailingOnly = TRUE); grep("--file", commandArgs(), value = TRUE)
unlist(options("keep.source", "echo", "showErrorCalls", "keras_bridge"))
runif; quit; environment(rnorm); args(sample)
tryCatch(runif("a"), warning = function(w) print(w))
set.seed(4); runif(2); sample(5); sapply(1:2, rnorm); x <- matrix(rnorm(4), 2); x[, 1]
print.thing <- function(x, ...) { cat("a thing", deparse(substitute(x)), sys.nframe(), "\n") }
structure(list(1), class = "thing")
3
.Last.value
plot(1:2); dev.cur(); dev.off()
library(reticulate)
py_run_string("print('Python, between')")
py_run_string("import sys; sys.stdout.write('two ')")
py_run_string("kept = 1; os = 2; print(sorted(k for k in globals() if k[0] != '_'), len(sys.argv))")
.Last <- function() cat("left\n")
h <- function() {
  on.exit(cat("not told\n"))
  tryCatch(quit(status = 0), finally = cat("nor this\n"))
}
h()
"""

LEGACY = """
library(keras)
library(tensorflow)
tf$random$uniform(shape(2), seed = 3L)
layer_dropout(rate = 0.5, seed = 4L)(k_ones(c(2L, 4L)), training = TRUE)
for (s in c(3, 4, 3)) {
  set_random_seed(s)
  m <- keras_model_sequential() %>% layer_dense(2, input_shape = 2) %>% layer_dropout(0.3) %>%
    layer_dense(1)
  cat(s, as.numeric(get_weights(m)[[1]]), m$layers[[1]]$name, runif(1), "\n")
}
m %>% compile(optimizer = "sgd", loss = "mse")
x <- matrix(1:16 / 16, 8)
h <- m %>% fit(x, x[, 1], epochs = 2, batch_size = 4, verbose = 1)
h
print(predict(m, x, verbose = 0))
np <- reticulate::import("numpy", convert = FALSE)
np$array(c(NaN, 1))$astype("int32")$shape
f <- function(...) {
  tryCatch(predict(m, ..., verbose = 0), error = function(e) cat(conditionMessage(e)))
}
f(matrix(1:9 / 9, 3))
f(matrix(1:9 / 9, 3), batch_size = 2)
"""

THREE = """
library(keras3)
for (s in c(3, 4, 3)) {
  set_random_seed(s)
  m <- keras_model_sequential(input_shape = 2) |> layer_dense(2) |> layer_dropout(0.3) |>
    layer_dense(1)
  cat(s, as.numeric(get_weights(m)[[1]]), m$layers[[1]]$name, runif(1), "\n")
}
m |> compile(optimizer = "sgd", loss = "mse")
x <- matrix(1:16 / 16, 8)
h <- m |> fit(x, x[, 1], epochs = 2, batch_size = 4, verbose = 2)
h
print(predict(m, x, verbose = 0))
"""


@pytest.mark.r
@pytest.mark.tf
@pytest.mark.parametrize("text", [R, LEGACY, THREE], ids=["r", "keras", "keras3"])
def test_a_script_prints_what_it_prints_under_rscript(
    text: str, pool: Pool, tmp_path: Path
) -> None:
    script = tmp_path / "script.R"
    script.write_text(text)
    installed, (inspection,) = inspect([script])
    served = serve(inspection.package, "standin", installed)
    made = run_r(pool, "script", script, inspection, served, Limits(seconds=120)).manifest
    theirs = plain.run(script, inspection, served)
    assert theirs.code == 0, theirs.printed[-500:]
    assert changes(lines_of(theirs.printed), lines_of(printed(made))) == {}
    assert told_apart(theirs.said, said(made)) == ({}, {})
    assert len(lines_of(theirs.printed)) > 10


@pytest.mark.r
@pytest.mark.tf
def test_what_r_says_of_warnings_and_errors_is_said_where_rscript_says_it(
    pool: Pool, tmp_path: Path
) -> None:
    script = tmp_path / "script.R"
    script.write_text(
        "g <- function(x) { warning('with care'); x }\nx <- g(1)\ncat('then\\n')\n"
        "h <- function(x) {\n  stop('too large')\n}\nk <- function() h(1)\nk()\ncat('never\\n')\n"
    )
    installed, (inspection,) = inspect([script])
    served = serve("", "auto", installed)
    made = run_r(pool, "script", script, inspection, served, Limits(seconds=60)).manifest
    said = [(each.line, each.text) for each in made.output if each.stream == "stderr"]
    assert said == [
        (2, "Warning message:\nIn g(1) : with care\n"),
        (8, "Error in h(1) : too large\nCalls: k -> h\n"),
    ]
    assert made.status == "error"
    assert made.error is not None
    assert (made.error.message, made.error.line, made.error.call) == ("too large", 5, "h(1)")


@pytest.mark.r
@pytest.mark.tf
def test_with_an_error_handler_of_its_own_a_script_goes_on(pool: Pool, tmp_path: Path) -> None:
    script = tmp_path / "script.R"
    script.write_text("options(error = quote(cat('handled\\n')))\nstop('a')\ncat('next\\n')\n")
    installed, (inspection,) = inspect([script])
    served = serve("", "auto", installed)
    made = run_r(pool, "script", script, inspection, served, Limits(seconds=60)).manifest
    assert printed(made) == plain.run(script, inspection, served).printed == "handled\nnext\n"
    assert made.status == "ok"


def test_times_addresses_paths_and_lines_written_over_are_masked() -> None:
    first = "1/2 [=>..] - ETA: 0s\b\b\b\r2/2 [====] - 0s 215ms/step - loss: 0.5\nat /tmp/Rtmp1/x.h5"
    again = "2/2 [====] - 1s 1s/step - loss: 0.5\nat /tmp/other/y.h5"
    assert lines_of(first) == lines_of(again)
    assert lines_of(again) != lines_of(again.replace("0.5", "0.6"))


@pytest.mark.parametrize(
    ("first", "again"),
    [
        ("1/8 [=>..] - ETA: 0s - loss: 0.5batch 3", "3/8 [==>.] - ETA: 2s - loss: 0.4 batch 3"),
        ("\x1b[1m1/8\x1b[0m \x1b[32m━━\x1b[0m \x1b[1m0s\x1b[0m 3ms/step - loss: 0.5", ""),
        ("      2/Unknown - 1s 650ms/step - loss: 0.5 - my acc: 1.5e-03", ""),
    ],
)  # fmt: skip
def test_an_unfinished_progress_bar_counts_for_nothing(first: str, again: str) -> None:
    ours, theirs = lines_of(first), lines_of(again)
    assert [line.strip() for line in ours] == [line.strip() for line in theirs]
    assert lines_of("8/8 [====] - 0s 3ms/step - loss: 0.5") != lines_of("")
    assert lines_of("1/2 of it is 0.5") == ["1/2 of it is 0.5"]


def test_lines_of_the_standard_error_are_compared_in_any_order_and_logs_left_out() -> None:
    log = "2026-01-02 03:04:05.678: I tensorflow/core/util/port.cc:153] oneDNN\n"
    assert told_apart(f"{log}a\nb\n", "b\na\n") == ({}, {})
    assert told_apart("a\na\n", "a\nc\n") == ({"a": 1}, {"c": 1})


def test_a_changed_a_missing_and_an_added_line_are_told() -> None:
    assert changes(["a", "b", "c"], ["a", "x", "c"]) == {1: ("b", "x")}
    assert changes(["a", "b"], ["a"]) == {1: ("b", "")}
    assert changes(["a"], ["a", "b"]) == {1: ("", "b")}
    assert changes(["a"], ["a"]) == {}
