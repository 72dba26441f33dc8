"""A script of the corpus: its text, what it prints, and what a right answer says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

HERE: Final = Path(__file__).parent
EXPECTED: Final = HERE / "expected.json"
PARTS: Final = ("tuned", "held-out")


class Script(BaseModel):
    """One script, as ``expected.json`` has it.

    ``causes`` are those that count as right, the best first; ``rules`` the codes that do. ``mend``
    is the smallest change that takes the surprise away, as pairs of text, before and after.
    ``exit`` and ``cpu_seconds`` are of plain ``Rscript``, on the machine that recorded them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    package: str
    generation: int
    part: Literal["tuned", "held-out"]
    kind: str
    causes: tuple[str, ...]
    rules: tuple[str, ...]
    truth: str
    verified: str
    mend: tuple[tuple[str, str], ...]
    exit: int
    cpu_seconds: float

    @property
    def path(self) -> Path:
        """The script's file."""
        return HERE / f"{self.name}.R"

    @property
    def printed(self) -> Path:
        """The file that has what plain ``Rscript`` prints."""
        return HERE / f"{self.name}.out"

    @property
    def clean(self) -> bool:
        """Say whether nothing is wrong with it."""
        return self.kind == "clean"

    @property
    def family(self) -> str:
        """The kind of surprise without what it is in particular: ``usage``, ``r-side`` ..."""
        return self.kind.partition(":")[0]

    @property
    def mended(self) -> str:
        """The script's text without its surprise.

        Raises:
            ValueError: the text that is to be replaced does not stand there exactly once.
        """
        text = self.path.read_text("utf-8")
        for before, after in self.mend:
            if text.count(before) != 1:
                raise ValueError(
                    f"{self.name}.R: {before!r} stands there {text.count(before)} times"
                )
            text = text.replace(before, after)
        return text


def read_scripts(path: Path = EXPECTED) -> list[Script]:
    """Return all scripts, in the order of their names.

    Raises:
        pydantic.ValidationError: an entry has not the fields of a script.
    """
    known = json.loads(path.read_text("utf-8"))
    return [Script.model_validate({"name": name} | known[name]) for name in sorted(known)]
