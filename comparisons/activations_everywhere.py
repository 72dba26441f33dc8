"""Why an activation in every layer, and not only in the last? In Python, with its claims."""

from __future__ import annotations

import math
import statistics
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tf_keras as keras

from bridge import Capsule, Evidence, claim, picture, probe

Float = npt.NDArray[np.float64]

X = np.array([[5, 1, 2], [3, 9, 8], [1, 2, 3], [9, 9, 9]], np.float64)


def kernel(rows: int, columns: int, first: int) -> Float:
    """Return eighths from -6/8 to 6/8, down the columns."""
    values = ((first + 5 * np.arange(1, rows * columns + 1)) % 13 - 6) / 8
    return values.reshape((rows, columns), order="F")


def bias(units: int, first: int) -> Float:
    """Return eighths from -3/8 to 3/8."""
    return ((first + 3 * np.arange(1, units + 1)) % 7 - 3) / 8


W = [kernel(3, 6, 1), kernel(6, 6, 2), kernel(6, 3, 3)]
B = [bias(6, 1), bias(6, 2), bias(3, 3)]


def three(between: str | None, *, told_twice: bool = False) -> keras.Sequential:
    """Build the three layers with ``between`` as the activation of the first two."""
    again = {"input_dim": 3} if told_twice else {}
    return keras.Sequential(
        [
            keras.layers.Dense(6, activation=between, input_dim=3, weights=[W[0], B[0]]),
            keras.layers.Dense(6, activation=between, weights=[W[1], B[1]], **again),
            keras.layers.Dense(3, activation="softmax", weights=[W[2], B[2]]),
        ]
    )


def affine() -> tuple[Float, Float]:
    """Return the W and b to which the three layers collapse."""
    return W[0] @ W[1] @ W[2], (B[0] @ W[1] + B[1]) @ W[2] + B[2]


def one() -> keras.Sequential:
    """Build the one layer to which the three collapse."""
    layer = keras.layers.Dense(3, activation="softmax", input_dim=3, weights=list(affine()))
    return keras.Sequential([layer])


def drawn(*, functional: bool) -> keras.Model:
    """Build one linear node on three inputs, in one of two ways."""
    weights = [kernel(3, 1, 4), bias(1, 4)]
    if not functional:
        return keras.Sequential([keras.layers.Dense(1, "linear", input_dim=3, weights=weights)])
    inputs = keras.Input((3,))
    return keras.Model(inputs, keras.layers.Dense(1, "linear", weights=weights)(inputs))


def iris() -> tuple[Float, Float]:
    """Return the four measures of 150 flowers in cm, and their species as one of three."""
    path = Path(__file__).with_name("iris.csv")
    rows = [line.split(",") for line in path.read_text("utf-8").splitlines()[1:]]
    names = list(dict.fromkeys(row[4] for row in rows))
    measures = np.array([[float(cell) for cell in row[:4]] for row in rows])
    return measures, np.eye(3)[[names.index(row[4]) for row in rows]]


def around_zero(measures: Float) -> Float:
    """Return the measures moved and scaled to about -1 to 1."""
    return (measures - [6, 3, 4, 1]) / [1, 0.5, 2, 1]


def regression() -> keras.Sequential:
    """Build one linear node that begins at zero, to be trained by gradient descent."""
    start = [np.zeros((3, 1)), np.zeros(1)]
    model = keras.Sequential([keras.layers.Dense(1, input_dim=3, weights=start)])
    model.compile(keras.optimizers.SGD(learning_rate=0.1, momentum=0.9), loss="mse")
    return model


def trained(epochs: int = 200) -> keras.Sequential:
    """Train the one linear node to tell the width of a petal from the other measures."""
    measures, _ = iris()
    model = regression()
    model.fit(
        around_zero(measures)[:, :3],
        measures[:, 3],
        epochs=epochs,
        batch_size=150,
        shuffle=False,
        verbose=0,
    )
    return model


def twin() -> None:
    """Predict and train in the order of the script."""
    with probe("input_dim twice"):
        three("relu", told_twice=True).predict(X, verbose=0)
    with probe("input_dim once"):
        three("relu").predict(X, verbose=0)
    with probe("three layers, no activation between"):
        three(None).predict(X, verbose=0)
    with probe("one layer"):
        one().predict(X, verbose=0)
    for functional in (False, True):
        with probe("functional" if functional else "sequential"):
            drawn(functional=functional).predict(X, verbose=0)
    with probe("linear regression"):
        trained()
    measures, species = iris()
    keras.utils.set_random_seed(1)
    weights = [[kernel(4, 6, 5), B[0]], [W[1], B[1]], [W[2], B[2]]]
    model = keras.Sequential(
        [
            keras.layers.Dense(6, "relu", input_dim=4, weights=weights[0]),
            keras.layers.Dense(6, "relu", weights=weights[1]),
            keras.layers.Dense(3, "softmax", weights=weights[2]),
        ]
    )
    model.compile(
        keras.optimizers.Adam(learning_rate=0.01), "categorical_crossentropy", metrics=["accuracy"]
    )
    with probe("iris"):
        model.fit(measures, species, epochs=20, batch_size=16, verbose=0)


def same(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> bool:
    """Say whether two arrays are the same bits."""
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


@claim(
    "Telling the second layer input_dim=3 once more makes the model invalid: it raises an error."
)
def input_dim_twice(recorded: Capsule | None = None) -> Evidence:
    counts, made = [], []
    for package in ("tf_keras", "keras"):
        layers, model = import_module(package).layers, import_module(package).Sequential
        for again in ({}, {"input_dim": 3}, {"input_dim": 4}):
            built = model(
                [
                    layers.Dense(6, activation="relu", input_dim=3),
                    layers.Dense(6, activation="relu", **again),
                    layers.Dense(3, activation="softmax"),
                ]
            )
            built.set_weights([part for pair in zip(W, B, strict=True) for part in pair])
            counts.append(built.count_params())
            made.append(np.asarray(built(np.float32(X))))
    where = "Keras 2 and Keras 3"
    if recorded is not None:
        state = recorded.manifest.states[0]
        shapes = [weight.array.shape for layer in state.layers for weight in layer.weights]
        counts.append(sum(math.prod(shape) for shape in shapes))
        where = "Keras 2, Keras 3 and from R"
    ignored = all(same(made[0], each) for each in made[:3]) and all(
        same(made[3], each) for each in made[3:]
    )
    if len(set(counts)) > 1 or not ignored:
        return Evidence("holds in part", f"the models have {sorted(set(counts))} parameters")
    return Evidence(
        False,
        f"it builds with {counts[0]} parameters in {where}; the argument is ignored: without it, "
        "with it, and with a wrong number (4) in its place the predictions are the same bits",
        number=counts[0],
    )


U = 2.0**-24


def gamma(n: int) -> float:
    """Return what n roundings to float32 can do, as a share: Higham's gamma."""
    return n * U / (1 - n * U)


def carried(x: Float, weights: list[Float], biases: list[Float]) -> Float:
    """Return how far float32 can be from the exact scores of the layers, in any order of adding."""
    value, error = x, np.zeros_like(x)
    for w, b in zip(weights, biases, strict=True):
        size = (np.abs(value) + error) @ np.abs(w) + np.abs(b)
        error = error @ np.abs(w) + gamma(len(w) + 1) * size
        value = value @ w + b
    return error


def scores(weights: list[Float], biases: list[Float], x: Float, between: str = "linear") -> Any:
    """Return what Keras makes of x with these layers, before any softmax."""
    last = len(weights) - 1
    model = keras.Sequential(
        [
            keras.layers.Dense(w.shape[1], between if k < last else None, weights=[w, b])
            for k, (w, b) in enumerate(zip(weights, biases, strict=True))
        ]
    )
    return model.predict(x, verbose=0)


@claim("Layers without an activation collapse: W3(W2(W1 x + b1) + b2) + b3 is one W x + b.")
def collapse() -> Evidence:
    w, b = affine()
    exact = same(three(None).predict(X, verbose=0), one().predict(X, verbose=0))
    chance = np.random.default_rng(1)
    shapes = [(3, 6), (6, 6), (6, 3)]
    ws = [chance.standard_normal(shape).astype(np.float32).astype(np.float64) for shape in shapes]
    bs = [chance.standard_normal(n).astype(np.float32).astype(np.float64) for _, n in shapes]
    rows = chance.standard_normal((200, 3)).astype(np.float32).astype(np.float64)
    joint = ws[0] @ ws[1] @ ws[2]
    shift = (bs[0] @ ws[1] + bs[1]) @ ws[2] + bs[2]
    apart = np.abs(scores(ws, bs, rows).astype(np.float64) - scores([joint], [shift], rows))
    # The one layer's W and b are themselves rounded once to float32.
    own = carried(rows, [joint], [shift]) + U * (1 + gamma(4)) * (np.abs(rows) @ np.abs(joint))
    bound = carried(rows, ws, bs) + own + U * (1 + gamma(4)) * np.abs(shift)
    share = float((apart / bound).max())
    table = "; ".join(" ".join(f"{value:g}" for value in row) for row in w)
    return Evidence(
        exact and share <= 1,
        f"W = ({table}), b = ({' '.join(f'{value:g}' for value in b)}): softmax(W x + b) is "
        f"{'the same bits' if exact else 'NOT the same bits'} on all 4 rows; with random weights "
        f"the scores differ by at most {apart.max():.2g} on 200 rows, {share:.2g} of what rounding "
        "can do",
        number=share,
    )


@claim("With a relu between them the three layers do not collapse.", said_by="ours")
def relu_does_not_collapse() -> Evidence:
    # Any affine map takes the middle of two points to the middle of their images.
    ends = np.array([[i, j] for i in range(4) for j in range(i)])
    middles = (X[ends[:, 0]] + X[ends[:, 1]]) / 2
    gaps = {}
    for between in ("linear", "relu"):
        images = scores(W, B, X, between).astype(np.float64)
        mean = (images[ends[:, 0]] + images[ends[:, 1]]) / 2
        gaps[between] = float(np.abs(scores(W, B, middles, between) - mean).max())
    return Evidence(
        gaps["relu"] > 0 and gaps["linear"] == 0,
        f"an affine map keeps midpoints: with relu the scores of midpoints are up to "
        f"{gaps['relu']:.4g} off, without an activation exactly {gaps['linear']:g}",
        number=gaps["relu"],
    )


def squares(inputs: Float, target: Float) -> tuple[Float, float]:
    """Return the least squares weights, the last the bias, and their mean squared error."""
    columns = np.c_[inputs, np.ones(len(inputs))]
    found = np.linalg.lstsq(columns, target, rcond=None)[0]
    return found, float(np.mean((columns @ found - target) ** 2))


@claim("The network that was drawn, one linear node on three inputs, is linear regression.")
def linear_regression(quick: bool) -> Evidence:
    epochs = 200 if quick else 600
    measures, _ = iris()
    inputs = around_zero(measures)[:, :3].astype(np.float32).astype(np.float64)
    target = measures[:, 3]
    best, least = squares(inputs, target)
    kernel_, bias_ = trained(epochs).get_weights()
    found = np.r_[kernel_[:, 0], bias_].astype(np.float64)
    # Where gradient descent without rounding would be after as many epochs ...
    columns = np.c_[inputs, np.ones(150)]
    curvature = 2 / 150 * columns.T @ columns
    at, speed = np.zeros(4), np.zeros(4)
    for _ in range(epochs):
        speed = 0.9 * speed - 0.1 * curvature @ (at - best)
        at = at + speed
    # ... and how far the rounding of the gradient, a mean over 150 rows, can keep it from there.
    size = np.abs(columns) @ np.abs(best) + np.abs(target)
    rounding = gamma(150 + 5) * 2 / 150 * np.abs(columns).T @ size
    bound = np.abs(at - best) + np.abs(np.linalg.inv(curvature)) @ rounding
    apart = np.abs(found - best)
    return Evidence(
        bool((apart <= bound).all()),
        f"after {epochs} epochs its weights are within {apart.max():.2g} of least squares' "
        f"({', '.join(f'{value:.4f}' for value in best)}), where the epochs left and rounding "
        f"allow {bound[np.argmax(apart)]:.2g}; the mean squared error is {least:.6f} cm^2 for both",
        number=float(apart.max()),
    )


@claim("Written as a sequential and as a functional model it is the same network.")
def sequential_is_functional() -> Evidence:
    measures, _ = iris()
    rows = around_zero(measures)[:, :3]
    made = []
    for functional in (False, True):
        model = drawn(functional=functional)
        first = model.predict(rows, verbose=0)
        model.compile(keras.optimizers.SGD(0.1), "mse")
        model.fit(rows, measures[:, 3], epochs=5, batch_size=50, shuffle=False, verbose=0)
        made.append([first, *model.get_weights(), model.predict(rows, verbose=0)])
    unlike = sum(
        int((a.view(np.uint32) != b.view(np.uint32)).sum())
        for a, b in zip(made[0], made[1], strict=True)
    )
    return Evidence(
        unlike == 0,
        f"{unlike} of {sum(a.size for a in made[0])} numbers differ in a bit: predictions on 150 "
        "rows, then the weights and predictions after 5 epochs of training",
        number=unlike,
    )


@claim("A bias is the weight of one more input that is always 1.")
def bias_is_a_weight() -> Evidence:
    w, b = kernel(3, 1, 4), bias(1, 4)
    wider = np.c_[X, np.ones(4)]
    target = np.array([1.0, 0, 2, -1])
    made = []
    for weights, x in (([w, b], X), ([np.r_[w, [b]]], wider)):
        layer = keras.layers.Dense(1, use_bias=len(weights) == 2, weights=weights)
        model = keras.Sequential([keras.Input((x.shape[1],)), layer])
        before = model.predict(x, verbose=0)
        # All numbers are small multiples of a power of two: nothing is rounded in one step.
        model.compile(keras.optimizers.SGD(1 / 64), "mse")
        model.fit(x, target, epochs=1, batch_size=4, shuffle=False, verbose=0)
        made.append(np.r_[before.ravel(), *(part.ravel() for part in model.get_weights())])
    unlike = int((made[0] != made[1]).sum())
    return Evidence(
        unlike == 0,
        f"{unlike} of {made[0].size} numbers differ: predictions on 4 rows, and all weights after "
        f"a step of training, the bias and the weight on 1 both {made[0][-1]:g}",
        number=unlike,
    )


def losses(units: int, seeds: int, steps: int = 200) -> Float:
    """Train one hidden layer of so many relus on iris, once for each seed; return the losses.

    Full-batch gradient descent with momentum from Glorot's weights, all seeds at once in NumPy.
    """
    measures, species = iris()
    x = np.c_[around_zero(measures), np.ones(150)]
    chance = np.random.default_rng(units)
    edges = (math.sqrt(6 / (4 + units)), math.sqrt(6 / (units + 3)))
    hidden = chance.uniform(-edges[0], edges[0], (seeds, 5, units))
    hidden[:, 4] = 0
    out = chance.uniform(-edges[1], edges[1], (seeds, units, 3))
    weights, speeds = [hidden, out], [np.zeros_like(hidden), np.zeros_like(out)]
    loss = np.zeros(seeds)
    for _ in range(steps):
        before = x @ weights[0]
        after = np.maximum(before, 0)
        logits = after @ weights[1]
        logits -= logits.max(2, keepdims=True)
        sums = np.exp(logits).sum(2, keepdims=True)
        loss = -((logits - np.log(sums)) * species).sum(2).mean(1)
        wrong = (np.exp(logits) / sums - species) / 150
        back = (wrong @ weights[1].transpose(0, 2, 1)) * (before > 0)
        slopes = [x.T @ back, after.transpose(0, 2, 1) @ wrong]
        for k in (0, 1):
            speeds[k] = 0.9 * speeds[k] - 0.1 * slopes[k]
            weights[k] = weights[k] + speeds[k]
    return loss


@claim("The number of nodes should be a multiple of the number of features.")
def multiples(quick: bool) -> Evidence:
    measures, _ = iris()
    built = 0
    for units in range(1, 13):
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(units, "relu")])
        built += np.asarray(model(np.float32(measures))).shape == (150, units)
    # By the rule 4 nodes would be better than 6; more nodes are better, multiple or not.
    seeds = 10 if quick else 40
    four, six = losses(4, seeds), losses(6, seeds)
    gain = float(four.mean() - six.mean())
    spread = math.sqrt((four.var(ddof=1) + six.var(ddof=1)) / seeds)
    half = statistics.NormalDist().inv_cdf(0.975) * spread
    low, high = gain - half, gain + half
    return Evidence(
        "does not hold" if built == 12 and high > 0 else "holds in part",
        f"with 4 features {built} of 12 widths from 1 to 12 build and run; 4 nodes end with a mean "
        f"loss of {four.mean():.3f}, 6 with {six.mean():.3f}: 6 are better by {gain:.3f} (95% "
        f"interval {low:.3f} to {high:.3f}, {seeds} seeds each)",
        number=gain,
        interval=(low, high),
    )


@picture(
    "The collapse into one affine map",
    alt="Three scores along a line through the input space. Without activations they are straight "
    "lines and lie on those of one affine map; with relu they bend.",
)
def picture_of_the_collapse() -> Any:
    from matplotlib.figure import Figure

    t = np.linspace(-1, 1, 201)
    rows = t[:, None] * np.array([9.0, -5, 7]) + np.array([1.0, 2, 0])
    figure = Figure(figsize=(7, 2.8), layout="constrained")
    axes = figure.subplots(1, 2)
    w, b = affine()
    for ax, between in zip(axes, ("linear", "relu"), strict=True):
        made = scores(W, B, rows, between)
        for k, colour in enumerate(("#111111", "#d7191c", "#1f5fd0")):
            ax.plot(t, made[:, k], color=colour, label=f"class {k + 1}")
            ax.plot(t, (rows @ w + b)[:, k], color=colour, alpha=0.25, linewidth=5)
        ax.set(title=f"between the layers: {'nothing' if between == 'linear' else between}")
        ax.set(xlabel="position along a line through the inputs", ylabel="score before softmax")
    lines = axes[0].get_legend_handles_labels()
    title = "thin: three layers; wide: one W x + b"
    figure.legend(*lines, frameon=False, title=title, loc="outside upper center", ncols=3)
    return figure


@picture(
    "One linear node in training, and least squares",
    alt="Mean squared error by epoch on a logarithmic axis, falling to that of least squares.",
)
def picture_of_the_regression(recorded: Capsule) -> Any:
    from matplotlib.figure import Figure

    curve = next(p.curves["loss"] for p in recorded.manifest.probes if p.kind == "fit")
    measures, _ = iris()
    _, least = squares(around_zero(measures)[:, :3], measures[:, 3])
    figure = Figure(figsize=(5, 2.8), layout="constrained")
    ax = figure.subplots()
    ax.semilogy(range(1, len(curve) + 1), curve, color="#111111", label="trained from R")
    ax.axhline(least, color="#d7191c", linestyle="--", label="least squares")
    ax.set(xlabel="epoch", ylabel="mean squared error, cm$^2$")
    ax.legend(frameon=False)
    return figure
