"""What scripts are put together from: data, layers, and the ways in which people write them.

A :class:`Plan` says what a script computes, a :class:`Style` how it is written down; the fault and
its twin are two plans in one style. All is drawn from a :class:`Draw`, so that a seed gives the
same scripts everywhere.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

T = TypeVar("T")

#: What a script does, one after another; all else among the steps is a line of R as it stands.
BUILD: Final = "@build"
COMPILE: Final = "@compile"
FIT: Final = "@fit"
#: In a layer's text: where its input goes, in place of the first argument.
INNER: Final = "{}"


@dataclass(frozen=True)
class Style:
    """How a script is written: the package, the pipe, and how a model is put together."""

    generation: int
    pipe: str
    form: str
    named: bool
    seeded: bool
    model: str
    about: str


@dataclass(frozen=True)
class Plan:
    """What a script computes.

    ``layers`` are calls without their model, ``shape`` is R's text of the shape of one row. Where
    ``batch`` is given, that many rows are the fixed size of a batch.
    """

    data: tuple[str, ...]
    shape: str
    layers: tuple[str, ...]
    loss: str
    x: str
    y: str
    optimizer: str = "optimizer_adam(learning_rate = 0.01)"
    metrics: str = ""
    fit: Mapping[str, str] = field(default_factory=dict)
    steps: tuple[str, ...] = (BUILD, COMPILE, FIT)
    end: tuple[str, ...] = ()
    batch: int = 0

    def but(self, **changed: object) -> Plan:
        """Return the plan with fields changed."""
        return replace(self, **changed)  # type: ignore[arg-type]

    def last(self, *layers: str) -> Plan:
        """Return the plan with other layers in place of the last."""
        return self.but(layers=(*self.layers[:-1], *layers))

    def fitted(self, **arguments: str) -> Plan:
        """Return the plan with other arguments of fit; those that are empty are left out."""
        kept = {name: text for name, text in (dict(self.fit) | arguments).items() if text}
        return self.but(fit=kept)


class Draw:
    """What is drawn from a seed for one pair of scripts."""

    def __init__(self, *seed: object) -> None:
        self.random = random.Random(" ".join(map(str, seed)))
        self.style = Style(
            generation=self.pick(2, 3),
            pipe=self.pick("%>%", "%>%", "|>", "|>"),
            form=self.pick("sequential", "sequential", "in place", "functional", "nested"),
            named=self.chance(0.5),
            seeded=self.chance(0.7),
            model=self.pick("model", "model", "model", "net", "nn", "m"),
            about=self.pick(*_ABOUT),
        )
        self.x = self.pick("x", "x", "X", "features", "inputs", "x_train")
        self.y = self.pick("y", "y", "target", "labels", "y_train")
        self.model = self.style.model

    def pick(self, *items: T) -> T:
        """Return one of several."""
        return items[self.random.randrange(len(items))]

    def whole(self, low: int, high: int) -> int:
        """Return a whole number between two, both included."""
        return self.random.randint(low, high)

    def chance(self, share: float) -> bool:
        """Return True in this share of cases."""
        return self.random.random() < share

    def ask(self) -> tuple[str, ...]:
        """Return the line that prints what the model predicts for the first rows."""
        return (f"print(head(predict({self.model}, {self.x}, verbose = 0)))",)

    def on_the_same_style(self, **changed: object) -> None:
        """Change what is drawn of the style, where a fault needs it."""
        self.style = replace(self.style, **changed)  # type: ignore[arg-type]


_ABOUT: Final = (
    "A small network on data that are made here.",
    "Which of the customers leave?",
    "A first look at the measurements of March.",
    "Quality of parts from two lines.",
    "Example for the seminar.",
    "Sensors in the cellar",
    "TODO: try more units",
    "",
)


def table(d: Draw, columns: int = 0) -> tuple[tuple[str, ...], int]:
    """Return lines that make a matrix of measurements of about unit size, and its columns."""
    p = columns or d.whole(3, 6)
    names = d.pick(("a", "b", "c", "d", "e", "f"), ("age", "size", "dose", "temp", "flow", "ph"))
    drawn = d.pick("rnorm(n)", "runif(n, -1.5, 1.5)")
    many = drawn.replace("(n", f"(n * {p}")
    listed = ", ".join(f"{name} = {drawn}" for name in names[:p])
    made: Sequence[str] = d.pick(
        [f"{d.x} <- matrix({many}, n)"],
        [f"{d.x} <- matrix({many}, ncol = {p})"],
        [f"{d.x} <- matrix({many}, nrow = n, ncol = {p})"],
        [f"{d.x} <- array({many}, dim = c(n, {p}))"],
        [f"{d.x} <- replicate({p}, {drawn})"],
        [f"{d.x} <- sapply(1:{p}, function(i) {drawn})"],
        [f"{d.x} <- cbind({listed})"],
        [f"df <- data.frame({listed})", f"{d.x} <- as.matrix(df)"],
        [f"raw <- matrix(rexp(n * {p}, 0.1), n)", f"{d.x} <- scale(raw)"],
    )
    return (f"n <- {d.whole(15, 30) * 10}", *made), p


def score(d: Draw) -> str:
    """Return R's text of a number for each row, from its first columns: about zero."""
    x = d.x
    return d.pick(
        f"{x}[, 1] + {x}[, 2]",
        f"{x}[, 1] - {x}[, 3]",
        f"{x}[, 1] - 0.5 * {x}[, 2] + {x}[, 3]",
        f"rowSums({x}[, 1:3])",
        f"as.vector({x}[, 1:2] %*% c(1, -1))",
        f"{x}[, 2] + sin({x}[, 1])",
    )


def hidden(d: Draw, most: int = 2) -> tuple[str, ...]:
    """Return hidden layers that can bend."""
    layers: list[str] = []
    for _ in range(d.whole(1, most)):
        units, name = d.whole(3, 8) * 2, d.pick("relu", "relu", "relu", "tanh", "elu")
        layers += dense(d, units, name, apart=d.chance(0.2))
    return tuple(layers)


def dense(
    d: Draw, units: int, activation: str = "", more: str = "", apart: bool = False
) -> list[str]:
    """Return a dense layer as people write it; its activation may be a layer of its own."""
    size = d.pick(f"units = {units}", f"{units}")
    rest = f", {more}" if more else ""
    if not activation:
        return [f"layer_dense({size}{rest})"]
    if apart:
        layer = d.pick(
            f'layer_activation("{activation}")', f'layer_activation(activation = "{activation}")'
        )
        return [f"layer_dense({size}{rest})", layer]
    return [f'layer_dense({size}, activation = "{activation}"{rest})']


def given(layer: str, argument: str) -> str:
    """Return a layer's call with one more argument."""
    return f"{layer[:-1]}, {argument})"


def _fit(d: Draw) -> dict[str, str]:
    size = d.pick({}, {"batch_size": "16"}, {"batch_size": "20"})
    return {"epochs": str(d.pick(25, 30, 40)), **size, "verbose": "0"}


def _optimizer(d: Draw) -> str:
    return d.pick(
        "optimizer_adam(learning_rate = 0.01)",
        "optimizer_adam(0.01)",
        "optimizer_adam(learning_rate = 0.02)",
        "optimizer_rmsprop(learning_rate = 0.01)",
        "optimizer_sgd(learning_rate = 0.1, momentum = 0.9)",
    )


def _accuracy(d: Draw) -> str:
    return d.pick('"accuracy"', '"accuracy"', 'c("accuracy")', 'list("accuracy")', "")


def binary(d: Draw, columns: int = 0) -> Plan:
    """Return a plan for yes or no: one sigmoid unit."""
    lines, p = table(d, columns)
    s = score(d)
    made = d.pick(
        f"as.numeric({s} > 0)",
        f"ifelse({s} > 0, 1, 0)",
        f"as.integer({s} + rnorm(n, sd = 0.3) > 0)",
        f"1 * ({s} > 0)",
        f"rbinom(n, 1, plogis(3 * ({s})))",
    )
    layers = (*hidden(d), *dense(d, 1, "sigmoid"))
    loss = d.pick('"binary_crossentropy"', '"binary_crossentropy"', "loss_binary_crossentropy()")
    return Plan(
        (*lines, f"{d.y} <- {made}"),
        str(p),
        layers,
        loss,
        d.x,
        d.y,
        _optimizer(d),
        _accuracy(d),
        _fit(d),
        end=_asked(d, "binary"),
    )


def classes(d: Draw, form: str = "", k: int = 0) -> tuple[Plan, int]:
    """Return a plan for exclusive classes, and how many: softmax, one-hot or whole numbers.

    ``form`` is "one-hot" or "sparse". The variable ``cls`` counts from 1.
    """
    form = form or d.pick("one-hot", "sparse")
    if k in (0, 3) and d.chance(0.25):
        k, p = 3, 4
        lines: tuple[str, ...] = (
            "n <- nrow(iris)",
            "df <- iris[sample(n), ]",
            f"{d.x} <- scale(as.matrix(df[, 1:4]))",
            "cls <- as.integer(df$Species)",
        )
    else:
        k = k or d.whole(3, 4)
        lines, p = table(d, d.whole(4, 6))
        lines += (
            d.pick(
                f"cls <- max.col({d.x}[, 1:{k}])",
                f"cls <- apply({d.x}[, 1:{k}], 1, which.max)",
                f"cls <- as.integer(cut(rank({score(d)}), {k}))",
            ),
        )
    if form == "one-hot":
        labels = d.pick(
            f"to_categorical(cls - 1, {k})", "to_categorical(cls - 1)", f"diag({k})[cls, ]"
        )
        loss = '"categorical_crossentropy"'
    else:
        labels = d.pick("cls - 1", "cls - 1L", "as.integer(cls) - 1L")
        loss = '"sparse_categorical_crossentropy"'
    plan = Plan(
        (*lines, f"{d.y} <- {labels}"),
        str(p),
        (*hidden(d), *dense(d, k, "softmax")),
        loss,
        d.x,
        d.y,
        _optimizer(d),
        _accuracy(d),
        _fit(d),
        end=_asked(d, "classes"),
    )
    return plan, k


def measured(d: Draw, columns: int = 0) -> Plan:
    """Return a plan for a number about zero: one linear unit."""
    lines, p = table(d, columns)
    noise = d.pick("rnorm(n, sd = 0.1)", "rnorm(n) / 10", "rnorm(n, 0, 0.2)")
    layers = (*hidden(d), *dense(d, 1))
    loss = d.pick('"mse"', '"mse"', '"mean_squared_error"', '"mae"')
    metrics = d.pick("", "", '"mae"')
    return Plan(
        (*lines, f"{d.y} <- {score(d)} + {noise}"),
        str(p),
        layers,
        loss,
        d.x,
        d.y,
        _optimizer(d),
        metrics,
        _fit(d),
        end=_asked(d, "measured"),
    )


def own(
    d: Draw,
    data: tuple[str, ...],
    shape: str,
    layers: tuple[str, ...],
    epochs: int,
    loss: str = '"binary_crossentropy"',
) -> Plan:
    """Return a plan for data of another shape than a table."""
    fit = {"epochs": str(epochs), "verbose": "0"}
    return Plan(data, shape, layers, loss, d.x, d.y, fit=fit, end=d.ask())


def series(d: Draw, steps: int = 0, variables: int = 1) -> tuple[tuple[str, ...], int]:
    """Return lines that make series of so many steps, and the number of steps."""
    steps = steps or d.whole(4, 7) * 2
    made = d.pick(
        f"{d.x} <- array(rnorm(n * {steps * variables}), c(n, {steps}, {variables}))",
        f"{d.x} <- array(runif(n * {steps * variables}, -1, 1), dim = c(n, {steps}, {variables}))",
    )
    return (f"n <- {d.whole(12, 20) * 10}", made), steps


def words(d: Draw, length: int = 0, padded: bool = False) -> tuple[tuple[str, ...], int, int]:
    """Return lines that make rows of word numbers, padded with 0 or not; words, and length."""
    vocabulary, length = d.whole(10, 20), length or d.whole(5, 8)
    low = 1 if padded else 0
    lines = [
        f"n <- {d.whole(12, 20) * 10}",
        f"{d.x} <- matrix(sample({low}:{vocabulary - 1}, n * {length}, replace = TRUE), n)",
    ]
    if padded:
        lines.append(f"for (i in 1:n) {d.x}[i, seq_len(sample(0:{length - 3}, 1))] <- 0")
    return tuple(lines), vocabulary, length


def _asked(d: Draw, task: str) -> tuple[str, ...]:
    """Return lines that ask a trained model."""
    predicted = f"predict({d.model}, {d.x}, verbose = 0)"
    if d.chance(0.3):
        predicted = f"({d.model} {d.style.pipe} predict({d.x}, verbose = 0))"
    first = f"print(head({predicted}))"
    loss = f"print(evaluate({d.model}, {d.x}, {d.y}, verbose = 0))"
    if task == "classes":
        return d.pick(
            (first,),
            (f"p <- {predicted}", "print(table(max.col(p), cls))"),
            (
                f"p <- {predicted}",
                'cat("right:", mean(max.col(p) == cls), "\\n")',
                "print(round(p[1:5, ], 3))",
            ),
        )
    if task == "binary":
        return d.pick(
            (first,),
            (loss, first),
            (
                f"p <- {predicted}",
                f'cat("right:", mean((p[, 1] > 0.5) == {d.y}), "\\n")',
                "print(range(p))",
            ),
        )
    return d.pick(
        (first,),
        (loss, first),
        (
            f"p <- {predicted}[, 1]",
            f'cat("error:", mean((p - {d.y})^2), "\\n")',
            "print(summary(p))",
        ),
    )


def write(style: Style, plan: Plan) -> str:
    """Return the script's text."""
    library = "keras" if style.generation == 2 else "keras3"
    lines = [f"# {style.about}"] if style.about else []
    lines += [f"library({library})", ""]
    if style.seeded:
        keras_seed = "tensorflow::set_random_seed" if style.generation == 2 else "set_random_seed"
        lines += ["set.seed(7)", f"{keras_seed}(7)"]
    else:
        lines += ["set.seed(42)"]
    lines += [*plan.data, ""]
    made: Mapping[str, Callable[[Style, Plan], list[str]]] = {
        BUILD: _build,
        COMPILE: _compile,
        FIT: _train,
    }
    for step in plan.steps:
        lines += made[step](style, plan) if step in made else [step]
    return "\n".join([*lines, "", *plan.end, ""])


def _build(style: Style, plan: Plan) -> list[str]:
    form = style.form
    first = plan.layers[0].partition("(")[0]
    # These have no argument input_shape in R.
    bare = ("layer_average_pooling_1d", "layer_layer_normalization")
    if plan.batch or any(INNER in layer for layer in plan.layers) or first in bare:
        form = "functional"
    if form == "functional" or form == "nested":
        return _functional(style, plan, form == "nested")
    layers = list(plan.layers)
    model, first = style.model, "keras_model_sequential()"
    if style.generation == 3:
        first = f"keras_model_sequential(input_shape = {_shape(plan)})"
    else:
        # A table's input has a length, all others' a shape.
        name = "input_length" if "layer_embedding" in layers[0] else "input_shape"
        joined = "" if layers[0].endswith("()") else ", "
        layers[0] = f"{layers[0][:-1]}{joined}{name} = {_shape(plan)})"
    pipe = f" {style.pipe}\n  "
    if form == "in place":
        return [f"{model} <- {first}", f"{model} {style.pipe}\n  {pipe.join(layers)}"]
    return [f"{model} <- {first}{pipe}{pipe.join(layers)}"]


def _shape(plan: Plan) -> str:
    return f"c({plan.shape})" if "," in plan.shape else plan.shape


def _functional(style: Style, plan: Plan, nested: bool) -> list[str]:
    shape = (
        f"batch_shape = c({plan.batch}, {plan.shape})" if plan.batch else f"shape = {_shape(plan)}"
    )
    lines = [f"input <- layer_input({shape})"]
    inner = "input"
    stepwise = any(INNER in layer for layer in plan.layers)
    if nested and len(plan.layers) <= 4:
        for layer in plan.layers:
            inner = _around(layer, inner)
        lines.append(f"output <- {inner}")
    elif nested or stepwise:
        for number, layer in enumerate(plan.layers, start=1):
            name = "output" if number == len(plan.layers) else "h"
            lines.append(f"{name} <- {_around(layer, inner)}")
            inner = name
    else:
        pipe = f" {style.pipe}\n  "
        lines.append(f"output <- input{pipe}{pipe.join(plan.layers)}")
    made = (
        "keras_model(input, output)"
        if style.named
        else "keras_model(inputs = input, outputs = output)"
    )
    return [*lines, f"{style.model} <- {made}"]


def _around(layer: str, inner: str) -> str:
    if INNER in layer:
        return layer.replace(INNER, inner)
    name, _, rest = layer.partition("(")
    return f"{name}({inner}{')' if rest == ')' else ', ' + rest}"


def _compile(style: Style, plan: Plan) -> list[str]:
    parts = [f"optimizer = {plan.optimizer}", f"loss = {plan.loss}"]
    if not style.named:
        parts.reverse()
    if plan.metrics:
        parts.append(f"metrics = {plan.metrics}")
    broken = len(", ".join(parts)) > 70
    listed = "\n  " + ",\n  ".join(parts) + "\n" if broken else ", ".join(parts)
    return [f"{style.model} {style.pipe} compile({listed})"]


def _train(style: Style, plan: Plan) -> list[str]:
    arguments = ", ".join(f"{name} = {text}" for name, text in plan.fit.items())
    call = f"fit({plan.x}, {plan.y}, {arguments})"
    if style.form == "nested":
        return [f"fit({style.model}, {call[4:]}"]
    return [f"{'history <- ' if style.named else ''}{style.model} {style.pipe} {call}"]
