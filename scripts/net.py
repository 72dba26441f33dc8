"""The net for a change that keeps behaviour: what the suite says, frozen and compared.

    python scripts/net.py freeze FOLDER [CASE ...]
    python scripts/net.py compare FOLDER [CASE ...]

``freeze`` runs the suite and keeps, of every case, ``report.json``, ``replay.py``, the text's
translation and the exit of the certificates' check, with times, memory and paths taken out.
``compare`` does the same again and prints a unified diff; exit code 1 says that there is one.
"""

from __future__ import annotations

import difflib
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from bridge.cases.case import find_cases, suite_folders
from bridge.r.script import inspect
from bridge.runs.intent import intended

#: What another run of the same code says otherwise: times, memory, and the machine's own words.
_VOLATILE: Final = frozenset({"seconds", "peak_mib", "log", "environment", "digest"})
_FOLDERS: Final = re.compile(r"(/tmp|/var/tmp)/[^\s'\"]*")
#: Where a line of Python stands, in the traceback of an error: a file that moved says so.
_PLACES: Final = re.compile(r'File "[^"]*", line \d+, in [\w<>]+')
#: Lines of a diff that are printed of one file; the rest is counted.
_MOST_LINES: Final = 40


def _plain(value: Any) -> Any:
    """Return a JSON value without what is volatile."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if key not in _VOLATILE}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, str):
        return _PLACES.sub("<place>", _FOLDERS.sub("<folder>", value))
    return value


def _command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bridge", *words], capture_output=True, text=True, check=False
    )


def freeze(folder: Path, names: Sequence[str]) -> None:
    """Run the suite, and write what it says into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "reports"
        ran = _command("run", *names, "--out", str(out))
        if ran.returncode == 2:
            sys.exit(ran.stderr)
        for path in sorted(out.glob("*/report.json")):
            case = path.parent.name
            report = _plain(json.loads(path.read_text("utf-8")))
            text = json.dumps(report, indent=1, ensure_ascii=False, sort_keys=True)
            (folder / f"{case}.json").write_text(text + "\n", "utf-8")
            replay = path.with_name("replay.py")
            if replay.exists():
                (folder / f"{case}.replay").write_text(replay.read_text("utf-8"), "utf-8")
        checked = _command("verify", str(out))
        (folder / "certificates.exit").write_text(f"{checked.returncode}\n", "utf-8")
    cases = [case for case in find_cases(suite_folders()) if not names or case.name in names]
    _, inspections = inspect([case.script for case in cases])
    for case, inspection in zip(cases, inspections, strict=True):
        if not inspection.problem:
            text = intended(case.script, inspection).text
            (folder / f"{case.name}.intent").write_text(text, "utf-8")


def compare(folder: Path, names: Sequence[str]) -> bool:
    """Freeze again, print what is different, and say whether anything is."""
    with tempfile.TemporaryDirectory() as scratch:
        now = Path(scratch)
        freeze(now, names)
        known = {path.name for path in folder.iterdir()}
        found = {path.name for path in now.iterdir()}
        wanted = known | found if not names else found
        parted = False
        for name in sorted(wanted):
            before, after = (_lines(place / name) for place in (folder, now))
            lines = list(
                difflib.unified_diff(before, after, f"before/{name}", f"after/{name}", n=1)
            )
            if lines:
                parted = True
                sys.stdout.writelines(lines[:_MOST_LINES])
                if len(lines) > _MOST_LINES:
                    print(f"... {len(lines) - _MOST_LINES} more lines of {name}")
    return parted


def _lines(path: Path) -> list[str]:
    return path.read_text("utf-8").splitlines(keepends=True) if path.exists() else []


def main() -> None:
    """Do what the command line says."""
    if len(sys.argv) < 3 or sys.argv[1] not in ("freeze", "compare"):
        sys.exit(__doc__)
    folder, names = Path(sys.argv[2]), sys.argv[3:]
    if sys.argv[1] == "freeze":
        freeze(folder, names)
    else:
        sys.exit(compare(folder, names))


if __name__ == "__main__":
    main()
