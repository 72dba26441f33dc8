"""Scripts with objects that raise when they are looked at: R takes them, and so does the trace."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.cases.case import read_case
from bridge.pipeline.examine_case import Examined, Settings, Suite
from bridge.process.pool import Pool

pytestmark = [pytest.mark.r, pytest.mark.tf]

OBJECTS = """
library(keras)
reticulate::py_run_string("
class Refuses:
    def __getattr__(self, name):
        raise RuntimeError('no ' + name)
class Turned(dict):
    def items(self):
        raise RuntimeError('no items')
    __iter__ = keys = values = items
class Length(list):
    def __len__(self):
        return -1
def give(*args, **kwargs):
    return len(args) + len(kwargs)
def hand(x):
    return x
def call(f, x):
    return f(x)
refuses = Refuses(); turned = Turned(a=1); length = Length([1])
")
main <- reticulate::import_main(convert = FALSE)
for (name in c("refuses", "turned", "length")) {
  item <- reticulate::py_get_attr(main, name)
  stopifnot(reticulate::py_to_r(main$give(item, 2, x = item)) == 3)
  same <- main$hand(item)
  inner <- main$call(function(x) { main$give(1, 2); 4 }, item)
}
"""

MODEL = """
m <- keras_model_sequential(input_shape = 2) %>% layer_dense(2, kernel_initializer = "ones")
print(predict(m, matrix(1:4, 2), verbose = 0))
"""


def _examined(pool: Pool, path: Path, text: str) -> Examined:
    path.write_text(text)
    with Suite(Settings(frontend="standin", jobs=1, quick=True), pool=pool) as suite:
        (examined,) = suite.examine([read_case(path)])
    return examined


def test_a_model_of_operations_is_probed_without_a_defect(pool: Pool, tmp_path: Path) -> None:
    path = tmp_path / "operations.R"
    path.write_text("""
    library(keras3)
    x <- keras_input(2)
    m <- keras_model(x, op_square(op_reciprocal(x)))
    print(predict(m, matrix(c(3, 7), 1), verbose = 0))
    """)
    with Suite(Settings(frontend="standin", jobs=1, exact=True), pool=pool) as suite:
        (examined,) = suite.examine([read_case(path)])
    assert len(examined.runs["r"].manifest.probes) == 1
    assert examined.probed
    assert examined.report.internal_errors == ()


def test_objects_that_refuse_every_question_cost_only_themselves(
    pool: Pool, tmp_path: Path
) -> None:
    examined = _examined(pool, tmp_path / "objects.R", OBJECTS + MODEL)
    run = examined.runs["r"].manifest
    assert run.status == "ok"
    gives = [call for call in run.calls if getattr(call.target, "name", "") == "give"]
    given = [call for call in run.calls if len(call.args) == 2 and "x" in call.kwargs]
    assert len(given or gives) >= 3
    assert all(call.line for call in given)
    # What was called inside a function of R's stands inside the call that was given it.
    assert {call.parent for call in run.calls} - {None}
    assert examined.report.cause == "none"
    assert examined.report.internal_errors == ()


def test_a_callback_that_writes_words_into_the_logs_leaves_the_training_to_be_seen(
    pool: Pool, tmp_path: Path
) -> None:
    text = """
    library(keras)
    reticulate::py_run_string("
from tf_keras.callbacks import Callback
class Writes(Callback):
    def on_epoch_end(self, epoch, logs=None):
        logs['words'] = 'not a number'
    def __getattr__(self, name):
        raise ValueError(name)
def writes():
    return Writes()
")
    main <- reticulate::import_main(convert = FALSE)
    m <- keras_model_sequential(input_shape = 1) %>% layer_dense(1, kernel_initializer = "ones")
    m %>% compile(optimizer_sgd(0.01), "mse")
    h <- m$fit(matrix(1:4, 4), matrix(1:4, 4), epochs = 3L, batch_size = 4L, verbose = 0L,
               callbacks = list(main$writes()))
    print(unlist(h$history$words))
    """
    examined = _examined(pool, tmp_path / "words.R", text)
    run = examined.runs["r"].manifest
    assert run.status == "ok"
    (probe,) = run.probes
    assert (probe.kind, len(probe.curves["loss"])) == ("fit", 3)
    assert "history['words'] is no list of numbers: ValueError" in probe.notes
    assert examined.report.internal_errors == ()
