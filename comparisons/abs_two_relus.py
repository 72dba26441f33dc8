"""Learning |x| with two relus: what the start decides, and how often chance starts well.

The claims train thousands of nets together (see :mod:`_ensemble`); what is trained stays in
the user's cache, so that an interrupted run goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import tf_keras as keras

from _ensemble.outcome import (
    Share,
    one_bend_floor,
    predict,
    share,
    sides_learned,
    units_of,
)
from _ensemble.plan import Plan, as_keras, glorot
from _ensemble.train import Store, Trained, complete, train
from bridge import Capsule, Evidence, claim, picture, probe
from bridge.cases.claims import Holds

Tell = Callable[[str], None]
Array = npt.NDArray[Any]

X = np.linspace(-1000, 1000, 400)
Y = np.abs(X)

#: The ends between which the hidden kernel runs.
STARTS = {"good": (-1.0, 1.0), "bad-right": (0.5, 1.0), "bad-left": (-1.0, -0.5)}
UNITS = range(2, 9)
EPOCHS = 1000


def start(ends: tuple[float, float], units: int) -> Array:
    """Return the weights that a start begins with, as the ensemble lays them out."""
    kernel = np.linspace(*ends, units)
    return np.concatenate([kernel, np.zeros(units), np.full(units, 0.25), [0.0]])


def twin() -> None:
    """Train and ask the six nets of the R script."""
    for units in (2, 3):
        for name, ends in STARTS.items():
            model = keras.Sequential(
                [
                    keras.layers.InputLayer(input_shape=(1,)),
                    keras.layers.Dense(units, activation="relu"),
                    keras.layers.Dense(1),
                ]
            )
            model.set_weights(as_keras(start(ends, units)))
            model.compile(optimizer=keras.optimizers.Adam(learning_rate=0.02), loss="mse")
            keras.utils.set_random_seed(5)
            with probe(f"{name}, {units} units"):
                model.fit(X[:, None], Y[:, None], epochs=10, verbose=0)
                model.predict(X[:, None], verbose=0)


# What the claims are computed from.


@cache
def floor() -> float:
    """Return the loss that no function comes below that is level on one side of a bend."""
    return one_bend_floor(X, Y)


def plan(units: int, leak: float = 0.0) -> Plan:
    """Return the training with Keras' defaults: Adam at 0.001, batches of 32, shuffled."""
    return Plan(X, Y, units, EPOCHS, leak=leak, told=(300,))


@cache
def chance(units: int, quick: bool = False) -> Array:
    """Return first weights as Keras draws them, of 1,000 nets or, ``quick``, of 200."""
    return glorot(units, np.arange(200 if quick else 1000))


def seeds(asked: Plan, quick: bool, initial: Array | None = None, full: bool = False) -> int:
    """Return for how many seeds there is time: 1,000 if ``full``, or if they are trained."""
    begin = chance(asked.units) if initial is None else initial
    if (full and not quick) or complete(asked, len(begin), Store(), initial=begin):
        return 1000
    return 128 if quick else 256


_trained: dict[tuple[Any, ...], Trained] = {}


def ensemble(units: int, quick: bool, tell: Tell | None = None) -> Trained:
    """Train nets from seeds 0, 1, ...: 1,000 of 2 and 3 units, of more as time allows."""
    if (units,) not in _trained:
        asked = plan(units)
        count = seeds(asked, quick, full=units <= 3)
        _trained[(units,)] = train(asked, count, store=Store(), tell=tell)
    return _trained[(units,)]


def learned(trained: Trained) -> Array:
    """Say which nets came below the floor; a loss of NaN did not."""
    return trained.loss < floor()


def gap(trained: Trained) -> str:
    """Say between which losses there is none, so that another floor would decide alike."""
    done = learned(trained)
    best, worst = trained.loss[done], trained.loss[~done]
    if not len(best) or not len(worst):
        return "all ended on the same side of the floor"
    return f"no loss between {best.max():,.2g} and {np.nanmin(worst):,.0f}"


@cache
def cures(quick: bool, tell: Tell | None = None) -> dict[str, tuple[Plan, Share]]:
    """Return how often two units learn under other starts and another activation."""
    positive = chance(2).copy()
    positive[:, 4:6] = np.abs(positive[:, 4:6])
    opposite = chance(2).copy()
    opposite[:, :2] = (-1.0, 1.0)
    both = opposite.copy()
    both[:, 4:6] = positive[:, 4:6]
    asked = {
        "leaky relu of slope 0.3": (plan(2, leak=0.3), chance(2)),
        "output weights all positive": (plan(2), positive),
        "hidden kernel (-1, 1)": (plan(2), opposite),
        "hidden kernel (-1, 1) and output weights all positive": (plan(2), both),
    }
    found = {}
    for name, (each, begin) in asked.items():
        count = seeds(each, quick, begin)
        done = train(each, count, initial=begin[:count], store=Store(), tell=tell)
        found[name] = (each, share(done.loss < floor()))
    return found


def by_start(units: int) -> dict[str, Trained]:
    """Train every start of the script in 64 orders of the points."""
    found = {}
    for name, ends in STARTS.items():
        key = (units, name)
        if key not in _trained:
            begin = np.tile(start(ends, units), (64, 1))
            _trained[key] = train(plan(units), 64, initial=begin, store=Store(), tell=_silent)
        found[name] = _trained[key]
    return found


def _silent(_text: str) -> None:
    """Tell nobody."""


def _sides(left: bool, right: bool) -> str:
    names = {(True, True): "both sides", (True, False): "the left side only (right: dead)"}
    names |= {(False, True): "the right side only (left: dead)", (False, False): "neither side"}
    return names[bool(left), bool(right)]


EXPECTED = {
    "good": (True, True), "bad-right": (False, True), "bad-left": (True, False),
}  # fmt: skip


@claim(
    "Kernels of both signs learn both sides of |x|; all positive, or all negative, only one.",
    said_by="question",
)
def starts_decide(recorded: Capsule | None = None) -> Evidence:
    """Look at which sides are better than a level line, in R's run and in 64 orders of points."""
    agreed = total = 0
    said = []
    for units in (2, 3):
        for name, trained in by_start(units).items():
            left, right = sides_learned(trained.after, X, Y)
            as_expected = (left == EXPECTED[name][0]) & (right == EXPECTED[name][1])
            agreed, total = agreed + int(as_expected.sum()), total + len(left)
            if units == 2:
                said.append(f"{name} {_sides(left[0], right[0])}, loss {trained.loss.max():,.3g}")
    in_r = [] if recorded is None else _of_r(recorded)
    agreed_in_r = sum(each == expected for each, expected in in_r)
    from_r = f"; in R's own run {agreed_in_r} of {len(in_r)} nets did" if in_r else ""
    return Evidence(
        agreed == total and agreed_in_r == len(in_r),
        f"{agreed} of {total} trainings with 2 and 3 units (1,000 epochs, 64 orders of points a "
        f"start) went that way{from_r}: {'; '.join(said)}",
        number=agreed / total,
        interval=Share(agreed, total).interval,
    )


def _of_r(recorded: Capsule) -> list[tuple[tuple[bool, bool], tuple[bool, bool]]]:
    """Return what R's six nets learned beside what was expected."""
    made = [
        recorded.array(each.outputs[0]).astype(np.float64).ravel()
        for each in recorded.manifest.probes
        if each.kind == "predict" and each.outputs
    ]
    found = []
    for values, expected in zip(made, [*EXPECTED.values()] * 2, strict=False):
        error = (values - Y) ** 2
        left, right = (bool(error[side].mean() < np.var(Y[side])) for side in (X < 0, X > 0))
        found.append(((left, right), expected))
    return found


def _random_start(units: int, claimed: float, quick: bool, tell: Tell) -> Evidence:
    trained = ensemble(units, quick, tell)
    done = share(learned(trained))
    early = share(trained.losses[:, 0] < floor())
    return Evidence(
        done.holds(claimed),
        f"{done} nets learned |x| in {EPOCHS:,} epochs, not {claimed:.0%} ({early.value:.1%} after "
        f"300; {trained.diverged} diverged): below {floor():,.0f}, which no function reaches that "
        f"is level on one side of a bend; {gap(trained)}",
        number=done.value,
        interval=done.interval,
    )


@claim("With two units a random start works half of the time.")
def half_with_two(quick: bool, tell: Tell) -> Evidence:
    """Train from Keras' default start."""
    return _random_start(2, 0.5, quick, tell)


@claim("With three units a random start works three quarters of the time.")
def three_quarters_with_three(quick: bool, tell: Tell) -> Evidence:
    """Train from Keras' default start."""
    return _random_start(3, 0.75, quick, tell)


@claim("The chance of success with n units is 1 - 2^(1-n).")
def grows_as_claimed(quick: bool, tell: Tell) -> Evidence:
    """Hold the shares of 2 to 8 units against the formula."""
    return _law(lambda n: 1 - 2.0 ** (1 - n), quick, tell)


@claim("The hidden kernel has both signs in a share of 1 - 2^(1-n) of the random starts.")
def signs_are_mixed(quick: bool) -> Evidence:
    """Count signs; this needs no training."""
    shares = {n: share(units_of(chance(n, quick)).mixed) for n in UNITS}
    return _against(shares, lambda n: 1 - 2.0 ** (1 - n))


@claim("A hidden kernel of both signs is enough.")
def mixed_is_enough(quick: bool, tell: Tell) -> Evidence:
    """Count success given both signs, and given one."""
    trained = ensemble(2, quick, tell)
    done, mixed = learned(trained), units_of(trained.before).mixed
    given, otherwise = share(done, mixed), share(done, ~mixed)
    three = ensemble(3, quick, tell)
    mixed_of_three = share(learned(three), units_of(three.before).mixed)
    return Evidence(
        given.successes == given.trials,
        f"given both signs {given} nets of two units learned, given one sign {otherwise}; with "
        f"three units and both signs {mixed_of_three}",
        number=given.value,
        interval=given.interval,
    )


def can_represent(kernel: tuple[int, ...], out: tuple[int, ...]) -> bool:
    """Say whether some net with these signs draws |x| from bends in the middle of the data.

    |x| falls on the left and rises on the right, so that there is a unit that is active on either
    side alone; each adds kernel times output weight to the slope there.
    """
    slopes = {k: v * k for k, v in zip(kernel, out, strict=True)}
    return len(slopes) == 2 and slopes[1] > 0 > slopes[-1]


@claim(
    "Of the 16 patterns of signs that two units and their output weights can have, two can draw "
    "|x| with bends at zero, and every net that learned ended in one of them.",
    said_by="ours",
)
def patterns(quick: bool, tell: Tell) -> Evidence:
    """Find the patterns, and look where the nets that learned ended, and where they had begun."""
    signs = list(product((-1, 1), repeat=2))
    able = [(k, v) for k in signs for v in signs if can_represent(k, v)]
    trained = ensemble(2, quick, tell)
    done = learned(trained)
    ends = _patterns(trained.after[done])
    inside = Share(sum(each in able for each in ends), len(ends))
    begun = _patterns(trained.before)
    said = []
    for positive, words in enumerate(("no", "one", "every")):
        here = np.array([sum(k) == 0 and v.count(1) == positive for k, v in begun])
        said.append(f"{share(done, here)} with {words} output weight positive")
    return Evidence(
        len(able) == 2 and inside.successes == inside.trials,
        f"{len(able)} of {len(signs) ** 2} patterns can; {inside.successes} of {inside.trials} "
        f"nets that learned ended there; of those that began with both signs, learned: "
        f"{', '.join(said)}",
        number=inside.value,
        interval=inside.interval,
    )


def _patterns(weights: Array) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    units = units_of(weights)
    kernel, out = np.sign(units.kernel).astype(int), np.sign(units.out).astype(int)
    return [(tuple(k), tuple(v)) for k, v in zip(kernel.tolist(), out.tolist(), strict=True)]


def helps(weights: Array) -> Array:
    """Say which units help: output weight positive, or smaller in size than the kernel.

    Adam moves all weights about as fast. A unit with a negative output weight is pushed to a
    positive one and to a smaller kernel at the same time, and the smaller of the two is at zero
    first: the output weight, and the unit is turned round; or the kernel, and it is lost.
    """
    units = units_of(weights)
    useful: Array = units.out > -np.abs(units.kernel)
    return useful


@claim(
    "A net learns if each side has a unit whose output weight is positive, or smaller in size than "
    "its kernel: a share of 1 - 2 (5/8)^n + (1/4)^n of the random starts.",
    said_by="ours",
)
def race(quick: bool, tell: Tell) -> Evidence:
    """Hold the shares of 2 to 8 units against the formula, and the rule against every net."""
    return _law(lambda n: 1 - 2 * 0.625**n + 0.25**n, quick, tell, foretold(ensemble(2, quick)))


def foretold(trained: Trained) -> Share:
    """Count the nets for which the rule foretells what became of them."""
    units, useful = units_of(trained.before), helps(trained.before)
    rule = (useful & units.right).any(axis=1) & (useful & ~units.right).any(axis=1)
    return share(rule == learned(trained))


def _law(
    formula: Callable[[int], float], quick: bool, tell: Tell, rule: Share | None = None
) -> Evidence:
    shares = {n: share(learned(ensemble(n, quick, tell))) for n in UNITS}
    found = _against(shares, formula)
    if rule is None:
        return found
    text = f"{found.text}; net by net the rule is right for {rule} nets of two units"
    return Evidence(found.holds, text, found.number, found.interval)


def _against(shares: dict[int, Share], formula: Callable[[int], float]) -> Evidence:
    """Say whether all shares fit a formula, by intervals that hold together with 95%."""
    together = 1 - 0.05 / len(shares)
    wide = {n: Share(s.successes, s.trials, together) for n, s in shares.items()}
    fits = [n for n, each in wide.items() if each.holds(formula(n))]
    listed = ", ".join(
        f"{n}: {each.value:.1%} for {formula(n):.1%} (of {each.trials:,})"
        for n, each in wide.items()
    )
    low, high = wide[2].interval
    return Evidence(
        len(fits) == len(wide),
        f"{len(fits)} of {len(wide)} shares fit (Wilson intervals of {together:.1%} each); by "
        f"units {listed}",
        number=wide[2].value,
        interval=(low, high),
    )


@claim("The model has no hidden layer and can only fit straight lines.")
def only_lines() -> Evidence:
    """Compare the good start with the best straight line."""
    line = float(np.mean((Y - np.polyval(np.polyfit(X, Y, 1), X)) ** 2))
    trained = by_start(2)["good"]
    hidden = len(keras_model(2).layers) - 1
    return Evidence(
        not (hidden > 0 and trained.loss.max() < line),
        f"there is {hidden} hidden layer of 2 units; the best straight line has a loss of "
        f"{line:,.0f}, the net from the good start {trained.loss.max():.2g}",
        number=float(trained.loss.max() / line),
    )


def keras_model(units: int, more: int = 0) -> keras.Sequential:
    """Return the net, or one with ``more`` hidden layers beside the first."""
    layers = [keras.layers.Dense(units, activation="relu") for _ in range(more + 1)]
    return keras.Sequential([keras.Input((1,)), *layers, keras.layers.Dense(1)])


@claim("What the question calls adding a layer is adding a unit.", said_by="ours")
def layer_means_unit(quick: bool) -> Evidence:
    """See which of the two brings the 75% of starts with both signs."""
    unit, layer = (share(units_of(chance(n, quick)).mixed) for n in (3, 2))
    weights = [keras_model(2), keras_model(3), keras_model(2, more=1)]
    two, three, deep = (model.count_params() for model in weights)
    return Evidence(
        unit.holds(0.75) and not layer.holds(0.75),
        f"a third unit ({two} weights become {three}) starts with both signs in {unit} nets, as "
        f"the question counts; another layer ({deep} weights) leaves the first at {layer}",
        number=unit.value,
        interval=unit.interval,
    )


@claim("Leaky relu, or another initialiser, cures it.")
def cure(quick: bool, tell: Tell) -> Evidence:
    """Count who learns with each cure."""
    plain = share(learned(ensemble(2, quick, tell)))
    found = {name: done for name, (_, done) in cures(quick, tell).items()}
    leaky = found["leaky relu of slope 0.3"]
    cured = [name for name, done in found.items() if done.successes == done.trials]
    better = [name for name, done in found.items() if done.interval[0] > plain.interval[1]]
    verdict: Holds = "holds in part" if better else "does not hold"
    if len(cured) == len(found):
        verdict = "holds"
    listed = "; ".join(f"{name}: {done}" for name, done in found.items())
    return Evidence(
        verdict,
        f"plain relu {plain}; {listed}",
        number=leaky.value,
        interval=leaky.interval,
    )


# Pictures.


def _figure(panels: int = 1) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.8 * panels, 3.8), layout="constrained")
    return figure, figure.subplots(1, panels, squeeze=False)[0]


@picture(
    "What each start learns",
    alt="Predictions over x for two and three units. The good start draws |x|; bad-right is near "
    "zero on the left, bad-left near zero on the right.",
)
def fits() -> Any:
    """Draw the six nets after 1,000 epochs."""
    figure, axes = _figure(2)
    for axis, units in zip(axes, (2, 3), strict=True):
        axis.plot(X, Y, color="0.8", linewidth=5, label="|x|")
        for name, trained in by_start(units).items():
            axis.plot(X, predict(trained.after[:1], X)[0], label=name)
        axis.set(title=f"{units} units", xlabel="x", ylabel="prediction")
        axis.legend()
    return figure


@picture(
    "The basins: where a start leads",
    alt="Left: units by their kernel and output weight at the start, in two colours, kept or lost; "
    "lines mark an output weight of minus the kernel's size. Right: nets with both signs by their "
    "units' margins; those that learned fill the quarter in which both margins are positive.",
)
def basins(quick: bool) -> Any:
    """Colour initial weights by outcome."""
    figure, (left, right) = _figure(2)
    trained = ensemble(2, quick)
    units, after = units_of(trained.before), units_of(trained.after)
    kept = (after.right == units.right) & (after.out > 0)
    for which, colour, name in ((kept, "tab:blue", "kept"), (~kept, "tab:orange", "lost")):
        left.plot(units.kernel[which], units.out[which], ".", ms=3, color=colour, label=name)
    edge = np.linspace(-1.42, 1.42, 3)
    left.plot(edge, -np.abs(edge), color="black", linewidth=1)
    left.set(xlabel="kernel at the start", ylabel="output weight at the start", title="units")
    left.legend(loc="upper right")
    margin = units.out + np.abs(units.kernel)
    mixed, done = units.mixed, learned(trained)
    of_right = np.where(units.right[:, 0], margin[:, 0], margin[:, 1])
    of_left = np.where(units.right[:, 0], margin[:, 1], margin[:, 0])
    for which, colour, name in ((done, "tab:blue", "learned"), (~done, "tab:orange", "did not")):
        here = which & mixed
        right.plot(of_right[here], of_left[here], ".", ms=3, color=colour, label=name)
    right.axhline(0, color="black", linewidth=1)
    right.axvline(0, color="black", linewidth=1)
    right.set(
        xlabel="right unit: output weight + |kernel|",
        ylabel="left unit: output weight + |kernel|",
        title="nets with both signs",
    )
    right.legend(loc="upper right")
    return figure


@picture(
    "Success by the number of units",
    alt="Share of nets that learned |x| for 2 to 8 units with intervals. It lies on the curve "
    "1 - 2 (5/8)^n + (1/4)^n, well below the claimed 1 - 2^(1-n).",
)
def success(quick: bool) -> Any:
    """Draw shares with Wilson's intervals beside both formulas."""
    figure, (axis,) = _figure()
    units = np.array(UNITS)
    shares = [share(learned(ensemble(int(n), quick))) for n in units]
    values = np.array([each.value for each in shares])
    ends = np.array([each.interval for each in shares])
    axis.plot(units, 1 - 2.0 ** (1 - units), "--", color="tab:red", label="claimed")
    axis.plot(units, 1 - 2 * 0.625**units + 0.25**units, color="0.6", label="race of the weights")
    reach = [values - ends[:, 0], ends[:, 1] - values]
    axis.errorbar(units, values, reach, fmt="o", capsize=4, label="measured, 95%")
    axis.set(xlabel="units", ylabel="share that learned |x|", ylim=(0, 1.02))
    axis.legend(loc="lower right")
    return figure


@picture(
    "Losses at the end, and the floor",
    alt="Two heaps of losses on a logarithmic axis with nothing between them but the floor.",
)
def losses(quick: bool) -> Any:
    """Draw the losses of two and three units."""
    figure, (axis,) = _figure()
    for units in (2, 3):
        loss = ensemble(units, quick).loss
        loss = loss[np.isfinite(loss) & (loss > 0)]
        axis.hist(np.log10(loss), bins=60, alpha=0.6, label=f"{units} units")
    axis.axvline(np.log10(floor()), color="black", linestyle="--", label="floor")
    axis.set(xlabel="log10 of the loss after 1,000 epochs", ylabel="nets")
    axis.legend()
    return figure
