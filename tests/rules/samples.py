"""Recorded runs, built by hand, and what the rules find in them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bridge.capsule import Capsule, Manifest
from bridge.r.script import inspect
from bridge.rules import registry
from bridge.rules.rule import Finding, Rule

needs_r = pytest.mark.skipif(shutil.which("Rscript") is None, reason="R is not on the PATH")


def method(name: str, owner: int = 1) -> dict[str, Any]:
    about = {"t": "object", "id": owner, "cls": "keras:Sequential"}
    return {"t": "method", "owner": about, "name": name}


def symbol(name: str) -> dict[str, Any]:
    return {"t": "symbol", "path": f"keras:{name.rpartition('.')[2]}", "public": name}


def thing(number: int, cls: str = "keras:Layer") -> dict[str, Any]:
    return {"t": "object", "id": number, "cls": cls}


def scalar(value: float | str | bool) -> dict[str, Any]:
    return {"t": type(value).__name__, "v": value if isinstance(value, str) else repr(value)}


def listed(items: Iterable[Any]) -> dict[str, Any]:
    return {"t": "list", "items": list(items)}


def crossing(number: int, target: Mapping[str, Any], **about: Any) -> dict[str, Any]:
    return {"id": number, "kind": "call", "target": target, "line": number} | about


class Run:
    """A capsule as it grows."""

    def __init__(self) -> None:
        self.arrays: dict[str, Any] = {}
        self.about: dict[str, Any] = {"calls": [], "states": [], "probes": []}

    def array(self, name: str, values: Any, dtype: str = "float32") -> dict[str, Any]:
        made = np.array(values, dtype)
        key = f"k{len(self.arrays)}"
        self.arrays[key] = made
        return {"name": name, "key": key, "dtype": dtype, "shape": made.shape}

    def model(self, *layers: tuple[str, dict[str, Any]], **about: Any) -> None:
        described = [
            {"name": f"l{n}", "cls": f"keras.layers.{cls}", "config": config}
            | {key: config.pop(key) for key in ("shape", "weights") if key in config}
            for n, (cls, config) in enumerate(layers)
        ]
        state = {"id": 1, "cls": "keras.Sequential", "keras": "keras", "name": "m"}
        self.about["states"].append(state | {"layers": described} | about)

    def weight(self, name: str, values: Any, **about: Any) -> dict[str, Any]:
        """Describe a weight of a layer, as a model has it before a training."""
        return {"name": name, "array": self.array(name, values)} | about

    def trained(
        self,
        *layers: tuple[str, dict[str, Any]],
        loss: str,
        y: Any,
        x: Any = None,
        curve: tuple[float, ...] = (2.0, 1.0),
        metrics: tuple[str, ...] = (),
        after: Mapping[str, Any] | None = None,
        **about: Any,
    ) -> None:
        """Record a model and a training of it; ``after`` has its weights then, by "l0/0"."""
        compiled = {"loss": loss, "metrics": list(metrics)}
        self.model(*layers, compiled=compiled)
        rows = len(np.asarray(y))
        inputs = [self.array("x", x if x is not None else np.arange(2.0 * rows).reshape(rows, 2))]
        outputs = [
            self.array("after", values) | {"name": name} for name, values in (after or {}).items()
        ]
        self.probe(
            "fit",
            inputs=inputs,
            targets=[self.array("y", y)],
            curves={"loss": list(curve)},
            outputs=outputs,
            **about,
        )

    def answer(self, statement: int, **variables: Any) -> None:
        """Record what R's variables are after a statement."""
        given = [{"name": name, "value": self.r_value(of)} for name, of in variables.items()]
        self.about.setdefault("answers", []).append({"statement": statement, "variables": given})

    def r_value(self, of: Any) -> dict[str, Any]:
        """Return a value of R's: a dict is a list, a pair of levels and codes is a factor."""
        fields: dict[str, Any] = {"kind": scalar("numbers")}
        if isinstance(of, dict):
            items = [self.r_value(each) for each in of.values()]
            fields = {
                "kind": scalar("list"),
                "names": listed(map(scalar, of)),
                "items": listed(items),
            }
        elif isinstance(of, list) and isinstance(of[0], str):
            fields = {"kind": scalar("text"), "values": listed(map(scalar, of))}
        else:
            levels, codes = of if isinstance(of, tuple) else ((), of)
            values = np.asarray(codes, np.float64)
            made = self.array("v", values.ravel(order="F"), "float64")
            fields["values"] = {"t": "array"} | {k: made[k] for k in ("key", "dtype", "shape")}
            fields["levels"] = listed(map(scalar, levels))
            if values.ndim > 1:
                fields["dim"] = listed(map(scalar, values.shape))
        return {"t": "dict", "items": [(scalar(name), value) for name, value in fields.items()]}

    def rules(self, tree: Any = ()) -> list[str]:
        """Return the codes of the rules that decide, the first one first."""
        return [each.rule for each in answers(self.capsule(), tree) if each.decides]

    def probe(self, kind: str = "predict", **about: Any) -> None:
        number = len(self.about["probes"])
        self.about["probes"].append({"index": number, "kind": kind, "state": 0, "line": 9} | about)

    def call(self, target: Mapping[str, Any], **about: Any) -> None:
        self.about["calls"].append(crossing(len(self.about["calls"]) + 1, target, **about))

    def capsule(self, **about: Any) -> Capsule:
        manifest = {"runner": "r", "case": "case", "status": "ok"} | self.about | about
        return Capsule(Manifest.model_validate(manifest), self.arrays)

    def causes(self, tree: Any = ()) -> list[str]:
        return [each.cause for each in answers(self.capsule(), tree) if each.decides]


def tree_of(text: str, folder: Path) -> Any:
    path = folder / "script.R"
    path.write_text(text, "utf-8")
    return inspect([path])[1][0].tree


def few_words(headline: str, why: str) -> None:
    """Check that a headline and its reasons are as short as people read."""
    assert len(headline) <= 80, headline
    assert len(headline.split()) <= 12, headline
    assert not headline.endswith(".")
    sentences = [each for each in re.split(r"(?<=[.?!])\s+", why) if each]
    assert len(sentences) <= 3, why
    assert all(len(each.split()) <= 22 for each in sentences), why


def well_worded(finding: Finding) -> None:
    """Check that a finding is as short as people read, and that its places fit."""
    few_words(finding.headline, finding.why)
    assert len(finding.evidence) <= 5
    assert len(finding.spans) <= 3
    assert sum(span.primary for span in finding.spans) <= 1
    assert all(len(span.label.split()) <= 10 for span in finding.spans)


def answers(capsule: Capsule, tree: Any = ()) -> tuple[Finding, ...]:
    """Return what all rules find in a run, ranked; each must be as short as people read."""
    found = registry.answers(capsule, tree).findings
    for each in found:
        well_worded(each)
    return found


def said(cause: str, headline: str, line: int | None = None, **about: Any) -> Finding:
    """Return a finding of a rule that there is not."""
    return Rule("X01", "anything", cause=cause).finding(headline, at=line, **about)
