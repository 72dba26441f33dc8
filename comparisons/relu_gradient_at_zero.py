"""What does the derivative of relu at zero change? In Python, with its claims."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras as keras

from _ensemble.outcome import Share
from bridge import Capsule, Evidence, claim, picture, probe

Float = npt.NDArray[np.float64]

X = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]], np.float64)
Y = np.array([[0], [1], [1], [0]], np.float64)
HIDDEN, RATE, STEPS, TAPE_STEPS = 30, 0.002, 200, 10
AT_ZERO = (0.0, 0.5, 1.0)


@dataclass(frozen=True, eq=False)
class Start:
    """Data and first weights."""

    x: Float
    w1: Float
    w2: Float


@dataclass(frozen=True, eq=False)
class Descent:
    """A training: the loss of every step, and how many sums of the hidden layer were exactly 0.

    ``after`` are the losses with the weights that it ended with, and those weights.
    """

    loss: Float
    zeros: int
    w1: Float
    w2: Float


def scattered(rows: int, columns: int, first: int) -> Float:
    """Return numbers between -1 and 1 without a pattern, down the columns."""
    places = first + np.arange(1, rows * columns + 1, dtype=np.float64)
    values = 2 * (places * 7919 % 10007) / 10007 - 1
    return values.reshape((rows, columns), order="F")


def starts() -> dict[str, Start]:
    """Return the starts of the R script."""
    w1, w2 = scattered(3, HIDDEN, 0), scattered(HIDDEN, 1, 500)
    return {
        "scattered": Start(X, w1, w2),
        "zero row": Start(X * np.array([[0], [1], [1], [1]]), w1, w2),
        "zero bias": Start(X, w1 * np.array([[1], [1], [0]]), w2),
        "zero weights": Start(X, np.zeros_like(w1), w2),
    }


def descend(start: Start, at_zero: float, steps: int = STEPS) -> Descent:
    """Train by full-batch gradient descent on the sum of squares."""
    w1, w2 = start.w1, start.w2
    loss, zeros = np.empty(steps), 0
    for step in range(steps):
        a = start.x @ w1
        h = np.maximum(a, 0)
        error = h @ w2 - Y
        loss[step] = np.sum(error**2)
        zeros += int(np.sum(a == 0))
        back = (2 * error) @ w2.T * np.where(a > 0, 1.0, np.where(a == 0, at_zero, 0.0))
        w2 = w2 - RATE * (h.T @ (2 * error))
        w1 = w1 - RATE * (start.x.T @ back)
    return Descent(loss, zeros, w1, w2)


SPELLINGS: dict[str, Callable[[Any], Any]] = {
    "tf.nn.relu(x)": tf.nn.relu,
    "tf.maximum(x, 0)": lambda a: tf.maximum(a, tf.constant(0, a.dtype)),
    "tf.maximum(0, x)": lambda a: tf.maximum(tf.constant(0, a.dtype), a),
}


def slopes(relu: Callable[[Any], Any]) -> Float:
    """Return TensorFlow's derivatives at -1, 0 and 1."""
    a = tf.constant([-1.0, 0.0, 1.0])
    with tf.GradientTape() as tape:
        tape.watch(a)
        h = relu(a)
    found: Float = tape.gradient(h, a).numpy().astype(np.float64)
    return found


def descend_tape(start: Start, relu: Callable[[Any], Any]) -> Float:
    """Train with TensorFlow's own derivatives; return the loss of every step."""
    w1, w2 = tf.Variable(start.w1), tf.Variable(start.w2)
    loss = []
    for _ in range(TAPE_STEPS):
        with tf.GradientTape() as tape:
            error = tf.matmul(relu(tf.matmul(start.x, w1)), w2) - Y
            total = tf.reduce_sum(tf.square(error))
        by_w1, by_w2 = tape.gradient(total, [w1, w2])
        loss.append(float(total))
        w1.assign_sub(RATE * by_w1)
        w2.assign_sub(RATE * by_w2)
    return np.array(loss)


def twin() -> None:
    """Compute what the R script computes, and hand it over as it does."""
    layers = keras.layers
    carrier = keras.Sequential([layers.InputLayer(input_shape=(1,)), layers.Activation("linear")])

    def hand_over(label: str, values: Float) -> None:
        with probe(label):
            carrier.predict(values[:, None], verbose=0)

    for name, start in starts().items():
        for at_zero in AT_ZERO:
            hand_over(f"loss, {name}, {at_zero:g} at 0", descend(start, at_zero).loss)
    for name, relu in SPELLINGS.items():
        hand_over(f"derivatives of {name}", slopes(relu))
    for name, relu in SPELLINGS.items():
        loss = descend_tape(starts()["zero weights"], relu)
        hand_over(f"loss with {name}", loss)


# Claims.


@cache
def descents(name: str) -> tuple[Descent, ...]:
    """Train one of the starts with every derivative at 0."""
    return tuple(descend(starts()[name], at_zero) for at_zero in AT_ZERO)


def parting(curves: list[Float]) -> int | None:
    """Return the first step, counted from 1, at which curves are not the same bits."""
    unlike = np.any([curve != curves[0] for curve in curves[1:]], axis=0)
    return int(np.argmax(unlike)) + 1 if unlike.any() else None


def _drawn(seed: int) -> Start:
    random = np.random.default_rng([3, seed])
    return Start(X, random.standard_normal((3, HIDDEN)), random.standard_normal((HIDDEN, 1)))


@claim("The choice makes no noticeable difference, because a sum is hardly ever exactly 0.")
def hardly_ever(quick: bool) -> Evidence:
    """Count exact zeros over all steps, and compare the three curves bit for bit."""
    seeds = range(10 if quick else 50)
    zeros, same, sums = 0, 0, 0
    for seed in seeds:
        each = [descend(_drawn(seed), at_zero) for at_zero in AT_ZERO]
        zeros += sum(run.zeros for run in each)
        sums += len(AT_ZERO) * STEPS * len(X) * HIDDEN
        same += parting([run.loss for run in each]) is None
    alike = Share(same, len(seeds))
    low, high = alike.interval
    return Evidence(
        alike.successes == alike.trials,
        f"{zeros} of {sums:,} sums were exactly 0, and in {same} of {len(seeds)} random starts "
        f"({low:.1%} to {high:.1%}) the three loss curves are the same bits over {STEPS} steps",
        number=alike.value,
        interval=alike.interval,
    )


@claim("There are inputs and weights for which the choice matters.", said_by="ours")
def it_can_matter() -> Evidence:
    """Look where the curves of the constructed starts part."""
    said, parted = [], 0
    for name in list(starts())[1:]:
        runs = descents(name)
        step = parting([run.loss for run in runs])
        parted += step is not None
        ends = " / ".join(f"{run.loss[-1]:.4g}" for run in runs)
        where = "never part" if step is None else f"part at step {step}"
        said.append(f"{name}: {runs[0].zeros:,} zeros, the curves {where}, last losses {ends}")
    return Evidence(parted > 0, f"with 0, 0.5 and 1 at 0: {'; '.join(said)}", number=parted)


@claim("A row of the data that is 0 throughout makes the choice matter.", said_by="ours")
def zero_row() -> Evidence:
    """A zero row multiplies its own derivative away."""
    runs = descents("zero row")
    step = parting([run.loss for run in runs])
    return Evidence(
        step is not None,
        f"its sums are exactly 0 ({runs[0].zeros:,} of them), but their derivative is multiplied "
        f"by the row itself: the three curves {'are the same bits' if step is None else 'part'}",
        number=runs[0].zeros,
    )


@claim("Only the backward pass changes.")
def only_backward() -> Evidence:
    """Compare the first losses, and the weights after one step, from weights that are all 0."""
    start = starts()["zero weights"]
    runs = [descend(start, at_zero, 1) for at_zero in AT_ZERO]
    same_loss = len({run.loss[0].tobytes() for run in runs}) == 1
    moved = [float(np.abs(run.w1 - start.w1).max()) for run in runs]
    return Evidence(
        same_loss and len(set(moved)) == len(moved),
        f"the loss before the first step is {runs[0].loss[0]:g} with every choice, the same bits; "
        f"that step moves the zero weights by {', '.join(f'{each:.3g}' for each in moved)} with 0, "
        "0.5 and 1",
    )


@claim("TensorFlow's spellings of relu have the same derivative at 0.", said_by="ours")
def spellings_agree(recorded: Capsule | None = None) -> Evidence:
    """Ask GradientTape, here and in R's run."""
    here = {name: slopes(relu) for name, relu in SPELLINGS.items()}
    text = ", ".join(f"{name} {found[1]:g}" for name, found in here.items())
    if recorded is not None:
        made = [
            recorded.array(each.outputs[0]).ravel()
            for each in recorded.manifest.probes
            if each.outputs and each.outputs[0].shape == (3, 1)
        ]
        same = len(made) == len(here) and all(
            np.array_equal(one, other) for one, other in zip(made, here.values(), strict=True)
        )
        text += f"; from R the derivatives at -1, 0 and 1 are {'the same' if same else 'others'}"
    at_zero = {float(found[1]) for found in here.values()}
    return Evidence(len(at_zero) == 1, f"at 0: {text}", number=here["tf.maximum(x, 0)"][1])


@claim("In JAX the derivative of jax.nn.relu at 0 is 0.", said_by="ours")
def in_jax() -> Evidence:
    """Ask JAX, if it is there."""
    if importlib.util.find_spec("jax") is None:
        return Evidence("undecided", "JAX is not installed: python -m pip install jax")
    jax = importlib.import_module("jax")

    relu = float(jax.grad(jax.nn.relu)(0.0))
    right = float(jax.grad(lambda x: jax.numpy.maximum(x, 0.0))(0.0))
    left = float(jax.grad(lambda x: jax.numpy.maximum(0.0, x))(0.0))
    return Evidence(
        relu == 0,
        f"jax.nn.relu {relu:g}, jax.numpy.maximum(x, 0) {right:g}, maximum(0, x) {left:g}",
        number=relu,
    )


@claim("In torch the derivative of torch.relu at 0 is 0.", said_by="ours")
def in_torch() -> Evidence:
    """Ask torch, if it is there."""
    if importlib.util.find_spec("torch") is None:
        return Evidence("undecided", "torch is not installed: python -m pip install torch")
    torch = importlib.import_module("torch")

    def slope(relu: Callable[[Any], Any]) -> float:
        x = torch.zeros((), requires_grad=True)
        relu(x).backward()
        return float(x.grad)

    zero = torch.zeros(())
    relu = slope(torch.relu)
    right, left = slope(lambda x: torch.maximum(x, zero)), slope(lambda x: torch.maximum(zero, x))
    return Evidence(
        relu == 0,
        f"torch.relu {relu:g}, torch.maximum(x, 0) {right:g}, torch.maximum(0, x) {left:g}",
        number=relu,
    )


#: What the published listing does wrong, in a line of our own each, and the line repaired.
SLIPS = {
    "an assignment without a right side": ("x = x =", "x = np.zeros((4, 2))"),
    "and once more": ("y = y =", "y = np.zeros((4, 1))"),
    "np.c_ called where it is indexed": ("np.c_(x, np.ones(4))", "np.c_[x, np.ones(4)]"),
    "a misspelled name of a module": ("no.ones(4)", "np.ones(4)"),
}


def _error(line: str) -> str:
    """Return the error that a line raises, by class and message; empty if it runs."""
    known = {"np": np, "x": np.zeros((4, 2))}
    try:
        exec(compile(line, "the listing", "exec"), known)
    except Exception as error:
        return f"{type(error).__name__}: {str(error).split(' (')[0]}"
    return ""


@claim("The listing runs as it was published.", said_by="answer")
def listing_runs(recorded: Capsule | None = None) -> Evidence:
    """Run every slip, and its repair."""
    raised = {what: _error(broken) for what, (broken, _) in SLIPS.items()}
    repaired = [what for what, (_, line) in SLIPS.items() if not _error(line)]
    failing = [what for what, said in raised.items() if said]
    text = "; ".join(f"{what}: {said or 'runs'}" for what, said in raised.items())
    if recorded is not None:
        printed = "".join(each.text for each in recorded.manifest.output)
        lines = [line for line in printed.splitlines() if " R says " in line]
        refused = sum(not line.rstrip().endswith("R says nothing") for line in lines)
        text += f"; R refuses {refused} of its {len(lines)} forms of them"
    return Evidence(
        not failing,
        f"{len(failing)} of {len(SLIPS)} lines fail, and {len(repaired)} of {len(SLIPS)} run when "
        f"they are repaired: {text}",
        number=len(failing),
    )


# Pictures.


def _figure(panels: int) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.4 * panels, 3.4), layout="constrained")
    return figure, figure.subplots(1, panels, squeeze=False)[0]


@picture(
    "Loss curves for three derivatives at 0",
    alt="Four panels of loss over steps. From scattered weights and with a zero row the three "
    "curves lie on each other; from a zero bias they part a little; from zero weights the curve "
    "for 0 is level and the other two fall.",
)
def curves() -> Any:
    """Draw every start with every derivative at 0."""
    figure, axes = _figure(len(starts()))
    for axis, name in zip(axes, starts(), strict=True):
        for at_zero, run, style in zip(AT_ZERO, descents(name), ("-", "--", ":"), strict=True):
            label = f"{at_zero:g} at 0"
            axis.plot(np.arange(1, STEPS + 1), run.loss, style, linewidth=2, label=label)
        axis.set(title=name, xlabel="step", ylabel="sum of squares", yscale="log")
    axes[0].legend()
    return figure


@picture(
    "From zero weights, the spelling decides",
    alt="Loss over 10 steps with TensorFlow's three spellings of relu from zero weights: level "
    "where the derivative at 0 is 0, falling for tf.maximum(x, 0).",
)
def spelled() -> Any:
    """Draw the trainings with GradientTape."""
    figure, (axis,) = _figure(1)
    figure.set_figwidth(5)
    for (name, relu), style in zip(SPELLINGS.items(), ("-", "--", ":"), strict=True):
        loss = descend_tape(starts()["zero weights"], relu)
        axis.plot(np.arange(1, TAPE_STEPS + 1), loss, style, linewidth=3, alpha=0.7, label=name)
    axis.set(xlabel="step", ylabel="sum of squares")
    axis.legend()
    return figure
