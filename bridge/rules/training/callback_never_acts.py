"""A callback watches a curve that there is not, or its wrong end, or waits too long."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bridge.capsule import Call
from bridge.capsule.values import ObjectValue, Scalar
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run, call_of, maker_of, name_of, number, parts

RULE = Rule("T06", "callback-never-acts", cause="user-script")
_WATCHING = ("EarlyStopping", "ReduceLROnPlateau", "ModelCheckpoint")


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find a name that no curve has, the wrong end of one, a patience that outlasts the epochs."""
    for probe in run.probes:
        call = call_of(run.capsule, probe)
        if probe.kind != "fit" or call is None or not probe.curves or probe.status != "made":
            continue
        for callback in _callbacks(run, call):
            watched = callback.kwargs.get("monitor")
            name = watched.v if isinstance(watched, Scalar) and watched.t == "str" else "val_loss"
            always = name_of(callback) == "ModelCheckpoint" and not _is_true(
                callback, "save_best_only"
            )
            if always:
                continue
            if name not in probe.curves:
                known = ", ".join(list(probe.curves)[:4])
                yield RULE.finding(
                    f"The callback watches {name[:24]}, which training does not have",
                    f"There are the curves {known}. It only warns, and never acts.",
                    at=run.place(callback, "monitor", "no such curve"),
                    also=(probe.line,),
                    help="Watch one of these, or give validation data.",
                )
                return
            curve = probe.curves[name]
            mode, better = _direction(callback, name), _better(name)
            if better and mode != better:
                yield RULE.finding(
                    f'mode = "{mode}" takes a better {name[:24]} for a worse one',
                    f"The best {name} is its {better}imum. The callback takes progress for its "
                    "opposite.",
                    at=run.place(callback, "mode", f"{name} is to be {better}imal"),
                    also=(probe.line,),
                    evidence=(
                        (
                            f"{name}, first and last",
                            f"{probe.curves[name][0]:.4g} and {probe.curves[name][-1]:.4g}",
                        ),
                    ),
                    help=run.help(
                        f'Take mode = "{better}", or leave it out.',
                        run.set_argument(callback, "mode", f'"{better}"', mode),
                    ),
                )
                return
            patience = number(callback.kwargs.get("patience"))
            if patience is None or name_of(callback) == "ModelCheckpoint":
                continue
            if patience >= len(curve) > 1 and _turned(curve, _direction(callback, name)):
                yield RULE.finding(
                    f"The callback waits {patience:g} epochs, and training has {len(curve)}",
                    f"{name} was at its best before the end, and the callback could not act.",
                    at=run.place(callback, "patience", "longer than training"),
                    also=(probe.line,),
                    help="Take a smaller patience, or more epochs.",
                )
                return


def _callbacks(run: Run, fit: Call) -> Iterator[Call]:
    """Yield the calls that made the callbacks of a training."""
    for value in (fit.kwargs.get("callbacks"),):
        for part in parts(value) if value is not None else ():
            callback = maker_of(run.capsule, part.id) if isinstance(part, ObjectValue) else None
            if callback is not None and name_of(callback) in _WATCHING:
                yield callback


def _is_true(callback: Call, name: str) -> bool:
    value = callback.kwargs.get(name)
    return isinstance(value, Scalar) and value.v == "True"


def _direction(callback: Call, name: str) -> str:
    """Return whether the best of a curve is its "max" or its "min", "" where that is not known."""
    mode = callback.kwargs.get("mode")
    if isinstance(mode, Scalar) and mode.v in ("max", "min"):
        return mode.v
    return _better(name)


def _better(name: str) -> str:
    """Return which end of a curve is its best by what it is called, "" where that is not known."""
    if "acc" in name or "auc" in name:
        return "max"
    return "min" if "loss" in name or "error" in name else ""


def _turned(curve: Sequence[float], direction: str) -> bool:
    """Say whether a curve is worse at its end than it was before."""
    best = {"max": max, "min": min}.get(direction)
    return best is not None and curve[-1] != best(curve)
