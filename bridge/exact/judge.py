"""The verdict on exact probes: a pure function of the capsules that hold them.

The numbers are read from the capsules, the exact result is computed again from them, and that it is
exact is checked again. A setting that gives anything else is wrong: there is nothing to round.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Final

from bridge.capsule import Capsule, ExactProbe, ModelState
from bridge.compare.result import SEVERITY
from bridge.exact.records import (
    ExactRefusal,
    ExactResult,
    ExactRun,
    ExactStretch,
    Numbers,
    explained,
    refused_of,
    runs_of,
    same_of,
)

#: So many layers are tried as the one that lost something.
_TRIED: Final = 32


def judge_exact(capsules: Sequence[Capsule]) -> ExactResult:
    """Judge the exact probes of one run, made here or elsewhere; one capsule for each process."""
    runs = [run for capsule in capsules for run in runs_of(capsule)]
    keys = dict.fromkeys((run.exact.model, run.exact.stretch) for run in runs)
    stretches = tuple(
        _Judged([run for run in runs if (run.exact.model, run.exact.stretch) == key]).result()
        for key in keys
    )
    run_once = {f"{stretch.model}/{stretch.stretch}": stretch for stretch in stretches}
    stretches += tuple(
        _same(run_once[stretch.same_as], stretch)
        for capsule in capsules
        for stretch in same_of(capsule)
        if stretch.same_as in run_once
    )
    refused = tuple(
        dict.fromkeys(refusal for capsule in capsules for refusal in refused_of(capsule))
    )
    verdicts = {stretch.verdict for stretch in stretches}
    verdict = next((verdict for verdict in SEVERITY if verdict in verdicts), "abstained")
    deviating = dict.fromkeys(
        _name(deviation.lever, deviation.setting)
        for stretch in stretches
        if stretch.verdict == "different"
        for deviation in stretch.deviations
    )
    return ExactResult(
        verdict=verdict,
        rung="exact-probe" if verdict in ("same-bits", "different") else "abstained",
        pairs=sum(stretch.pairs for stretch in stretches),
        agreed=sum(stretch.agreed for stretch in stretches),
        points=sum(stretch.points for stretch in stretches),
        deviating=tuple(deviating),
        stretches=stretches,
        refused=refused,
        sentence=_sentence(capsules, stretches, refused),
    )


class _Judged:
    """The runs of one stretch, in all styles, settings and processes."""

    def __init__(self, runs: Sequence[ExactRun]) -> None:
        whole = [run for run in runs if not run.exact.until]
        self._first = whole[0] if whole else runs[0]
        self._raised = [run for run in whole if run.exact.outcome == "raised"]
        judged = [run for run in whole if run not in self._raised]
        self._unjudged = [run for run in judged if run.problem]
        self._done = [run for run in judged if not run.problem]
        self._wrong = [run for run in self._done if run.deviations]
        self._starts = [
            run for run in runs
            if run.exact.until and run.probe.outputs and not run.problem
        ]  # fmt: skip

    def result(self) -> ExactStretch:
        layer, evidence = self._named()
        why = self._why(layer)
        verdict = "abstained" if why else "different" if self._wrong else "same-bits"
        numbers = [run.numbers for run in self._done if isinstance(run.numbers, Numbers)]
        state = self._first.state
        return ExactStretch.model_validate(
            {
                "model": self._first.exact.model,
                "stretch": self._first.exact.stretch,
                "layers": tuple(numbers[0].nodes) if numbers else _names(state),
                "bare": self._first.exact.bare,
                "whole": self._first.exact.whole,
                "verdict": verdict,
                "rung": "abstained" if why else "exact-probe",
                "settings": tuple(
                    dict.fromkeys(_name(r.exact.lever, r.setting) for r in self._done)
                ),
                "pairs": len(self._done),
                "agreed": len(self._done) - len(self._wrong),
                "points": sum(y.size for run in self._done for y in run.made.values()),
                "largest": max(
                    (
                        output.units
                        for run_numbers in numbers
                        for output in run_numbers.exact.values()
                    ),
                    default=0.0,
                ),
                "layer": layer,
                "evidence": evidence,
                "deviations": tuple(run.deviations[0] for run in self._wrong),
                "raised": tuple(
                    f"{_name(run.exact.lever, run.setting)}: {run.exact.why}"
                    for run in self._raised
                ),
                "why": why,
            }
        )

    def _why(self, layer: str) -> str:
        """Say why nothing is concluded, or return nothing."""
        if not self._done:
            return next((run.problem for run in self._unjudged), "no setting could be run")
        return self._rests_on(layer) if self._wrong else ""

    def _rests_on(self, layer: str) -> str:
        """Say on what the deviations may rest beyond a defect, or return nothing.

        Exactness of some layers rests on more than sums. Where the deviation may begin in such a
        layer, and rounding can explain what it made, nothing is concluded.
        """
        numbers = next(run.numbers for run in self._wrong if isinstance(run.numbers, Numbers))
        depending = {
            name: output.depends for name, output in numbers.exact.items() if output.depends
        }
        names = list(numbers.nodes)
        if self._seen or self._lost is not None:
            suspects = [layer]
        else:
            # The layers up to the end of the shortest part that is wrong may have been fused.
            suspects = names[: names.index(layer) + 1] if layer else names
        found = [name for name in suspects if name in depending]
        if not found:
            return ""
        runs = (run for run in (*self._wrong, *self._starts) if layer in run.made)
        if layer in depending and any(not explained(run, layer) for run in runs):
            return ""
        return f"layer {found[-1]!r} is exact only given {depending[found[-1]]}, which is not known"

    def _named(self) -> tuple[str, str]:
        """Return the first layer that is wrong and how that is known; "" if none can be named."""
        if self._lost is not None:
            name, what = self._lost
            return name, f"the result is, bit for bit, that of the model in which it lost {what}"
        if self._seen:
            return self._seen, "it is the first whose own output is wrong"
        start = self._start
        return start, "the shortest part of the model that is wrong ends with it" if start else ""

    @cached_property
    def _seen(self) -> str:
        """The first layer whose own output was seen to be wrong."""
        looked = (run for run in self._wrong if run.exact.every_layer)
        return next((run.deviations[0].output for run in looked), "")

    @cached_property
    def _start(self) -> str:
        """The last layer of the shortest part that is wrong."""
        return next((run.exact.until for run in self._starts if run.deviations), "")

    @cached_property
    def _lost(self) -> tuple[str, str] | None:
        """The layer whose loss alone gives a wrong result bit for bit, and what it lost.

        If no layer's own output was seen to be wrong, it may be any up to the end of the shortest
        part that is wrong: what is fused with a layer may change it.
        """
        for run in self._wrong:
            if run.exact.every_layer:
                continue
            assert isinstance(run.numbers, Numbers)
            names = list(run.numbers.nodes)
            start = self._start
            before = names[: names.index(start) + 1] if start else names
            tried = [self._seen] if self._seen else before
            outputs = [run.made[name] for name in run.numbers.outputs]
            found = list(run.numbers.likenesses(outputs, tried[-_TRIED:]))
            return found[0] if len(found) == 1 else None
        return None


def _same(found: ExactStretch, same: ExactProbe) -> ExactStretch:
    """Return the verdict on a stretch that is the same computation as one that was run."""
    places = dict(zip(found.layers, same.layers, strict=True))
    return found.model_copy(
        update={
            "model": same.model,
            "stretch": same.stretch,
            "layers": same.layers,
            "bare": same.bare,
            "pairs": 0,
            "agreed": 0,
            "points": 0,
            "layer": places.get(found.layer, ""),
            "deviations": tuple(
                deviation.model_copy(
                    update={"output": places.get(deviation.output, deviation.output)}
                )
                for deviation in found.deviations
            ),
            "same_as": same.same_as,
        }
    )


def _names(state: ModelState) -> tuple[str, ...]:
    return tuple(layer.name for layer in state.layers)


def _name(lever: str, setting: str) -> str:
    return f"{lever}: {setting}" if lever else setting


def _sentence(
    capsules: Sequence[Capsule],
    stretches: Sequence[ExactStretch],
    refused: Sequence[ExactRefusal],
) -> str:
    wrong = [stretch for stretch in stretches if stretch.verdict == "different"]
    many = f"{len(refused)} layers are" if len(refused) > 1 else "1 layer is"
    left = f" {many} not covered." if refused else ""
    ended = next(
        (capsule.manifest for capsule in capsules if capsule.manifest.status != "ok"), None
    )
    if ended is not None:
        left += f" The probes did not reach their end ({ended.status})."
    if wrong:
        first = wrong[0]
        ways = ", ".join(dict.fromkeys(deviation.way for deviation in first.deviations))
        where = f" in layer {first.layer!r}" if first.layer else ""
        return (
            f"With whole numbers, of which every sum is exact, model {first.model!r} gives a wrong "
            f"result{where} ({ways}): there is nothing to round, so the difference is real.{left}"
        )
    pairs = sum(stretch.pairs for stretch in stretches)
    if not pairs:
        return f"No part of a model could be probed with whole numbers.{left}"
    points = sum(stretch.points for stretch in stretches)
    agreed = sum(stretch.agreed for stretch in stretches)
    return (
        f"With whole numbers, of which every sum is exact, {agreed} of {pairs} runs gave the exact "
        f"result, all of {points} points.{left}"
    )
