"""The kinds of fault: for each, a function that makes the faulty plan and the mended one.

They follow the catalogue of what surprises people although R and Python agree; where one fault is
rightly called by more than one name, all of them are accepted, the kind's own first.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from benchmarks.rules.pieces import (
    BUILD,
    COMPILE,
    FIT,
    INNER,
    Draw,
    Plan,
    binary,
    classes,
    dense,
    given,
    hidden,
    measured,
    own,
    series,
    table,
    words,
    write,
)

Pair = tuple[Plan, Plan]
Maker = Callable[[Draw], Pair]


@dataclass(frozen=True)
class Kind:
    """A kind of fault: its code, the codes that name it rightly, and what plants it."""

    code: str
    accepted: tuple[str, ...]
    make: Maker


KINDS: Final[dict[str, Kind]] = {}


def _kind(code: str, *others: str) -> Callable[[Maker], Maker]:
    def add(make: Maker) -> Maker:
        KINDS[code] = Kind(code, (code, *others), make)
        return make

    return add


def scripts(code: str, seed: int, number: int) -> tuple[str, str]:
    """Return the faulty script and its twin, as text."""
    draw = Draw(seed, code, number)
    fault, twin = KINDS[code].make(draw)
    return write(draw.style, fault), write(draw.style, twin)


# --- the last layer and the loss ---------------------------------------------------------------


@_kind("L01")
def _softmax_over_one(d: Draw) -> Pair:
    good = binary(d)
    return good.last(*dense(d, 1, "softmax", apart=d.chance(0.3))), good


@_kind("L02")
def _sigmoid_for_classes(d: Draw) -> Pair:
    good, k = classes(d, "one-hot")
    return good.last(*dense(d, k, "sigmoid")), good


@_kind("L03")
def _relu_before_loss(d: Draw) -> Pair:
    if d.chance(0.5):
        good = binary(d)
        return good.last(*dense(d, 1, "relu")), good
    good, k = classes(d)
    return good.last(*dense(d, k, "relu")), good


@_kind("L04")
def _logits_for_probabilities(d: Draw) -> Pair:
    good, k = (binary(d), 1) if d.chance(0.5) else classes(d)
    bad = good.last(*dense(d, k))
    if d.chance(0.4) and good.loss.startswith('"'):
        right = f"loss_{good.loss.strip(chr(34))}(from_logits = TRUE)"
        ask = f"print(head(predict({d.model}, {d.x}, verbose = 0)))"
        return bad.but(metrics="", end=(ask,)), bad.but(loss=right, metrics="", end=(ask,))
    return bad, good


@_kind("L05")
def _activation_twice(d: Draw) -> Pair:
    good, k = (binary(d), 1) if d.chance(0.4) else classes(d)
    name = "sigmoid" if k == 1 else "softmax"
    if d.chance(0.4) and good.loss.startswith('"'):
        return good.but(loss=f"loss_{good.loss.strip(chr(34))}(from_logits = TRUE)"), good
    return good.but(layers=(*good.layers, f'layer_activation(activation = "{name}")')), good


@_kind("L06")
def _targets_out_of_range(d: Draw) -> Pair:
    good = measured(d)
    name, change = d.pick(
        ("sigmoid", f"{d.y} <- 3 * {d.y}"),
        ("tanh", f"{d.y} <- {d.y} * 4 + 2"),
        ("relu", f"{d.y} <- {d.y} * 2"),
        ("sigmoid", f"{d.y} <- 5 + {d.y}"),
    )
    good = good.but(data=(*good.data, change)).fitted(epochs="60")
    return good.last(*dense(d, 1, name)), good


@_kind("L07", "D04")
def _labels_outside_loss(d: Draw) -> Pair:
    good = binary(d)
    if d.chance(0.3):
        counts = f"{d.y} <- rpois(n, exp(0.5 * {d.x}[, 1]))"
        good = good.but(
            data=(*good.data[:-1], counts),
            loss=d.pick('"poisson"', "loss_poisson()"),
            metrics="",
            end=d.ask(),
        ).last(*dense(d, 1, d.pick("exponential", "softplus")))
        return good.but(data=(*good.data, f"{d.y} <- {d.y} - mean({d.y})")), good
    change = d.pick(
        f"{d.y} <- 2 * {d.y} - 1",
        f"{d.y} <- as.integer(factor({d.y}))",
        f"{d.y} <- {d.y} + 1",
        f"{d.y} <- ifelse({d.y} == 1, 1, -1)",
        f"{d.y} <- 100 * {d.y}",
    )
    return good.but(data=(*good.data, change)), good


@_kind("L08", "L07", "L01")
def _one_output_for_classes(d: Draw) -> Pair:
    if d.chance(0.35):
        good = binary(d).but(loss='"binary_crossentropy"')
        return good.but(loss='"categorical_crossentropy"'), good
    good, _k = classes(d, "sparse")
    name, loss = d.pick(
        ("sigmoid", '"binary_crossentropy"'),
        ("sigmoid", '"binary_crossentropy"'),
        ("softmax", '"categorical_crossentropy"'),
        ("softmax", '"binary_crossentropy"'),
    )
    ask = (f"p <- predict({d.model}, {d.x}, verbose = 0)", "print(head(p))", "print(table(cls))")
    good = good.but(end=ask)
    return good.last(*dense(d, 1, name)).but(loss=loss), good


@_kind("L09")
def _labels_in_another_form(d: Draw) -> Pair:
    if d.chance(0.35):
        good = measured(d)
        both = f"{d.y} <- cbind({d.y}, {d.x}[, 3] - {d.x}[, 1])"
        asked = d.ask()
        two = good.but(data=(*good.data, both), end=asked)
        return two, two.last(*dense(d, 2))
    form = d.pick("one-hot", "sparse")
    good, _k = classes(d, form)
    other = "categorical_crossentropy" if form == "sparse" else "sparse_categorical_crossentropy"
    return good.but(loss=f'"{other}"'), good


@_kind("L10")
def _accuracy_of_another_question(d: Draw) -> Pair:
    which = d.whole(0, 2)
    if which == 0:
        good, _k = classes(d, "one-hot")
        bad = d.pick('"binary_accuracy"', "metric_binary_accuracy()")
        right = '"accuracy"'
    elif which == 1:
        good = binary(d).but(loss="loss_binary_crossentropy(from_logits = TRUE)").last(*dense(d, 1))
        bad, right = '"accuracy"', "metric_binary_accuracy(threshold = 0)"
    else:
        good = binary(d)
        bad, right = '"categorical_accuracy"', '"accuracy"'
    ask = (f"print(evaluate({d.model}, {d.x}, {d.y}, verbose = 0))",)
    return good.but(metrics=bad, end=ask), good.but(metrics=right, end=ask)


@_kind("L11")
def _accuracy_of_measurements(d: Draw) -> Pair:
    good = measured(d).but(metrics='"mae"')
    ask = (f"print(evaluate({d.model}, {d.x}, {d.y}, verbose = 0))",)
    return good.but(
        metrics=d.pick('"accuracy"', 'c("accuracy")', 'list("accuracy")'), end=ask
    ), good.but(end=ask)


@_kind("L12")
def _dropout_on_logits(d: Draw) -> Pair:
    good, k = classes(d)
    drop = f"layer_dropout({d.pick('rate = ', '')}{d.pick(0.2, 0.3, 0.5)})"
    start, end = good.layers[:-1], dense(d, k, "softmax", apart=True)
    return good.but(layers=(*start, end[0], drop, end[1])), good.but(layers=(*start, drop, *end))


@_kind("L13")
def _squares_of_probabilities(d: Draw) -> Pair:
    good = binary(d)
    rare = f"{d.y} <- as.numeric({d.x}[, 1] + {d.x}[, 2] > {d.pick(2.0, 2.2)})"
    good = good.but(data=(*good.data[:-1], rare))
    rate = d.pick("optimizer_sgd(learning_rate = 0.02)", "optimizer_sgd(0.02)")
    good = good.but(optimizer=rate).fitted(epochs="50", batch_size="10")
    bad = d.pick('"mse"', '"mean_squared_error"', "loss_mean_squared_error()")
    return good.but(loss=bad), good


@_kind("L14")
def _percentage_of_zero(d: Draw) -> Pair:
    good = measured(d)
    counts = d.pick(
        f"{d.y} <- rpois(n, exp(0.4 * {d.x}[, 1]))",
        f"{d.y} <- pmax({d.y}, 0)",
        f"{d.y} <- round(abs({d.y}))",
    )
    good = good.but(data=(*good.data, counts), metrics="", loss=d.pick('"mae"', '"mse"'))
    return good.but(loss=d.pick('"mape"', '"mean_absolute_percentage_error"')), good


# --- structure -----------------------------------------------------------------------------------


@_kind("M01")
def _no_non_linearity(d: Draw) -> Pair:
    good = measured(d).but(loss=d.pick('"mse"', '"mean_squared_error"'))
    x, units = d.x, d.whole(4, 10) * 2
    bent = d.pick(f"{x}[, 1]^2 - {x}[, 2]", f"abs({x}[, 1]) + {x}[, 2]", f"{x}[, 1] * {x}[, 2]")
    more = d.whole(1, 2)
    sizes = [units + 4 * each for each in range(more, 0, -1)]
    flat = [layer for size in sizes for layer in dense(d, size)]
    bend = [layer for size in sizes for layer in dense(d, size, "relu")]
    good = good.but(data=(*good.data, f"{d.y} <- {bent}"), layers=(*bend, good.layers[-1]))
    good = good.but(optimizer=d.pick("optimizer_adam(0.01)", "optimizer_rmsprop(0.005)"))
    return good.but(layers=(*flat, good.layers[-1])), good


@_kind("M02")
def _dead_units(d: Draw) -> Pair:
    good = d.pick(binary, measured)(d)
    units = d.whole(3, 8) * 2
    below = d.pick(
        "bias_initializer = initializer_constant(-20)",
        "bias_initializer = initializer_constant(-50)",
        "kernel_initializer = initializer_random_uniform(-1, -0.1)",
    )
    made = [*good.data]
    if below.startswith("kernel"):
        made.insert(len(made) - 1, f"{d.x} <- {d.x} - min({d.x})")
    good = good.but(data=tuple(made))
    start = dense(d, units, "relu")[0]
    return (
        good.but(layers=(given(start, below), good.layers[-1])),
        good.but(layers=(start, good.layers[-1])),
    )


@_kind("M03")
def _signal_vanishes(d: Draw) -> Pair:
    good = binary(d)
    units, depth = d.whole(4, 6) * 2, d.whole(8, 12)
    deep = dense(d, units, "sigmoid") * depth
    mended = dense(d, units, "relu", 'kernel_initializer = "he_normal"') * 3
    good = good.but(optimizer="optimizer_sgd(learning_rate = 0.1)").fitted(epochs="20")
    if d.style.form == "nested":
        d.on_the_same_style(form="sequential")
    return good.but(layers=(*deep, good.layers[-1])), good.but(layers=(*mended, good.layers[-1]))


@_kind("M04")
def _frozen_and_free(d: Draw) -> Pair:
    good = binary(d)
    good = good.but(layers=(*dense(d, 8, "relu"), *dense(d, 6, "relu"), good.layers[-1]))
    m, first = d.model, 1 if d.style.form in ("sequential", "in place") else 2
    switch = d.pick(
        f"{m}$layers[[{first}]]$trainable <- FALSE", f"freeze_weights({m}, to = {first + 1})"
    )
    if d.chance(0.3):
        off, on = f"freeze_weights({m}, to = {first})", f"unfreeze_weights({m})"
        before = (BUILD, off, COMPILE, FIT)
        return (
            good.but(steps=(BUILD, off, COMPILE, FIT, on, FIT)),
            good.but(steps=(*before, on, COMPILE, FIT)),
        )
    compare = f'cat("moved:", max(abs(get_weights({m})[[1]] - before)), "\\n")'
    again = (f"before <- get_weights({m})[[1]]", FIT, compare)
    return (
        good.but(
            steps=(BUILD, COMPILE, FIT, "# the first layers stay as they are", switch, *again)
        ),
        good.but(
            steps=(
                BUILD,
                COMPILE,
                FIT,
                "# the first layers stay as they are",
                switch,
                COMPILE,
                *again,
            )
        ),
    )


@_kind("M05")
def _normalises_the_wrong_axis(d: Draw) -> Pair:
    size, units = d.whole(6, 8), d.whole(2, 4) * 2
    if d.chance(0.6):
        d.on_the_same_style(generation=2)
        channels = d.pick(1, 3)
        data = (
            f"n <- {d.whole(8, 14) * 10}",
            f"{d.x} <- array(runif(n * {size**2 * channels}), c(n, {size}, {size}, {channels}))",
            f"{d.y} <- rep(0:1, length.out = n)",
            f"{d.x}[{d.y} == 1, 1:3, , ] <- {d.x}[{d.y} == 1, 1:3, , ] + 0.5",
        )
        conv = f'layer_conv_2d(filters = {units}, kernel_size = 3, activation = "relu")'
        start, end = (conv,), ("layer_flatten()", *dense(d, 1, "sigmoid"))
        shape, wrong, right = (
            f"{size}, {size}, {channels}",
            "layer_batch_normalization(axis = 2)",
            "layer_batch_normalization()",
        )
        bad, good = (*start, wrong, *end), (*start, right, *end)
    else:
        made, steps = series(d)
        data = (*made, f"{d.y} <- as.numeric(rowSums({d.x}[, 1:2, 1]) > 0)")
        flat, norm, shape = "layer_flatten()", "layer_layer_normalization()", f"{steps}, 1"
        end = (*dense(d, 8, "relu"), *dense(d, 1, "sigmoid"))
        bad, good = (norm, flat, *end), (flat, norm, *end)
    plan = own(d, data, shape, bad, 15)
    return plan, plan.but(layers=good)


@_kind("M06")
def _index_of_a_table(d: Draw) -> Pair:
    data, vocabulary, length = words(d)
    y = f"{d.y} <- as.numeric(rowMeans({d.x}) > {(vocabulary - 1) / 2})"
    layers = (
        f"layer_embedding(input_dim = {vocabulary}, output_dim = {d.whole(2, 4) * 2})",
        "layer_flatten()",
        *dense(d, 1, "sigmoid"),
    )
    plan = own(d, (*data, y), str(length), layers, 30)
    change = d.pick(
        f"{d.x} <- {d.x} / {vocabulary}",
        f"{d.x} <- {d.x} / max({d.x} + 1)",
        f"{d.x} <- ({d.x} - min({d.x})) / {vocabulary}",
        f"{d.x} <- {d.x} / 2",
    )
    return plan.but(data=(*plan.data, change)), plan


@_kind("M07")
def _input_does_not_matter(d: Draw) -> Pair:
    data, steps = series(d)
    y = f"{d.y} <- as.numeric(rowMeans({d.x}[, , 1]) > 0)"
    skip, right = d.pick(
        (
            "layer_conv_1d(filters = 6, kernel_size = 1, strides = 2)",
            "layer_conv_1d(filters = 6, kernel_size = 2, strides = 2)",
        ),
        (
            'layer_conv_1d(4, 2, strides = 3, activation = "relu")',
            'layer_conv_1d(4, 2, strides = 2, activation = "relu")',
        ),
        (
            "layer_average_pooling_1d(pool_size = 1, strides = 2)",
            "layer_average_pooling_1d(pool_size = 2, strides = 2)",
        ),
    )
    end = ("layer_flatten()", *dense(d, 6, "relu"), *dense(d, 1, "sigmoid"))
    plan = own(d, (*data, y), f"{steps}, 1", (right, *end), 25)
    return plan.but(layers=(skip, *end)), plan


@_kind("M08")
def _units_never_part(d: Draw) -> Pair:
    good = d.pick(binary, measured)(d)
    same = d.pick(
        'kernel_initializer = "zeros"',
        'kernel_initializer = "ones"',
        "kernel_initializer = initializer_constant(0.1)",
        "kernel_initializer = initializer_constant(0.05)",
    )
    name = "sigmoid" if "zeros" in same else d.pick("relu", "tanh", "sigmoid")
    start, end = dense(d, d.whole(3, 8) * 2, name)[0], good.layers[-1]
    return good.but(layers=(given(start, same), given(end, same))), good.but(layers=(start, end))


@_kind("M09")
def _mask_lost(d: Draw) -> Pair:
    data, vocabulary, length = words(d, padded=True)
    y = f"{d.y} <- as.numeric(rowSums({d.x} > {vocabulary // 2}) > rowSums({d.x} > 0) / 2)"
    size = d.whole(2, 4) * 2
    table_of = f"layer_embedding(input_dim = {vocabulary}, output_dim = {size}, mask_zero = TRUE)"
    lost, kept = d.pick(
        (("layer_flatten()",), ("layer_global_average_pooling_1d()",)),
        (
            ('layer_conv_1d(6, 2, activation = "relu")', "layer_global_max_pooling_1d()"),
            ("layer_lstm(units = 6)",),
        ),
        (("layer_global_max_pooling_1d()",), ("layer_gru(units = 6)",)),
        ((f"layer_reshape(c({length}, -1))", "layer_lstm(6)"), ("layer_lstm(6)",)),
    )
    plan = own(d, (*data, y), str(length), (table_of, *kept, *dense(d, 1, "sigmoid")), 15)
    return plan.but(layers=(table_of, *lost, plan.layers[-1])), plan


@_kind("M10")
def _missing_flatten(d: Draw) -> Pair:
    data, steps = series(d, variables=d.pick(1, 2))
    variables = int(data[1].rstrip(")").rpartition(" ")[2])
    y = f"{d.y} <- rowMeans({d.x}[, , 1]) + rnorm(n, sd = 0.05)"
    ask = (f"p <- predict({d.model}, {d.x}, verbose = 0)", "print(dim(p))", "print(head(c(p)))")
    start, end = dense(d, d.whole(3, 6) * 2, "relu"), dense(d, 1)
    plan = own(
        d, (*data, y), f"{steps}, {variables}", ("layer_flatten()", *start, *end), 25, '"mse"'
    ).but(end=ask)
    return plan.but(layers=(*start, *end)), plan


# --- data ----------------------------------------------------------------------------------------


@_kind("D01", "T03")
def _unscaled(d: Draw) -> Pair:
    good = measured(d, 3)
    x = d.x
    columns = d.pick(
        "income = runif(n, 20000, 90000), age = runif(n, 18, 80), rooms = sample(1:6, n, TRUE)",
        "area = rnorm(n, 1200, 300), year = sample(1950:2020, n, TRUE), cost = rnorm(n, 250, 40)",
        "salary = round(rlnorm(n, 10.5, 0.4)), kg = rnorm(n, 75, 12), cm = rnorm(n, 172, 9)",
    )
    z = f"scale({x})"
    y = f"{d.y} <- as.vector({z} %*% c(1, -0.5, 0.3)) + rnorm(n, sd = 0.1)"
    raw = good.but(
        data=(good.data[0], f"{x} <- cbind({columns})", y),
        loss='"mse"',
        optimizer=d.pick(
            "optimizer_sgd(learning_rate = 0.01)", '"sgd"', "optimizer_adam(learning_rate = 0.01)"
        ),
    )
    return raw, raw.but(data=(*raw.data, f"{x} <- scale({x})"))


@_kind("D02")
def _missing_values(d: Draw) -> Pair:
    good = d.pick(binary, measured)(d)
    x, y = d.x, d.y
    which = d.whole(0, 2)
    holes = f"{x}[sample(length({x}), {d.whole(3, 12)})] <- NA"
    if which == 0:
        data = (
            'df <- airquality[, c("Ozone", "Wind", "Temp", "Solar.R")]',
            "n <- nrow(df)",
            f'{x} <- scale(as.matrix(df[, c("Wind", "Temp", "Solar.R")]))',
            f"{y} <- as.vector({x} %*% c(-1, 1, 0.5)) + rnorm(n, sd = 0.1)",
        )
        plan = measured(d).but(data=data, shape="3", end=d.ask())
        return plan, plan.but(
            data=(data[0].replace("airquality", "na.omit(airquality)"), *data[1:])
        )
    if which == 1:
        mended = f"for (j in 1:ncol({x})) {x}[is.na({x}[, j]), j] <- mean({x}[, j], na.rm = TRUE)"
        return good.but(data=(*good.data, holes)), good.but(data=(*good.data, holes, mended))
    gaps = f"{y}[sample(n, {d.whole(2, 6)})] <- NA"
    keep = (f"keep <- !is.na({y})", f"{x} <- {x}[keep, ]", f"{y} <- {y}[keep]")
    good = good.but(data=(*good.data, gaps), end=d.ask())
    return good, good.but(data=(*good.data, *keep))


@_kind("D03")
def _equal_arrays(d: Draw) -> Pair:
    good = d.pick(binary, measured)(d)
    x, y, p = d.x, d.y, int(good.shape)
    which = d.whole(0, 2)
    if which == 0:
        bad = good.but(
            data=(*good.data, f"{x} <- cbind({x}, {d.pick('2024', '1', 'rep(0.5, n)')})"),
            shape=str(p + 1),
        )
        return bad, good.but(data=(*good.data, f"{x} <- cbind({x}, rnorm(n))"), shape=str(p + 1))
    if which == 1:
        bad = good.but(data=(*good.data, f"{x} <- cbind({x}, result = {y})"), shape=str(p + 1))
        return bad, good
    wrong = f'{y} <- as.numeric(ifelse({y} > 0, "Yes", "No") == "yes")'
    good = binary(d)
    right = wrong.replace('"yes"', '"Yes"')
    return good.but(data=(*good.data, wrong)), good.but(data=(*good.data, right))


@_kind("D04", "L07")
def _counted_from_one(d: Draw) -> Pair:
    good, k = classes(d)
    ask = (
        f"p <- predict({d.model}, {d.x}, verbose = 0)",
        "print(dim(p))",
        "print(head(round(p, 3)))",
    )
    good = good.but(end=ask)
    wrong = (
        "to_categorical(cls)"
        if "categorical_crossentropy" in good.loss and "sparse" not in good.loss
        else "cls"
    )
    bad = good.but(data=(*good.data[:-1], f"{d.y} <- {wrong}"))
    return bad.last(*dense(d, k + 1, "softmax")), good


@_kind("D05")
def _sorted_rows(d: Draw) -> Pair:
    x, y = d.x, d.y
    share = d.pick("0.2", "0.3", "0.25")
    if d.chance(0.4):
        data = (
            "df <- iris",
            f"{x} <- scale(as.matrix(df[, 1:4]))",
            f"{y} <- as.integer(df$Species) - 1",
        )
        shuffled = ("df <- iris[sample(nrow(iris)), ]", *data[1:])
        good = Plan(
            shuffled,
            "4",
            (*hidden(d), *dense(d, 3, "softmax")),
            '"sparse_categorical_crossentropy"',
            x,
            y,
            fit={"epochs": "30", "batch_size": "16", "verbose": "0"},
            metrics='"accuracy"',
        )
        bad = good.but(data=data)
    else:
        base, _k = classes(d, "sparse")
        order = d.pick(
            ("o <- order(cls)", f"{x} <- {x}[o, ]", f"{y} <- {y}[o]"),
            (f"{x} <- {x}[order({y}), ]", f"{y} <- sort({y})"),
        )
        good = base.but(metrics='"accuracy"')
        bad = good.but(data=(*base.data, *order))
    ask = d.ask()
    return bad.fitted(validation_split=share).but(end=ask), good.fitted(validation_split=share).but(
        end=ask
    )


@_kind("D06")
def _scaled_once(d: Draw) -> Pair:
    good = measured(d, 4)
    x, new, m = d.x, d.pick("new", "x_new", "later"), d.model
    raw = d.pick(
        f"{x} <- cbind(rnorm(n, 50, 10), runif(n, 100, 200), rnorm(n, 5, 2), runif(n, 0, 40))",
        f"{x} <- matrix(rnorm(n * 4, 20, 5), n)",
        f"{x} <- matrix(runif(n * 4, 0, 255), n)",
    )
    y = f"{d.y} <- as.vector(scale({x}) %*% c(1, -1, 0.5, 0)) + rnorm(n, sd = 0.1)"
    held = (f"{new} <- {x}[1:10, ]", f"{x} <- {x}[-(1:10), ]", f"{d.y} <- {d.y}[-(1:10)]")
    if d.chance(0.5) and "255" in raw:
        plan = good.but(data=(good.data[0], raw, y, *held, f"{x} <- {x} / 255"))
        wrong, right = f"{new}", f"{new} / 255"
    elif d.chance(0.5):
        plan = good.but(
            data=(
                good.data[0],
                raw,
                y,
                *held,
                f"m_ <- colMeans({x})",
                f"s_ <- apply({x}, 2, sd)",
                f"{x} <- scale({x}, m_, s_)",
            ),
        )
        plan = plan.but(
            data=tuple(each.replace("m_", "centre").replace("s_", "spread") for each in plan.data)
        )
        wrong, right = f"{new}", f"scale({new}, centre, spread)"
    else:
        plan = good.but(data=(good.data[0], raw, y, *held), x=f"scale({x})")
        wrong, right = f"{new}", f"scale({new}, colMeans({x}), apply({x}, 2, sd))"
    ask = "print(predict({}, {}, verbose = 0))"
    return plan.but(end=(ask.format(m, wrong),)), plan.but(end=(ask.format(m, right),))


@_kind("D07")
def _rows_on_both_sides(d: Draw) -> Pair:
    good = binary(d)
    x, y = d.x, d.y
    held = d.pick("test <- sample(n, 40)", "test <- 1:30", "test <- sample(1:n, round(0.2 * n))")
    sides = (held, f"x_test <- {x}[test, ]", f"y_test <- {y}[test]")
    apart = (f"{x} <- {x}[-test, ]", f"{y} <- {y}[-test]")
    ask = (f"print(evaluate({d.model}, x_test, y_test, verbose = 0))",)
    bad = good.but(data=(*good.data, *sides), end=ask).fitted(
        validation_data="list(x_test, y_test)"
    )
    if d.chance(0.4):
        more = d.pick("i <- sample(n, 2 * n, replace = TRUE)", "i <- rep(1:n, 2)[sample(2 * n)]")
        doubled = (more, f"{x} <- {x}[i, ]", f"{y} <- {y}[i]", "n <- 2 * n")
        return (
            bad.but(data=(*good.data, *doubled, *sides, *apart)),
            bad.but(data=(*good.data, *sides, *apart)),
        )
    return bad, bad.but(data=(*bad.data, *apart))


@_kind("D08")
def _commonest_class(d: Draw) -> Pair:
    good = binary(d)
    rare = f"{d.y} <- rbinom(n, 1, plogis(-2.6 + {d.pick(0.3, 0.5)} * {d.x}[, 1]))"
    ask = (
        f"p <- predict({d.model}, {d.x}, verbose = 0)[, 1]",
        f"print(table(truth = {d.y}, said = as.integer(p > 0.5)))",
    )
    bad = good.but(
        data=(*good.data[:-1], rare),
        end=ask,
        metrics='"accuracy"',
        optimizer="optimizer_adam(learning_rate = 0.005)",
        layers=(*dense(d, 6, "relu"), *dense(d, 1, "sigmoid")),
    )
    return bad, bad.fitted(class_weight='list("0" = 1, "1" = 12)')


# --- training ------------------------------------------------------------------------------------


@_kind("T01", "P06")
def _never_trained(d: Draw) -> Pair:
    good = d.pick(binary, measured)(d)
    which = d.whole(0, 2)
    if which == 0:
        return good.but(steps=(BUILD, COMPILE)), good
    if which == 1:
        return good.but(steps=(BUILD, COMPILE, FIT, "", "# the final model", BUILD, COMPILE)), good
    copy = f"final <- clone_model({d.model})"
    ask = f"print(head(predict(final, {d.x}, verbose = 0)))"
    kept = f"set_weights(final, get_weights({d.model}))"
    return good.but(steps=(BUILD, COMPILE, FIT, copy), end=(ask,)), good.but(
        steps=(BUILD, COMPILE, FIT, copy, kept), end=(ask,)
    )


@_kind("T02")
def _hardly_trained(d: Draw) -> Pair:
    good = d.pick(binary, measured, lambda draw: classes(draw)[0])(d)
    few = d.pick(
        {"epochs": "1", "batch_size": ""},
        {"epochs": "2", "batch_size": "64"},
        {"epochs": "3", "batch_size": "n"},
    )
    good = good.but(
        optimizer=d.pick('"adam"', "optimizer_adam()", "optimizer_adam(learning_rate = 0.001)")
    )
    return good.fitted(**few), good.fitted(epochs="60", batch_size="10")


@_kind("T03")
def _diverges(d: Draw) -> Pair:
    good = measured(d).but(loss='"mse"')
    rate = d.pick(
        "optimizer_sgd(learning_rate = 2)",
        "optimizer_sgd(5)",
        "optimizer_sgd(learning_rate = 1, momentum = 0.9)",
        "optimizer_adam(learning_rate = 10)",
    )
    return good.but(optimizer=rate), good.but(
        optimizer="optimizer_sgd(learning_rate = 0.01, momentum = 0.9)"
    )


@_kind("T04")
def _rate_too_small(d: Draw) -> Pair:
    good = d.pick(binary, measured)(d)
    rate = d.pick(
        "optimizer_adam(learning_rate = 1e-6)",
        "optimizer_sgd(learning_rate = 1e-6)",
        "optimizer_adam(1e-7)",
        "optimizer_rmsprop(learning_rate = 1e-6)",
    )
    return good.but(optimizer=rate), good.but(optimizer="optimizer_adam(learning_rate = 0.01)")


@_kind("T05")
def _penalty_rules(d: Draw) -> Pair:
    good = d.pick(binary, measured)(d)
    more = d.pick(
        "kernel_regularizer = regularizer_l2(5)",
        "kernel_regularizer = regularizer_l1(1)",
        "kernel_regularizer = regularizer_l2(l = 1)",
        "kernel_constraint = constraint_maxnorm(0.01)",
        "kernel_regularizer = regularizer_l1_l2(0.5, 0.5)",
    )
    start, end = dense(d, d.whole(4, 8) * 2, "relu")[0], good.layers[-1]
    return good.but(layers=(given(start, more), given(end, more))), good.but(layers=(start, end))


@_kind("T06")
def _callback_never_acts(d: Draw) -> Pair:
    good = binary(d).but(metrics='"accuracy"')
    split = {"validation_split": "0.2"}
    right = 'list(callback_early_stopping(monitor = "val_loss", patience = 5))'
    wrong, also = d.pick(
        (right, {}),
        ("list(callback_early_stopping(patience = 3))", {}),
        ('list(callback_early_stopping(monitor = "val_acc", patience = 3))', split),
        ('callback_early_stopping(monitor = "val_loss", patience = 60)', split),
        ('list(callback_reduce_lr_on_plateau(monitor = "validation_loss", factor = 0.5))', split),
    )
    return good.fitted(callbacks=wrong, **also), good.fitted(callbacks=right, **split)


@_kind("T07", "E04")
def _argument_reaches_nothing(d: Draw) -> Pair:
    good = binary(d)
    rare = f"{d.y} <- as.numeric({d.x}[, 1] + {d.x}[, 2] > 1)"
    good = good.but(data=(*good.data[:-1], rare)).fitted(class_weight='list("0" = 1, "1" = 5)')
    if d.style.generation == 2 and d.chance(0.5):
        return good.but(optimizer="optimizer_adam(lr = 0.05)"), good.but(
            optimizer="optimizer_adam(learning_rate = 0.05)"
        )
    if d.chance(0.5):
        return good.fitted(class_weight="", class_weights='list("0" = 1, "1" = 5)'), good
    return good.fitted(class_weight="list(1, 5)"), good


@_kind("T08")
def _unbounded_recurrence(d: Draw) -> Pair:
    data, steps = series(d, steps=d.whole(20, 30) * 2)
    y = f"{d.y} <- rowSums({d.x}[, 1:{steps // 2}, 1]) / {steps // 4}"
    units = d.whole(4, 8) * 2
    start = "recurrent_initializer"
    normal = f"{start} = initializer_random_normal"
    grows = d.pick(
        f'layer_simple_rnn(units = {units}, activation = "relu", {normal}(stddev = 1))',
        f'layer_simple_rnn({units}, "relu", {normal}(stddev = 0.8))',
        f'layer_simple_rnn(units = {units}, activation = "linear", {start} = "he_normal")',
        f'layer_lstm({units}, activation = "relu", {normal}(stddev = 0.8))',
    )
    cell = grows.partition("(")[0]
    plan = own(d, (*data, y), f"{steps}, 1", (f"{cell}(units = {units})", *dense(d, 1)), 6, '"mse"')
    return plan.but(layers=(grows, plan.layers[-1])), plan


# --- ways of asking ------------------------------------------------------------------------------


def _called(d: Draw, layer: str) -> str:
    """Return a layer that is called by itself in training mode: Keras 3 does not heed that."""
    d.on_the_same_style(generation=2)
    return f"{layer}({INNER}, training = TRUE)"


@_kind("P01", "P04")
def _predict_twice(d: Draw) -> Pair:
    good = binary(d)
    noise = d.pick(
        "layer_dropout(rate = 0.3)", "layer_dropout(0.5)", "layer_gaussian_noise(stddev = 0.5)"
    )
    start, end = good.layers[:-1], good.layers[-1]
    ask = tuple(f"print(predict({d.model}, {d.x}[1:3, ], verbose = 0))" for _ in range(2))
    bad = good.but(layers=(*start, _called(d, noise), end), end=ask)
    return bad, good.but(layers=(*start, noise, end), end=ask)


@_kind("P02", "P05")
def _rows_mix(d: Draw) -> Pair:
    good = binary(d)
    start, end = (*good.layers[:-1], *dense(d, 8, "tanh")), good.layers[-1]
    p = f"predict({d.model}, {d.x}"
    good = good.but(
        end=(f"print({p}[1:4, ], verbose = 0))", f"print({p}[1, , drop = FALSE], verbose = 0))")
    )
    which = d.whole(0, 2)
    if which == 0:
        norm = "layer_batch_normalization()"
        mixed, right = _called(d, norm), norm
    elif which == 1:
        # R counts axes from 1: the first has the rows.
        mixed = "layer_unit_normalization(axis = 1)"
        right = "layer_unit_normalization()"
    else:
        mean = "tensorflow::tf$reduce_mean(h, axis = 0L, keepdims = TRUE)"
        mixed = f"layer_lambda(f = function(h) h - {mean})"
        right = mixed.replace("0L", "1L")
    return good.but(layers=(*start, mixed, end)), good.but(layers=(*start, right, end))


@_kind("P03", "T05")
def _loss_of_the_predictions(d: Draw) -> Pair:
    good = measured(d).but(loss='"mse"')
    m, x, y = d.model, d.x, d.y
    own = f"p <- predict({m}, {x}, verbose = 0)[, 1]"
    if d.chance(0.5):
        tf = "tensorflow::tf"
        metric = (
            'custom_metric("r2", function(y_true, y_pred) {\n'
            f"  rest <- {tf}$reduce_sum({tf}$square(y_true - y_pred))\n"
            f"  1 - rest / {tf}$reduce_sum({tf}$square(y_true - {tf}$reduce_mean(y_true)))\n" + "})"
        )
        ask = (
            f"print(evaluate({m}, {x}, {y}, verbose = 0))",
            own,
            f"print(1 - sum(({y} - p)^2) / sum(({y} - mean({y}))^2))",
        )
        shaped = good.but(
            data=(*good.data, f"{y} <- matrix({y})"),
            end=(*ask[:2], ask[2].replace("- p)", "- c(p))")),
        )
        return shaped.but(metrics=metric), shaped.but(metrics="")
    ask = (f"print(evaluate({m}, {x}, {y}, verbose = 0))", own, f"print(mean(({y} - p)^2))")
    start = dense(d, 12, "relu")[0]
    more = d.pick(
        "kernel_regularizer = regularizer_l2(0.01)", "kernel_regularizer = regularizer_l1(0.005)"
    )
    bad = good.but(layers=(given(start, more), good.layers[-1]), end=ask)
    return bad, bad.but(layers=(start, good.layers[-1]))


@_kind("P04")
def _training_mode(d: Draw) -> Pair:
    good = binary(d)
    extra = d.pick("layer_dropout(0.4)", "layer_batch_normalization()", "layer_dropout(rate = 0.5)")
    start, end = good.layers[:-1], good.layers[-1]
    plan = good.but(layers=(*start, extra, end))
    ask = "print(as.array({}({}[1:4, ], training = {})))"
    return plan.but(end=(ask.format(d.model, d.x, "TRUE"),)), plan.but(
        end=(ask.format(d.model, d.x, "FALSE"),)
    )


@_kind("P05", "P01", "P02")
def _asking_changes_the_model(d: Draw) -> Pair:
    if d.chance(0.6):
        good = binary(d)
        start, end = good.layers[:-1], good.layers[-1]
        norm = "layer_batch_normalization()"
        ask = (
            f"before <- get_weights({d.model})",
            f"p <- predict({d.model}, {d.x}, verbose = 0)",
            f"print(all.equal(before, get_weights({d.model})))",
            "print(head(p))",
        )
        return good.but(layers=(*start, _called(d, norm), end), end=ask), good.but(
            layers=(*start, norm, end), end=ask
        )
    data, steps = series(d, steps=10)
    data = ("n <- 160", *data[1:])
    y = f"{d.y} <- as.numeric(rowSums({d.x}[, , 1]) > 0)"
    cell = d.pick("layer_lstm", "layer_gru", "layer_simple_rnn")
    ask = tuple(
        f"print(head(predict({d.model}, {d.x}, batch_size = 20, verbose = 0)))" for _ in range(2)
    )
    plan = Plan(
        (*data, y),
        f"{steps}, 1",
        (f"{cell}(units = 6, stateful = TRUE)", *dense(d, 1, "sigmoid")),
        '"binary_crossentropy"',
        d.x,
        d.y,
        fit={"epochs": "8", "batch_size": "20", "verbose": "0"},
        end=ask,
        batch=20,
    )
    return plan, plan.but(layers=(f"{cell}(units = 6)", plan.layers[-1]))


@_kind("P06", "T01")
def _saved_or_cloned(d: Draw) -> Pair:
    good = d.pick(binary, measured)(d)
    m = d.model
    copy = d.pick(f"copy <- clone_model({m})", f"copy <- from_config(get_config({m}))")
    ask = tuple(f"print(predict({each}, {d.x}[1:3, ], verbose = 0))" for each in (m, "copy"))
    kept = f"set_weights(copy, get_weights({m}))"
    return good.but(end=(copy, *ask)), good.but(end=(copy, kept, *ask))


@_kind("P07")
def _other_generation(d: Draw) -> Pair:
    data, p = table(d)
    name = "hard_sigmoid"
    weights = f"list(matrix(seq(-1, 1, length.out = {p}), {p}), array(0.3))"
    ask = (
        f"set_weights({d.model}, {weights})",
        f"print(predict({d.model}, {d.x}[1:4, ], verbose = 0))",
    )
    plan = Plan(
        data,
        str(p),
        (f'layer_dense(units = 1, activation = "{name}")',),
        '"mse"',
        d.x,
        d.y,
        steps=(BUILD,),
        end=ask,
    )
    return plan, plan.last('layer_dense(units = 1, activation = "sigmoid")')


@_kind("P08")
def _loss_at_the_start(d: Draw) -> Pair:
    good = classes(d)[0] if d.chance(0.5) else binary(d)
    good = good.but(optimizer=d.pick('"adam"', "optimizer_adam()")).fitted(
        epochs="60", batch_size="10"
    )
    wild = f"kernel_initializer = initializer_random_normal(stddev = {d.pick(20, 50)})"
    return good.last(given(good.layers[-1], wild)), good


def sampled(seed: int, code: str, count: int) -> list[int]:
    """Return the numbers of so many models of a kind."""
    return random.Random(f"{seed} {code}").sample(range(1000), count)
