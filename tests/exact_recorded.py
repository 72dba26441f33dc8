"""Small recorded models for exact probes, and the judgement of one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bridge.capsule import Capsule
from bridge.exact.judge import judge_exact
from bridge.exact.records import ExactResult
from bridge.faults.layers import Fault
from bridge.process.pool import Limits, Pool
from bridge.runs.exact_probes import run_exact
from bridge.runs.levers import Lever
from bridge.runs.twin import run_twin
from tests.exact_models import HEADS

LIMITS = Limits(seconds=280)
Record = Callable[[str, int], Capsule]

SMALL = """
m = keras.Sequential([
    {input},
    L.Dense(4, activation="relu", name="first"),
    L.Dense(4, activation="relu", name="middle"),
    L.Dense(2, name="last"),
])
m.predict(np.ones((4, 3)), verbose=0)
"""
IMAGE = """
m = keras.Sequential([
    {image},
    L.Conv2D(6, 3, padding="same", activation="relu", name="conv"),
    L.MaxPooling2D(2, name="pool"),
    L.BatchNormalization(name="norm"),
    L.Conv2D(4, 3, strides=2, padding="same", activation="relu", name="strided"),
    L.Flatten(name="flat"),
    L.Dense(5, activation="softmax", name="classes"),
])
m.predict(np.ones((2, 8, 8, 2)), verbose=0)
"""
INPUTS = {
    2: {"input": "L.InputLayer(input_shape=(3,))", "image": "L.InputLayer(input_shape=(8, 8, 2))"},
    3: {"input": "keras.Input((3,))", "image": "keras.Input((8, 8, 2))"},
}


@pytest.fixture(scope="module")
def record(pool: Pool, tmp_path_factory: pytest.TempPathFactory) -> Record:
    made: dict[tuple[str, int], Capsule] = {}

    def recorded(text: str, generation: int) -> Capsule:
        if (text, generation) not in made:
            path = tmp_path_factory.mktemp("twin") / "twin.py"
            path.write_text(text)
            made[text, generation] = run_twin(pool, "case", path, generation, LIMITS)
            assert made[text, generation].manifest.status == "ok"
        return made[text, generation]

    return recorded


def text_of(template: str, generation: int) -> str:
    return HEADS[generation] + template.format(**INPUTS[generation])


def judged(pool: Pool, recorded: Capsule, generation: int, *levers: Lever,
           ways: tuple[str, ...] = ("eager", "predict", "graph", "xla"),
           fault: Fault | None = None) -> ExactResult:  # fmt: skip
    made = run_exact(pool, recorded, generation, LIMITS, levers, ways=ways, fault=fault)
    assert [each.manifest.status for each in made] == ["ok"] * (1 + len(levers))
    return judge_exact(made)
