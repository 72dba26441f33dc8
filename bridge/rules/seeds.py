"""Seeds that do not reach the generator that draws."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from pydantic import JsonValue

from bridge.capsule import Capsule
from bridge.explain.result import CauseEvidence
from bridge.facts.keras import RANDOM_INITIALIZER
from bridge.facts.r import DRAWING, SEEDING_KERAS, SEEDING_R
from bridge.rules.recorded_run import answer, asked, name_of, owner_of
from bridge.translate.syntax import Call, Node, called_in, nodes_in

_SETS: Final = frozenset({"set_weights", "load_weights"})


def other_generator(capsule: Capsule, tree: Sequence[Node]) -> Iterator[CauseEvidence]:
    """Find scripts that seed R's generator and let Keras draw."""
    calls = nodes_in(tree, Call)
    seeds = [call for call in calls if call.name == SEEDING_R]
    if not seeds or called_in(tree) & SEEDING_KERAS:
        return
    if any(name_of(call) in SEEDING_KERAS for call in asked(capsule)):
        return
    drawn = drawn_layer(capsule)
    if not drawn:
        return
    used = any(call.name in DRAWING for call in calls)
    yield answer(
        "r-semantics",
        f"Line {seeds[0].line}: set.seed() seeds R's own generator, and the weights of layer "
        f"{drawn} are drawn by Keras, which knows nothing of it: they are others in every run. "
        "set_random_seed() seeds R, Python, NumPy and TensorFlow.",
        # Where R draws as well, the seed has a purpose of its own.
        decides=not used,
        line=seeds[0].line,
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
