"""Kernels are measured where they run, and the run records what was found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bridge.capsule import Capsule, KernelErrors
from bridge.process.environment import kernel_switches
from bridge.process.pool import Limits, Pool, Warm
from bridge.rounding.layer_records import judge_probe
from bridge.rounding.measurements import Kernels, installation_of
from bridge.rounding.rules.activation_forms import FORMS
from bridge.rounding.rules.activation_models import is_measured, model_of
from bridge.rounding.rules.rounding import FORMATS
from bridge.runs.activation_measurement import chunks, ends, kernels_job, with_kernels
from bridge.runs.levers import LEVERS
from bridge.runs.rerun import rerun
from bridge.runs.twin import run_twin
from bridge.trace.spool import read_events

SCRIPT = """
import numpy as np
import tf_keras as keras


def twin():
    model = keras.Sequential([
        keras.Input((4,)), keras.layers.Dense(5, activation="tanh"), keras.layers.Dense(2)])
    model.predict(np.arange(12, dtype="float32").reshape(3, 4) / 7, verbose=0)
"""


def test_corners_come_first_and_then_as_many_of_every_exponent_as_the_known_samples_had() -> None:
    first = next(iter(chunks(FORMATS["float32"])))
    assert np.array_equal(first[: ends().size], ends())
    values = np.abs(ends().view(np.float32))
    info = np.finfo(np.float32)
    for corner in (0.0, info.smallest_subnormal, info.smallest_normal, info.max, 1.0):
        assert corner in values
    assert np.isfinite(values).all()
    everything = np.unique(np.concatenate(list(chunks(FORMATS["float32"]))))
    exponents = (everything >> 23) & 0xFF
    assert (np.bincount(exponents, minlength=256)[:255] >= 2 * 4096).all()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_of_a_short_type_every_finite_number_is_tried(dtype: str) -> None:
    (bits,) = chunks(FORMATS[dtype])
    assert np.isfinite(bits.view(FORMATS[dtype].dtype).astype(np.float64)).all()
    with np.errstate(invalid="ignore"):
        every = np.arange(1 << 16, dtype=np.uint16).view(FORMATS[dtype].dtype).astype(np.float64)
    assert np.unique(bits).size == np.isfinite(every).sum()


@pytest.mark.tf
@pytest.mark.timeout(600)
@pytest.mark.parametrize("dtype", ["bfloat16"])
def test_a_kernel_that_loses_small_values_is_measured_as_it_is(dtype: str) -> None:
    tf = pytest.importorskip("tensorflow")
    from bridge.runs.activation_measurement import MeasuredActivation, measure

    def flushing(x: object) -> object:
        y = tf.math.sigmoid(x)
        return tf.where(y < 2.0**-8, tf.zeros_like(y), y)

    subject = MeasuredActivation("sigmoid", FORMS["sigmoid"], flushing, flushing)
    found = KernelErrors.model_validate(measure(subject, FORMATS[dtype]), strict=False)
    assert found.exhaustive
    kernels = Kernels(measured=(found,))
    model, stored = model_of("sigmoid", dtype, kernels), model_of("sigmoid", dtype)
    assert model is not None
    assert stored is not None
    lost = np.array([2.0**-9])
    assert stored.error(lost, lost)[0] < 2.0**-10 < 2.0**-9 <= model.error(lost, lost)[0]


@pytest.mark.tf
def test_leftover_elements_are_computed_seven_at_a_time_and_come_back_in_order() -> None:
    tf = pytest.importorskip("tensorflow")
    from bridge.runs.activation_measurement import short_mode

    shapes = []

    def kernel(x: Any) -> Any:
        shapes.append(tuple(x.shape))
        return tf.math.negative(x) * tf.cast(tf.size(x), x.dtype)

    mode = short_mode(kernel, FORMATS["float32"])
    for size in (1, 7, 448, 1000):
        x = np.arange(size, dtype=np.float32)
        assert np.array_equal(mode(x), -7.0 * x)
    assert set(shapes) == {(7,)}


@pytest.mark.tf
def test_kernels_are_measured_with_one_thread(pool: Pool, tmp_path: Path) -> None:
    params = {"spool": str(tmp_path / "spool"), "workdir": str(tmp_path), "kernels": []}
    pool.run(Warm(2), kernels_job, params, Limits())
    (told,) = [each for each in read_events(tmp_path / "spool") if each["e"] == "environment"]
    assert told["environment"]["threads"] == [1, 1]


@pytest.fixture(scope="module")
def held(pool: Pool, tmp_path_factory: pytest.TempPathFactory) -> tuple[Capsule, Path]:
    """Return a run with oneDNN held down, and the cache that it filled."""
    cache = tmp_path_factory.mktemp("cache")
    script = cache / "twin.py"
    script.write_text(SCRIPT, "utf-8")
    made = run_twin(pool, "t", script, 2, Limits())
    assert made.manifest.status == "ok", made.manifest.error
    lever = LEVERS["onednn-isa-sse41"]
    again = rerun(pool, made, 2, Limits(), lever=lever, look=False)
    return with_kernels(pool, again, lever.warm(2), cache / "kept"), cache


@pytest.mark.tf
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_run_under_a_lever_records_what_its_kernels_do(
    held: tuple[Capsule, Path],
) -> None:
    made, cache = held
    here = installation_of(made.manifest.environment)
    # Beside the lever's switch stand those under which the tests themselves run.
    switches = kernel_switches() | {"ONEDNN_MAX_CPU_ISA": "SSE41"}
    assert here.switches == tuple(sorted(switches.items()))
    assert not is_measured("tanh", "float32", Kernels(here))
    assert [(each.activation, each.dtype) for each in made.manifest.kernels] == [
        ("tanh", "float32")
    ]  # fmt: skip
    assert is_measured("tanh", "float32", Kernels(here, made.manifest.kernels))
    for probe in made.manifest.probes:
        for verdict in judge_probe(made, probe):
            assert verdict.verdict in ("same-bits", "within-rounding"), verdict
    # What the cache holds is not measured again: this pool could start no process.
    closed = Pool()
    closed.close()
    again = Capsule(made.manifest.model_copy(update={"kernels": ()}), made.arrays)
    lever = LEVERS["onednn-isa-sse41"]
    kept = with_kernels(closed, again, lever.warm(2), cache / "kept")
    assert kept.manifest.kernels == made.manifest.kernels


@pytest.mark.tf
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_what_another_kind_of_process_measures_is_not_taken_for_the_runs(
    held: tuple[Capsule, Path], pool: Pool, tmp_path: Path
) -> None:
    made, _cache = held
    bare = Capsule(made.manifest.model_copy(update={"kernels": ()}), made.arrays)
    other = LEVERS["onednn-isa-avx"].warm(2)
    assert with_kernels(pool, bare, other, tmp_path).manifest.kernels == ()
