"""What the text's translation does not know is answered by R's own run, and nothing shows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.capsule import Capsule
from bridge.process.pool import Limits, Pool
from bridge.r.script import inspect, serve
from bridge.runs.intent import intended, run_intent
from bridge.runs.r import run_r

pytestmark = [pytest.mark.r, pytest.mark.tf]


def _runs(pool: Pool, folder: Path, text: str, watch: bool = True) -> tuple[Capsule, Capsule]:
    script = folder / "answers.R"
    script.write_text(f"library(keras3)\n{text}", "utf-8")
    installed, (inspection,) = inspect([script])
    served = serve(inspection.package, "standin", installed)
    made = intended(script, inspection)
    places = made.places if watch else ()
    r = run_r(pool, "answers", script, inspection, served, Limits(), places=places)
    return r, run_intent(pool, "answers", script, inspection, r, Limits(), None, made)


def _printed(run: Capsule) -> str:
    return "".join(each.text for each in run.manifest.output if each.stream != "native")


def test_a_gap_costs_the_statement_alone(pool: Pool, tmp_path: Path) -> None:
    r, meant = _runs(
        pool,
        tmp_path,
        "x <- scale(matrix(c(1, 5, 2, 8, 4, 4), 3))\n"
        "mid <- attr(x, 'scaled:center')\n"
        "by <- aggregate(v ~ k, data.frame(v = 1:4, k = c('a', 'b')), sum)\n"
        "m <- keras_model_sequential(input_shape = 2) |>\n"
        "  layer_dense(1, kernel_initializer = 'ones')\n"
        "p <- predict(m, x, verbose = 0)\n"
        "print(sum(mid) + sum(by$v))\n",
    )
    assert (meant.manifest.status, meant.manifest.gaps) == ("ok", ())
    assert [text.partition(":")[0] for text in meant.manifest.answered] == ["answers.R"] * 2
    mine, theirs = (run.manifest.probes[0].outputs[0] for run in (r, meant))
    assert r.array(mine).tobytes() == meant.array(theirs).tobytes()
    assert _printed(meant).split()[-1] == "18"


_WATCHED = """
f <- function(n) {
  m <- keras_model_sequential(input_shape = n) |> layer_dense(2, kernel_initializer = "ones")
  for (i in 1:2) {
    z <- rowsum(matrix(i * 1:4, 2), c(1, 1))
    w <- fivenum(rnorm(5))
    cat(i, predict(m, z, verbose = 0), rnorm(1), "\\n")
  }
  k <- as.numeric(chartr("a", "1", "a"))
  list(m = m, k = tryCatch(rapply(1, sum), error = function(e) "no list"))
}
f
set.seed(4)
r <- f(2)
print(r$k)
g <- function(x) stop("not ", x)
tryCatch(g(predict(r$m, rowsum(matrix(1:4, 2), c(1, 1)), verbose = 0)), error = conditionMessage)
f(fivenum(2)[1])$k
g(fivenum(c(1, 2))[2])
"""


def test_a_script_does_not_see_that_it_is_watched(pool: Pool, tmp_path: Path) -> None:
    bare, _ = _runs(pool, tmp_path, _WATCHED, watch=False)
    r, meant = _runs(pool, tmp_path, _WATCHED)
    assert _printed(r) == _printed(bare)
    assert [call.r_call for call in r.manifest.calls] == [c.r_call for c in bare.manifest.calls]
    assert any(answer.places for answer in r.manifest.answers)
    assert not any(answer.places for answer in bare.manifest.answers)
    # R itself does not come through the last statement.
    assert meant.manifest.gaps == ("answers.R:20: the function fivenum()",)


def test_objects_of_python_that_r_hands_on_are_the_intents_own(pool: Pool, tmp_path: Path) -> None:
    r, meant = _runs(
        pool,
        tmp_path,
        "d1 <- layer_dense(units = 3, kernel_initializer = 'ones', name = 'one')\n"
        "d2 <- layer_dense(units = 1, kernel_initializer = 'ones', name = 'two')\n"
        "parts <- mget(c('d1', 'd2'))\n"
        "inp <- keras_input(shape = 2)\n"
        "m <- keras_model(inp, parts$d2(parts$d1(inp)))\n"
        "p <- predict(m, matrix(1:4, 2), verbose = 0)\n",
    )
    assert (meant.manifest.status, meant.manifest.gaps) == ("ok", ())
    names = [layer.name for layer in meant.manifest.states[0].layers]
    assert names[-2:] == ["one", "two"]
    mine, theirs = (run.manifest.probes[0].outputs[0] for run in (r, meant))
    assert r.array(mine).tobytes() == meant.array(theirs).tobytes()


def test_calls_in_what_is_not_translated_are_made_as_r_made_them(
    pool: Pool, tmp_path: Path
) -> None:
    r, meant = _runs(
        pool,
        tmp_path,
        "parts <- rapply(list(a = 3, b = 1), how = 'list', f = function(n)\n"
        "  layer_dense(units = n, kernel_initializer = 'ones'))\n"
        "inp <- keras_input(shape = 2)\n"
        "m <- keras_model(inp, parts$b(parts$a(inp)))\n"
        "p <- predict(m, matrix(1:4, 2), verbose = 0)\n",
    )
    assert (meant.manifest.status, meant.manifest.gaps) == ("ok", ())
    mine, theirs = (run.manifest.probes[0].outputs[0] for run in (r, meant))
    assert r.array(mine).tobytes() == meant.array(theirs).tobytes()


def test_what_waits_to_be_computed_is_left_alone(pool: Pool, tmp_path: Path) -> None:
    r, _ = _runs(pool, tmp_path, "delayedAssign('x', {cat('now\\n'); 3})\ncat('then\\n')\nx\n")
    assert _printed(r).split() == ["then", "now", "[1]", "3"]


def test_a_layer_of_the_scripts_own_is_one_of_the_intents(pool: Pool, tmp_path: Path) -> None:
    r, meant = _runs(
        pool,
        tmp_path,
        "gate <- Layer('Gate',\n"
        "  initialize = function(units, ...) {\n"
        "    super$initialize(...)\n"
        "    self$units <- as.integer(units)\n"
        "  },\n"
        "  build = function(input_shape) {\n"
        "    self$w <- self$add_weight(\n"
        "      shape = shape(input_shape[[2]], self$units), initializer = 'ones')\n"
        "  },\n"
        "  call = function(inputs) op_sum(op_matmul(inputs, self$w), axis = 2, keepdims = TRUE)\n"
        ")\n"
        "inp <- keras_input(shape = 3)\n"
        "m <- keras_model(inp, inp |> gate(units = 2))\n"
        "p <- predict(m, matrix(1:6, 2), verbose = 0)\n"
        "print(p)\n",
    )
    assert (meant.manifest.status, meant.manifest.gaps) == ("ok", ())
    assert meant.manifest.answered == ()
    assert _printed(meant).split()[-2:] == ["18", "24"]
    mine, theirs = (run.manifest.probes[0].outputs[0] for run in (r, meant))
    assert r.array(mine).tobytes() == meant.array(theirs).tobytes()
