"""The intent beyond what Python refuses of the text."""

from __future__ import annotations

from bridge.capsule import Capsule, ErrorRecord, Manifest
from bridge.explain.attribution import Undo
from bridge.pipeline.intent_attribution import beyond


def _run(runner: str, *lines: int) -> Capsule:
    """Return a run that ended at the first of the lines, or came through."""
    error = ErrorRecord(language="python", cls="ValueError", message="no", line=lines[0]) if (
        lines) else None  # fmt: skip
    status = "error" if lines else "ok"
    data = {"runner": runner, "case": "x", "status": status, "error": error}
    return Capsule(Manifest.model_validate(data), {})


def _refusing(*lines: int) -> Capsule:
    """Return how far the intent comes past one refused line after the other."""

    def rerun(undo: Undo) -> Capsule:
        left = [line for line in lines if ("refused", line) not in undo.as_r]
        return _run("intent", *left)

    found = beyond(_run("r"), _run("intent", *lines), rerun)
    return found[0] if found is not None else _run("intent", *lines)


def test_each_statement_that_python_refuses_is_taken_from_r() -> None:
    assert _refusing(5).manifest.status == "ok"
    assert _refusing(5, 9).manifest.status == "ok"


def test_after_a_few_of_them_the_text_is_not_judged() -> None:
    assert _refusing(5, 6, 7, 8).manifest.status == "error"


def test_a_run_that_is_refused_again_at_its_line_ends_there() -> None:
    asked: list[Undo] = []

    def rerun(undo: Undo) -> Capsule:
        asked.append(undo)
        return _run("intent", 5)

    assert beyond(_run("r"), _run("intent", 5), rerun) is None
    assert len(asked) == 1


def test_where_r_stops_as_well_nothing_is_run_again() -> None:
    assert beyond(_run("r", 5), _run("intent", 5), lambda _: _run("intent")) is None
