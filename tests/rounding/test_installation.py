"""What was measured speaks of one kind of installation; of any other nothing is certified wrong."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydantic import JsonValue

from bridge.capsule import Environment, KernelErrors
from bridge.process import environment
from bridge.rounding.measurements import Installation, Kernels, installation_of
from bridge.rounding.rules import Layer
from bridge.rounding.rules.activation_models import COMPARING, is_measured, kernels_of, model_of
from bridge.rounding.rules.activations import activation_of
from bridge.rounding.rules.rounding import FORMATS
from bridge.runs.activation_measurement import Store, kernels_here, missing
from tests.compare_samples import judge_layer

#: A processor that nobody has.
UNSEEN = Installation(
    "x86_64", "Nobody", frozenset({"avx", "avx2", "fma"}),
    (("tensorflow", "9.9.0"), ("keras", "9.9.0")), True,
)  # fmt: skip


def dense(activation: str, dtype: str = "float32", kernels: Kernels | None = None) -> Layer:
    config: dict[str, JsonValue] = {
        "activation": activation, "dtype": dtype, "units": 4, "use_bias": False,
    }  # fmt: skip
    weights = {"kernel": np.eye(4, dtype=np.float32)}
    return Layer("d", "keras.layers.Dense", config, weights, 3, kernels=kernels)


def flushed(dtype: str) -> KernelErrors:
    """Return errors of a kernel that takes every value below 1 for zero, and errs by a unit."""
    runs = ((-127, -1, 2.0 ** FORMATS[dtype].digits * 2.0), (0, 127, 1.0))
    return KernelErrors(
        activation="silu", dtype=dtype, exhaustive=True, positive=runs, negative=runs
    )


# --- whether a model holds ----------------------------------------------------------------------


def test_on_an_unseen_installation_nothing_measured_holds() -> None:
    for name in ("gelu", "tanh", "sigmoid", "softmax_pair"):
        for dtype in FORMATS:
            model = model_of(name, dtype, Kernels(UNSEEN))
            assert model is not None
            assert np.isinf(model.missed)
            assert not is_measured(name, dtype, Kernels(UNSEEN))


def test_what_was_measured_with_the_run_holds_of_it_and_of_no_other_device() -> None:
    here = Kernels(UNSEEN, (flushed("float16"),))
    assert is_measured("silu", "float16", here)
    assert not is_measured("silu", "bfloat16", here)
    assert not is_measured("silu", "float16", replace(here, devices=("CPU", "GPU")))
    model, stored = model_of("silu", "float16", here), model_of("silu", "float16")
    assert model is not None
    assert stored is not None
    assert model.missed == 1.0
    small = np.array([-0.2])
    assert stored.error(small, small)[0] < 0.2 <= model.error(small, small)[0]


def test_a_sample_is_widened_by_the_factor_of_its_activation_where_it_is_the_largest() -> None:
    whole = ((-126, 127, 1.0),)
    sample = KernelErrors(
        activation="tanh", dtype="float32", exhaustive=False, positive=whole, negative=whole
    )
    stored = model_of("tanh")
    assert stored is not None
    small = model_of("tanh", "float32", Kernels(UNSEEN, (sample,)))
    assert small is not None
    # It errs less than kernels that were tried whole.
    assert small.missed == stored.missed
    large = sample.model_copy(update={"positive": ((-126, 127, 1000.0),)})
    found = model_of("tanh", "float32", Kernels(UNSEEN, (large,)))
    assert found is not None
    assert found.missed == pytest.approx(1.385)


@pytest.mark.parametrize("name", sorted(COMPARING - {"linear"}))
@pytest.mark.parametrize("dtype", FORMATS)
def test_what_only_compares_is_proven_everywhere_but_for_what_is_flushed(
    name: str, dtype: str
) -> None:
    fmt = FORMATS[dtype]
    model = model_of(name, dtype, Kernels(UNSEEN))
    assert model is not None
    assert model.missed == 1.0
    below, above = np.array([fmt.tiny * 0.75]), np.array([fmt.tiny * 2.0])
    assert model.error(below, below)[0] >= 0.75 * fmt.tiny
    # Samples are read as envelopes: what is lost below counts above, and no more.
    assert model.error(above, above)[0] <= 1.01 * fmt.tiny


# --- what the ladder says -----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", ["silu", "gelu", "mish"])
def test_a_tiny_value_that_is_lost_is_never_certified_wrong_where_nobody_measured(
    name: str, dtype: str
) -> None:
    fmt = FORMATS[dtype]
    layer = Layer(
        "a", "keras.layers.Activation", {"activation": name, "dtype": dtype}, {}, 3,
        kernels=Kernels(UNSEEN),
    )  # fmt: skip
    z = fmt.cast(np.linspace(-20.0, -2.0, 200)).reshape(-1, 4)
    x = z.astype(fmt.dtype)
    lost = np.full_like(x, -0.0)
    assert judge_layer(layer, [x], [lost]).verdict == "abstained"
    y = fmt.cast(activation_of(name, 3, fmt).form(z)).astype(fmt.dtype)
    assert judge_layer(layer, [x], [y]).verdict in ("same-bits", "within-rounding")


def test_an_output_outside_says_that_the_kernels_were_not_measured() -> None:
    x = np.linspace(0.5, 2.0, 8, dtype=np.float32).reshape(-1, 4)
    verdict = judge_layer(dense("gelu", kernels=Kernels(UNSEEN)), [x], [x])
    assert verdict.verdict == "abstained"
    assert "kernels of gelu, which were not measured on the installation" in verdict.why
    assert judge_layer(dense("gelu"), [x], [x]).verdict == "different"


def test_a_lost_relu_is_found_on_any_processor() -> None:
    x = np.linspace(-2.0, 2.0, 8, dtype=np.float32).reshape(-1, 4)
    for devices in (("CPU",), ("GPU",)):
        kernels = Kernels(UNSEEN, devices=devices)
        assert judge_layer(dense("relu", kernels=kernels), [x], [x]).verdict == "different"
        right = np.maximum(x, np.float32(0))
        verdict = judge_layer(dense("relu", kernels=kernels), [x], [right])
        assert verdict.verdict in ("same-bits", "within-rounding")


def test_measured_with_the_run_a_kernel_that_flushes_is_honest_and_a_wrong_value_is_not() -> None:
    layer = Layer(
        "a", "keras.layers.Activation", {"activation": "silu", "dtype": "float16"}, {}, 3,
        kernels=Kernels(
            UNSEEN, (flushed("float16"), flushed("float16").model_copy(update={"dtype": "float32"}))
        ),
    )  # fmt: skip
    x = np.array([[-17.0, 3.0]], np.float16)
    honest = np.array([[-0.0, 3.0 / (1.0 + np.exp(-3.0))]]).astype(np.float16)
    assert judge_layer(layer, [x], [honest]).verdict == "within-rounding"
    wrong = np.array([[-0.0, 3.0]], np.float16)
    assert judge_layer(layer, [x], [wrong]).verdict == "different"


# --- what is recorded ---------------------------------------------------------------------------


def test_the_environment_of_a_capsule_tells_installations_apart() -> None:
    environment = Environment(
        machine="x86_64", cpu_vendor="GenuineIntel", cpu_flags=("avx2", "avx512_vnni"),
        packages={"tensorflow": "2.21.0", "numpy": "1.26.4"}, onednn=True,
    )  # fmt: skip
    here = installation_of(environment)
    assert here.described
    # Instructions that multiply integers, and packages without kernels, tell nothing.
    assert here.instructions == {"avx2"}
    assert here.packages == (("tensorflow", "2.21.0"),)
    switched = environment.model_copy(update={"switches": {"ONEDNN_MAX_CPU_ISA": "AVX"}})
    assert installation_of(switched) != here
    assert not here.covers(installation_of(switched), "float32")
    assert not installation_of(Environment()).described


def test_switches_are_recorded_by_name_and_nothing_else_of_the_environment() -> None:
    found = environment.kernel_switches(
        {
            "DNNL_MAX_CPU_ISA": "avx2",
            "ONEDNN_DEFAULT_FPMATH_MODE": "STRICT",
            "XLA_FLAGS": "--xla_dump_to=/home/somebody --xla_cpu_max_isa=AVX",
            "HOME": "/home/somebody",
        }
    )
    assert found == {"ONEDNN_MAX_CPU_ISA": "AVX2", "xla_cpu_max_isa": "AVX"}


def test_flags_of_xla_in_a_file_count_as_if_the_variable_held_them(tmp_path: Path) -> None:
    flags = tmp_path / "flags"
    flags.write_text("--xla_dump_to=/home/somebody\n--xla_cpu_max_isa=AVX\n", "utf-8")
    assert environment.kernel_switches({"XLA_FLAGS": str(flags)}) == {"xla_cpu_max_isa": "AVX"}
    assert environment.kernel_switches({"XLA_FLAGS": str(tmp_path / "none")}) == {}


def test_the_kernels_that_a_configuration_speaks_of_are_found_at_any_depth() -> None:
    config: dict[str, JsonValue] = {
        "layer": {"class_name": "LSTM", "config": {"recurrent_activation": "hard_sigmoid"}},
        "dtype": {"class_name": "DTypePolicy", "config": {"name": "mixed_float16"}},
        "activation": {"module": "keras.src.ops.nn", "class_name": "LogSigmoid", "config": {}},
    }
    found = kernels_of(["keras.src.layers.activations.softmax.Softmax", config])
    assert {name for name, _dtype in found} == {
        "hard_sigmoid_2", "hard_sigmoid_3", "log_sigmoid", "softmax_pair",
    }  # fmt: skip
    assert {dtype for _name, dtype in found} == {"float16", "float32"}
    assert kernels_of([{"activation": "relu"}]) == ()


# --- the cache ----------------------------------------------------------------------------------


def test_what_was_measured_once_is_not_measured_again(tmp_path: Path) -> None:
    asked: list[tuple[str, str]] = []

    def measure(name: str, dtype: str) -> KernelErrors:
        asked.append((name, dtype))
        return flushed(dtype).model_copy(update={"activation": name})

    wanted = (("silu", "float32"), ("silu", "float16"))
    first = kernels_here(wanted, measure, UNSEEN, tmp_path)
    assert asked == list(wanted)
    assert kernels_here(wanted, measure, UNSEEN, tmp_path) == first
    assert asked == list(wanted)
    other = replace(UNSEEN, onednn=False)
    kernels_here(wanted[:1], measure, other, tmp_path)
    assert asked == [*wanted, wanted[0]]


def test_an_installation_that_cannot_be_told_from_others_keeps_nothing(tmp_path: Path) -> None:
    store = Store(replace(UNSEEN, vendor=""), tmp_path)
    store.add([flushed("float16")])
    assert not list(tmp_path.iterdir())
    assert store.read() == []


@pytest.mark.parametrize(
    "damaged", [b"", b"[{", b"5", b"{}", b'{"silu": 1}', b"[null]", b'[{"activation": 3}]', b"\xff"]
)
def test_a_damaged_cache_counts_as_none_and_is_written_anew(tmp_path: Path, damaged: bytes) -> None:
    store = Store(UNSEEN, tmp_path)
    store.add([flushed("float16")])
    (path,) = tmp_path.iterdir()
    assert store.read() == [flushed("float16")]
    path.write_bytes(damaged)
    assert store.read() == []
    asked = [("silu", "float16")]
    found = kernels_here(asked, lambda _name, dtype: flushed(dtype), UNSEEN, tmp_path)
    assert found.measured == (flushed("float16"),)
    assert store.read() == [flushed("float16")]


def test_where_nothing_can_be_written_what_was_measured_holds_all_the_same(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("a file in the place of a folder", "utf-8")
    for folder in (taken, taken / "below"):
        found = kernels_here(
            [("silu", "float16")], lambda _name, dtype: flushed(dtype), UNSEEN, folder
        )
        assert found.measured == (flushed("float16"),)
    assert [each.name for each in tmp_path.iterdir()] == ["taken"]


KEEPING = """
import sys
from pathlib import Path
from bridge.capsule import KernelErrors
from bridge.runs.activation_measurement import Store
from tests.rounding.test_installation import UNSEEN, flushed

store = Store(UNSEEN, Path(sys.argv[1]))
for number in range(40):
    store.add([flushed("float16").model_copy(update={"activation": f"{sys.argv[2]}{number}"})])
    assert store.read()
"""


def test_two_processes_keep_what_they_measured_at_once(tmp_path: Path) -> None:
    """Neither ever reads half a file; what one of them lost is measured again."""
    root = Path(__file__).parents[2]
    running = [
        subprocess.Popen([sys.executable, "-c", KEEPING, str(tmp_path), name], cwd=root)
        for name in ("a", "b")
    ]
    assert [each.wait() for each in running] == [0, 0]
    assert len(list(tmp_path.iterdir())) == 1
    kept = {each.activation for each in Store(UNSEEN, tmp_path).read()}
    assert kept & {"a39", "b39"}


def test_several_threads_keep_what_they_measured_at_once(tmp_path: Path) -> None:
    store = Store(UNSEEN, tmp_path)
    many = [
        flushed("float16").model_copy(update={"activation": f"a{number}"}) for number in range(400)
    ]
    store.add(many)

    def keep(number: int) -> bool:
        store.add(many[number:])
        return len(store.read()) == len(many)

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(keep, range(64)))
    assert len(list(tmp_path.iterdir())) == 1


def test_only_what_the_file_does_not_cover_is_missing_and_float32_comes_first() -> None:
    wanted = [("gelu", "bfloat16"), ("gelu", "float32"), ("tanh", "float16"), ("tanh", "float32")]
    assert missing(wanted, UNSEEN) == (
        ("gelu", "float32"), ("tanh", "float32"), ("tanh", "float16"), ("gelu", "bfloat16"),
    )  # fmt: skip
