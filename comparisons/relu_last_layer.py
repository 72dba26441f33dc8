"""May relu be the activation of the last layer? In Python, with its claims."""

from __future__ import annotations

import functools
import math
from contextlib import suppress
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tf_keras as keras

from bridge import Capsule, Evidence, claim, picture, probe

Float = npt.NDArray[np.float64]

N = 24
EPOCHS = 20


def signals() -> Float:
    """Return N signals of 200 steps in 4 channels: triangular waves of whole numbers to 255."""
    i, _, k, l = np.ogrid[1 : N + 1, 1:2, 1:201, 1:5]  # noqa: E741
    waves: Float = np.abs((17 * i + (2 * l - 1) * k) % 510 - 255).astype(np.float64)
    return waves


X = signals()


def decoded(signal: Any, last: str, third: str = "same", *, draw: int = 0, of: Any = keras) -> Any:
    """Pass a signal through encoder and decoder; ``third`` pads the decoder's third convolution.

    Layer k draws its first weights from seed k + 100 draw.
    """

    def conv(filters: int, k: int, x: Any, activation: str = "relu", padding: str = "same") -> Any:
        first = of.initializers.GlorotUniform(seed=k + 100 * draw)
        layer = of.layers.Conv2D(
            filters, (1, 3), activation=activation, padding=padding, kernel_initializer=first
        )
        return layer(x)

    def pool(x: Any) -> Any:
        return of.layers.MaxPooling2D((1, 2), padding="same")(x)

    def up(x: Any) -> Any:
        return of.layers.UpSampling2D((1, 2))(x)

    code = pool(conv(32, 3, pool(conv(32, 2, pool(conv(64, 1, signal))))))
    half = up(conv(32, 5, up(conv(32, 4, code))))
    return conv(4, 7, up(conv(64, 6, half, padding=third)), last)


def autoencoder(last: str, draw: int = 0) -> keras.Model:
    """Build and compile the mended model."""
    signal = keras.Input((1, 200, 4))
    model = keras.Model(signal, decoded(signal, last, draw=draw))
    model.compile(keras.optimizers.Adam(learning_rate=0.001), loss="mae")
    return model


def by_hand() -> keras.Model:
    """Build a convolution of whole numbers with pooling and upsampling behind it."""
    whole = ((np.arange(1, 25) * 5) % 7 - 3).reshape((1, 3, 4, 2), order="F")
    weights = [whole, np.array([1.0, -2])]
    conv = keras.layers.Conv2D(2, (1, 3), padding="same", input_shape=(1, 200, 4), weights=weights)
    behind = [keras.layers.MaxPooling2D((1, 2)), keras.layers.UpSampling2D((1, 2))]
    return keras.Sequential([conv, *behind])


def train(last: str, x: Float, draw: int = 0, epochs: int = EPOCHS) -> tuple[Float, Float]:
    """Train the mended model; return its losses by epoch and a prediction of 8 signals."""
    keras.utils.set_random_seed(1)
    model = autoencoder(last, draw)
    history = model.fit(x, x, epochs=epochs, batch_size=8, verbose=0).history
    return np.array(history["loss"]), model.predict(x[:8], verbose=0)


def twin() -> None:
    """Fail as printed, then train in the order of the script."""
    signal = keras.Input((1, 200, 4))
    out = decoded(signal, "sigmoid", "valid")
    with suppress(NameError):
        keras.Model(input_img, out)  # type: ignore[name-defined]  # noqa: F821
    printed = keras.Model(signal, out)
    printed.compile("adam", loss="mae")
    with probe("as printed: the output"):
        printed.predict(X[:2], verbose=0)
    with suppress(Exception), probe("as printed: fit"):
        printed.fit(X, X, epochs=1, batch_size=16, verbose=0)
    with probe("by hand"):
        by_hand().predict(X, verbose=0)
    for last, x, name in (
        ("sigmoid", X, "sigmoid"),
        ("relu", X, "relu"),
        ("sigmoid", X / 255, "sigmoid, scaled to 0..1"),
    ):
        with probe(name):
            train(last, x)


class Trained(NamedTuple):
    """A training that R did: the losses by epoch, and what was predicted afterwards."""

    losses: Float
    predicted: Float


def from_r(recorded: Capsule) -> dict[str, Trained]:
    """Return the trainings of the script, by name."""
    probes = recorded.manifest.probes
    fits = [k for k, each in enumerate(probes) if each.kind == "fit" and each.curves]
    names = ("sigmoid", "relu", "scaled")
    return {
        name: Trained(
            np.array(probes[k].curves["loss"]),
            recorded.array(probes[k + 1].outputs[0]).astype(np.float64),
        )
        for name, k in zip(names, fits, strict=True)
    }


FLOOR = float(np.mean(np.abs(X - np.clip(X, 0, 1))))


@claim("The autoencoder trains as it was printed.", said_by="question")
def as_printed(recorded: Capsule | None = None) -> Evidence:
    widths, refused = [], []
    for package in ("tf_keras", "keras"):
        of = import_module(package)
        signal = of.Input((1, 200, 4))
        model = of.Model(signal, decoded(signal, "sigmoid", "valid", of=of))
        model.compile("adam", loss="mae")
        widths.append(model.output_shape[2])
        try:
            model.fit(X[:8], X[:8], verbose=0)
        except Exception as error:
            refused.append(type(error).__name__)
    where = "Keras 2 and Keras 3"
    names = ""
    if recorded is not None:
        widths.append(recorded.manifest.probes[0].outputs[0].shape[2])
        refused += [error.cls for error in recorded.manifest.caught]
        said = "".join(each.text for each in recorded.manifest.output)
        names = "; before that its input has a name that nobody defined"
        names = f"{names}, in R too" if "'input_img' not found" in said else names
        where = "Keras 2, Keras 3 and from R"
    fails = len(refused) == len(widths) and set(widths) == {196}
    text = f"what comes out is {widths[0]} wide, not 200, for want of one padding = 'same'"
    return Evidence(
        not refused if not fails else False,
        f"{text}: fit() fails in {where}{names}" if fails else f"widths {widths}, errors {refused}",
        number=widths[0],
    )


@claim("With a sigmoid at the end the loss stalls, because the output cannot leave 0..1.")
def sigmoid_stalls(recorded: Capsule) -> Evidence:
    runs = from_r(recorded)
    losses, made = runs["sigmoid"]
    inside = made.min() >= 0 and made.max() <= 1
    last = losses[-1]
    return Evidence(
        bool(inside and losses.min() >= FLOOR and runs["relu"].losses[-1] < FLOOR),
        f"no output in 0..1 can have a loss below mean |x - clip(x, 0, 1)| = {FLOOR:.4f}; with a "
        f"sigmoid it goes from {losses[0]:.4f} to {last:.4f}, {last - FLOOR:.4f} above that floor, "
        f"where the same network with relu comes to {runs['relu'].losses[-1]:.2f}",
        number=float(last - FLOOR),
    )


@claim("With a relu at the end it trains.")
def relu_trains(recorded: Capsule) -> Evidence:
    losses, made = from_r(recorded)["relu"]
    # What the best output that ignores its input would have: the median.
    constant = float(np.mean(np.abs(X - np.median(X))))
    return Evidence(
        bool(losses[-1] < min(constant, FLOOR)),
        f"the mean absolute error goes from {losses[0]:.1f} to {losses[-1]:.1f} in {len(losses)} "
        f"epochs, where the best constant has {constant:.1f}; its outputs reach {made.max():.0f}",
        number=float(losses[-1]),
    )


@claim("On data scaled to 0..1 a sigmoid at the end is fine.")
def scaled_is_fine(recorded: Capsule) -> Evidence:
    losses = 255 * from_r(recorded)["scaled"].losses
    constant = float(np.mean(np.abs(X - np.median(X))))
    return Evidence(
        bool(losses[-1] < min(constant, FLOOR)),
        f"times 255, the error goes from {losses[0]:.1f} to {losses[-1]:.1f} in {len(losses)} "
        f"epochs; unscaled it cannot fall below {FLOOR:.1f}, and scaled its floor is 0",
        number=float(losses[-1]),
    )


def begin(model: Any, draw: int) -> None:
    """Give a model the weights that it would have begun with, had it been made in this draw."""
    weights = []
    for k, kernel in enumerate(model.get_weights()[::2], start=1):
        first = keras.initializers.GlorotUniform(seed=k + 100 * draw)
        weights += [first(kernel.shape).numpy(), np.zeros(kernel.shape[-1], np.float32)]
    model.set_weights(weights)


@functools.cache
def traced(last: str) -> tuple[Any, list[Any]]:
    """Return a model to be trained again and again, and its optimiser's variables at the start."""
    model = autoencoder(last)
    model.optimizer.build(model.trainable_variables)
    return model, [variable.numpy() for variable in model.optimizer.variables]


def train_from(last: str, draw: int) -> tuple[Float, int]:
    """Train from the weights of a draw; return the losses, and how many channels are dead then."""
    model, fresh = traced(last)
    begin(model, draw)
    for variable, value in zip(model.optimizer.variables, fresh, strict=True):
        variable.assign(value)
    keras.utils.set_random_seed(1)
    history = model.fit(X, X, epochs=EPOCHS, batch_size=8, verbose=0).history
    return np.array(history["loss"]), dead(model.predict(X, verbose=0))


def dead(made: npt.NDArray[Any]) -> int:
    """Return how many of the 4 channels are 0, or below, everywhere."""
    return int((made <= 0).all(axis=(0, 1, 2)).sum())


@functools.cache
def dead_at_start(draws: int) -> tuple[int, ...]:
    """Return how many output channels are dead at the start, by draw, before any training."""
    # The linear end shows the sums; relu makes 0 of those that are negative.
    model, _ = traced("linear")
    found = []
    for draw in range(draws):
        begin(model, draw)
        found.append(dead(np.asarray(model(np.float32(X), training=False))))
    return tuple(found)


def share(hits: int, of: int) -> tuple[float, float]:
    """Return the 95% interval of a share: Wilson's."""
    z = 1.959964
    middle = (hits + z * z / 2) / (of + z * z)
    half = z / (of + z * z) * math.sqrt(hits * (of - hits) / of + z * z / 4)
    return middle - half, middle + half


@claim("A relu at the end changes nothing for targets that are never negative.")
def relu_changes_nothing(quick: bool, recorded: Capsule) -> Evidence:
    draws = 20 if quick else 60
    found = dead_at_start(draws)
    hits = [draw for draw, count in enumerate(found) if count]
    low, high = share(len(hits), draws)
    text = (
        f"from {len(hits)} of {draws} random starts one of the 4 channels at least is 0 for all "
        f"signals, and its kernel gets no gradient (95% interval {low:.0%} to {high:.0%})"
    )
    number, interval = len(hits) / draws, (low, high)
    if quick:
        return Evidence("does not hold" if hits else "undecided", text, number, interval)
    relu = from_r(recorded)["relu"].losses
    again, _ = train_from("relu", 0)
    linear, _ = train_from("linear", 0)
    both = enumerate(zip(relu, linear, strict=True), start=1)
    apart = next((epoch for epoch, (a, b) in both if a != b), None)
    text += (
        f"; from R's start, which has {found[0]}, the losses of relu and of a linear end "
        f"{f'part in epoch {apart}' if apart else 'never part'} and come to {relu[-1]:.1f} and "
        f"{linear[-1]:.1f}"
    )
    stuck = 0
    for draw in hits[:4]:
        losses, still = train_from("relu", draw)
        if still and not stuck:
            free, _ = train_from("linear", draw)
            text += (
                f"; from start {draw} the channel stays dead for all {EPOCHS} epochs: a loss of "
                f"{losses[-1]:.1f}, where a linear end comes to {free[-1]:.1f}"
            )
        stuck += still > 0
    text += f"; {stuck} of {len(hits[:4])} such starts that were trained stay so"
    if not np.array_equal(again, relu):
        return Evidence("undecided", f"{text}; training again gave other losses than in R")
    nothing = apart is None and not hits
    return Evidence("holds" if nothing else "does not hold", text, number, interval)


@claim("What R writes at [i, 1, k, l] arrives as [i-1, 0, k-1, l-1]; so does what comes back.",
       said_by="ours")  # fmt: skip
def axes_arrive(recorded: Capsule) -> Evidence:
    crossed = next(each for each in recorded.manifest.probes if each.outputs and
                   each.outputs[0].shape[3:] == (2,))  # fmt: skip
    arrived = recorded.array(crossed.inputs[0])
    made = recorded.array(crossed.outputs[0])
    # The convolution, the pooling and the upsampling by hand, with R's indices from 1.
    whole = {
        (t, c, f): ((1 + t + 3 * c + 12 * f) * 5) % 7 - 3
        for t in range(3) for c in range(4) for f in range(2)
    }  # fmt: skip
    padded = np.pad(X, ((0, 0), (0, 0), (1, 1), (0, 0)))
    sums = np.stack(
        [
            sum(padded[:, :, t : t + 200, c] * whole[t, c, f] for t in range(3) for c in range(4))
            + (1, -2)[f]
            for f in range(2)
        ],
        axis=-1,
    )
    expected = np.repeat(np.maximum(sums[:, :, ::2], sums[:, :, 1::2]), 2, axis=2)
    wrong = int((arrived != X).sum()) if arrived.shape == X.shape else X.size
    wrong += int((made != expected).sum()) if made.shape == expected.shape else expected.size
    total = X.size + expected.size
    printed = "".join(each.text for each in recorded.manifest.output)
    shown = f"x[3, 1, 10, 2] = {X[2, 0, 9, 1]:g}  made[3, 1, 10, 2] = {expected[2, 0, 9, 1]:g}"
    return Evidence(
        wrong == 0 and shown in printed,
        f"{wrong} of {total:,} elements of a (24, 1, 200, 4) array, and of what a convolution, "
        f"pooling and upsampling make of it, are not where they should be; R itself "
        f"{'prints' if shown in printed else 'does not print'} {shown.replace('  ', ' and ')}",
        number=wrong,
    )


@claim(
    "A model that is written as a pipe makes its layers in the order in which they are written.",
    said_by="ours",
)
def pipe_in_order(recorded: Capsule) -> Evidence:
    probe_ = next(each for each in recorded.manifest.probes if each.kind == "fit" and each.curves)
    layers = recorded.manifest.states[probe_.state or 0].layers
    names = [layer.name for layer in layers if layer.cls.endswith("Conv2D")]
    numbers = [int(name.rpartition("_")[2]) if "_" in name else 0 for name in names]
    in_order = numbers == sorted(numbers)
    shapes = [(1, 3, 4, 64), (1, 3, 64, 32)]
    first = []
    for order in (shapes, shapes[::-1]):
        keras.utils.set_random_seed(1)
        drawn = {shape: keras.initializers.GlorotUniform()(shape).numpy() for shape in order}
        first.append(drawn[shapes[0]])
    parted = int((first[0] != first[1]).sum())
    text = f"from the first layer to the last R's are called {', '.join(names)}"
    if in_order:
        return Evidence(True, text)
    return Evidence(
        False,
        f"{text}: R's pipe is lazy and makes the last layer first, so that from one seed for all "
        f"layers R and Python begin with other weights ({parted} of {first[0].size} of the first "
        "kernel); the script gives every layer a seed of its own",
        number=parted,
    )


@picture(
    "The losses and the floor of a sigmoid",
    alt="Mean absolute error by epoch: with a sigmoid it lies on the dashed floor; with relu, and "
    "with a sigmoid on scaled data, it falls far below.",
)
def picture_of_the_losses(recorded: Capsule) -> Any:
    from matplotlib.figure import Figure

    runs = from_r(recorded)
    figure = Figure(figsize=(6, 3), layout="constrained")
    ax = figure.subplots()
    epochs = np.arange(1, EPOCHS + 1)
    for name, factor, colour, label in (
        ("sigmoid", 1, "#111111", "sigmoid at the end"),
        ("relu", 1, "#d7191c", "relu at the end"),
        ("scaled", 255, "#1f5fd0", "sigmoid, data scaled to 0..1 (times 255)"),
    ):
        ax.plot(epochs, factor * runs[name].losses, color=colour, label=label)
    ax.axhline(FLOOR, color="#666666", linestyle="--", label="mean |x - clip(x, 0, 1)|")
    ax.set(xlabel="epoch", ylabel="mean absolute error", ylim=(0, None))
    ax.set_xticks(range(0, EPOCHS + 1, 5))
    figure.legend(frameon=False, loc="outside upper center", ncols=2)
    return figure


@picture(
    "One signal, and what the networks make of it",
    alt="A triangular wave from 0 to 255. The network with a sigmoid stays at 1, flat on the "
    "axis; the one with relu follows the wave.",
)
def picture_of_a_signal(recorded: Capsule) -> Any:
    from matplotlib.figure import Figure

    runs = from_r(recorded)
    figure = Figure(figsize=(6, 2.6), layout="constrained")
    ax = figure.subplots()
    steps = np.arange(1, 201)
    ax.plot(steps, X[0, 0, :, 1], color="#999999", linewidth=5, alpha=0.4, label="signal")
    for name, colour, label in (("sigmoid", "#111111", "sigmoid"), ("relu", "#d7191c", "relu")):
        ax.plot(steps, runs[name].predicted[0, 0, :, 1], color=colour, label=label)
    ax.set(xlabel="step", ylabel="value, channel 2")
    figure.legend(frameon=False, loc="outside upper center", ncols=3)
    return figure
