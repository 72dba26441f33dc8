"""The pictures of a report, and those of its claims."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bridge._text import listed, plural
from bridge.capsule import Capsule, CapsuleError
from bridge.cases.claims import Decided, PictureFile
from bridge.compare.result import SEVERITY, ProbePair
from bridge.report.plots import Group, Panel, curve_of, gap_in_ulps, panels
from bridge.report.ranking import concern
from bridge.report.schema import Claim, Pair, Picture
from bridge.report.text import slug

#: More panels than this are not drawn; the worst are, and the picture says how many are left out.
MAX_PANELS: Final = 12

_FIRST: Final = ("r", "replay", "twin", "intent")


@dataclass(frozen=True)
class Drawing:
    """Pictures of a case: their entries for the report, and the bytes of each file."""

    pictures: tuple[Picture, ...]
    files: Mapping[str, bytes]


def draw(capsules: Mapping[str, Capsule], pairs: Sequence[ProbePair | Pair] = ()) -> Drawing:
    """Return R's own plots, the overlay and the difference of ``capsules``, by name of run.

    ``pairs``, where they are known, put the panels that really differ first and mark them. A
    picture that would be empty is not drawn: the overlay without any recorded output, the
    difference with fewer than two runs.
    """
    files: dict[str, bytes] = {}
    entries: list[Picture] = []
    for number, (media_type, content) in enumerate(_r_plots(capsules), start=1):
        name = f"r-plot-{number}.{'svg' if media_type == 'image/svg+xml' else 'png'}"
        title = "What R drew" if number == 1 else f"What R drew, page {number}"
        alt = f"Page {number} of the plots of the script, drawn by R itself"
        files[name] = content
        entries.append(Picture(file=name, title=title, kind="r-plot", alt=alt))
    runs = sorted(capsules, key=_rank)
    shown, left_out = _chosen(panels({run: capsules[run] for run in runs}), pairs)
    present = [run for run in runs if any(curve_of(g, run) for p in shown for g in p.groups)]
    bad = frozenset(pair.probe for pair in pairs if pair.verdict in ("different", "failed"))
    if present:
        # matplotlib takes most of a second to load: only what draws waits for it.
        from bridge.report.plots import overlay

        # Where R drew as many pages as there are panels, each stands beside its page.
        apart = 1 < len(shown) == len(entries) and not left_out
        for number, some in enumerate(
            [[picture] for picture in shown] if apart else [shown], start=1
        ):
            name = f"overlay-{number}.svg" if apart else "overlay.svg"
            files[name] = overlay(some, present, bad=bad, left_out=left_out)
            title = f"What {listed(present)} computed, drawn over one another"
            alt = f"{title}, in {plural(len(some), 'panel')}"
            title = f"{some[0].title}: {title[0].lower()}{title[1:]}" if apart else title
            entries.append(Picture(file=name, title=title, kind="overlay", alt=alt))
    if len(present) > 1:
        from bridge.report.plots import gap_plot

        base = present[-1]
        files["difference.svg"] = gap_plot(shown, base, bad=bad, left_out=left_out)
        title = f"Difference from {base} in units in the last place (ULP)"
        alt = f"{title} of {listed(present[:-1])}"
        entries.append(Picture(file="difference.svg", title=title, kind="difference", alt=alt))
    return Drawing(tuple(entries), files)


def _r_plots(capsules: Mapping[str, Capsule]) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for capsule in capsules.values():
        if capsule.manifest.runner != "r":
            continue
        for plot in capsule.manifest.plots:
            try:
                found.append((plot.media_type, capsule.arrays[plot.key].tobytes()))
            except (KeyError, CapsuleError):
                continue
    return found


def _rank(run: str) -> tuple[bool, int, str]:
    """Return the key that puts R first and the reference last."""
    return run == "reference", _FIRST.index(run) if run in _FIRST else len(_FIRST), run


def _chosen(found: Sequence[Panel], pairs: Sequence[ProbePair | Pair]) -> tuple[list[Panel], int]:
    """Return the panels to draw, worse verdicts first, and how many are left out."""
    severity: dict[str, int] = {}
    for pair in pairs:
        rank = concern(pair.verdict)
        severity[pair.probe] = min(rank, severity.get(pair.probe, rank))

    def verdict(panel: Panel) -> int:
        probes = (probe for group in panel.groups for probe in group.probes)
        return min(severity.get(probe, len(SEVERITY)) for probe in probes)

    if len(found) <= MAX_PANELS:
        return sorted(found, key=verdict), 0
    worst = sorted(
        range(len(found)),
        key=lambda i: (verdict(found[i]), -max(_largest_gap(g) for g in found[i].groups)),
    )
    chosen = sorted(sorted(worst[:MAX_PANELS]), key=lambda i: verdict(found[i]))
    return [found[i] for i in chosen], len(found) - MAX_PANELS


def _largest_gap(group: Group) -> float:
    """Return the largest distance of any run from the last; infinite if lengths differ."""
    group = group.shared
    base = group.curves[-1]
    if any(len(curve.values) != len(base.values) for curve in group.curves):
        return math.inf
    return max(float(gap_in_ulps(curve, base).max()) for curve in group.curves)


# Claims and their pictures as the report has them.


def report_claims(decided: Sequence[Decided]) -> tuple[Claim, ...]:
    """Return the claims as ``report.json`` has them, in their order."""
    return tuple(
        Claim(
            claim=claim.sentence,
            holds=claim.evidence.as_bool,
            evidence=claim.evidence.text,
            said_by=claim.said_by,
            verdict=claim.evidence.verdict,
            number=claim.evidence.number,
            interval=claim.evidence.interval,
            seconds=round(claim.seconds, 3),
        )
        for claim in decided
    )


def report_pictures(drawn: Sequence[PictureFile]) -> tuple[Drawing, tuple[str, ...]]:
    """Return the pictures that were drawn, and a sentence for each that was not."""
    taken: set[str] = set()
    entries: list[Picture] = []
    files: dict[str, bytes] = {}
    missing: list[str] = []
    for picture in drawn:
        if not picture.content:
            missing.append(f"The picture '{picture.title}' was not drawn: {picture.why}.")
            continue
        ending = "png" if picture.content.startswith(b"\x89PNG") else "svg"
        file = f"{slug(f'claim-{picture.title.lower()}', taken)}.{ending}"
        files[file] = picture.content
        entries.append(Picture(file=file, title=picture.title, kind="other", alt=picture.alt))
    return Drawing(tuple(entries), files), tuple(missing)
