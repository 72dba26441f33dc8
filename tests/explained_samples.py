"""What explaining may have found, made by hand, for the tests of the report."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from bridge.explain.result import (
    Candidate,
    Collapse,
    LeverOutcome,
    Observation,
    ResponseShape,
    Says,
    SelftestScore,
    Separating,
    SymptomCell,
    SymptomTable,
    UnitCensus,
    Upstream,
)

GRID: Final = tuple(float(x) for x in range(-5, 6))
RESPONSES: Final[dict[str, Callable[[float], float]]] = {
    "relu": lambda x: max(x, 0.0),
    "gelu": lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
}
REPORTED: Final[dict[tuple[str, str], str]] = {
    (model, name): "affine" if (model, name) == ("A", "relu") else shape
    for name, shape in (("relu", "hinge"), ("gelu", "smooth"), ("sigmoid", "saturating"))
    for model in "ABC"
}


def explained() -> dict[str, Any]:
    """Return the fields of a case report that explaining fills."""
    return {
        "confidence": "likely",
        "evidence_for": (
            "With the pass remapping off, layer dense is right; with every other pass off alone "
            "it is as wrong as before.",
            "The executed graph has _FusedMatMul[BiasAdd] where _FusedMatMul[BiasAdd,Relu] stood.",
        ),
        "evidence_against": ("This machine has no such device.",),
        "levers": (
            LeverOutcome(
                lever="as recorded",
                verdict="different",
                executed_ops=("_FusedMatMul[BiasAdd]", "_FusedMatMul[BiasAdd]"),
                layer="dense",
                seconds=1.4375,
            ),
            LeverOutcome(
                lever="eager",
                verdict="same-bits",
                executed_ops=("MatMul", "BiasAdd", "Relu"),
                seconds=1.25,
            ),
            LeverOutcome(lever="xla", verdict="abstained", detail="it could not be compiled"),
            LeverOutcome(lever="remapping-off", verdict="within-rounding", executed_ops=("Relu",)),
        ),
        "symptoms": symptoms(),
        "shapes": (
            ResponseShape(
                probe="A/relu",
                output="y",
                kind="affine",
                sentence="A straight line: y = x; every point is on it within its rounding bound.",
                points=1_000,
                pieces=1,
                slopes=(1.0,),
                intercepts=(0.0,),
            ),
            ResponseShape(
                probe="B/relu",
                output="y",
                kind="hinge",
                sentence="A hinge: slope 0 up to x = 0, then slope 1; every point is on it.",
                points=1_000,
                pieces=2,
                breakpoints=(0.0,),
                between=((-1e-9, 1e-9),),
                slopes=(0.0, 1.0),
                intercepts=(0.0, 0.0),
            ),
        ),
        "census": (
            UnitCensus(
                probe="A/relu",
                layer="dense",
                units=4,
                rows=1_000,
                negative=0.499,
                dead=(1, 3),
                activation="relu",
                below=1_996,
                dead_units=2,
            ),
        ),
        "collapses": (
            Collapse(
                probe="A/relu",
                layers=("dense_1", "dense_2"),
                W=((0.5, -1.25),),
                b=(0.0, 0.1),
                why="The 2 layers dense_1 and dense_2 are one affine map, because no activation "
                "stands between them; what was recorded is within rounding of it.",
                inputs=1,
                outputs=2,
                difference=2.98e-08,
                bound=1.79e-07,
                beyond=0,
            ),
        ),
        "upstream": Upstream(
            reference="tensorflow#47548",
            shows=False,
            sentence="It was seen with TensorFlow 2.4 and does not show with 2.21.",
        ),
        "selftest": SelftestScore(
            injected=60,
            detected=60,
            localised=58,
            attributed=55,
            abstained=5,
            confidently_wrong=0,
            false_alarms=0,
            seconds=47.8125,
            benign=40,
        ),
    }


def symptoms() -> SymptomTable:
    """Return nine observations and five candidates, of which two stand and are one family."""
    observations = tuple(
        Observation(
            name=f"{model}/{name}",
            model=model,
            activation=name,
            shape=shape,
            points=tuple((x, _made(model, name, x)) for x in GRID[::2]) if model == "A" else (),
        )
        for (model, name), shape in REPORTED.items()
    )
    remapping = "grappler:remapping"
    fused = _candidate(
        "Relu lost in a fused MatMul that feeds a MatMul",
        remapping,
        lambda model, name: (model, name) == ("A", "relu"),
        "lost when fused",
    )
    device = fused.model_copy(
        update={"name": "A device plug-in loses Relu there", "cause": "device-plugin"}
    )
    everywhere = _candidate(
        "Relu lost in every fused MatMul",
        remapping,
        lambda model, name: model != "C" and name == "relu",
    )
    dropped = _candidate("R drops the activation", "r-default", lambda model, _: model != "C")
    silent = Candidate(name="Threads", cause="not-known", sentence="Nothing is known of threads.")
    return SymptomTable(
        observations=observations,
        candidates=(everywhere, dropped, fused, silent, device),
        standing=(fused.name, device.name),
        separating=(
            Separating(
                question="Does the fault go away with the graph optimiser's remapping off?",
                r="library(tensorflow)\ntf$config$optimizer$set_experimental_options(\n"
                "  list(remapping = FALSE))\npredict(model, x)",
                python="import tensorflow as tf\n\n"
                'tf.config.optimizer.set_experimental_options({"remapping": False})\n'
                "model.predict(x)",
                expect={fused.name: "a hinge", device.name: "a straight line, as before"},
            ),
        ),
        sentence="One family of candidates makes all nine observations; every other one "
        "contradicts at least one of them.",
        grid=GRID,
    )


def _made(model: str, name: str, x: float) -> float:
    return x if (model, name) == ("A", "relu") else RESPONSES[name](x)


def _candidate(
    name: str, cause: str, lost: Callable[[str, str], bool], family: str = ""
) -> Candidate:
    cells = []
    for (model, activation), reported in REPORTED.items():
        gone = lost(model, activation)
        curve = tuple(x if gone else RESPONSES[activation](x) for x in GRID)
        shapes = {"relu": "hinge", "gelu": "smooth", "sigmoid": "saturating"}
        shape = "affine" if gone else shapes[activation]
        says: Says = "explains" if shape == reported else "contradicts"
        why = f"{shape} where {reported} was reported"
        cells.append(
            SymptomCell(
                observation=f"{model}/{activation}", says=says, shape=shape, why=why, curve=curve
            )
        )
    sentence = f"{name}, and nothing else changes."
    return Candidate(name=name, cause=cause, sentence=sentence, cells=tuple(cells), family=family)


def hostile(text: str) -> dict[str, Any]:
    """Return the same fields with ``text`` wherever a stranger's words can stand."""
    cell = SymptomCell(
        observation=text, says="explains", shape=text, why=text, curve=(1.0, math.nan, 2.0)
    )
    return {
        "confidence": "possible",
        "evidence_for": (text,),
        "evidence_against": (text,),
        "levers": (
            LeverOutcome(
                lever=text, verdict="different", executed_ops=(text,), layer=text, detail=text
            ),
        ),
        "symptoms": SymptomTable(
            observations=(
                Observation(
                    name=text, model=text, activation=text, shape=text, points=((0.0, math.inf),)
                ),
            ),
            candidates=(
                Candidate(name=text, cause=text, sentence=text, cells=(cell,), family=text),
                Candidate(name=f"{text}.", cause=text, sentence=text, family=text),
            ),
            standing=(text,),
            separating=(Separating(question=text, r=text, python=text, expect={text: text}),),
            sentence=text,
            grid=(0.0, 1.0, 2.0),
        ),
        "shapes": (ResponseShape(probe=text, output=text, kind="not-known", sentence=text),),
        "census": (
            UnitCensus(
                probe=text,
                layer=text,
                units=1,
                rows=1,
                negative=math.nan,
                activation=text,
                identity=True,
            ),
        ),
        "collapses": (
            Collapse(probe=text, layers=(text,), W=((math.nan,),), b=(math.inf,), why=text),
        ),
        "upstream": Upstream(reference=text, shows=True, sentence=text),
    }
