"""A small model that differs, written as a Python script, an R script and a text for an issue."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from bridge._text import r_number
from bridge._typing import F64, AnyArray
from bridge.capsule import Capsule, Manifest, Probe
from bridge.errors import BridgeError, InternalError, attempted
from bridge.explain.lever_targets import MOST_ROWS, part_of, way_of, wrong_layers
from bridge.explain.responses import reach
from bridge.facts.keras import generation_of
from bridge.facts.layers import LAYERS
from bridge.process.pool import Limits, Pool
from bridge.r.script import Wanted, inspect, serve
from bridge.reduce.model_reduction import (
    ConfiguredLayer,
    Small,
    fewer_rows,
    fewer_units,
    recording,
    windows,
)
from bridge.report.words import ERROR_LOG
from bridge.rounding.layer_records import Judge, seen_layers
from bridge.runs.r import run_r
from bridge.runs.reference import reference
from bridge.runs.rerun import rerun
from bridge.trace.capsule_builder import Scrubber

#: Numbers in a script, at most.
MOST_NUMBERS: Final = 2000
#: What both scripts say where they fail.
FAILS: Final = "further than rounding can take it"
#: Parts of a configuration that do not matter once the weights are there, or are Keras' usual.
_NOISE: Final = re.compile(r"name|trainable|dtype|.*_(initializer|regularizer|constraint)")


class RecipeError(BridgeError, ValueError):
    """It cannot be written as a script; the message says why."""


@dataclass(frozen=True)
class Recipe:
    """What is written: the model, what it should make, and how far rounding may take it."""

    small: Small
    expected: AnyArray
    bound: F64
    title: str

    def python(self) -> str:
        """Return a Python script that fails where the model differs.

        Raises:
            RecipeError: it has too many numbers, or an argument that no script can spell.
        """
        return "\n".join(_python(self)) + "\n"

    def r(self) -> str:
        """Return an R script that does the same; as :meth:`python`."""
        return "\n".join(_r(self)) + "\n"


def _words(small: Small) -> str:
    how = {"xla": "compiled by XLA", "eager": "run eagerly", "graph": "run as a graph"}[small.way]
    names = ", ".join(part.cls for part in small.parts)
    rows = f"{len(small.x)} row" + ("s" if len(small.x) != 1 else "")
    return (
        f"A model of {names}, {how} on {rows}, gives numbers that are further from its float64 "
        "evaluation than rounding in float32 can take them, in any order of summation."
    )


def _arguments(part: ConfiguredLayer) -> dict[str, Any]:
    found = {}
    for key, value in part.config.items():
        if _NOISE.fullmatch(key) or value is None or (key, value) == ("activation", "linear"):
            continue
        if isinstance(value, dict) or (
            isinstance(value, list) and any(isinstance(item, (dict, list)) for item in value)
        ):
            raise RecipeError(f"{key} of {part.cls} cannot be spelled in a script")
        found[key] = value
    policy = part.config.get("dtype")
    if policy not in (None, "float32") and not (
        isinstance(policy, dict) and policy.get("config", {}).get("name") == "float32"
    ):
        raise RecipeError(f"{part.cls} computes in another type than float32")
    return found


def _fits(recipe: Recipe) -> None:
    small = recipe.small
    count = small.size[2] + 2 * recipe.expected.size
    if count > MOST_NUMBERS:
        raise RecipeError(f"it has {count:,} numbers; a script of more than {MOST_NUMBERS:,} "
                          "would not be read")  # fmt: skip


def _python(recipe: Recipe) -> Iterator[str]:
    _fits(recipe)
    small = recipe.small
    package = small.keras
    yield f"# {recipe.title}"
    yield "import numpy as np"
    yield f"import {package} as keras" if package != "keras" else "import keras"
    yield ""
    yield "model = keras.Sequential(["
    dtype = "" if small.x.dtype == np.float32 else f", dtype={small.x.dtype.name!r}"
    yield f"    keras.Input({tuple(small.x.shape[1:])!r}{dtype}),"
    for part in small.parts:
        said = ", ".join(f"{key}={value!r}" for key, value in _arguments(part).items())
        yield f"    keras.layers.{part.cls}({said}),"
    yield "])"
    weights = [w for part in small.parts for w in part.weights]
    if weights:
        yield "model.set_weights(["
        yield from (f"    {_numpy(weight)}," for weight in weights)
        yield "])"
    if small.way == "xla":
        yield "model.compile(jit_compile=True)"
    yield f"x = {_numpy(small.x)}"
    yield ""
    if small.way == "eager":
        yield "made = np.asarray(model(x))"
    else:
        yield "made = np.asarray(model.predict(x, verbose=0))"
    yield "# The same in float64, and how far rounding in float32 may take it."
    yield f"expected = {_numpy(recipe.expected)}"
    yield f"bound = {_numpy(recipe.bound)}"
    yield 'print("made    ", made.ravel().tolist())'
    yield 'print("expected", expected.ravel().tolist())'
    yield f'assert np.all(np.abs(made - expected) <= bound), "{FAILS}"'


def _numpy(value: AnyArray) -> str:
    shape = f".reshape({value.shape!r})" if value.ndim != 1 else ""
    flat = ", ".join(_python_number(number) for number in value.ravel().tolist())
    return f"np.array([{flat}], {value.dtype.name!r}){shape}"


def _r(recipe: Recipe) -> Iterator[str]:
    _fits(recipe)
    small = recipe.small
    package = "keras" if generation_of(small.keras) == 2 else "keras3"
    yield f"# {recipe.title}"
    yield f"library({package})"
    yield ""
    inputs = _vector([int(size) for size in small.x.shape[1:]])
    parts = [f"model <- keras_model_sequential(input_shape = {inputs})"]
    for part in small.parts:
        said = ", ".join(f"{key} = {_as_r(value)}" for key, value in _arguments(part).items())
        parts.append(f"  {_function(part.cls)}({said})")
    yield " %>%\n".join(parts)
    weights = [w for part in small.parts for w in part.weights]
    if weights:
        yield "set_weights(model, list("
        yield ",\n".join(f"  {_array(weight)}" for weight in weights)
        yield "))"
    if small.way == "xla":
        yield 'compile(model, optimizer = "sgd", loss = "mse", jit_compile = TRUE)'
    yield f"x <- {_array(small.x)}"
    yield ""
    if small.way == "eager":
        yield "made <- as.array(model(x))"
    else:
        yield "made <- predict(model, x, verbose = 0)"
    yield "# The same in float64, and how far rounding in float32 may take it."
    yield f"expected <- {_array(recipe.expected)}"
    yield f"bound <- {_array(recipe.bound)}"
    yield "print(made)"
    yield "print(expected)"
    yield "if (!isTRUE(all(abs(made - expected) <= bound)))"
    yield f'  stop("{FAILS}")'


def _function(cls: str) -> str:
    if cls in LAYERS and LAYERS[cls].r:
        return LAYERS[cls].r
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", cls)
    name = re.sub(r"(?<=[a-z])(?=\dD)", "_", name).lower()
    return f"layer_{name.replace('up_sampling', 'upsampling')}"


def _as_r(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return _vector(value)
    if isinstance(value, (bool, int, float)):
        return r_number(value)
    if isinstance(value, str):
        return json.dumps(value)
    raise RecipeError(f"{value!r} cannot be spelled in R")


def _vector(values: Any) -> str:
    return f"c({', '.join(_as_r(value) for value in values)})"


def _array(value: AnyArray) -> str:
    """Return an array as R spells it: the first index runs fastest."""
    flat = ", ".join(r_number(number) for number in value.ravel(order="F").tolist())
    sizes = ", ".join(str(size) for size in value.shape)
    return f"array(c({flat}), c({sizes}))" if value.ndim > 1 else f"array(c({flat}), {sizes})"


def _python_number(value: float) -> str:
    return repr(value) if math.isfinite(value) else f'float("{value}")'


# The text of an issue.


@dataclass(frozen=True)
class Shown:
    """A script of a text for an issue: what it is, its language, its text, what it prints."""

    what: str
    language: str
    text: str
    printed: str = ""


def issue(title: str, sentences: Sequence[str], shown: Sequence[Shown], versions: str) -> str:
    """Return the text of an issue."""
    parts = [f"# {title}", ""]
    for sentence in sentences:
        parts += [sentence, ""]
    for block in shown:
        parts += [f"{block.what}:", "", *_fenced(block.language, block.text), ""]
        if block.printed.strip():
            parts += ["It prints", "", *_fenced("", block.printed), ""]
    return "\n".join([*parts, *([f"With {versions}.", ""] if versions else [])])


def _fenced(language: str, text: str) -> list[str]:
    return [f"```{language}", text.replace("```", "'''").rstrip(), "```"]


def versions(run: Manifest) -> str:
    """Return what a run was made with: R, who answered library(), Python's packages."""
    found = run.environment
    front = run.frontend
    answered = ""
    if front is not None and front.package:
        whose = "the stand-in for " if front.kind == "standin" else ""
        answered = f"{whose}R's {front.package} {front.version}".strip()
    packages = [f"{name} {version}" for name, version in sorted(found.packages.items())]
    r = f"R {found.r}" if found.r else ""
    return ", ".join(filter(None, [r, answered, *packages]))


# The smallest model that still differs, found by running smaller ones, and written as scripts.

#: Rounds of making rows and units fewer, at most.
_ROUNDS: Final = 4
_SECONDS: Final = 120.0
#: What is written beside one another, as far as there is something to write.
_FILES: Final = ("repro.py", "repro.npz", "repro.R", "repro.md", "meant.py", ERROR_LOG)

#: Runs an R script in a process of its own and returns how it failed, "" if it did not.
RunR = Callable[[Path], str]


@dataclass(frozen=True)
class Repro:
    """What was made: sentences about it, and the files that were written."""

    sentences: tuple[str, ...]
    files: tuple[Path, ...] = ()


@dataclass(frozen=True)
class _Tried:
    """A small model that was run: what it made, what it should, and where that is too far."""

    small: Small
    made: AnyArray
    expected: AnyArray
    bound: F64

    @property
    def wrong(self) -> AnyArray:
        """The indices of the elements that are beyond their bound, one a row."""
        with np.errstate(invalid="ignore"):
            beyond = ~(np.abs(self.made - self.expected) <= self.bound)
        return np.argwhere(beyond)

    def along(self, axis: int) -> list[int]:
        """Return the places along an axis at which something is wrong, in order of distance."""
        far = np.abs(self.made - self.expected) - self.bound
        found = sorted(self.wrong.tolist(), key=lambda at: -float(np.nan_to_num(far[tuple(at)])))
        return list(dict.fromkeys(at[axis] for at in found))


def write_repro(
    pool: Pool,
    runs: Mapping[str, Capsule],
    generation: int,
    limits: Limits,
    folder: Path,
    title: str,
    in_r: RunR | None = None,
) -> Repro:
    """Write ``repro.py``, ``repro.R`` and ``repro.md`` for the first wrong layer of a run.

    Args:
        pool: where smaller models are run.
        runs: the runs of a case by their names.
        generation: of Keras.
        limits: of every run.
        folder: where the files are written.
        title: of the issue, and the first line of the scripts.
        in_r: runs the R script, to see whether it fails; None where R cannot be run.
    """
    for name in _FILES:
        # What an earlier run wrote there is of something else.
        (folder / name).unlink(missing_ok=True)
    try:
        repro = attempted(
            "making the model smaller",
            lambda: _shrunk(pool, runs, generation, limits, folder, title, in_r),
        )
    except BridgeError as error:
        return Repro((f"Shrinking came to no end: {error}"[:500] + ".",))
    # What was explained is worth more than a small script of it.
    return Repro((lost(repro, folder),)) if isinstance(repro, InternalError) else repro


def lost(record: InternalError, folder: Path) -> str:
    """Leave the traceback of an exception of ours beside the scripts, and return a sentence."""
    clean = Scrubber((str(folder.resolve()),))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ERROR_LOG).write_text(clean(f"{record.step}: {record.message}\n\n{record.traceback}"))
    return f"A step of keras-bridge itself failed ({record.step}); see {ERROR_LOG}."


def _shrunk(
    pool: Pool,
    runs: Mapping[str, Capsule],
    generation: int,
    limits: Limits,
    folder: Path,
    title: str,
    in_r: RunR | None,
) -> Repro:
    judge = Judge()
    doubts = wrong_layers(runs, judge)
    if not doubts:
        return Repro(("No layer of a model is wrong here, so there is nothing to shrink.",))
    doubt = doubts[0]
    capsule = runs[doubt.run]
    part = part_of(capsule, {doubt.target.probe}, MOST_ROWS, judge)
    probe = next(
        probe for probe in part.capsule.manifest.probes if probe.index == doubt.target.probe
    )
    if not probe.layers:
        # Fewer rows were kept, and what the layers received of them is to be seen again.
        capsule = rerun(pool, part.capsule, generation, limits, probes=[probe.index])
        probe = capsule.manifest.probes[0]
    shrinker = _Shrinker(pool, capsule, generation, limits)
    found = shrinker.smallest(windows(capsule, probe, doubt.target.names, way_of(probe)))
    if found is None:
        return Repro((
            f"{doubt.subject} could not be taken out of its model: by itself, or with its "
            "neighbours, it does not differ, or it is no layer of a chain.",
        ))  # fmt: skip
    return _written(found, capsule, probe, folder, title, in_r)


class _Shrinker:
    def __init__(self, pool: Pool, like: Capsule, generation: int, limits: Limits) -> None:
        self._pool, self._like, self._generation, self._limits = pool, like, generation, limits

    def smallest(self, smalls: Sequence[Small]) -> _Tried | None:
        """Return the smallest that is wrong, made smaller as long as that goes on."""
        best = self._first_wrong(smalls)
        if best is None:
            return None
        for _ in range(_ROUNDS):
            tries = [*fewer_rows(best.small, best.along(0)),
                     *fewer_units(best.small, best.along(-1))]  # fmt: skip
            both = [smaller for shorter in fewer_rows(best.small, best.along(0))[:1]
                    for smaller in fewer_units(shorter, best.along(-1))]  # fmt: skip
            smaller = self._first_wrong(sorted([*tries, *both], key=lambda small: small.size))
            if smaller is None:
                break
            best = smaller
        return best

    def _first_wrong(self, smalls: Sequence[Small]) -> _Tried | None:
        if not smalls:
            return None
        run = rerun(
            self._pool, recording(smalls, self._like), self._generation, self._limits, look=True
        )
        meant = reference(run)
        for number, small in enumerate(smalls):
            tried = _tried(run, meant, number, small)
            if tried is not None and len(tried.wrong):
                return tried
        return None


def _tried(run: Capsule, meant: Capsule, number: int, small: Small) -> _Tried | None:
    probe, meant_probe = run.manifest.probes[number], meant.manifest.probes[number]
    if len(probe.outputs) != 1 or len(meant_probe.outputs) != 1:
        return None
    output, expected = run.array(probe.outputs[0]), meant.array(meant_probe.outputs[0])
    seen = seen_layers(run, probe)
    bound = reach(seen).get(seen[-1].last) if seen else None
    if bound is None or isinstance(bound, str):
        return None
    if not bound.shape == output.shape == expected.shape:
        return None
    return _Tried(small, np.asarray(output), np.asarray(expected), np.asarray(bound))


def _written(
    found: _Tried,
    capsule: Capsule,
    probe: Probe,
    folder: Path,
    title: str,
    in_r: RunR | None,
) -> Repro:
    small = found.small
    recipe = Recipe(small, found.expected, found.bound, " ".join(title.split()) or "Wrong numbers")
    weights = sum(w.size for part in small.parts for w in part.weights)
    whole = capsule.manifest.states[probe.state or 0]
    sentences = [
        f"The smallest model that still differs here has {len(small.parts)} of "
        f"{len(whole.layers)} layers, {len(small.x)} rows and {weights} weights."
    ]
    try:
        python = recipe.python()
    except RecipeError as error:
        return Repro((*sentences, f"It is not written as a script: {error}."))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "repro.py"
    path.write_text(python, "utf-8")
    files = [path]
    printed, failed = run_python(path)
    sentences.append(_verified("repro.py", failed))
    r = ""
    try:
        r = recipe.r()
        script = folder / "repro.R"
        script.write_text(r, "utf-8")
        files.append(script)
        why = None if in_r is None else in_r(script)
        sentences.append(
            "repro.R was not run: R is not there." if why is None else _verified("repro.R", why)
        )
    except RecipeError as error:
        sentences.append(f"There is no R script: {error}.")
    shown = [Shown("In Python", "python", python, printed)]
    if r:
        shown.append(Shown("The same from R", "r", r))
    text = folder / "repro.md"
    page = issue(recipe.title, [_words(small)], shown, versions(capsule.manifest))
    text.write_text(page, "utf-8")
    return Repro(tuple(sentences), (*files, text))


def _verified(name: str, failed: str) -> str:
    if failed:
        return f"{name} was run in a fresh process and fails as it should: {failed}"
    return f"{name} was run in a fresh process and does not fail: there the model is right."


def r_runner(pool: Pool, limits: Limits, frontend: Wanted) -> RunR:
    """Return what runs an R script in a fresh process and says how it failed."""

    def run(script: Path) -> str:
        installed, (inspection,) = inspect([script])
        served = serve(inspection.package, frontend, installed)
        error = run_r(pool, script.stem, script, inspection, served, limits).manifest.error
        # The assertion is the last statement, of two lines; all else that ends it comes before.
        last = len(script.read_text("utf-8").splitlines())
        return error.message if error is not None and error.line in (last - 1, last) else ""

    return run


def run_python(path: Path) -> tuple[str, str]:
    """Run a script in a fresh process; return what it printed, and the assertion that failed.

    What ended it belongs to what it printed.
    """
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    try:
        done = subprocess.run(
            [sys.executable, "-P", str(path.resolve())],
            env=kept | {"TF_CPP_MIN_LOG_LEVEL": "3"},
            cwd=path.parent, capture_output=True, text=True, errors="replace", timeout=_SECONDS,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return "", ""
    last = done.stderr.strip().splitlines()[-1:] or [""]
    failed = last[0] if done.returncode == 1 and last[0].startswith("AssertionError") else ""
    ended = last[0] if done.returncode else ""
    return f"{done.stdout}{ended}"[:5000], failed
