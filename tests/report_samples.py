"""Case reports and capsules made by hand, for the tests of the report.

``python -m tests.report_samples`` writes the golden ``report.json`` anew; look at what changed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from bridge.capsule import Array, Capsule, Environment, ErrorRecord, FrontEnd, Manifest, Plot, Probe
from bridge.compare.result import Divergence, LayerVerdict, StageResult, Worst
from bridge.explain.result import Hypothesis
from bridge.report import schema
from bridge.report.schema import CaseReport, Pair
from tests import explained_samples

GOLDEN: Final = Path(__file__).parent / "data" / "report" / "small" / "report.json"

STANDIN: Final = FrontEnd(kind="standin", package="keras", version="0.1.0")
CRAN: Final = FrontEnd(kind="cran", package="keras3", version="1.5.1")
NO_FRONT_END: Final = FrontEnd(kind="none", package="", version="")

ENVIRONMENT: Final = Environment(
    system="Linux 6.1",
    machine="x86_64",
    cpu_flags=("avx2", "fma"),
    cores=2,
    r="4.2.2",
    r_packages={"reticulate": "1.28"},
    python="3.11.7",
    packages={"tensorflow": "2.21.0", "numpy": "1.26.4"},
    keras="tf_keras 2.21.0",
    devices=("CPU:0",),
    optimizer={"remapping": "on"},
    onednn=True,
    threads=(0, 2),
)

#: Every one of these must be shown, and must do nothing.
HOSTILE: Final = (
    "<script>alert(1)</script>",
    "</textarea></style></pre><img src=x onerror=alert(1)>",
    "a|b||c \\| d",
    "``` ` ````\n```\n# heading",
    "nul\x00bell\x07esc\x1b[31mred\x1b]0;title\x07",
    "abc\u202edcba\u2066x\u200b\ufeff",
    "@someone #123 GH-7 [link](javascript:alert(1)) ![i](https://example.org/x.png)",
    "{{ 7 * 7 }} {% raw %} $x^2$ *bold* _it_ ~~no~~",
    "'\"><svg onload=alert(1)> &amp; &lt;b&gt;",
    "--- \n- item\n1. one\n=====",
    "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627 \u4f60\u597d \U0001f600 e\u0301",
    "",
    "x" * 3_000,
)


def matching() -> CaseReport:
    """Return a case in which all runs agree, and float64 differs by rounding."""
    activations = [(model, name) for name in ("relu", "gelu") for model in ("A", "B")]
    exact = [
        Pair(
            a="r",
            b=other,
            probe=f"{model}/{name}",
            verdict="same-bits",
            rung="bit-equal",
            points=1_000,
            max_abs=0.0,
            max_rel=0.0,
            max_ulp=0.0,
            different=0,
        )
        for other in ("replay", "twin")
        for model, name in activations
    ]
    rounded = [
        Pair(
            a="r",
            b="reference",
            probe=f"{model}/{name}",
            verdict="within-rounding",
            rung="certified",
            points=1_000,
            max_abs=5.960464477539063e-08,
            max_rel=1.1102230246251565e-07,
            max_ulp=1.4993,
            different=312,
            beyond_bound=0,
            worst=(Worst(index=(17, 0), a=0.10000000149011612, b=0.1, ulp=0.2),),
            layers=(layer("dense", "within-rounding", beyond=0, ratio=0.4987),),
        )
        for model, name in activations
    ]
    return CaseReport(
        case="matching",
        title="A relu in a middle layer",
        script="r_scripts/matching.R",
        frontend=STANDIN,
        environment=ENVIRONMENT,
        verdict="within-rounding",
        cause="none",
        sentence="R, its replay and the twin agree bit for bit, and with float64 within the bound.",
        expected=schema.Expected(verdict="within-rounding", cause="none", met=True),
        stages=(
            StageResult(stage="text", same=True),
            StageResult(stage="input", same=True),
            StageResult(stage="prediction", same=True),
        ),
        pairs=(*exact, *rounded),
        claims=(
            schema.Claim(claim="R is at fault.", holds=False, evidence="4,000 points agree."),
            schema.Claim(claim="gelu is right.", holds=True, evidence="inside the bound"),
            schema.Claim(claim="It happens elsewhere.", holds=None, evidence="no capsule"),
        ),
        runs=(
            schema.RunSummary(
                runner="r", status="ok", keras="2.21.0", seconds=1.8342, peak_mib=812.4
            ),
            schema.RunSummary(runner="twin", status="ok", seconds=0.9, capsule="twin.capsule"),
        ),
        executions=tuple(
            schema.Execution(
                probe=f"{model}/relu",
                run=run,
                ops=("_FusedMatMul[BiasAdd,Relu]",),
                fingerprint={"_FusedMatMul[BiasAdd,Relu]": 1, "_Arg": 5},
                unchanged_by_looking=True,
            )
            for model in ("A", "B")
            for run in ("r", "twin")
        ),
        source=(
            schema.SourceLine(number=1, text="library(keras)", warnings=("not CRAN's",)),
            schema.SourceLine(
                number=2,
                text="print(predict(m, x))",
                calls=("Sequential.predict(x)  # 2 times",),
                output="[1] 0\n[2] 1\n",
            ),
        ),
        python="import keras\n",
    )


def different() -> CaseReport:
    """Return a case in which R and its replay differ from the twin, with its worst elements."""
    pair = Pair(
        a="r",
        b="twin",
        probe="A/relu",
        verdict="different",
        rung="certified",
        points=1_000,
        max_abs=4.989999771118164,
        max_rel=float("inf"),
        max_ulp=16_735_273.0,
        different=499,
        nan=1,
        beyond_bound=499,
        worst=(
            Worst(index=(0, 0), a=-4.989999771118164, b=0.0, ulp=16_735_273.0),
            Worst(index=(7, 0), a=float("nan"), b=0.0, ulp=float("inf")),
        ),
        layers=(layer("dense", "different", beyond=499, ratio=1.0004),),
        detail="the outputs of 499 points are negative",
    )
    same = matching()
    return same.model_copy(
        update={
            "case": "different",
            "frontend": CRAN,
            "verdict": "different",
            "cause": "grappler:remapping",
            "sentence": "Model A with relu is linear in R, and not in Python.",
            "explanation": ("R asked for the right thing.",),
            "unexplained": ("Model B was right.",),
            "expected": schema.Expected(verdict="within-rounding", cause="none", met=False),
            "first_divergence": Divergence(stage="layer", where='r.model("A").layer("dense")'),
            "stages": (
                StageResult(stage="input", same=True),
                StageResult(stage="layer", same=False, where="dense", detail="no relu"),
            ),
            "pairs": (*same.pairs[1:], pair),
            "hypotheses": (
                Hypothesis(
                    cause="device-plugin",
                    explains=("A is linear",),
                    contradicts=("no plug-in here",),
                    unexplained=("B is right",),
                ),
            ),
            **explained_samples.explained(),
            "notes": ("a note",),
            "extra": {"seed": 7},
        }
    )


def same_error() -> CaseReport:
    """Return a case in which R and Python stop with the same error, as was expected."""
    error = ErrorRecord(
        language="python",
        cls="ValueError",
        message="\x1b[1mUnrecognized keyword arguments\x1b[0m: ['weights']",
        line=2,
        column=5,
    )
    return CaseReport(
        case="same_error",
        script="r_scripts/same_error.R",
        frontend=CRAN,
        environment=ENVIRONMENT,
        verdict="same-error",
        cause="keras-version",
        sentence="R and Python stop with the same error.",
        expected=schema.Expected(verdict="same-error", cause="keras-version", met=True),
        runs=tuple(
            schema.RunSummary(runner=run, status="error", error=error) for run in ("r", "replay")
        ),
        source=(schema.SourceLine(number=2, text="layer_dense(m, 1, weights = w)"),),
    )


def failed() -> CaseReport:
    """Return a case whose script was stopped."""
    return CaseReport(
        case="failed",
        script="r_scripts/failed.R",
        frontend=NO_FRONT_END,
        environment=Environment(),
        verdict="failed",
        cause="user-script",
        sentence="The script did not end within 60 s and was stopped.",
        runs=(
            schema.RunSummary(runner="r", status="time-limit", sentence="Stopped.", seconds=60.01),
        ),
    )


def empty() -> CaseReport:
    """Return a case of which nothing but its verdict is known."""
    return CaseReport(
        case="",
        script="",
        frontend=NO_FRONT_END,
        environment=Environment(),
        verdict="abstained",
        cause="not-known",
        sentence="",
    )


def hostile(text: str) -> CaseReport:
    """Return a case with ``text`` wherever a stranger's words can stand."""
    same, bad = matching(), different()
    run = schema.RunSummary(
        runner=text,
        status=text,
        keras=text,
        sentence=text,
        capsule=text,
        error=ErrorRecord(language="r", cls=text, message=text, line=1, call=text),
    )
    return bad.model_copy(
        update={
            "case": text,
            "title": text,
            "script": text,
            "cause": text,
            "sentence": text,
            "explanation": (text,),
            "unexplained": (text,),
            "frontend": FrontEnd(kind="standin", package=text, version=text),
            "environment": Environment(
                system=text, keras=text, r=text, packages={text: text}, devices=(text,)
            ),
            "expected": schema.Expected(verdict=text, cause=text, met=False),
            "first_divergence": Divergence(stage="config", where=text, detail=text),
            "stages": (StageResult(stage="config", same=False, where=text, detail=text),),
            "pairs": tuple(
                pair.model_copy(update={"probe": text, "a": text, "detail": text})
                for pair in (*same.pairs[-1:], *bad.pairs[-1:])
            ),
            "claims": (schema.Claim(claim=text, holds=None, evidence=text, source=text),),
            "hypotheses": (Hypothesis(cause=text, explains=(text,), contradicts=(text,)),),
            **explained_samples.hostile(text),
            "runs": (run,),
            "executions": tuple(
                schema.Execution(probe=text, run=name, ops=(name, text), fingerprint={text: 2})
                for name in ("r", text)
            ),
            "source": (
                schema.SourceLine(
                    number=1, text=text, calls=(text,), output=text, warnings=(text,)
                ),
            ),
            "python": text,
            "pictures": (
                schema.Picture(file=text, title=text, kind="r-plot", alt=text),
                schema.Picture(file="plot.svg", title=text, kind="overlay", alt=text),
            ),
            "notes": (text,),
        }
    )


def layer(name: str, verdict: Any, *, beyond: int, ratio: float) -> LayerVerdict:
    """Return the verdict on a dense layer."""
    return LayerVerdict(
        layer=name,
        cls="Dense",
        verdict=verdict,
        rung="certified",
        points=1_000,
        beyond_bound=beyond,
        error=5.9e-8,
        bound=1.2e-7,
        max_ratio=ratio,
    )


SMALL: Final = (matching, different, same_error, failed, empty)


def capsule(
    runner: Any,
    outputs: Mapping[str, Any],
    *,
    x: Any = None,
    plots: Mapping[str, bytes] | None = None,
    curves: Mapping[str, tuple[float, ...]] | None = None,
) -> Capsule:
    """Return a capsule with one probe for each of ``outputs`` (by label), and ``x`` as input."""
    arrays: dict[str, Any] = {}

    def store(name: str, value: Any) -> Array:
        arrays[f"k{len(arrays)}"] = array = np.asarray(value)
        key = f"k{len(arrays) - 1}"
        return Array(name=name, key=key, dtype=str(array.dtype), shape=array.shape)

    given = () if x is None else (store("x", x),)
    probes = tuple(
        Probe(
            index=index,
            label=label,
            kind="predict",
            inputs=given,
            outputs=(store("y", value),),
            curves=dict(curves or {}),
        )
        for index, (label, value) in enumerate(outputs.items())
    )
    kept = []
    for media_type, content in (plots or {}).items():
        array = store("plot", np.frombuffer(content, dtype=np.uint8))
        assert array.key is not None
        kept.append(Plot.model_validate({"media_type": media_type, "key": array.key}))
    manifest = Manifest(runner=runner, case="sample", status="ok", probes=probes, plots=tuple(kept))
    return Capsule(manifest, arrays)


_ERF = np.vectorize(math.erf)
ACTIVATIONS: Final[dict[str, Callable[[Any], Any]]] = {
    "relu": lambda x: np.maximum(x, 0),
    "gelu": lambda x: x * (1 + _ERF(x / math.sqrt(2))) / 2,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "elu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "selu": lambda x: 1.0507 * np.where(x > 0, x, 1.67326 * np.expm1(x)),
    "softplus": lambda x: np.logaddexp(x, 0),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.3 * x),
}


def founding_capsules(
    *, fault: bool = False, activations: Iterable[str] = tuple(ACTIVATIONS)
) -> dict[str, Capsule]:
    """Return four runs of all activations in three models on 1,000 points.

    With ``fault``, model A with relu is linear in R and in its replay.
    """
    x = (-5 + 10 * np.arange(1, 1001) / 1000).astype(np.float32)
    exact = {
        f"{model}/{name}": ACTIVATIONS[name](x.astype(np.float64)).reshape(-1, 1)
        for name in activations
        for model in ("A", "B", "C")
    }
    noise = np.random.default_rng(1)
    rounded = {}
    for label, values in exact.items():
        nudge = noise.choice(np.array([-np.inf, 0.0, np.inf]), values.shape)
        near = values.astype(np.float32)
        towards = np.where(nudge == 0, near, nudge).astype(np.float32)
        rounded[label] = near if label.endswith("relu") else np.nextafter(near, towards)
    shown = {**rounded, "A/relu": x.reshape(-1, 1)} if fault else rounded
    return {
        "r": capsule("r", shown, x=x),
        "replay": capsule("replay", shown, x=x),
        "twin": capsule("twin", rounded, x=x),
        "reference": capsule("reference", exact, x=x),
    }


# Pages as they are: reports of real runs, made small.

STORED: Final = Path(__file__).parent / "data" / "report" / "pages"
FOUNDING: Final = "founding"
#: A page of each kind.
KINDS: Final = ("tried", "optimiser", "language", "refused", "open")


def stored(name: str) -> CaseReport:
    return CaseReport.model_validate_json((STORED / f"{name}.json").read_text("utf-8"))


def founding() -> tuple[CaseReport, dict[str, bytes]]:
    """Return a case with claims, symptoms and a page of R's for each panel, and its pictures.

    Any picture stands for R's pages as well: these are ours.
    """
    from bridge.report.pictures import draw

    files: dict[str, bytes] = {}
    pictures = []
    for number, name in enumerate(("relu", "gelu", "sigmoid"), start=1):
        content = draw(founding_capsules(activations=(name,))).files["overlay.svg"]
        for kind in ("r-plot", "overlay"):
            files[f"{kind}-{number}.svg"] = content
            picture = {"file": f"{kind}-{number}.svg", "title": name, "kind": kind}
            pictures.append(schema.Picture.model_validate(picture))
    report = stored("founding").model_copy(update={"case": FOUNDING, "pictures": tuple(pictures)})
    return report, files


def hundred() -> tuple[list[CaseReport], dict[str, dict[str, bytes]]]:
    """Return a hundred cases of every kind, and their pictures by case."""
    first, files = founding()
    real = [stored(name) for name in KINDS]
    kinds = [*real, matching(), different(), same_error(), failed()]
    many = [
        kinds[n % len(kinds)].model_copy(update={"case": f"{kinds[n % len(kinds)].case}_{n}"})
        for n in range(100 - 1 - len(real))
    ]
    return [first, *real, *many], {first.case: files}


if __name__ == "__main__":
    from bridge.report.write import report_json

    GOLDEN.parent.mkdir(parents=True, exist_ok=True)
    GOLDEN.write_text(report_json(different()), encoding="utf-8")
