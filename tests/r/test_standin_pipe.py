"""The pipe of the stand-in, used where magrittr is not installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bridge.r.standin import build
from tests.standin import needs_r, notes

pytestmark = needs_r

SCRIPT = f"""
source("{(build.RUNTIME / "common" / "refuse.R").as_posix()}")
source("{(build.RUNTIME / "pipe" / "pipe.R").as_posix()}")
add <- function(x, y = 1) x + y
note("call", 2 %>% add(3))
note("bare name", 4 %>% sqrt)
note("dot elsewhere", 2 %>% add(10, .))
note("dot inside another call", 4 %>% add(sqrt(.)))
note("braces", 3 %>% {{ . * . }})
note("function", 3 %>% (function(v) v + 1))
note("namespace", c(3, 1) %>% base::rev)
note("functional sequence", (. %>% add(1) %>% sqrt)(8))
note("chain", 16 %>% sqrt %>% add(1) %>% add(2))
order <- character()
step <- function(x, name) {{ order <<- c(order, name); x }}
invisible(step(1, "a") %>% step("b") %>% step("c"))
note("order", order)
note("invisible", withVisible(1 %>% invisible())$visible)
f <- function() {{ inner <- 5; inner %>% add(inner) }}
note("local variables", f())
first <- NULL
late <- function(x) {{ made <- "layer"; force(x); paste(made, first) }}
early <- function() {{ first <<- "object"; 1 }}
note("object last", early() %>% late())
note("error", error_of(1 %>% 2))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return notes(SCRIPT, Path(tmp_path_factory.mktemp("pipe")))


@pytest.mark.parametrize(
    ("what", "value"),
    [
        ("call", 5),
        ("bare name", 2),
        ("dot elsewhere", 12),
        ("dot inside another call", 6),
        ("braces", 9),
        ("function", 4),
        ("namespace", [1, 3]),
        ("functional sequence", 3),
        ("chain", 7),
        ("invisible", False),
        ("local variables", 10),
        ("object last", "layer object"),
    ],
)
def test_the_pipe_gives(found: dict[str, Any], what: str, value: object) -> None:
    assert found[what] == value, found["stderr"]


def test_the_last_step_is_evaluated_first(found: dict[str, Any]) -> None:
    # step() records its name before it looks at its value, so the order is that of the calls.
    assert found["order"] == ["c", "b", "a"]


def test_a_step_that_is_no_call_is_an_error(found: dict[str, Any]) -> None:
    assert found["error"] == "attempt to apply non-function"
