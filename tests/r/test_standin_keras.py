"""An R script on the stand-in for package keras behaves as it does on the real one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bridge.r.standin.generate import read_tables
from tests.standin import needs_r, notes, rscript

pytestmark = [*needs_r, pytest.mark.tf]

FOUNDING = """
library(tensorflow)
library(keras)
x <- -5 + 10 * (1:1000) / 1000
grid <- as_tensor(x, dtype = tf$float32)
w <- list(matrix(1, 1, 1), as.array(0, dim = 1))
input <- c(1, 1)
mm <- "relu"
a <- keras_model_sequential(input_shape = input) %>% layer_flatten() %>%
  layer_dense(1, activation = mm, weights = w) %>% layer_dense(1, weights = w)
b <- keras_model_sequential(input_shape = input) %>% layer_flatten() %>%
  layer_dense(1, activation = mm, weights = w)
third <- keras_model_sequential(input_shape = input) %>% layer_flatten() %>%
  layer_activation(mm) %>% layer_dense(1, weights = w)
d <- keras_model_sequential(input_shape = input) %>% layer_flatten() %>%
  layer_activation_relu() %>% layer_dense(1, weights = w)
plot(x, predict(a, grid), type = "l")
lines(x, predict(b, grid), col = "red")
"""

SCRIPT = (
    FOUNDING
    + """
truth <- c(pmax(as.array(grid), 0))
away <- function(model) max(abs(c(predict(model, grid, verbose = 0)) - truth))
note("worst", max(away(a), away(b), away(third), away(d)))
note("dim", dim(predict(a, grid, verbose = 0)))
note("marker", packageDescription("keras")[["Config/keras-bridge"]])
note("keras", tensorflow::tf$keras$layers$Dense$`__module__`)
note("formals", names(formals(layer_dense)))
note("default", formals(layer_dense)$kernel_initializer)
names_of <- function(m) vapply(m$layers, function(l) l$name, "")
k_clear_session()
note("magrittr order", names_of(keras_model_sequential(input_shape = 2) %>%
                                  layer_dense(2) %>% layer_dense(1)))
k_clear_session()
note("native order", names_of(keras_model_sequential(input_shape = 2) |>
                                layer_dense(2) |> layer_dense(1)))
base <- keras_model_sequential(input_shape = 1) %>%
  layer_dense(1, weights = list(matrix(2), as.array(0)))
other <- base
other %>% layer_dense(1, weights = list(matrix(10), as.array(0)))
note("in place", c(length(base$layers), predict(base, matrix(1), verbose = 0)))
note("same object", reticulate::py_id(base) == reticulate::py_id(other))
note("visible", withVisible(layer_dense(base, 1))$visible)
note("units", layer_dense(units = 3.7)$units)
note("scalar bias", error_of(predict(keras_model_sequential(input_shape = 1) %>%
  layer_dense(1, weights = list(matrix(1, 1, 1), 0)), matrix(1), verbose = 0)))
m <- keras_model_sequential(input_shape = 1) %>% layer_dense(1, kernel_initializer = "zeros")
m %>% compile(optimizer_sgd(0), "mse", metrics = c("mae"))
h <- m %>% fit(matrix(0, 10, 1), matrix(1:10/1), validation_split = 0.2, verbose = 0)
note("epochs", length(h$metrics$loss))
note("history", names(h$metrics))
note("evaluate", names(evaluate(m, matrix(0, 2, 1), matrix(c(0, 1)), verbose = 0)))
note("class weight", error_of(m %>% fit(matrix(0, 2, 1), matrix(c(0, 1)), verbose = 0,
                                        class_weight = c("0" = 1))))
pdf(NULL); plot(h); printed <- capture.output(print(h))
note("printed", any(grepl("val_loss", printed)))
note("frame", dim(as.data.frame(h)))
note("first layer", get_layer(m, index = 1)$name == m$layers[[1]]$name)
note("no layer 0", error_of(get_layer(m, index = 0)))
note("refuses", error_of(use_implementation()))
note("functional", error_of({
  i <- layer_input(4); o <- i %>% layer_dense(3) %>% layer_dense(2); keras_model(i, o)}))
t <- as_tensor(matrix(1:6, 2))
note("index", list(as.array(t[1, 2]), as.array(t[, -1]), as.array(t[, 2:3])))
note("arithmetic", as.array(as_tensor(matrix(1, 2, 2)) * c(1, 10)))
note("types", c(as_tensor(1)$dtype$name, as_tensor(1L)$dtype$name, tf$constant(1)$dtype$name))
note("index 0", error_of(t[0, 1]))
note("reshape", array_reshape(1:6, c(2, 3)))
note("categorical", to_categorical(c(0, 2)))
note("maxnorm", constraint_maxnorm(0.5)$max_value)
note("loss", as.array(loss_mean_squared_error(k_constant(c(1, 2)), k_constant(c(2, 4)))))
note("shape", reticulate::py_str(layer_input(batch_shape = c(NA, 3))$shape))
"""
)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    result = notes(SCRIPT, Path(tmp_path_factory.mktemp("keras")))
    assert result["exit"] == 0, result["stderr"]
    return result


def test_the_founding_script_gives_a_relu_in_all_four_models(found: dict[str, Any]) -> None:
    assert found["worst"] == 0
    assert found["dim"] == [1000, 1]


def test_it_runs_on_keras_2(found: dict[str, Any]) -> None:
    assert found["keras"].startswith("tf_keras.")


def test_the_package_says_that_it_is_a_stand_in(found: dict[str, Any]) -> None:
    assert found["marker"] == "standin"


def test_wrappers_have_the_real_formals(found: dict[str, Any]) -> None:
    assert found["formals"][:4] == ["object", "units", "activation", "use_bias"]
    assert found["formals"][-1] == "weights"
    assert found["default"] == "glorot_uniform"


@pytest.mark.parametrize("pipe", ["magrittr order", "native order"])
def test_a_pipe_creates_the_last_layer_first(found: dict[str, Any], pipe: str) -> None:
    assert found[pipe] == ["dense_1", "dense"]


def test_a_layer_is_added_in_place(found: dict[str, Any]) -> None:
    assert found["in place"] == [2, 20]
    assert found["same object"] is True


def test_adding_a_layer_prints_nothing(found: dict[str, Any]) -> None:
    assert found["visible"] is False


def test_units_are_cut_to_an_integer(found: dict[str, Any]) -> None:
    assert found["units"] == 3


def test_a_bias_of_length_one_arrives_as_a_scalar(found: dict[str, Any]) -> None:
    assert (
        "weight shape (1,) is not compatible with provided weight shape ()"
        in (found["scalar bias"])
    )


def test_fit_runs_ten_epochs_unless_told_otherwise(found: dict[str, Any]) -> None:
    assert found["epochs"] == 10
    assert found["history"] == ["loss", "mae", "val_loss", "val_mae"]


def test_a_history_can_be_printed_plotted_and_tabulated(found: dict[str, Any]) -> None:
    assert found["printed"] is True
    assert found["frame"] == [40, 4]


def test_evaluate_names_its_values(found: dict[str, Any]) -> None:
    assert found["evaluate"] == ["loss", "mae"]


def test_a_vector_of_class_weights_is_refused(found: dict[str, Any]) -> None:
    assert found["class weight"] == "class_weight must be a named list of weights"


def test_layers_are_counted_from_one(found: dict[str, Any]) -> None:
    assert found["first layer"] is True
    assert "`index` for get_layer() is 1-based" in found["no layer 0"]


def test_what_was_not_measured_refuses_and_says_what_to_do(found: dict[str, Any]) -> None:
    assert found["refuses"] == (
        "not served by the stand-in: use_implementation(), which nobody measured (install CRAN's "
        "keras and run with --frontend cran); CRAN's package may behave otherwise"
    )


def test_a_functional_model_works(found: dict[str, Any]) -> None:
    assert found["functional"] == "no error"


def test_tensors_are_indexed_from_one_with_negatives_as_in_python(found: dict[str, Any]) -> None:
    assert found["index"] == [3, [5, 6], [[3, 5], [4, 6]]]
    assert "It looks like you might be using 0-based indexing" in found["index 0"]


def test_tensors_broadcast_along_the_last_axis(found: dict[str, Any]) -> None:
    assert found["arithmetic"] == [[1, 10], [1, 10]]


def test_numbers_become_tensors_of_the_measured_types(found: dict[str, Any]) -> None:
    assert found["types"] == ["float64", "int32", "float32"]


def test_arrays_are_reshaped_row_by_row(found: dict[str, Any]) -> None:
    assert found["reshape"] == [[1, 2, 3], [4, 5, 6]]


def test_the_faults_of_the_real_package_are_kept(found: dict[str, Any]) -> None:
    assert found["maxnorm"] == 0


def test_a_loss_given_values_is_computed(found: dict[str, Any]) -> None:
    assert found["loss"] == 2.5


def test_categories_become_columns(found: dict[str, Any]) -> None:
    assert found["categorical"] == [[1, 0, 0], [0, 0, 1]]


def test_an_unknown_dimension_is_none(found: dict[str, Any]) -> None:
    assert found["shape"] == "(None, 3)"


def test_the_founding_script_runs_alone(tmp_path: Path) -> None:
    done = rscript(FOUNDING, tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "Rplots.pdf").stat().st_size > 1000


@pytest.mark.skipif("keras3" not in read_tables(), reason="keras3 has no table")
def test_keras_3_refuses_weights_and_a_missing_axis(tmp_path: Path) -> None:
    result = notes(
        """
library(tensorflow)
library(keras3)
grid <- as_tensor(c(-1, 0, 1), dtype = tf$float32)
m <- keras_model_sequential(input_shape = c(1, 1)) %>% layer_flatten()
note("weights", error_of(layer_dense(m, 1, activation = "relu", weights = list(matrix(1)))))
m %>% layer_dense(1)
note("shape", error_of(predict(m, grid, verbose = 0)))
note("works", dim(predict(m, array(1, c(3, 1, 1)), verbose = 0)))
k <- keras_model_sequential(input_shape = 2) |> layer_dense(2) |> layer_dense(1)
note("order", vapply(k$layers, function(l) l$name, ""))
note("primitive", error_of(layer_dense(units = 1, activation = tanh)))
""",
        tmp_path,
    )
    assert "Unrecognized keyword arguments passed to Dense: {'weights'" in result["weights"]
    assert "Invalid input shape" in result["shape"]
    assert result["works"] == [3, 1]
    assert result["order"] == sorted(result["order"])
    assert result["primitive"] == "argument is not an environment"
