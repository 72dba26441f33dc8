"""The first epochs of a training: judged against R's, and gone on from R's weights.

A run without R repeats a training of R's only as far as is needed to judge it: its first epochs.
Then the model is given the weights that R's had after the last, and the history R's curves, so
that what follows starts where R's run started. A difference shows where it begins and does not
drift, and the cost does not grow with the epochs.

A training is repeated in full where what it leaves behind is not only weights and a history: where
callbacks act on it, or where a later training goes on from the state of an optimiser.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any, Final

from bridge._typing import AnyArray
from bridge.capsule import Capsule, CapsuleError, Probe
from bridge.trace.observer import FIRST_EPOCHS

#: The loss of the second epoch shows every weight that the first one left.
JUDGED: Final = 2


class TrainingStart:
    """Cuts trainings of R's short in a process that repeats them.

    Args:
        recorded: R's run.
        line: says which line of the script is being run.
    """

    def __init__(self, recorded: Capsule, line: Callable[[], int | None]) -> None:
        self._recorded = recorded
        self._line = line
        self._short = {probe.index for probe in _short(recorded)}
        #: R's trainings that were not met yet, in their order.
        self._waiting = [probe for probe in recorded.manifest.probes if probe.kind == "fit"]

    def install(self, keras: Any) -> None:
        """Wrap ``keras.Model.fit``, within what an observer records."""
        original = keras.Model.fit

        @functools.wraps(original)
        def fit(model: Any, *args: Any, **kwargs: Any) -> Any:
            probe = self._next()
            try:
                asked = inspect.signature(original).bind(model, *args, **kwargs)
            except TypeError:
                # The call itself will raise, and say why.
                return original(model, *args, **kwargs)
            if probe is None or not _alike(asked.arguments, probe):
                return original(model, *args, **kwargs)
            asked.arguments["epochs"] = JUDGED
            before = _steps(model)
            history = original(*asked.args, **asked.kwargs)
            weights = self._weights_after(model, probe)
            if weights is None:
                # It is another model than R's, and goes on with its own training.
                asked.arguments |= {"initial_epoch": JUDGED, "epochs": _epochs(probe)}
                return _joined(history, original(*asked.args, **asked.kwargs))
            for variable, value in weights:
                variable.assign(value)
            _pass_steps(model, before, _epochs(probe))
            history.history = {name: list(curve) for name, curve in probe.curves.items()}
            history.epoch = list(range(_epochs(probe)))
            history.params = {**history.params, "epochs": _epochs(probe)}
            setattr(history, FIRST_EPOCHS, JUDGED)
            return history

        keras.Model.fit = fit

    def _next(self) -> Probe | None:
        """Return R's training that is being repeated, None if all of it is wanted.

        It is the next one on the line that is being run, which may stand in a loop.
        """
        line = self._line()
        for place, probe in enumerate(self._waiting):
            if probe.line == line:
                del self._waiting[place]
                return probe if probe.index in self._short else None
        return None

    def _weights_after(self, model: Any, probe: Probe) -> list[tuple[Any, AnyArray]] | None:
        """Return R's weights after a training, with the variables that they belong to."""
        variables = [weight for layer in model.layers for weight in layer.weights]
        try:
            values = [self._recorded.array(ref) for ref in probe.outputs]
        except CapsuleError:
            return None
        if len(variables) != len(values):
            return None
        pairs = list(zip(variables, values, strict=True))
        return pairs if all(tuple(v.shape) == x.shape for v, x in pairs) else None


def _short(recorded: Capsule) -> Iterator[Probe]:
    """Yield the trainings of which the first epochs are enough."""
    probes = recorded.manifest.probes
    for probe in probes:
        if probe.kind != "fit" or probe.status != "made" or not probe.outputs:
            continue
        state = recorded.state_of(probe)
        later = (other for other in probes[probe.index + 1 :] if other.kind in ("fit", "train"))
        if state is None or any(_may_go_on(recorded, state.id, other) for other in later):
            continue
        if _asks_for_callbacks(recorded, probe):
            continue
        if _epochs(probe) > JUDGED and probe.settings.get("epochs") == _epochs(probe):
            yield probe


def _asks_for_callbacks(recorded: Capsule, probe: Probe) -> bool:
    """Say whether the script gives callbacks to a training; a front end adds one of its own."""
    calls = recorded.manifest.calls
    call = next((call for call in calls if call.id == probe.call), None)
    return call is None or "callbacks" in call.r_call


def _may_go_on(recorded: Capsule, model: int, later: Probe) -> bool:
    """Say whether a later training may start from what one of ``model`` left in its optimiser."""
    state = recorded.state_of(later)
    return state is None or state.id == model or _is_loaded(recorded, state.id)


def _is_loaded(recorded: Capsule, model: int) -> bool:
    """Say whether a model was read from a file, and its optimiser with it."""
    for call in recorded.manifest.calls:
        if getattr(call.result, "id", None) == model:
            return "load_model" in str(getattr(call.target, "path", ""))
    return True


def _alike(arguments: dict[str, Any], probe: Probe) -> bool:
    """Say whether a training is asked for as R's was."""
    return not arguments.get("initial_epoch") and arguments.get("epochs", 1) == _epochs(probe)


def _epochs(probe: Probe) -> int:
    return max((len(curve) for curve in probe.curves.values()), default=0)


def _steps(model: Any) -> int:
    return int(getattr(model.optimizer, "iterations", 0))


def _pass_steps(model: Any, before: int, epochs: int) -> None:
    """Count the steps of the epochs that were left out; there were ``before`` in the beginning."""
    iterations = getattr(model.optimizer, "iterations", None)
    if iterations is not None:
        iterations.assign(before + (_steps(model) - before) // JUDGED * epochs)


def _joined(first: Any, rest: Any) -> Any:
    """Return the history of a training that was made in two parts."""
    rest.history = {
        name: [*first.history.get(name, ()), *curve] for name, curve in rest.history.items()
    }
    rest.epoch = [*first.epoch, *rest.epoch]
    return rest
