"""The trust benchmark runs under every instruction set that a processor can be held down to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.trust import processors
from benchmarks.trust.measure import LADDER, Counts, Tally

FLAGS = ("sse4_1", "sse4_2", "avx", "avx2")


def test_libraries_are_held_down_together_and_onednn_is_off_once() -> None:
    sets = processors.instruction_sets((*FLAGS, "avx512f", "avx512bw", "avx512_vnni"))
    assert list(sets)[-1] == "onednn-off"
    assert sets["onednn-off"] == {"TF_ENABLE_ONEDNN_OPTS": "0"}


def test_where_tensorflow_leaves_onednn_off_it_is_on_once() -> None:
    sets = processors.instruction_sets(FLAGS)
    assert list(sets) == [
        "all of it", "onednn-isa-sse41 + xla-isa-sse4-2", "onednn-isa-avx + xla-isa-avx",
        "onednn-on",
    ]  # fmt: skip
    assert sets["onednn-on"] == {"TF_ENABLE_ONEDNN_OPTS": "1"}
    assert sets["all of it"] == {}
    assert sets["onednn-isa-avx + xla-isa-avx"] == {
        "ONEDNN_MAX_CPU_ISA": "AVX", "XLA_FLAGS": "--xla_cpu_max_isa=AVX",
    }  # fmt: skip


def test_rows_of_other_processors_stay_and_own_ones_are_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, page = tmp_path / "rows.json", tmp_path / "TRUST.md"
    monkeypatch.setattr(processors, "ROWS", rows)
    page.write_text("# Can it?\n\nYes.\n", "utf-8")
    for name, pairs in (("Old CPU", 10), ("New CPU", 20), ("New CPU", 30)):
        monkeypatch.setattr(processors, "cpu_model", lambda name=name: name)
        monkeypatch.setattr(processors, "cpu_flags", lambda: FLAGS)
        tally = Tally()
        tally.false[LADDER] = Counts(of=pairs, said=0)
        processors.keep("all of it", tally, 2)
        processors.add_processors(page)
    kept = [(each["processor"], each["pairs"]) for each in json.loads(rows.read_text("utf-8"))]
    assert kept == [("Old CPU", 10), ("New CPU", 30)]
    text = page.read_text("utf-8")
    assert text.startswith("# Can it?\n\nYes.\n")
    assert text.count("## Processors and instruction sets") == 1
    assert "| New CPU | avx2 |" in text
    assert "| 0 of 30 |" in text
    assert "0 of 20" not in text
