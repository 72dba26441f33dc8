"""Watching Keras: every prediction, evaluation and training becomes a probe of the capsule.

The same watcher stands in every process that runs a model (R's, the replay's, the twin's), so
that a probe means the same in all of them. It wraps the public methods and executes nothing more.
"""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable
from typing import Any, Final

from bridge.labelling import current_label
from bridge.runners.encode import Data, Encoder, to_numpy
from bridge.runners.executed import executed_graphs
from bridge.runners.feeding import leaves
from bridge.runners.models import describe_model, plain
from bridge.runners.spool import SpoolWriter

_METHODS: Final = {
    "predict": "predict",
    "predict_on_batch": "predict",
    "evaluate": "evaluate",
    "test_on_batch": "evaluate",
    "fit": "fit",
    "train_on_batch": "train",
}

#: What is trained or evaluated is given targets too, and arguments on which the numbers depend.
_ASKED: Final = ("fit", "train", "evaluate")
_SETTINGS: Final = (
    *("epochs", "initial_epoch", "batch_size", "steps_per_epoch", "steps"),
    *("shuffle", "validation_split", "class_weight"),
)


class Observer:
    """Writes probes to a spool."""

    def __init__(
        self,
        spool: SpoolWriter,
        encoder: Encoder,
        active_call: Callable[[], int | None] = lambda: None,
    ) -> None:
        self._spool = spool
        self._encoder = encoder
        self._active_call = active_call
        self._inside = False
        self._count = 0
        self._states: dict[str, int] = {}
        self._graphs: dict[tuple[int, str], Data] = {}

    def install(self, keras: Any) -> None:
        """Wrap the methods of ``keras.Model`` (``keras`` is ``tf_keras`` or ``keras``)."""
        for name, kind in _METHODS.items():
            original = getattr(keras.Model, name)
            setattr(keras.Model, name, self._watch(original, kind))
        keras.Model.__call__ = self._watch(keras.Model.__call__, "call")
        # AutoGraph must step over our wrapper as it steps over Keras' own code, and go on
        # converting what the wrapper calls.
        from tensorflow.python.autograph.core import config

        rule = config.DoNotConvert("bridge")
        if not any(getattr(each, "_prefix", "") == "bridge" for each in config.CONVERSION_RULES):
            config.CONVERSION_RULES = (rule, *config.CONVERSION_RULES)

    def _watch(self, original: Callable[..., Any], kind: str) -> Callable[..., Any]:
        @functools.wraps(original)
        def watched(model: Any, *args: Any, **kwargs: Any) -> Any:
            if self._inside or (kind == "call" and not _concrete(args)):
                return original(model, *args, **kwargs)
            self._inside = True
            try:
                return self._probe(original, kind, model, args, kwargs)
            finally:
                self._inside = False

        return watched

    def _probe(
        self,
        original: Callable[..., Any],
        kind: str,
        model: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        x = args[0] if args else kwargs.get("x", kwargs.get("inputs"))
        inputs, notes = self._arrays("x", x)
        targets, settings = self._asked(original, kind, model, args, kwargs)
        before = self._state(model) if kind in ("fit", "train") else None
        failed: BaseException | None = None
        result: Any = None
        with executed_graphs() as executed:
            try:
                result = original(model, *args, **kwargs)
            except BaseException as error:
                failed = error
        key = (id(model), kind)
        eager = _is_eager(model) or kind == "call"
        if executed.found and not eager:
            self._graphs[key] = executed.describe()
        outputs, curves = ([], {}) if failed else self._results(kind, model, result)
        self._spool.event(
            "probe",
            index=self._count,
            label=current_label(),
            kind=kind,
            state=self._state(model) if before is None else before,
            call=self._active_call(),
            inputs=inputs,
            targets=targets,
            settings=settings,
            outputs=outputs,
            curves=curves,
            # Single operations that run eagerly are wrapped into functions too.
            executed=None if eager else self._graphs.get(key),
            eager=eager,
            notes=notes + ([f"raised {type(failed).__name__}"] if failed else []),
        )
        self._count += 1
        if failed is not None:
            raise failed
        return result

    def _asked(
        self,
        original: Callable[..., Any],
        kind: str,
        model: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> tuple[list[Data], dict[str, Any]]:
        """Return the targets and the telling settings of a training or an evaluation."""
        if kind not in _ASKED:
            return [], {}
        try:
            bound = inspect.signature(original).bind(model, *args, **kwargs)
        except (TypeError, ValueError):
            return [], {}
        bound.apply_defaults()
        given = bound.arguments
        targets: list[Data] = []
        for name in ("y", "sample_weight"):
            if given.get(name) is not None:
                targets += self._arrays(name, given[name])[0]
        return targets, {name: plain(given[name]) for name in _SETTINGS if name in given}

    def _results(self, kind: str, model: Any, result: Any) -> tuple[list[Data], dict[str, Any]]:
        if kind == "fit":
            history = getattr(result, "history", {})
            curves = {str(name): [float(v) for v in values] for name, values in history.items()}
            after = [
                self._encoder.array(f"{layer.name}/{index}", weight)
                for layer in model.layers
                for index, weight in enumerate(layer.weights)
            ]
            return after, curves
        return self._arrays("y", result)[0], {}

    def _state(self, model: Any) -> int | None:
        try:
            state = describe_model(model, self._encoder)
        except Exception as error:
            self._spool.event("note", text=f"a model could not be described: {error}"[:500])
            return None
        text = json.dumps(state, sort_keys=True)
        if text not in self._states:
            self._states[text] = len(self._states)
            self._spool.event("state", state=state)
        return self._states[text]

    def _arrays(self, name: str, item: Any) -> tuple[list[Data], list[str]]:
        found: list[Data] = []
        notes: list[str] = []
        for path, leaf in leaves(name, item):
            try:
                values = to_numpy(leaf)
            except Exception:
                values = None
            if values is None or values.dtype.hasobject:
                notes.append(f"{path} is a {type(leaf).__name__}; its elements are not recorded")
            else:
                found.append(self._encoder.array(path, values))
        return found, notes


def _is_eager(model: Any) -> bool:
    """Say whether a model's methods run it eagerly: because of its own setting, or of everyone's.

    Keras 2 heeds the second in the first; Keras 3 knows only its own.
    """
    import tensorflow as tf

    return bool(getattr(model, "run_eagerly", False)) or bool(tf.config.functions_run_eagerly())


def _concrete(args: tuple[Any, ...]) -> bool:
    """Say whether a model is called on real elements, not on symbols while a graph is made."""
    import tensorflow as tf

    if tf.inside_function() or not args:
        return False
    found = [leaf for _, leaf in leaves("x", args[0])]
    return (
        bool(found)
        and all(
            hasattr(leaf, "numpy") or (hasattr(leaf, "dtype") and hasattr(leaf, "__array__"))
            for leaf in found
            if not isinstance(leaf, (int, float))
        )
        and not any(type(leaf).__name__ == "KerasTensor" for leaf in found)
    )
