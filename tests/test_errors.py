"""Exceptions of keras-bridge have one base, and what is our own fault is recorded."""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import bridge
from bridge.errors import (
    BridgeError,
    Errors,
    InternalError,
    JobError,
    attempted,
    bound,
    collected,
    internal_error,
    isolated,
)
from bridge.explain.conclusion import Conclusion
from bridge.pipeline.case_run import CaseStep, honest, run_steps
from bridge.process.pool import PoolError
from bridge.trace.spool import FAILURES, SpooledErrors, read_failures

pytestmark = pytest.mark.internal_errors

#: Not ours but a script's: what R's stop() raises in the Python that is read from its text, and a
#: test of the pytest plugin that fails (which loads nothing before there is a script).
_THE_SCRIPTS = {"Stop", "ScriptFailedError"}

#: Raised by a module that runs before anything of ours can be imported: it chooses the versions.
_BEFORE_ANYTHING = {"NoStackError"}


@functools.cache
def _nodes() -> list[tuple[Path, ast.ClassDef | ast.ExceptHandler]]:
    return [
        (path, node)
        for path in sorted(Path(bridge.__file__).parent.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ClassDef | ast.ExceptHandler)
    ]


def _classes() -> list[tuple[str, list[str]]]:
    return [
        (node.name, [ast.unparse(base) for base in node.bases])
        for _, node in _nodes()
        if isinstance(node, ast.ClassDef)
    ]


def test_every_public_exception_has_the_common_base() -> None:
    standard = {"Exception", "ValueError", "RuntimeError", "TypeError", "KeyError", "OSError"}
    without = {
        name
        for name, bases in _classes()
        if standard & set(bases) and "BridgeError" not in bases and not name.startswith("_")
    }
    assert without == {"BridgeError"} | _THE_SCRIPTS | _BEFORE_ANYTHING


def test_the_tree_in_the_documentation_is_the_one_in_the_code() -> None:
    classes = _classes()

    def below(base: str, depth: int) -> list[str]:
        lines = []
        for name, bases in sorted(classes):
            if base in bases and not name.startswith("_"):
                standard = [each for each in bases if each != base]
                others = f" ({', '.join(standard)})" if standard else ""
                lines += ["    " * depth + name + others, *below(name, depth + 1)]
        return lines

    documented = inspect.getdoc(BridgeError) or ""
    tree = documented.partition("::\n\n")[2].partition("\n\n")[0]
    assert textwrap.dedent(tree).splitlines() == ["BridgeError", *below("BridgeError", 1)]


def _broken() -> int:
    raise KeyError("gone")


def test_a_step_that_fails_is_recorded_with_its_traceback_and_the_next_is_done() -> None:
    with collected(Errors()) as errors:
        assert isolated("first", _broken, -1) == -1
        assert isolated("second", lambda: 2, -1) == 2
    (record,) = errors.found
    assert (record.step, record.message) == ("first", "KeyError: 'gone'")
    assert "in _broken" in record.traceback


def test_what_other_threads_meet_is_kept_with_the_case_that_began_them() -> None:
    with ThreadPoolExecutor() as threads, collected(Errors()) as errors:
        asked = threads.submit(bound(isolated), "beside", _broken, None)
        elsewhere = threads.submit(isolated, "of nobody", _broken, None)
        assert asked.result() is elsewhere.result() is None
    assert [each.step for each in errors.found] == ["beside"]


def test_many_of_one_step_are_kept_in_part() -> None:
    errors = Errors()
    for number in range(100):
        errors.add(InternalError("recording", f"{number}", ""))
    errors.add(InternalError("another", "", ""))
    assert len(errors.found) < 50
    assert errors.found[-1].step == "another"


def test_what_no_case_can_survive_is_raised() -> None:
    def no_tensorflow() -> None:
        raise PoolError("TensorFlow could not be started")

    with collected(Errors()) as errors, pytest.raises(PoolError):
        isolated("a run", no_tensorflow, None)
    assert errors.found == ()


def test_an_exception_without_a_message_is_recorded_all_the_same() -> None:
    class Mute(Exception):  # noqa: N818
        def __str__(self) -> str:
            raise RuntimeError("no words")

    assert internal_error("a step", Mute()).message == "Mute"


def test_a_message_with_a_name_that_is_no_utf8_can_be_written_down() -> None:
    record = internal_error("reading", ValueError("caf\udce9.R cannot be read"))
    assert record.message.encode("utf-8") == b"ValueError: caf\\udce9.R cannot be read"
    assert record.traceback.encode("utf-8")


def test_a_job_tells_of_its_failure_once(tmp_path: Path) -> None:
    spooled = SpooledErrors(tmp_path)
    spooled.add(InternalError("the job look", "KeyError: 1", "Traceback"))
    spooled.add(InternalError("the job look", "KeyError: 1", "Traceback"))
    (record,) = read_failures(tmp_path)
    with collected(Errors()) as errors:
        assert internal_error("looking into r", JobError(record)) == record
    assert errors.found == ()


@pytest.mark.parametrize(
    "line", ["", "[]", "null", "7", '{"step": 1}', '{"step": "a", "other": "b"}', "{", "\x00"]
)
def test_a_record_that_a_script_wrote_itself_does_no_harm(tmp_path: Path, line: str) -> None:
    whole = '{"step": "a", "message": "b", "traceback": "c"}'
    (tmp_path / FAILURES).write_text(f"{line}\n{whole}\n")
    assert list(read_failures(tmp_path)) == [InternalError("a", "b", "c")]


def test_nothing_is_wrong_is_not_said_where_a_step_failed() -> None:
    agree = Conclusion("same-bits", "none", "R and the replay agree.")
    step = CaseStep("pair", "comparing", _broken, tells=("whether R and the twin agree",))
    with collected(Errors()), ThreadPoolExecutor(1) as threads:
        unjudged = run_steps([step], threads).not_known
    found = honest(agree, unjudged)
    assert (found.verdict, found.cause) == ("abstained", "not-known")
    assert "whether R and the twin agree" in found.sentence
    assert agree.sentence in found.explanation
    different = Conclusion("different", "keras-layer", "They differ.")
    kept = honest(different, unjudged)
    assert (kept.verdict, kept.cause) == ("different", "keras-layer")
    assert kept.unexplained == ("whether R and the twin agree",)
    assert honest(agree, ()) is agree


def test_a_step_begins_when_what_it_needs_is_there_and_what_can_be_is_done_at_once() -> None:
    both = threading.Barrier(2, timeout=20)

    def meets(number: int) -> Callable[[], int]:
        return lambda: both.wait() * 0 + number

    left, right = CaseStep("a", "left", meets(1)), CaseStep("b", "right", meets(2))
    total = CaseStep("c", "the sum", lambda a, b: a + b, "a b")
    with ThreadPoolExecutor(2) as threads:
        assert run_steps([total, left, right], threads).of["c"] == 3


def test_what_follows_a_step_that_failed_has_what_stands_for_it() -> None:
    steps = [
        CaseStep("given", "giving", lambda: 5),
        CaseStep("made", "breaking", lambda given: 1 // (given - 5), "given", lambda given: -given),
        CaseStep("after", "going on", lambda made: made * 2, "made", tells=("what follows",)),
    ]
    with collected(Errors()) as errors, ThreadPoolExecutor(2) as threads:
        results = run_steps(steps, threads)
    assert (results.of["after"], results.not_known) == (-10, ())
    assert [each.step for each in errors.found] == ["breaking"]


def test_what_no_case_survives_ends_all_steps() -> None:
    done: list[int] = []

    def fails() -> None:
        raise PoolError("no TensorFlow")

    steps = [CaseStep("a", "first", fails), CaseStep("b", "after", done.append, "a")]
    with ThreadPoolExecutor(1) as threads, pytest.raises(PoolError):
        run_steps(steps, threads)
    assert not done


def test_steps_that_wait_for_what_nothing_gives_are_refused() -> None:
    with ThreadPoolExecutor(1) as threads, pytest.raises(ValueError, match="never"):
        run_steps([CaseStep("a", "never", lambda _: 1, "b")], threads)


def test_what_says_what_to_do_is_no_defect_of_a_step() -> None:
    def unforeseen() -> int:
        raise KeyError("unforeseen")

    def refused() -> int:
        raise PoolError("start it otherwise")

    with collected(Errors()) as errors:
        assert attempted("a step", lambda: 3) == 3
        found = attempted("a step", unforeseen)
        with pytest.raises(PoolError, match="otherwise"):
            attempted("a step", refused)
    assert isinstance(found, InternalError)
    assert errors.found == (found,)


BROAD = {"Exception", "BaseException"}


def test_every_broad_except_says_why_beside_it() -> None:
    for path, node in _nodes():
        if isinstance(node, ast.ClassDef) or node.type is None:
            continue
        if {name.id for name in ast.walk(node.type) if isinstance(name, ast.Name)} & BROAD:
            lines = path.read_text("utf-8").splitlines()
            beside = lines[node.lineno - 1 : node.body[0].lineno]
            assert any("#" in line for line in beside), f"{path}, line {node.lineno}"
