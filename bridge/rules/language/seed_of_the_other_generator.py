"""set.seed() seeds R's generator, and Keras draws with its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydantic import JsonValue

from bridge.capsule import Capsule
from bridge.facts.keras import RANDOM_INITIALIZER
from bridge.facts.r import DRAWING, SEEDING_KERAS, SEEDING_R
from bridge.rules.rule import Finding, Help, Rule
from bridge.rules.run import Run, asked, name_of, owner_of
from bridge.translate.syntax import called_in

RULE = Rule(
    "R10", "seed-of-the-other-generator", cause="r-semantics", whose="R's rules", needs=("text",)
)
_SETS: Final = frozenset({"set_weights", "load_weights"})


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find scripts that seed R's generator and let Keras draw."""
    seeds = [call for call in run.written if call.name == SEEDING_R]
    if not seeds or called_in(run.tree) & SEEDING_KERAS:
        return
    if any(name_of(call) in SEEDING_KERAS for call in run.asked):
        return
    drawn = drawn_layer(run.capsule)
    if not drawn:
        return
    yield RULE.finding(
        "set.seed() does not seed Keras, which draws the start weights",
        "It seeds R's own generator, and Keras knows nothing of that. "
        "The weights are others in every run.",
        at=run.node_place(seeds[0], "R's generator alone"),
        help=Help(
            text="set_random_seed() seeds R, Python, NumPy and TensorFlow.",
            before="set.seed(1)",
            after="set_random_seed(1)",
        ),
        # Where R draws as well, the seed has a purpose of its own.
        decides=not any(call.name in DRAWING for call in run.written),
    )


def drawn_layer(capsule: Capsule) -> str:
    """Return the name of a layer whose weights were drawn and are used, "" if there is none."""
    given = {owner_of(call) for call in asked(capsule) if name_of(call) in _SETS}
    if any("weights" in call.kwargs for call in asked(capsule)):
        # Which layer of a model a call made is not recorded: one that is given decides for all.
        return ""
    for probe in capsule.manifest.probes:
        state = capsule.state_of(probe)
        if state is None or state.id in given:
            continue
        for layer in state.layers:
            initializers = [v for k, v in layer.config.items() if k.endswith("initializer")]
            if layer.weights and any(map(_draws, initializers)):
                return layer.name
    return ""


def _draws(initializer: JsonValue) -> bool:
    """Say whether an initializer of a layer's configuration draws, and has no seed of its own."""
    if isinstance(initializer, str):
        return RANDOM_INITIALIZER.search(initializer) is not None
    if not isinstance(initializer, dict):
        return False
    config = initializer.get("config")
    seed = config.get("seed") if isinstance(config, dict) else None
    return seed is None and bool(RANDOM_INITIALIZER.search(str(initializer.get("class_name"))))
