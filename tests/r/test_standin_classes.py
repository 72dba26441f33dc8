"""Classes written in R work on the stand-in as on the real packages (see also the golden calls)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.standin import needs_r, notes

pytestmark = [*needs_r, pytest.mark.tf]

#: Asks for an item in a thread while the main thread, where R is, waits for it.
THREAD = """
asked <- reticulate::py_run_string("
import threading
def asked(items):
    first, found = next(items), []
    thread = threading.Thread(target=lambda: found.append(next(items)))
    thread.start()
    thread.join(20)
    return [first[0], *(item[0] for item in found)]
")$asked
count <- 0
counted <- function() { count <<- count + 1; list(count, 0) }
"""

KERAS3 = (
    f"""
library(keras3)
{THREAD}
note("ahead", vapply(asked(keras3:::ahead_of_time(counted)), as.numeric, 0))
"""
    + """
by <- op_ones(1)  # a name of the script's is not taken for that of an argument
layer_times <- Layer("Times",
  initialize = function(by = 2, ...) {
    "Multiplies."
    super$initialize(...)
    private$by <- by
  },
  call = function(inputs, training = FALSE) inputs * private$factor(),
  get_config = function() utils::modifyList(super()$get_config(), list(by = private$by)),
  from_config = function(cls, config) do.call(cls, config),
  by = active_property(function(value = NULL) {
    if (is.null(value)) private$by else private$by <- value
  }),
  private = list(by = NULL, factor = function() private$by))
note("formals", names(formals(layer_times)))
one <- layer_times(by = 3)
two <- layer_times()
x <- op_ones(c(1, 2))
note("private", c(as.array(one(x))[1], as.array(two(x))[1]))
note("again", from_config(get_config(one))$by)
note("composed", as.array(x |> layer_times(5))[1])
layer_child <- Layer("Child", inherit = layer_times, call = function(inputs) {
  inner <- function() super$call(inputs)
  inner() + 1
})
note("child", as.array(layer_child(by = 4)(x))[1])
note("class", class(one)[1:2])
failing <- Layer("Failing", call = function(inputs) stop("no such luck"))
note("error", error_of(failing()(x)))
ten <- Layer("Ten", inherit = layer_dense,
             initialize = function(...) super$initialize(units = 10L, ...))
note("inherits a wrapper", dim(ten()(x)))
note("both", error_of(Layer("Both", initialize = function() 1, `__init__` = function() 2)()))
c(a, b = "none", ...rest) %<-% list(1, 2, 3, 4)
note("rest", list(a, b, length(rest)))
c(a, b = "none") %<-% list(1)
note("default", b)
note("jax", error_of(use_backend("jax")))
note("jax class", tryCatch(use_backend("jax"), error = class)[1])
note("axis class", tryCatch(op_sum(x, axis = 0), error = class)[1])
"""
)

KERAS = (
    f"""
library(keras)
{THREAD}
note("ahead", vapply(asked(keras:::ahead_of_time(counted)), as.numeric, 0))
"""
    + """
layer_times <- new_layer_class("Times",
  initialize = function(by = 2, ...) {
    super$initialize(...)
    self$by <- by
  },
  call = function(inputs, training = "mine") {
    if (missing(training)) self$seen <- "missing"
    inputs * self$by
  })
note("formals", names(formals(layer_times)))
x <- k_ones(c(1L, 2L))
one <- layer_times(by = 3)
note("value", as.array(one$call(x))[1])
note("seen", one$seen)
note("class", class(one)[1:2])
model <- keras_model_sequential() %>% layer_times(by = 2, input_shape = 2)
note("shape", unlist(model$output_shape))
Counter %py_class% {
  start <- 5
  value %<-active% function(v) if (missing(v)) self$start else self$start <- v
}
note("py_class", Counter$new()$value)
note("zip", zip_lists(list(a = 1, b = 2), list(b = 4, a = 3)))
note("names", error_of(zip_lists(list(a = 1), list(b = 2))))
"""
)


@pytest.fixture(scope="module")
def keras3(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return notes(KERAS3, tmp_path_factory.mktemp("keras3"))


@pytest.fixture(scope="module")
def keras(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return notes(KERAS, tmp_path_factory.mktemp("keras"))


def test_both_scripts_reach_their_end(keras3: dict[str, Any], keras: dict[str, Any]) -> None:
    assert (keras3["exit"], keras["exit"]) == (0, 0), keras3["stderr"] + keras["stderr"]


def test_a_generator_answers_a_thread_while_the_main_thread_waits(
    keras3: dict[str, Any], keras: dict[str, Any]
) -> None:
    assert (keras3["ahead"], keras["ahead"]) == ([1, 2], [1, 2])


def test_a_wrapper_has_the_arguments_of_the_constructor(
    keras3: dict[str, Any], keras: dict[str, Any]
) -> None:
    assert keras3["formals"] == keras["formals"] == ["object", "by", "..."]


def test_private_members_belong_to_one_instance(keras3: dict[str, Any]) -> None:
    assert keras3["private"] == [3, 2]


def test_a_layer_is_made_again_from_its_configuration(keras3: dict[str, Any]) -> None:
    assert keras3["again"] == 3


def test_a_layer_is_called_on_what_is_piped_into_it(keras3: dict[str, Any]) -> None:
    assert keras3["composed"] == 5


def test_super_finds_its_instance_from_a_function_inside_a_method(keras3: dict[str, Any]) -> None:
    assert keras3["child"] == 5


def test_instances_have_the_class_that_the_real_packages_give_them(
    keras3: dict[str, Any], keras: dict[str, Any]
) -> None:
    assert keras3["class"][0] == "<r-globalenv>.Times"
    assert keras["class"][0] == "R6type.Times"


def test_an_error_in_a_method_has_its_message(keras3: dict[str, Any]) -> None:
    assert "no such luck" in keras3["error"]


def test_a_class_may_derive_from_an_exported_wrapper(keras3: dict[str, Any]) -> None:
    assert keras3["inherits a wrapper"] == [1, 10]


def test_a_constructor_under_two_names_is_refused(keras3: dict[str, Any]) -> None:
    assert "both `__init__` and `initialize`" in keras3["both"]


def test_several_names_take_defaults_and_the_rest(keras3: dict[str, Any]) -> None:
    assert keras3["rest"] == [1, 2, 2]
    assert keras3["default"] == "none"


def test_another_backend_than_tensorflow_is_refused(keras3: dict[str, Any]) -> None:
    assert "the argument backend of use_backend(), which nobody measured" in keras3["jax"]


def test_an_error_says_whether_it_was_measured(keras3: dict[str, Any]) -> None:
    assert keras3["jax class"] == "bridge_standin_unmeasured"
    assert keras3["axis class"] == "bridge_standin_measured"


def test_a_legacy_method_gets_only_what_was_given(keras: dict[str, Any]) -> None:
    assert (keras["value"], keras["seen"]) == (3, "missing")


def test_a_legacy_layer_is_built_from_its_input_shape(keras: dict[str, Any]) -> None:
    assert keras["shape"] == 2


def test_a_class_may_be_written_as_a_block(keras: dict[str, Any]) -> None:
    assert keras["py_class"] == 5


def test_lists_are_zipped_by_name(keras: dict[str, Any]) -> None:
    assert keras["zip"] == {"a": [1, 3], "b": [2, 4]}
    assert "provided to `zip_lists()` must match" in keras["names"]
