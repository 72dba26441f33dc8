"""Claims and their pictures as the report has them."""

from __future__ import annotations

from collections.abc import Sequence

from bridge.cases.claims import Decided, Drawn
from bridge.report.pictures import Drawing
from bridge.report.schema import Claim, Picture
from bridge.report.text import slug


def report_claims(decided: Sequence[Decided]) -> tuple[Claim, ...]:
    """Return the claims as ``report.json`` has them, in their order."""
    return tuple(
        Claim(
            claim=each.sentence,
            holds=each.evidence.as_bool,
            evidence=each.evidence.text,
            said_by=each.said_by,
            verdict=each.evidence.verdict,
            number=each.evidence.number,
            interval=each.evidence.interval,
            seconds=round(each.seconds, 3),
        )
        for each in decided
    )


def report_pictures(drawn: Sequence[Drawn]) -> tuple[Drawing, tuple[str, ...]]:
    """Return the pictures that were drawn, and a sentence for each that was not."""
    taken: set[str] = set()
    entries: list[Picture] = []
    files: dict[str, bytes] = {}
    missing: list[str] = []
    for each in drawn:
        if not each.content:
            missing.append(f"The picture '{each.title}' was not drawn: {each.why}.")
            continue
        ending = "png" if each.content.startswith(b"\x89PNG") else "svg"
        file = f"{slug(f'claim-{each.title.lower()}', taken)}.{ending}"
        files[file] = each.content
        entries.append(Picture(file=file, title=each.title, kind="other", alt=each.alt))
    return Drawing(tuple(entries), files), tuple(missing)
