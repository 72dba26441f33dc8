from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from benchmarks.corpus.cost import Cost
from benchmarks.corpus.judge import Judged, judge
from benchmarks.corpus.script import HERE, PARTS, Script, read_scripts
from benchmarks.corpus.table import ROWS, count, looked_at, section
from benchmarks.sections import put_section
from bridge.facts.causes import is_cause

CORPUS = read_scripts()
PLANTED = [script for script in CORPUS if not script.clean]


def made_up(**fields: Any) -> Script:
    known: dict[str, Any] = {
        "name": "made_up",
        "package": "keras3",
        "generation": 3,
        "part": "tuned",
        "kind": "r-side: recycling",
        "causes": ("r-semantics",),
        "rules": (),
        "truth": "",
        "verified": "",
        "mend": (),
        "exit": 0,
        "cpu_seconds": 6.0,
    }
    return Script(**(known | fields))


def report(cause: str, **fields: Any) -> dict[str, Any]:
    runs = [{"runner": name, "status": "ok"} for name in ("r", "replay", "intent")]
    pairs = [{"a": "r", "b": "replay", "verdict": "same-bits"}]
    known = {"verdict": "different", "cause": cause, "confidence": "likely", "findings": []}
    return known | {"runs": runs, "pairs": pairs, "internal_errors": []} | fields


def judged(script: Script, answered: dict[str, Any] | None, cpu: float = 8.0) -> Judged:
    return judge(script, answered, True, cpu, 6.0, 700.0)


def decides(rule: str) -> list[dict[str, Any]]:
    return [{"rule": "D03", "decides": False}, {"rule": rule, "decides": True}]


CLEAN = made_up(kind="clean", causes=("none",))
USAGE = made_up(kind="usage: softmax", causes=("maths",), rules=("L01",))


@pytest.mark.parametrize(
    ("script", "answered", "worth"),
    [
        (CLEAN, report("none"), "right"),
        (CLEAN, report("rounding"), "right"),
        (CLEAN, report("r-semantics"), "false alarm"),
        (CLEAN, report("not-known"), "abstained"),
        (CLEAN, report("none", verdict="abstained"), "abstained"),
        (made_up(), report("r-semantics"), "right"),
        (made_up(), report("r-conversion"), "wrong"),
        (made_up(), report("none"), "nothing wrong"),
        (made_up(), report("not-known"), "abstained"),
        (USAGE, report("maths", findings=decides("L01")), "right"),
        (USAGE, report("maths", findings=decides("L06")), "wrong"),
        (USAGE, report("maths"), "wrong"),
        (made_up(rules=("L09",)), report("r-semantics", findings=decides("R01")), "right"),
        (made_up(rules=("L09",)), report("maths", findings=decides("L09")), "right"),
        (USAGE, report("user-script", findings=decides("L01")), "right"),
        (made_up(), None, "no report"),
    ],
)
def test_an_answer_is_judged_by_its_cause_and_by_the_rule_that_decides(
    script: Script, answered: dict[str, Any] | None, worth: str
) -> None:
    assert judged(script, answered).answer == worth


def test_what_became_of_the_runs_is_read_from_the_report() -> None:
    stopped = [{"runner": "r", "status": "ok"}, {"runner": "replay", "status": "error"}]
    found = judged(made_up(), report("r-semantics", runs=stopped))
    assert (found.intent, found.replay) == (False, False)
    apart = [{"a": "r", "b": "replay", "verdict": "within-rounding"}]
    assert not judged(made_up(), report("r-semantics", pairs=apart)).replay
    assert judged(made_up(exit=1), report("r-semantics")).intent is None


def test_the_table_counts_what_can_be_asked_only() -> None:
    some = [
        judged(CLEAN, report("maths")),
        judged(CLEAN, report("none"), cpu=60.0),
        judged(made_up(part="held-out"), report("none")),
        judged(made_up(exit=1), report("r-semantics")),
    ]
    counts = {name: count(some, ask) for name, _, ask in ROWS}
    assert (counts["right, clean scripts"].said, counts["right, clean scripts"].of) == (1, 2)
    assert counts["right, planted surprises"].of == 2
    assert counts["false alarm on a clean script"].said == 1
    assert counts['"nothing is wrong" of a planted surprise'].said == 1
    assert counts["the intent ran through"].of == 3
    assert counts["costs no more than it may"].said == 3
    assert "4 scripts" in section(some, "cran")


def test_of_the_held_out_part_no_script_is_named() -> None:
    some = [
        judged(made_up(name="seen"), report("none")),
        judged(made_up(name="unseen", part="held-out"), report("none")),
    ]
    assert "unseen" not in looked_at(some)
    assert "seen" in looked_at(some)
    assert "seen" not in section(some, "cran")


def test_a_section_takes_the_place_of_its_like_and_leaves_the_others(tmp_path: Path) -> None:
    page = tmp_path / "PAGE.md"
    page.write_text("# Page\n\n## First\n\nold\n\n## Second\n\nkept\n")
    put_section(page, "First", "new")
    put_section(page, "Third", "more")
    assert page.read_text() == (
        "# Page\n\n## First\n\nnew\n\n## Second\n\nkept\n\n## Third\n\nmore\n"
    )


@pytest.mark.skipif(sys.platform != "linux", reason="orphans become ours on Linux only")
def test_what_outlives_a_command_is_counted(tmp_path: Path) -> None:
    busy = "import time\nt = time.process_time()\nwhile time.process_time() < t + 0.5: pass"
    spawn = (
        f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {busy!r}]); sys.exit(3)"
    )
    file = tmp_path / "cost.json"
    measure = [sys.executable, "-m", "benchmarks.corpus.cost", str(file)]
    done = subprocess.run([*measure, sys.executable, "-c", spawn], cwd=HERE.parents[1], check=False)
    assert done.returncode == 3
    cost = Cost(**json.loads(file.read_text()))
    assert cost.code == 3
    assert cost.cpu > 0.5


def test_every_script_of_the_corpus_has_its_output_and_its_truth() -> None:
    assert {script.name for script in CORPUS} == {path.stem for path in HERE.glob("*.R")}
    for script in CORPUS:
        assert script.printed.is_file()
        assert script.verified
        assert all(is_cause(cause) for cause in script.causes)
        lines = script.path.read_text("utf-8").splitlines()
        assert 30 <= len(lines) <= 120
        assert lines[0].startswith("# ")


@pytest.mark.parametrize("script", PLANTED, ids=lambda script: script.name)
def test_a_planted_surprise_has_a_mend_that_can_be_made(script: Script) -> None:
    assert script.truth
    assert script.mended != script.path.read_text("utf-8")


def test_the_parts_of_the_corpus_are_alike() -> None:
    size = Counter((script.part, script.generation, script.clean) for script in CORPUS)
    for generation in (2, 3):
        for clean in (True, False):
            tuned, held = (size[part, generation, clean] for part in PARTS)
            assert abs(tuned - held) <= 2
            assert tuned >= 8
