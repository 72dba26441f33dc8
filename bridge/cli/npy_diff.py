"""Two arrays in ``.npy`` files, compared where they lie: they may be larger than memory."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from bridge._typing import AnyArray
from bridge.capsule.numbers import float_type
from bridge.compare.array_difference import Progress, difference
from bridge.compare.result import Difference
from bridge.errors import BridgeError

MAGIC: Final = b"\x93NUMPY"


class ArrayFileError(BridgeError, ValueError):
    """A file that holds no array that can be compared: one sentence says why."""


def is_array_file(path: Path) -> bool:
    """Say whether a file is meant to hold an array, by its name or its first bytes."""
    if path.suffix.lower() == ".npy":
        return True
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def open_array(path: Path) -> AnyArray:
    """Return the array of a ``.npy`` file, which stays on the disk.

    Raises:
        ArrayFileError: the file holds no array of real numbers, or more than one array.
    """
    try:
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise ArrayFileError(f"{path} is not a .npy file: write one with numpy.save.")
        array: Any = np.load(path, mmap_mode="r", allow_pickle=False)
        end = array.offset + array.nbytes
    except ArrayFileError:
        raise
    except OSError as error:
        raise ArrayFileError(f"{path} cannot be read ({error.strerror or error}).") from error
    except Exception as error:  # a header from a stranger fails in many ways
        if "object" in str(error).lower():
            raise ArrayFileError(
                f"{path} holds Python objects, which are not loaded from files: "
                "write numbers, with numpy.save(file, array.astype(float))."
            ) from error
        why = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise ArrayFileError(
            f"{path} is damaged or cut off ({why}): write it again with numpy.save."
        ) from error
    if path.stat().st_size != end:
        raise ArrayFileError(
            f"{path} goes on after its array: write one array to a file, with numpy.save."
        )
    try:
        float_type(array.dtype)
    except TypeError as error:
        # numpy.save writes the types of ml_dtypes, such as bfloat16, as bytes without a meaning.
        raise ArrayFileError(
            f"{path} holds elements of type {array.dtype.name}, which are not known as real "
            "numbers: write them with numpy.save(file, array.astype('float32'))."
        ) from error
    return np.asanyarray(array)


@dataclass(frozen=True)
class Compared:
    """Two arrays of two files, and how they differ; None where their shapes do."""

    a: str
    b: str
    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    types: tuple[str, str]
    difference: Difference | None

    @property
    def same(self) -> bool:
        """Whether the values are the same; a NaN is the same as a NaN."""
        return self.difference is not None and self.difference.different == 0

    @property
    def sentence(self) -> str:
        """What is to be said first."""
        found = self.difference
        if found is None:
            return (
                f"{self.a} has the shape {self.shapes[0]} and {self.b} {self.shapes[1]}: "
                "they cannot be compared element by element."
            )
        if found.same_bits:
            return f"{self.a} and {self.b} have the same bits."
        if not found.different and self.types[0] != self.types[1]:
            return f"{self.a} and {self.b} have the same values in different types."
        if not found.different:
            return f"{self.a} and {self.b} have the same values, but not the same bits."
        return (
            f"{self.a} and {self.b} differ in {found.different:,} of {found.points:,} "
            f"{'element' if found.points == 1 else 'elements'}."
        )

    def text(self) -> str:
        """Return the sentence, the metrics and the worst elements as lines."""
        from bridge.report.numbers import count, exact, magnitude, ulp

        types = self.types[0] if self.types[0] == self.types[1] else " and ".join(self.types)
        lines = [self.sentence]
        found = self.difference
        if found is None:
            return "\n".join(lines)
        rows = [
            ("elements", f"{found.points:,} {types}, shape {self.shapes[0]}"),
            ("different", count(found.different)),
            ("largest |a - b|", magnitude(found.max_abs)),
            ("largest |a - b| / |b|", magnitude(found.max_rel)),
            ("largest ULP", ulp(found.max_ulp)),
            ("NaN on one side", count(found.nan)),
            ("Inf on one side", count(found.inf)),
            ("NaN on both sides", count(found.nan_in_both)),
        ]
        lines += ["", *_table(rows)]
        if found.worst:
            worst = [
                (
                    str(list(element.index)),
                    str(exact(element.a)),
                    str(exact(element.b)),
                    str(ulp(element.ulp)),
                )
                for element in found.worst
            ]
            lines += ["", "the worst elements", *_table([("index", "a", "b", "ULP"), *worst])]
        return "\n".join(lines)

    def as_json(self) -> str:
        """Return all of it as JSON, in which numbers that are not finite are words."""
        found = self.difference
        return json.dumps(
            {
                "a": self.a,
                "b": self.b,
                "sentence": self.sentence,
                "same": self.same,
                "shapes": self.shapes,
                "types": self.types,
                "difference": json.loads(found.model_dump_json()) if found is not None else None,
            },
            indent=1,
        )


def compare_files(a: Path, b: Path, progress: Progress | None = None) -> Compared:
    """Compare the arrays of two ``.npy`` files.

    Raises:
        ArrayFileError: a file holds no array of real numbers.
    """
    for file, partner in ((a, b), (b, a)):
        if not file.exists():
            raise ArrayFileError(f"There is no file {file}.")
        if not is_array_file(file):
            raise ArrayFileError(
                f"{partner} is an array and {file} is not: compare two .npy files, or two capsules."
            )
    first, second = open_array(a), open_array(b)
    shapes = (first.shape, second.shape)
    same_shape = first.shape == second.shape
    found = difference(first, second, progress=progress) if same_shape else None
    return Compared(str(a), str(b), shapes, (first.dtype.name, second.dtype.name), found)


def _table(rows: list[tuple[Any, ...]]) -> list[str]:
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]
