"""A capsule keeps every bit, and opening one from a stranger is safe."""

from __future__ import annotations

import json
import pickle
import struct
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from safetensors.numpy import save_file

from bridge.capsule import (
    Array,
    Capsule,
    CapsuleError,
    Manifest,
    Probe,
    Quit,
    Reading,
    read_capsule,
    write_capsule,
)

DTYPES = ["float16", "float32", "float64", "int8", "uint8", "int32", "int64", "bool"]


def capsule_of(values: np.ndarray[Any, Any], **fields: Any) -> Capsule:
    ref = Array(name="y", key="a0", dtype=values.dtype.name, shape=values.shape)
    probe = Probe(index=0, kind="predict", outputs=(ref,))
    manifest = Manifest(runner="r", case="case", status="ok", probes=(probe,), **fields)
    return Capsule(manifest, {"a0": values})


OLD_NOTES: list[tuple[tuple[str, ...], str, str]] = [
    (("raised ValueError", "no such layer"), "raised", "ValueError"),
    (("not run: the model has a Lambda",), "not-run", "the model has a Lambda"),
    (
        ("without the fault: it has no bias", "layers not seen: no"),
        "without-fault",
        "it has no bias",
    ),
    (("the fault changes nothing: no op that is executed can have it",), "idle", ""),
    (("layers not seen: raised by hand",), "made", ""),
]


@pytest.mark.parametrize(("notes", "status", "why"), OLD_NOTES)
def test_what_an_older_version_noted_of_a_probe_is_read_into_its_fields(
    notes: tuple[str, ...], status: str, why: str, tmp_path: Path
) -> None:
    probe = Probe(index=0, kind="predict", notes=notes)
    manifest = Manifest(runner="replay", case="case", status="ok", probes=(probe,))
    write_capsule(Capsule(manifest, {}), tmp_path / "old.capsule")
    read = read_capsule(tmp_path / "old.capsule").manifest.probes[0]
    assert (read.status, read.why, read.notes) == (status, why, notes)


def test_what_an_older_version_noted_of_a_run_is_read_into_its_fields(tmp_path: Path) -> None:
    told = (
        "Read otherwise than R reads it (array, r-semantics, line 7): filled by rows.",
        "The script called quit() at line 3 with status 0.",
        "The script changed options().",
    )
    manifest = Manifest(runner="intent", case="case", status="quit", notes=told)
    write_capsule(Capsule(manifest, {}), tmp_path / "old.capsule")
    read = read_capsule(tmp_path / "old.capsule").manifest
    reading = Reading(kind="array", cause="r-semantics", line=7, what="filled by rows")
    assert read.readings == (reading,)
    assert read.quit == Quit(code="0", line=3)
    # What readers were told is told as before.
    assert (*(each.sentence for each in read.readings), *read.notes) == told


def written(tmp_path: Path) -> Path:
    path = tmp_path / "a.capsule"
    write_capsule(capsule_of(np.arange(6, dtype=np.float32).reshape(2, 3)), path)
    return path


@given(
    st.sampled_from(DTYPES).flatmap(
        lambda name: npst.arrays(
            name, npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
        )
    )
)
def test_every_bit_of_every_array_comes_back(
    tmp_path_factory: pytest.TempPathFactory, values: np.ndarray[Any, Any]
) -> None:
    path = tmp_path_factory.mktemp("capsule") / "a.capsule"
    capsule = capsule_of(values)
    write_capsule(capsule, path)
    read = read_capsule(str(path))
    assert read.manifest == capsule.manifest
    back = read.array(read.manifest.probes[0].outputs[0])
    assert back.dtype == values.dtype
    assert back.shape == values.shape
    assert back.tobytes() == values.tobytes()


def test_bfloat16_comes_back(tmp_path: Path) -> None:
    values = np.array([1.5, -0.0, np.nan], dtype=ml_dtypes.bfloat16)
    write_capsule(capsule_of(values), tmp_path / "a.capsule")
    read = read_capsule(tmp_path / "a.capsule")
    back = read.array(read.manifest.probes[0].outputs[0])
    assert back.tobytes() == values.tobytes()


@given(st.text())
def test_every_text_comes_back(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("capsule") / "a.capsule"
    clean = text.encode("utf-8", "replace").decode()
    capsule = capsule_of(np.zeros(1), notes=(clean,))
    write_capsule(capsule, path)
    assert read_capsule(path).manifest.notes == (clean,)


def test_a_loss_that_became_nan_or_infinite_comes_back(tmp_path: Path) -> None:
    probe = Probe(index=0, kind="fit", curves={"loss": (1.0, float("inf"), float("nan"))})
    manifest = Manifest(runner="r", case="case", status="ok", probes=(probe,))
    write_capsule(Capsule(manifest, {}), tmp_path / "a.capsule")
    curve = read_capsule(tmp_path / "a.capsule").manifest.probes[0].curves["loss"]
    assert [repr(value) for value in curve] == ["1.0", "inf", "nan"]


def test_a_capsule_that_lacks_an_array_is_not_written(tmp_path: Path) -> None:
    capsule = capsule_of(np.zeros(2))
    with pytest.raises(CapsuleError, match="missing"):
        write_capsule(Capsule(capsule.manifest, {}), tmp_path / "a.capsule")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(CapsuleError, match="No such file"):
        read_capsule(tmp_path / "none.capsule")


def test_a_file_cut_short_anywhere_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path)
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(CapsuleError):
            read_capsule(path)


@given(data=st.data())
def test_a_damaged_file_is_read_or_refused_but_never_crashes(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = written(tmp_path_factory.mktemp("damaged"))
    damaged = bytearray(path.read_bytes())
    position = data.draw(st.integers(0, len(damaged) - 1))
    damaged[position] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bytes(damaged))
    try:
        read = read_capsule(path)
        for key in read.arrays:
            read.arrays[key]
    except CapsuleError:
        pass


def test_a_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "boom",))

    path = tmp_path / "a.capsule"
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(CapsuleError):
        read_capsule(path)
    assert not (tmp_path / "boom").exists()


def test_a_huge_header_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.capsule"
    path.write_bytes(struct.pack("<Q", 2**62) + b"{}")
    with pytest.raises(CapsuleError, match="cut short"):
        read_capsule(path)


def test_a_file_over_the_limit_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with pytest.raises(CapsuleError, match="at most 100 are read"):
        read_capsule(written(tmp_path), max_bytes=100)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CapsuleError):
        read_capsule(tmp_path)


def with_manifest(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "a.capsule"
    save_file({"a0": np.zeros((2, 3), np.float32)}, path, metadata={"keras-bridge": text})
    return path


def manifest_text(tmp_path: Path, **changes: Any) -> str:
    manifest = read_capsule(written(tmp_path)).manifest
    return json.dumps(manifest.model_dump(mode="json") | changes)


def test_a_safetensors_file_without_a_manifest_is_not_a_capsule(tmp_path: Path) -> None:
    path = tmp_path / "a.capsule"
    save_file({"a0": np.zeros(1)}, path)
    with pytest.raises(CapsuleError, match="not a capsule"):
        read_capsule(path)


def test_another_schema_version_is_named(tmp_path: Path) -> None:
    path = with_manifest(tmp_path, manifest_text(tmp_path, schema_version=2))
    with pytest.raises(CapsuleError, match="schema version 2"):
        read_capsule(path)


def test_an_unknown_key_is_refused_by_name(tmp_path: Path) -> None:
    path = with_manifest(tmp_path, manifest_text(tmp_path, surprise=1))
    with pytest.raises(CapsuleError, match="surprise"):
        read_capsule(path)


def test_an_array_that_is_not_in_the_file_is_refused(tmp_path: Path) -> None:
    text = manifest_text(tmp_path).replace('"a0"', '"a9"')
    with pytest.raises(CapsuleError, match="a9"):
        read_capsule(with_manifest(tmp_path, text))


def test_a_shape_that_is_not_the_arrays_is_refused(tmp_path: Path) -> None:
    text = manifest_text(tmp_path).replace("[2, 3]", "[3, 2]")
    with pytest.raises(CapsuleError, match="should have shape"):
        read_capsule(with_manifest(tmp_path, text))


def test_endless_nesting_is_refused(tmp_path: Path) -> None:
    deep = '{"t":"list","items":[' * 100_000 + "]}" * 100_000
    call = f'[{{"id":1,"kind":"call","target":{deep}}}]'
    text = manifest_text(tmp_path).replace('"calls": []', f'"calls": {call}')
    with pytest.raises(CapsuleError):
        read_capsule(with_manifest(tmp_path, text))


def test_a_manifest_that_is_no_object_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CapsuleError, match="not JSON"):
        read_capsule(with_manifest(tmp_path, "[1]"))
