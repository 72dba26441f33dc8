"""Rules that read R's own values of its variables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from bridge.r.script import inspect
from tests.rules.samples import Run, method, needs_r, scalar

pytestmark = needs_r

FRAME: Final = {"temp": [20.0, 21.0, 22.0], "wind_speed": [1.0, 3.0, 2.0]}
ORDER: Final = [2.0, 0.0, 1.0]
MIXED: Final = {"id": [3.0, 1.0, 2.0], "x": [0.3, 0.1, 0.2]}
SORTED: Final = {"id": [1.0, 2.0, 3.0], "x": [0.1, 0.2, 0.3]}

Variables = tuple[Mapping[str, Any], ...]


def asked(
    code: str,
    scripts: Mapping[str, bool],
    variables: Variables,
    folder: Path,
    model: Callable[[Run], None] | None = None,
) -> dict[str, bool]:
    """Return whether a rule is raised by each script; ``variables`` are set by its statements."""
    paths = [folder / f"script{number}.R" for number in range(len(scripts))]
    for path, text in zip(paths, scripts, strict=True):
        path.write_text(text, "utf-8")
    found = {}
    for text, inspection in zip(scripts, inspect(paths)[1], strict=True):
        run = Run()
        for number, given in enumerate(variables, start=1):
            run.answer(number, **given)
        run.about["script"] = {"name": "x.R", "language": "r", "text": text, "sha256": ""}
        if model is None:
            run.probe()
        else:
            model(run)
        found[text] = code in run.rules(inspection.tree)
    return found


NAMES: Final = {
    "d <- f()\nx <- cbind(d$temp, d$windspeed)": True,
    'd <- f()\nx <- d[["wind"]]': True,
    "d <- f()\nx <- d$wind": True,
    "d <- f()\nx <- d$temp_mean": True,
    "d <- f()\nx <- d$wind_sp": False,
    "d <- f()\nx <- d$wind_speed": False,
    "d <- f()\nd$windspeed <- 1": False,
    "d <- f()\nif (is.null(d$windspeed)) stop()": False,
    "d <- f()\ng <- function(d) d$windspeed": False,
    "d <- f()\nfor (i in 1:2) {\n  d$new <- i\n  print(d$new)\n}": False,
    "d <- f()\nprint(model$layers)": False,
}


def test_a_part_is_read_by_a_name_that_a_list_has(tmp_path: Path) -> None:
    assert asked("R15", NAMES, ({"d": FRAME},), tmp_path) == NAMES


RANGES: Final = {
    "x <- s[i:i + 3]": True,
    "x <- s[i:i+lag-1]": True,
    "x <- m[n[k]:n[k] + 3, ]": True,
    "x <- s[i:(i + 3)]": False,
    "x <- s[1:n - 1]": False,
    "x <- i:i + 3": False,
    "x <- s[i:j + 3]": False,
}


def test_a_range_is_made_before_the_sum(tmp_path: Path) -> None:
    assert asked("R16", RANGES, (), tmp_path) == RANGES


def regression(run: Run) -> None:
    run.trained(("Dense", {"units": 1, "shape": (None, 1)}), loss="mse", y=[1.0, 2.0, 3.0, 1.0])


def classes(run: Run) -> None:
    softmax = {"units": 3, "activation": "softmax", "shape": (None, 3)}
    run.trained(("Dense", softmax), loss="sparse_categorical_crossentropy", y=[0.0, 1.0, 2.0, 1.0])


FACTORS: Final = {
    "f <- g()\ny <- as.numeric(f$dose)": True,
    "f <- g()\ny <- as.integer(f$risk)": True,
    "f <- g()\ny <- as.integer(factor(f$word))": True,
    "f <- g()\ny <- as.numeric(as.character(f$dose))": False,
    "f <- g()\ny <- as.integer(f$order)": False,
    'f <- g()\ny <- as.integer(factor(f$word, levels = c("low", "mid", "high")))': False,
    "f <- g()\ny <- as.integer(f$count)": False,
    "f <- g()\ny <- as.numeric(f$sex)": False,
}
LEVELS: Final = {
    "dose": (["10", "20", "40"], [1, 2, 3, 1]),
    "risk": (["high", "low", "mid"], [1, 2, 3, 1]),
    "order": (["low", "mid", "high"], [1, 2, 3, 1]),
    "count": (["1", "2", "3"], [1, 2, 3, 1]),
    "sex": (["f", "m"], [1, 2, 1, 1]),
    "word": ["high", "low", "mid", "high"],
}


def test_the_places_of_levels_are_no_numbers(tmp_path: Path) -> None:
    assert asked("R17", FACTORS, ({"f": LEVELS},), tmp_path, regression) == FACTORS


def test_the_places_of_levels_number_classes(tmp_path: Path) -> None:
    assert asked("R17", dict.fromkeys(FACTORS, False), ({"f": LEVELS},), tmp_path, classes) == (
        dict.fromkeys(FACTORS, False)
    )


FIT: Final = "\nfit(m, x, y)"
APART: Final = {
    f"d <- f()\nx <- d$wind_speed[o]\ny <- d$temp{FIT}": True,
    f"d <- f()\nx <- d$wind_speed[sample(3)]\ny <- d$temp[sample(3)]{FIT}": True,
    f"d <- f()\nx <- d$wind_speed\ny <- sort(d$wind_speed){FIT}": True,
    f"d <- f()\nx <- d$wind_speed[o]\ny <- d$temp[o]{FIT}": False,
    f"d <- f()\nx <- d$wind_speed[o]\ny <- 2 * x{FIT}": False,
    f"d <- f()\nx <- d$wind_speed[o]\ny <- c(1, 2, 3){FIT}": False,
    f"d <- f()\nx <- d$wind_speed[rising]\ny <- d$temp{FIT}": False,
    f"d <- f()\nx <- d$wind_speed[again]\ny <- d$temp{FIT}": False,
    f"d <- f()\nx <- d$wind_speed[o]\ny <- d$temp[same]{FIT}": False,
}


def training(run: Run) -> None:
    run.trained(("Dense", {"units": 1, "shape": (None, 1)}), loss="mse", y=[1.5, 2.0, 3.0])
    run.about["probes"][-1]["line"] = 4


def test_inputs_and_targets_keep_one_order(tmp_path: Path) -> None:
    indices = {"o": ORDER, "same": ORDER, "rising": [0.0, 1.0, 2.0], "again": [2.0, 0.0, 2.0]}
    given: Variables = ({"d": FRAME} | indices, {}, {"x": ORDER})
    assert asked("D09", APART, given, tmp_path, training) == APART


@pytest.mark.parametrize(("after", "found"), [(SORTED, True), (MIXED, False)])
def test_a_merge_that_moves_rows_moves_them_apart(
    after: dict[str, list[float]], found: bool, tmp_path: Path
) -> None:
    text = "a <- f()\nx <- merge(a, b)\ny <- a$x\nfit(m, x, y)"
    given: Variables = ({"a": MIXED, "b": MIXED}, {"x": after}, {"y": MIXED["x"]})
    assert asked("D09", {text: found}, given, tmp_path, training) == {text: found}


TALL: Final = np.arange(12.0).reshape(4, 3)


@pytest.mark.parametrize(
    ("line", "after", "found"),
    [
        ("dim(x) <- c(3, 4)", TALL.reshape(3, 4), True),
        ("x <- matrix(x, 3, 4)", TALL.reshape(3, 4), True),
        ("x <- array(x, c(3, 4, 1))", TALL.reshape(3, 4, 1), True),
        ("x <- matrix(x, 3, 4, byrow = TRUE)", TALL.T, False),
        ("x <- array(t(x), c(3, 4, 1))", TALL.reshape(3, 4, 1), False),
        ("x <- array(x, c(2, 6))", TALL.reshape(2, 6), False),
        ("x <- array(x, c(4, 3, 1))", TALL.reshape(4, 3, 1), False),
    ],
)
def test_new_dimensions_do_not_turn_an_array(
    line: str, after: Any, found: bool, tmp_path: Path
) -> None:
    text = f"x <- f()\n{line}"
    assert asked("R13", {text: found}, ({"x": TALL}, {"x": after}), tmp_path) == {text: found}


SCHEDULES: Final = {
    "s <- function(epoch, lr) rates[epoch]\ncallback_x(s)": True,
    "callback_x(function(epoch, lr) rates[[epoch]])": True,
    "s <- function(epoch, lr) {\n  cat(epoch + 1)\n  rates[epoch]\n}\ncallback_x(s)": True,
    "s <- function(epoch, lr) rates[epoch + 1]\ncallback_x(s)": False,
    "s <- function(epoch, lr) {\n  epoch <- epoch + 1\n  rates[epoch]\n}\ncallback_x(s)": False,
    "s <- function(epoch, lr) lr * 0.9^epoch\ncallback_x(s)": False,
}


@pytest.mark.parametrize(("counts", "found"), [((0, 1, 2, 0, 1), True), ((1, 2, 3), False)])
def test_an_epoch_that_counts_from_zero_is_no_subscript(
    counts: tuple[int, ...], found: bool, tmp_path: Path
) -> None:
    def called(run: Run) -> None:
        closure = {"t": "closure", "id": 7}
        run.call(method("x"), kwargs={"schedule": closure}, r_call="callback_x(s)")
        run.about["invocations"] = [
            {"id": number, "closure": 7, "args": [scalar(count), scalar(0.1)]}
            for number, count in enumerate(counts, start=1)
        ]
        run.probe()

    wanted = {text: found and one for text, one in SCHEDULES.items()}
    assert asked("R07", SCHEDULES, (), tmp_path, called) == wanted


@pytest.mark.parametrize(
    ("begins", "held", "first", "found"),
    [
        (1.0, (0, 4), (4, 12), True),
        (0.0, (0, 4), (4, 12), False),
        (1.0, (8, 12), (0, 8), False),
        (1.0, (0, 4), (0, 8), False),
        (1.0, (4, 8), (8, 12), False),
    ],
)
def test_a_later_round_holds_back_rows_that_were_trained_with(
    begins: float, held: tuple[int, int], first: tuple[int, int], found: bool
) -> None:
    """``begins`` is the weight at the start of round 2; round 1 has the rows 0 to 8."""
    x = np.arange(24.0).reshape(12, 2)
    run = Run()
    for start, (begin, end) in ((0.0, (0, 8)), (begins, first)):
        weights = [run.weight("kernel", [[start]])]
        state = {"id": 1, "cls": "keras.Sequential", "keras": "keras", "name": "m"}
        layer = {"name": "l0", "cls": "keras.layers.Dense", "config": {}, "weights": weights}
        run.about["states"].append(state | {"layers": [layer], "compiled": {"loss": "mse"}})
        run.probe(
            "fit",
            state=len(run.about["states"]) - 1,
            inputs=[run.array("x", x[begin:end])],
            targets=[run.array("y", x[begin:end, :1])],
            outputs=[run.array("after", [[start + 1]]) | {"name": "l0/0"}],
        )
    run.probe("predict", state=1, inputs=[run.array("x", x[slice(*held)])])
    assert ("D07" in run.rules()) is found
