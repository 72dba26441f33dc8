"""Two arrays in .npy files are compared in a sentence and a table; what is none is refused."""

from __future__ import annotations

import io
import json
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import typer
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from typer.testing import Result

from bridge._typing import AnyArray
from bridge.capsule import write_capsule
from bridge.cli import check
from bridge.cli.npy_diff import ArrayFileError, Compared, compare_files
from bridge.compare.array_difference import difference
from tests.commands import keras_bridge
from tests.compare_samples import Sample, grid, two_layers
from tests.examples import examples


def refuse(word: str) -> Any:
    raise AssertionError(word)


def f32(values: list[float]) -> AnyArray:
    return np.array(values, np.float32)


def saved(folder: Path, **arrays: AnyArray) -> None:
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)


def compared(folder: Path, **arrays: AnyArray) -> Compared:
    saved(folder, **arrays)
    a, b = arrays
    return compare_files(folder / f"{a}.npy", folder / f"{b}.npy")


def diff(folder: Path, *words: str) -> Result:
    return keras_bridge("diff", *words, cwd=folder)


def test_arrays_that_differ_are_told_in_a_sentence_with_the_worst_elements(tmp_path: Path) -> None:
    a = np.arange(12, dtype=np.float32).reshape(3, 4)
    b = a.copy()
    b[1, 2] += 0.5
    b[2, 0] = np.nan
    saved(tmp_path, a=a, b=b)
    done = diff(tmp_path, "a.npy", "b.npy")
    lines = done.stdout.splitlines()
    assert (done.exit_code, done.stderr) == (1, "")
    assert lines[0] == "a.npy and b.npy differ in 2 of 12 elements."
    assert "elements               12 float32, shape (3, 4)" in lines
    assert "largest |a - b|        0.5" in lines
    assert [line.split() for line in lines[-3:]] == [
        ["index", "a", "b", "ULP"],
        ["[2,", "0]", "8", "NaN", "Inf"],
        ["[1,", "2]", "6", "6.5", "1,048,576"],
    ]


def test_as_json_it_is_the_same_and_every_reader_can_read_it(tmp_path: Path) -> None:
    saved(tmp_path, a=f32([1, np.inf]), b=f32([1, np.nan]))
    done = diff(tmp_path, "a.npy", "b.npy", "--json")
    told = json.loads(done.stdout, parse_constant=refuse)
    assert done.exit_code == 1
    assert told["sentence"] == "a.npy and b.npy differ in 1 of 2 elements."
    assert (told["same"], told["shapes"], told["types"]) == (False, [[2], [2]], ["float32"] * 2)
    assert told["difference"]["worst"] == [
        {"index": [1], "a": "Infinity", "b": "NaN", "ulp": "Infinity"}
    ]


def test_the_same_values_end_with_exit_code_0(tmp_path: Path) -> None:
    saved(tmp_path, a=f32([1, np.nan]), b=f32([1, np.nan]))
    done = diff(tmp_path, "a.npy", "b.npy")
    assert done.exit_code == 0
    assert done.stdout.startswith("a.npy and b.npy have the same bits.\n")


@pytest.mark.parametrize(
    ("a", "b", "ending"),
    [
        (f32([0.0]), f32([-0.0]), "have the same values, but not the same bits."),
        (f32([0.5]), np.array([0.5]), "have the same values in different types."),
        (np.zeros((0, 2)), np.zeros((0, 2)), "have the same bits."),
        (np.asfortranarray(np.eye(3)), np.eye(3), "have the same bits."),
    ],
)
def test_in_which_way_they_are_the_same_is_said(
    tmp_path: Path, a: AnyArray, b: AnyArray, ending: str
) -> None:
    found = compared(tmp_path, a=a, b=b)
    assert found.sentence.endswith(ending)
    assert found.same


def test_other_shapes_are_a_difference(tmp_path: Path) -> None:
    found = compared(tmp_path, a=np.zeros((2, 3)), b=np.zeros((3, 2)))
    assert not found.same
    assert "(2, 3)" in found.text()
    assert "(3, 2)" in found.text()
    assert json.loads(found.as_json())["difference"] is None


def test_of_files_that_hold_arrays_the_metrics_are_those_of_the_arrays(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 40, 50))
    found = compared(tmp_path, a=a, b=b.astype(">f8"))
    assert found.difference == difference(a, b)


def put(folder: Path, kind: str) -> None:
    file = folder / "odd.npy"
    good = (folder / "good.npy").read_bytes()
    made: dict[str, Any] = {
        "objects": np.array([1, None]), "complex": np.array([1j]), "text": np.array(["a"]),
        "bfloat16": np.ones(3, ml_dtypes.bfloat16), "records": np.zeros(2, [("x", "f4")]),
    }  # fmt: skip
    raw = {"empty": b"", "junk": b"hello", "cut off": good[:-1], "no data": good[:100],
           "two arrays": good * 2, "header": good.replace(b"(4,)", b"(-4)")}  # fmt: skip
    if kind in made:
        np.save(file, made[kind], allow_pickle=True)
    elif kind in raw:
        file.write_bytes(raw[kind])
    elif kind == "folder":
        file.mkdir()


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("objects", "holds Python objects"),
        ("complex", "elements of type complex128"),
        ("text", "elements of type str32"),
        ("bfloat16", "array.astype('float32')"),
        ("records", "elements of type void32"),
        ("empty", "not a .npy file"),
        ("junk", "not a .npy file"),
        ("cut off", "damaged or cut off"),
        ("no data", "damaged or cut off"),
        ("two arrays", "goes on after its array"),
        ("header", "damaged or cut off"),
        ("folder", "cannot be read"),
        ("missing", "There is no file"),
    ],
)
def test_what_is_no_array_of_numbers_is_refused_in_a_sentence(
    tmp_path: Path, kind: str, said: str
) -> None:
    saved(tmp_path, good=np.arange(4.0))
    put(tmp_path, kind)
    for a, b in (("odd", "good"), ("good", "odd")):
        with pytest.raises(ArrayFileError) as refused:
            compare_files(tmp_path / f"{a}.npy", tmp_path / f"{b}.npy")
        assert said in str(refused.value)
        assert str(tmp_path / "odd.npy") in str(refused.value)
        assert "\n" not in str(refused.value)


def test_a_refusal_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    saved(tmp_path, good=np.arange(4.0))
    put(tmp_path, "objects")
    done = diff(tmp_path, "good.npy", "odd.npy")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("keras-bridge: odd.npy holds Python objects")
    assert done.stderr.count("\n") == 1


def test_an_array_and_a_capsule_are_not_compared(tmp_path: Path) -> None:
    saved(tmp_path, good=np.arange(4.0))
    (tmp_path / "run.capsule").write_bytes(b"anything")
    done = diff(tmp_path, "run.capsule", "good.npy")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "good.npy is an array and run.capsule is not" in done.stderr
    assert "two .npy files, or two capsules" in done.stderr


def test_of_capsules_too_every_reader_can_read_the_json(tmp_path: Path) -> None:
    rows = grid()
    broken = rows.copy()
    broken[0, 0] = np.nan
    for name, fed in (("a", rows), ("b", broken)):
        write_capsule(Sample("r").predict(two_layers(), fed).capsule(), tmp_path / name)
    done = diff(tmp_path, "a", "b", "--json")
    assert (done.exit_code, done.stderr) == (1, "")
    told = json.loads(done.stdout, parse_constant=refuse)
    assert "NaN" in json.dumps(told)


def test_an_array_is_known_by_its_first_bytes_as_well(tmp_path: Path) -> None:
    saved(tmp_path, a=np.arange(4.0))
    other = tmp_path / "array"
    other.write_bytes((tmp_path / "a.npy").read_bytes())
    assert compare_files(other, other).same


@examples(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_header_from_a_stranger_gets_further_than_a_sentence(
    tmp_path: Path, data: st.DataObject
) -> None:
    saved(tmp_path, good=np.arange(4.0).reshape(2, 2))
    good = (tmp_path / "good.npy").read_bytes()
    spoilt = bytearray(good)
    for at in data.draw(st.lists(st.integers(6, 90), max_size=4)):
        spoilt[at] = data.draw(st.sampled_from(b"(),'-0123456789<>|OfiuVTrue\x00\n\xff"))
    (tmp_path / "odd.npy").write_bytes(spoilt)
    with suppress(ArrayFileError):
        assert compare_files(tmp_path / "odd.npy", tmp_path / "good.npy").shapes[1] == (2, 2)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("seconds", "shown"), [(3.0, True), (0.0001, False)])
def test_how_far_it_is_shows_on_a_terminal_once_it_takes_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, shown: bool
) -> None:
    size = 1 << 20
    saved(tmp_path, a=np.zeros(size, np.int8))
    clock = iter(np.arange(0, 1e6 * seconds, seconds))
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    with pytest.raises(typer.Exit) as ended:
        check.compare_arrays(tmp_path / "a.npy", tmp_path / "a.npy", as_json=False)
    assert ended.value.exit_code == 0
    assert ("100% of 1,048,576 elements" in terminal.getvalue()) == shown
    # What was said is wiped out again.
    assert terminal.getvalue().endswith("\r\x1b[2K")
