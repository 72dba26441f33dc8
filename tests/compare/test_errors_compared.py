from __future__ import annotations

import pytest

from bridge.capsule import ErrorRecord
from bridge.compare.result import plain, same_error
from bridge.facts.r import essence
from tests.compare_samples import error


@pytest.mark.parametrize(
    ("cls", "message"),
    [
        ("ValueError", "Layer dense_12 got 3.7"),
        ("builtins.ValueError", "Layer dense_3 got 41"),
        ("python.builtin.ValueError", "ValueError: Layer dense got -1e-5"),
        ("simpleError", "ValueError: Layer dense got 3L\nRun `reticulate::py_last_error()` "
                        "for details."),
        ("simpleError", "Error in py_call_impl(callable, call_args$unnamed) : \n  "
                        "ValueError: Layer dense got 3"),
        ("Rcpp::exception", "ValueError: Layer dense got 3\n\nDetailed traceback:\n  File \"x\""),
        ("simpleError", "\x1b[1m\x1b[31mValueError: Layer   dense\ngot 3\x1b[0m"),
    ],
)  # fmt: skip
def test_one_error_in_many_dresses_is_one_error(cls: str, message: str) -> None:
    assert same_error(error("Layer dense got 7"), error(message, cls, language="r"))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("object at 0x7f01 of /home/me/x/y.py", "object at 0x55aa of /tmp/other/y.py"),
        ("<work>/script.R failed", "<work>/twin.py failed"),
        ("shape=(32, 10)", "shape=(1000, 3)"),
        ("conv2d_7/kernel:0 of conv2d_7", "conv2d/kernel:0 of conv2d"),
    ],
)
def test_what_differs_from_run_to_run_does_not_tell_errors_apart(a: str, b: str) -> None:
    assert plain(error(a)).message == plain(error(b)).message


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (error("no"), error("no", "TypeError")),
        (error("units must be positive"), error("units must be an integer")),
        (error("a <...truncated...> z"), error("b and so on z")),
        (error("a <...truncated...> z"), error("a and so on y")),
    ],
)
def test_other_errors_are_told_apart(a: object, b: object) -> None:
    assert not same_error(a, b)  # type: ignore[arg-type]


def test_a_message_that_r_cut_is_compared_as_far_as_it_goes() -> None:
    assert same_error(error("begins so <...truncated...> ends so"), error("begins so, and ends so"))


def test_the_numbers_of_a_message_are_kept_for_telling() -> None:
    assert plain(error("got 3.7 of 10 in dense_4")).numbers == ("3.7", "10")


def test_a_class_within_the_words_is_no_class() -> None:
    found = plain(error("ValueError: inner", "TypeError"))
    assert (found.cls, found.message) == ("TypeError", "ValueError: inner")


def test_the_way_to_an_error_is_not_compared_and_r_may_have_cut_it() -> None:
    said = "indices[3,0] = 4 is not in [0, 4)\n\t [[{{node sequential/embedding}}]]"
    way = (
        'Graph execution error:\n\nDetected at node a defined at:\n  File "{}", line 3, in call\n\n'
    )
    cls = "tensorflow.python.framework.errors_impl.InvalidArgumentError"
    python = ErrorRecord(language="python", cls=cls, message=way.format("b.py") + said)
    cut = (
        f'{cls}: Graph execution error:\n<... omitted ...>ll\n\n  File "c.py", line 9, in call\n\n'
    )
    advice = "\nSee `reticulate::py_last_error()` for details"
    r = ErrorRecord(language="r", cls="Rcpp::exception", message=cut + said + advice)
    assert same_error(python, r)
    other = python.model_copy(update={"message": way.format("b.py") + "out of memory"})
    assert not same_error(other, r)


def test_the_essence_of_a_traceback_is_its_last_error() -> None:
    text = (
        'in user code:\n\n    File "a.py", line 2, in f\n        return g()\n\n'
        "    ValueError: expected min_ndim=2, found ndim=1\n\n"
        "    Call arguments received by layer 'm':\n      - inputs=tf.Tensor(...)\n"
    )
    assert essence(text).split() == ["ValueError:", "expected", "min_ndim=2,", "found", "ndim=1"]
    assert essence("object 'x' not found") == "object 'x' not found"
