"""Watching Keras: every prediction, evaluation and training becomes a probe of the capsule.

The same watcher stands in every process that runs a model (R's, the replay's, the twin's), so
that a probe means the same in all of them. It wraps the public methods and executes nothing more.
What a script hands to a model or makes of one may raise when it is looked at; that is noted in the
probe, and reaches neither the script nor the other parts of the probe.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from bridge.cases.claims import current_label
from bridge.errors import isolated
from bridge.facts.keras import METHODS
from bridge.trace.encoder import (
    Data,
    Encoder,
    attribute,
    class_name,
    error_text,
    has_attribute,
    is_instance,
    to_numpy,
)
from bridge.trace.executed_graph import executed_graphs
from bridge.trace.model_description import describe_model, leaves, plain
from bridge.trace.r_functions import looking
from bridge.trace.spool import SpoolWriter

#: What is trained or evaluated is given targets too, and arguments on which the numbers depend.
_ASKED: Final = ("fit", "train", "evaluate")
#: The attribute of a history that says how many epochs were made again; the rest is R's.
FIRST_EPOCHS: Final = "first_epochs"
_SETTINGS: Final = (
    *("epochs", "initial_epoch", "batch_size", "steps_per_epoch", "steps"),
    *("shuffle", "validation_split", "class_weight"),
)


def _leave_no_trace_in_errors(keras: Any) -> None:
    """Keep our frames out of the messages of errors: scripts print these, and compare them.

    AutoGraph lists the frames between a function and its error, and both it and Keras leave out
    those of certain folders.
    """
    ours = str(Path(__file__).parent)
    for name in ("tensorflow.python.util", f"{keras.__name__}.src.utils"):
        module: Any = importlib.import_module(f"{name}.traceback_utils")
        if ours not in module._EXCLUDED_PATHS:
            module._EXCLUDED_PATHS = (*module._EXCLUDED_PATHS, ours)


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
        for name, kind in METHODS.items():
            original = getattr(keras.Model, name)
            setattr(keras.Model, name, self._watch(original, kind))
        keras.Model.__call__ = self._watch(keras.Model.__call__, "call")
        # AutoGraph must step over our wrapper as it steps over Keras' own code, and go on
        # converting what the wrapper calls.
        from tensorflow.python.autograph.core import config

        rule = config.DoNotConvert("bridge")
        if not any(getattr(known, "_prefix", "") == "bridge" for known in config.CONVERSION_RULES):
            config.CONVERSION_RULES = (rule, *config.CONVERSION_RULES)
        _leave_no_trace_in_errors(keras)

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
        notes: list[str] = []
        x = args[0] if args else kwargs.get("x", kwargs.get("inputs"))
        inputs = self._arrays("x", x, notes)
        targets, validation, settings = self._asked(original, kind, model, args, kwargs)
        before = self._state(model) if kind in ("fit", "train") else None
        failed: BaseException | None = None
        status, why = "made", ""
        result: Any = None
        with executed_graphs() as executed:
            try:
                result = original(model, *args, **kwargs)
            except BaseException as error:  # the model may be a stranger's; it is raised below
                failed = error
        key = (id(model), kind)
        eager = kind == "call" or _is_eager(model)
        if executed.found and not eager:
            graph = isolated("reading an executed graph", executed.describe, None)
            if graph is not None:
                self._graphs[key] = graph
        outputs: list[Data] = []
        curves: dict[str, list[float]] = {}
        first_epochs: int | None = None
        if failed is not None:
            status, why = "raised", class_name(failed)
            notes.append(f"raised {why}")
        elif kind == "fit":
            curves = _curves(result, notes)
            first_epochs = attribute(result, FIRST_EPOCHS, None)
            if first_epochs is None:
                outputs = self._weights(model, notes)
            else:
                curves = {name: values[:first_epochs] for name, values in curves.items()}
        else:
            outputs = self._arrays("y", result, notes)
        self._spool.event(
            "probe",
            index=self._count,
            label=current_label(),
            kind=kind,
            state=self._state(model) if before is None else before,
            call=self._active_call(),
            inputs=inputs,
            targets=targets,
            validation=validation,
            settings=settings,
            outputs=outputs,
            curves=curves,
            first_epochs=first_epochs,
            # Single operations that run eagerly are wrapped into functions too.
            executed=None if eager else self._graphs.get(key),
            eager=eager,
            status=status,
            why=why,
            notes=notes,
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
    ) -> tuple[list[Data], list[Data], dict[str, Any]]:
        """Return the targets, what is validated with, and the telling settings."""
        if kind not in _ASKED:
            return [], [], {}
        try:
            bound = inspect.signature(original).bind(model, *args, **kwargs)
        except Exception:
            # The call itself will raise, and say why.
            return [], [], {}
        bound.apply_defaults()
        given = bound.arguments
        targets: list[Data] = []
        for name in ("y", "sample_weight"):
            if given.get(name) is not None:
                # What is no array there is seen in the results.
                targets += self._arrays(name, given[name], [])
        validation = self._arrays("validation", given.get("validation_data"), [])
        return (
            targets,
            validation,
            {name: plain(given[name]) for name in _SETTINGS if name in given},
        )

    def _weights(self, model: Any, notes: list[str]) -> list[Data]:
        """Describe a model's weights; none of them where one cannot be had."""
        try:
            return [
                self._encoder.array(f"{layer.name}/{index}", weight)
                for layer in model.layers
                for index, weight in enumerate(layer.weights)
            ]
        except Exception as error:  # a layer of a stranger's says what its weights are
            notes.append(f"the weights could not be read: {class_name(error)}: {error_text(error)}")
            return []

    def _state(self, model: Any) -> int | None:
        try:
            with looking():
                state = describe_model(model, self._encoder)
        except Exception as error:  # a stranger's layers and models describe themselves
            self._spool.event(
                "note", text=f"a model could not be described: {error_text(error)}"[:500]
            )
            return None
        text = json.dumps(state, sort_keys=True)
        if text not in self._states:
            self._states[text] = len(self._states)
            self._spool.event("state", state=state)
        return self._states[text]

    def _arrays(self, name: str, item: Any, notes: list[str]) -> list[Data]:
        """Describe the arrays in ``item``; of what is none, or cannot be read, a note is made."""
        found: list[Data] = []
        try:
            for path, leaf in leaves(name, item):
                try:
                    described = self._array(path, leaf)
                except Exception:  # an object of a stranger's says what its elements are
                    described = None
                if described is None:
                    notes.append(f"{path} is a {class_name(leaf)}; its elements are not recorded")
                else:
                    found.append(described)
        except Exception as error:
            # The rest of a list or dict that cannot be walked through.
            notes.append(f"{name} is a {class_name(item)}, which raised {class_name(error)}")
        return found

    def _array(self, path: str, leaf: Any) -> Data | None:
        values = to_numpy(leaf)
        return None if values.dtype.hasobject else self._encoder.array(path, values)


def _curves(result: Any, notes: list[str]) -> dict[str, list[float]]:
    """Return the history of a training by name; what a callback added may be no numbers."""
    curves: dict[str, list[float]] = {}
    history = attribute(result, "history", {})
    for name in list(history) if is_instance(history, dict) else ():
        try:
            curves[str(name)] = [float(value) for value in history[name]]
        except Exception as error:  # a callback of a stranger's may have added anything
            notes.append(f"history[{str(name)!r}] is no list of numbers: {class_name(error)}")
    return curves


def _is_eager(model: Any) -> bool:
    """Say whether a model's methods run it eagerly: because of its own setting, or of everyone's.

    Keras 2 heeds the second in the first; Keras 3 knows only its own.
    """
    import tensorflow as tf

    try:
        own = bool(attribute(model, "run_eagerly", False))
    except Exception:  # it may be anything that is true or not; what has no truth is not set
        own = False
    return own or bool(tf.config.functions_run_eagerly())


def _concrete(args: tuple[Any, ...]) -> bool:
    """Say whether a model is called on real elements, not on symbols while a graph is made."""
    import tensorflow as tf

    if tf.inside_function() or not args:
        return False
    try:
        found = [leaf for _, leaf in leaves("x", args[0])]
    except Exception:
        # A list or dict that cannot be walked through is no input that could be recorded.
        return False
    return bool(found) and all(_has_elements(leaf) for leaf in found)


def _has_elements(leaf: Any) -> bool:
    if class_name(leaf) == "KerasTensor":
        return False
    return (
        is_instance(leaf, (int, float))
        or has_attribute(leaf, "numpy")
        or (has_attribute(leaf, "dtype") and has_attribute(leaf, "__array__"))
    )
