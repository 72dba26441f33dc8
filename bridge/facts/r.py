"""What R's own functions are, how errors are written there, and where its packages' tables lie."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

#: Functions of R's packages base and stats whose results are chance, drawn by R's generator.
DRAWING: Final = frozenset({
    "rbeta", "rbinom", "rcauchy", "rchisq", "rexp", "rf", "rgamma", "rgeom", "rhyper", "rlnorm",
    "rlogis", "rmultinom", "rnbinom", "rnorm", "rpois", "rsignrank", "rt", "runif", "rweibull",
    "rwilcox", "rWishart", "sample", "sample.int",
})  # fmt: skip

#: The function that seeds R's generator, and no other.
SEEDING_R: Final = "set.seed"

#: Functions of the packages keras, keras3 and tensorflow that seed the generators of TensorFlow.
SEEDING_KERAS: Final = frozenset({"set_random_seed", "set_seed", "use_session_with_seed"})

#: What an integer of R holds where it is missing.
NA_INTEGER: Final = -(2**31)

#: What R calls errors that have no class of their own; where there is one, the message has it.
UNCLASSED_ERRORS: Final = frozenset({
    "Rcpp::exception", "simpleError", "error", "rlang_error", "condition",
})  # fmt: skip


ANSI: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\]8;[^\x07\x1b]*(?:\x07|\x1b\\)")
ADVICE: Final = re.compile(
    r"\s*(?:Run `?reticulate::py_last_error\(\)`? for details\.?"
    r"|See `?reticulate::py_last_error\(\)`? for details\.?"
    r"|Detailed traceback:.*)",
    re.DOTALL,
)
_RAISED: Final = re.compile(r"^\s*(?:[\w.]+\.)?\w*(?:Error|Exception): ", re.MULTILINE)
_GIVEN: Final = re.compile(r"^\s*(?:Call a|A)rguments received by .*", re.MULTILINE | re.DOTALL)
GRAPH: Final = re.compile(r"Graph execution error:")
_NODE: Final = re.compile(r"^\s*\[\[.*", re.MULTILINE | re.DOTALL)
_FRAME: Final = re.compile(
    r"^(\s*File \".*|Detected at .*|Stack trace .*|<\.\.\..*)$", re.MULTILINE
)


def essence(message: str) -> str:
    """Leave out of a message colours, advice, tracebacks, and what the failing call was given."""
    text = ADVICE.sub("", ANSI.sub("", message))
    if GRAPH.search(text):
        # Where each node was made comes first; what went wrong stands in the last lines.
        lines = [line for line in _NODE.sub("", text).splitlines() if line.strip()]
        after = [n for n, line in enumerate(lines) if _FRAME.match(line)]
        said = "\n".join(lines[after[-1] + 1 :] if after else lines)
        return said if said.strip() else text
    if 'File "' in text:
        raised = list(_RAISED.finditer(text))
        text = text[raised[-1].start() :] if raised else text
    shorter = _GIVEN.sub("", text)
    return shorter if shorter.strip() else text


#: One file a package and version: ``keras3-1.5.1.json``.
TABLES = Path(__file__).parents[1] / "r" / "standin" / "tables"


def newest_tables(folder: Path = TABLES) -> dict[str, Path]:
    """Return the table of the newest version of each package: package -> file."""
    found: dict[str, tuple[tuple[int, ...], Path]] = {}
    for path in folder.glob("*.json"):
        package, _, version = path.stem.partition("-")
        numbers = tuple(map(int, re.findall(r"\d+", version)))
        found[package] = max(found.get(package, ((), path)), (numbers, path))
    return {package: path for package, (_, path) in found.items()}
