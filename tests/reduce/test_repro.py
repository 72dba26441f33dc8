"""The smallest model that still differs, and the scripts that show it."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

from bridge.capsule import Capsule, Environment, LayerState, Manifest, Probe, WeightRecord
from bridge.capsule.schema import Array
from bridge.process.pool import Limits, Pool
from bridge.reduce import reproducer
from bridge.reduce.model_reduction import ConfiguredLayer, Small, fewer_rows, fewer_units, recording
from bridge.reduce.reproducer import MOST_NUMBERS, Recipe, RecipeError, run_python, write_repro


def dense(units: int, inputs: int, **config: object) -> ConfiguredLayer:
    said = {"name": "d", "trainable": True, "dtype": "float32", "units": units,
            "activation": "relu", "kernel_initializer": {"class_name": "Zeros"},
            **config}  # fmt: skip
    kernel = np.arange(inputs * units, dtype=np.float32).reshape(inputs, units)
    weights = (kernel, np.zeros(units, np.float32))
    records = tuple(
        WeightRecord(name=name, array=Array(name=name, key=name, dtype="float32", shape=w.shape))
        for name, w in zip(("kernel", "bias"), weights, strict=True)
    )
    state = LayerState(name="d", cls="keras.layers.Dense", config={}, weights=records)
    return ConfiguredLayer("Dense", {"class_name": "Dense", "config": said}, state, weights)


def small(rows: int = 6, inputs: int = 4, units: int = 5) -> Small:
    x = np.arange(rows * inputs, dtype=np.float32).reshape(rows, inputs)
    return Small("keras", (dense(units, inputs),), x, "graph")


def test_rows_are_left_out_the_fewest_first() -> None:
    found = fewer_rows(small(), [3, 1])
    assert [len(each.x) for each in found] == sorted(len(each.x) for each in found)
    assert np.array_equal(found[0].x, small().x[[3]]) or np.array_equal(found[0].x, small().x[[0]])
    assert all(len(each.x) < 6 for each in found)


def test_units_go_with_their_weights() -> None:
    one = next(each for each in fewer_units(small(), [2]) if each.parts[0].config["units"] == 1)
    kernel, bias = one.parts[0].weights
    assert kernel.shape[1] == bias.shape[0] == 1
    assert one.x.shape[1] == kernel.shape[0]
    assert kernel[-1, 0] in small().parts[0].weights[0][:, 2]


def test_several_become_one_recording() -> None:
    like = Capsule(
        Manifest(
            runner="r", case="c", status="ok",
            environment=Environment(system="", machine="", python=""),
        ),
        {},
    )  # fmt: skip
    made = recording([small(), small(2, 3, 1)], like)
    assert [each.state for each in made.manifest.probes] == [0, 1]
    assert made.manifest.array_keys() <= set(made.arrays)
    assert made.array(made.manifest.probes[1].inputs[0]).shape == (2, 3)


def recipe(of: Small) -> Recipe:
    shape = (len(of.x), of.parts[-1].config["units"])
    return Recipe(of, np.full(shape, np.nan), np.zeros(shape), "a title")


def test_the_python_script_is_python_and_the_numbers_are_in_it() -> None:
    text = recipe(small()).python()
    ast.parse(text)
    assert "keras.layers.Dense(units=5, activation='relu')" in text
    assert 'float("nan")' in text


def test_r_reads_the_first_index_fastest() -> None:
    text = recipe(small(1, 2, 2)).r()
    assert 'layer_dense(units = 2L, activation = "relu")' in text
    assert "array(c(0.0, 2.0, 1.0, 3.0), c(2, 2))" in text
    assert "NaN" in text
    assert "%>%" in text


@pytest.mark.parametrize("config", [{"activation": {"class_name": "X"}}, {"dtype": "float64"}])
def test_what_no_script_can_spell_is_refused(config: dict[str, object]) -> None:
    odd = Small("keras", (dense(2, 2, **config),), np.ones((1, 2), np.float32), "graph")
    with pytest.raises(RecipeError):
        recipe(odd).python()


def test_a_script_that_nobody_would_read_is_refused() -> None:
    with pytest.raises(RecipeError, match="numbers"):
        recipe(small(MOST_NUMBERS, 4, 1)).r()


@pytest.mark.parametrize(
    ("text", "fails"),
    [("assert 0, 'odd'\n", True), ("print(1)\n", False), ("raise SystemExit(1)\n", False),
     ("import no_such_module_anywhere\n", False)],
)  # fmt: skip
def test_only_its_own_assertion_counts_as_failing(tmp_path: Path, text: str, fails: bool) -> None:
    path = tmp_path / "a.py"
    path.write_text(text, "utf-8")
    assert bool(run_python(path)[1]) is fails


def test_where_nothing_differs_it_says_so(tmp_path: Path) -> None:
    with Pool() as pool:
        found = write_repro(pool, {}, 3, Limits(), tmp_path, "t")
    assert "nothing to shrink" in found.sentences[0]
    assert not found.files


def test_scripts_of_an_earlier_run_are_gone_and_other_files_are_not(tmp_path: Path) -> None:
    for name in ("repro.py", "repro.npz", "repro.R", "repro.md", "meant.py", "mine.py"):
        (tmp_path / name).write_text("an earlier one")
    with Pool() as pool:
        write_repro(pool, {}, 3, Limits(), tmp_path, "t")
    assert [each.name for each in tmp_path.iterdir()] == ["mine.py"]


@pytest.mark.tf
def test_a_convolution_that_reads_too_late_is_shrunk_and_fails_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fault is in TensorFlow's own kernel; where oneDNN is on, its kernel runs instead."""
    from bridge.runs.layer_capture import look
    from bridge.runs.twin import run_twin

    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    raw = tmp_path / "raw.py"
    raw.write_text(
        "import tensorflow as tf\n"
        "x = tf.reshape(tf.range(9.0), (1, 9, 1, 1, 1))\n"
        "y = tf.nn.conv3d(x, tf.ones((1, 1, 1, 1, 1)), [1, 3, 3, 3, 1], 'SAME')\n"
        "assert y.numpy().ravel().tolist() == [0.0, 3.0, 6.0]\n",
        "utf-8",
    )
    faulty = bool(run_python(raw)[1])
    script = tmp_path / "twin.py"
    script.write_text(
        "import numpy as np\nimport tf_keras as keras\n\n\ndef twin():\n"
        "    model = keras.Sequential([keras.Input((9, 1, 1, 2)),\n"
        "        keras.layers.Conv3D(3, 1, strides=3, padding='same'),\n"
        "        keras.layers.Flatten(), keras.layers.Dense(2)])\n"
        "    model.predict(np.arange(90, dtype='float32').reshape(5, 9, 1, 1, 2), verbose=0)\n",
        "utf-8",
    )
    with Pool() as pool:
        made = look(pool, run_twin(pool, "odd", script, 2, Limits()), 2, Limits())
        found = write_repro(pool, {"twin": made}, 2, Limits(), tmp_path / "small", "Odd")
    if not faulty:
        assert "No layer of a model is wrong here" in found.sentences[0]
        return
    assert "1 of 3 layers, 1 rows and 3 weights" in found.sentences[0]
    assert "fails as it should" in found.sentences[1]
    assert {each.name for each in found.files} == {"repro.py", "repro.R", "repro.md"}


@pytest.mark.parametrize("shape", [(3, 1), (1, 4), (3, 4)])
def test_a_bound_of_another_shape_decides_nothing(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...]
) -> None:
    def run(values: float) -> Capsule:
        made = Array(name="y", key="y", dtype="float64", shape=(3, 4))
        probe = Probe(index=0, kind="predict", outputs=(made,))
        manifest = Manifest(runner="r", case="c", status="ok", probes=(probe,))
        return Capsule(manifest, {"y": np.full((3, 4), values)})

    class Last:
        last = "layer"

    monkeypatch.setattr(reproducer, "seen_layers", lambda *_: [Last])
    monkeypatch.setattr(reproducer, "reach", lambda _: {"layer": np.ones(shape)})
    tried = reproducer._tried(run(1.0), run(9.0), 0, small())
    assert (tried is not None) == (shape == (3, 4))
