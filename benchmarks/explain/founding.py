"""The founding question with other weights, widths and inputs: is the same fault named?"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from bridge.capsule import write_capsule
from bridge.explain.observations import read_observed
from bridge.faults.layers import Fault
from bridge.pipeline.hypothesis_runs import symptom_table
from bridge.process.pool import Limits, Pool
from bridge.runs.rerun import rerun
from bridge.runs.twin import run_twin

_FAULT: Final = Fault("relu-lost-in-fused", "", scope="feeds-matmul")
_TWIN: Final = """\
import numpy as np
import tf_keras as keras

from bridge import probe


def twin():
    rng = np.random.default_rng([{seed}, 11])
    wide, count = int(rng.integers(1, 9)), int(rng.integers(50, 1001))
    low, high = -float(rng.uniform(0.5, 8)), float(rng.uniform(0.5, 8))
    x = np.linspace(low, high, count, dtype=np.float32)[:, None]
    def draw(*shape):
        return rng.choice([-1, 1], shape).astype(np.float32) * rng.uniform(0.3, 2, shape).astype(
            np.float32)
    first = [draw(1, wide), 0.3 * draw(wide)]
    second = [draw(wide, 1), 0.3 * draw(1)]
    last = [first[0][:, :1], first[1][:1]]
    layers = keras.layers
    for name in ("relu", "gelu", "sigmoid"):
        made = {{
            "A": ([layers.Dense(wide, activation=name), layers.Dense(1)], [*first, *second]),
            "B": ([layers.Dense(1, activation=name)], last),
            "C": ([layers.Dense(wide), layers.Activation(name), layers.Dense(1)],
                  [*first, *second]),
        }}
        for letter, (parts, weights) in made.items():
            model = keras.Sequential([keras.Input((1,)), *parts])
            model.set_weights(weights)
            with probe(f"{{letter}}/{{name}}"):
                model.predict(x, verbose=0)
"""


def measure(wanted: int, kept: Path, progress: Callable[[str], None]) -> list[dict[str, Any]]:
    """Return what was named in so many variations; those in the file are not made again."""
    lines = kept.read_text("utf-8").splitlines() if kept.exists() else []
    found = [json.loads(line) for line in lines if line.strip()]
    limits = Limits(seconds=300.0)
    with Pool() as pool:
        for seed in range(len(found), wanted):
            progress(f"variation {seed + 1} of {wanted}")
            row = {"seed": seed} | _one(pool, limits, seed)
            found.append(row)
            with kept.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
    return found[:wanted]


def _one(pool: Pool, limits: Limits, seed: int) -> dict[str, Any]:
    script = pool.folder / f"founding_{seed}.py"
    script.write_text(_TWIN.format(seed=seed), "utf-8")
    sound = run_twin(pool, "founding", script, 2, limits)
    faulty = rerun(pool, sound, 2, limits, fault=_FAULT, look=False)
    path = pool.folder / f"observed_{seed}.capsule"
    write_capsule(faulty, path)
    table = symptom_table(pool, sound, read_observed(path), 2, limits)
    path.unlink()
    families = {each.name: each.family or each.name for each in table.candidates}
    standing = sorted({families.get(name, name) for name in table.standing})
    right = any("feeds another" in name and name.lower().startswith("relu") for name in standing)
    return {"standing": standing, "right": right and len(standing) == 1,
            "among": right, "sentence": table.sentence[:300]}  # fmt: skip


def table(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the result."""
    right = sum(each["right"] for each in rows)
    among = sum(each["among"] for each in rows)
    yield (
        f"In {right:,} of {len(rows):,} variations the family of the right fault alone explains "
        f"all nine observations; in {among:,} it is among those that do."
    )
    for each in [each for each in rows if not each["right"]][:10]:
        yield f"- seed {each['seed']}: {'; '.join(each['standing']) or 'none'}"
