"""Recorded boundary calls made again, in a process that has no R."""

from __future__ import annotations

import ast
import builtins
import functools
import inspect
import io
import random
import re
import types
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np

from bridge._typing import AnyArray
from bridge.capsule import Call, Capsule, CapsuleError, ErrorRecord, Probe, read_capsule
from bridge.capsule.schema import Invocation, RecordedFile
from bridge.capsule.values import (
    ArrayValue,
    Class,
    Closure,
    Descriptor,
    Generator,
    Items,
    Method,
    ObjectValue,
    Opaque,
    Pairs,
    Scalar,
    Slice,
    Symbol,
    Value,
)
from bridge.errors import BridgeError
from bridge.facts.keras import BUILTINS, NAMES_IN_KERAS_2
from bridge.process.pool import Limits, Pool
from bridge.process.zygote import Context
from bridge.runs.job import begin, finish, origin_of, run_job
from bridge.runs.levers import Lever, params_for_script, warm_for
from bridge.runs.recorded_functions import NotRecordedError, RecordedFunctions, helper
from bridge.trace.call_semantics import (
    KERAS,
    LIBRARIES,
    STANDING,
    classes_of,
    is_answer,
    is_aside,
    is_front_end,
    made_in_r,
    of_script,
    owner,
)
from bridge.trace.encoder import Encoder, resolve
from bridge.trace.observer import FIRST_EPOCHS, Observer
from bridge.trace.recorder import describe_error, has_counterpart
from bridge.trace.spool import SpoolWriter

# The first epochs of a training: judged against R's, and gone on from R's weights.
#
# A run without R repeats a training of R's only as far as is needed to judge it: its first epochs.
# Then the model is given the weights that R's had after the last, and the history R's curves, so
# that what follows starts where R's run started. A difference shows where it begins and does not
# drift, and the cost does not grow with the epochs.
#
# A training is repeated in full where what it leaves behind is not only weights and a history:
# where callbacks act on it, or where a later training goes on from the state of an optimiser.

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
        later = (
            fitting for fitting in probes[probe.index + 1 :] if fitting.kind in ("fit", "train")
        )
        if state is None or any(_may_go_on(recorded, state.id, fitting) for fitting in later):
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


# Paths that a recording or a text names, as a run has them in a folder of its own.
#
# A run that makes again what R did must neither write where the user's files are nor read what lies
# there now: what the script saved lies in the run's own folder, and what it found was recorded.

#: What stands in a capsule for the folders of the run that it is of.
WORK: Final = "<work>"
_LONGEST: Final = 1000
_HOME: Final = re.compile(r"~[\w.-]*(/\S*)?")
_DRIVE: Final = re.compile(r"[A-Za-z]:[\\/]")


def own_path(text: str, folder: Path) -> str:
    """Return a path as a run has it whose own folder is ``folder``.

    What is no path, or lies in the folder anyhow, is returned as it is. Folders that do not exist
    yet are made: the script had made them, or was refused.
    """
    if not text or len(text) > _LONGEST or "\n" in text or "\0" in text:
        return text
    if text.startswith(WORK):
        return str(_inside(folder, text.removeprefix(WORK)))
    if _HOME.fullmatch(text):
        return str(_inside(folder / "home", text.partition("/")[2]))
    if _DRIVE.match(text):
        return str(_inside(folder / "root", text[2:].replace("\\", "/")))
    path = PurePosixPath(text)
    if path.is_absolute():
        if path.is_relative_to(folder) or len(path.parts) < 3 or not Path(*path.parts[:2]).is_dir():
            return text
        return str(_inside(folder / "root", text))
    if ".." in path.parts:
        return str(_inside(folder / "above", text))
    return text


def with_folders(text: str, folder: Path) -> None:
    """Make the folders in which a path of a run lies, where they are its own."""
    path = folder / text
    if len(text) <= _LONGEST and "/" in text and path.is_relative_to(folder):
        path.parent.mkdir(parents=True, exist_ok=True)


def _inside(folder: Path, rest: str) -> Path:
    parts = [part for part in PurePosixPath(rest).parts if part not in ("/", "..", ".")]
    path = folder.joinpath(*parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


#: How long an axis is of which only the number is known: enough for a step before and after.
_OPEN: Final = 3


def use_once(keras: Any, result: Any) -> None:
    """Run on zeros what a call made.

    Raises:
        Exception: whatever Keras raises then.
    """
    tensors = [tensor for tensor in _flat(result) if type(tensor).__name__ == "KerasTensor"]
    if tensors:
        sources: dict[int, Any] = {}
        for tensor in tensors:
            for source in keras.utils.get_source_inputs(tensor):
                sources.setdefault(id(source), source)
        result = keras.Model(list(sources.values()), tensors)
    inputs = list(getattr(result, "inputs", None) or ())
    if inputs and hasattr(result, "predict_on_batch"):
        zeros = [_zeros(input_) for input_ in inputs]
        result.predict_on_batch(zeros if len(zeros) > 1 else zeros[0])


def _flat(result: Any) -> Iterator[Any]:
    if isinstance(result, (list, tuple)):
        for part in result:
            yield from _flat(part)
    elif isinstance(result, dict):
        yield from _flat(list(result.values()))
    else:
        yield result


def _zeros(tensor: Any) -> np.ndarray[Any, Any]:
    first, *rest = tuple(tensor.shape)
    shape = (1 if first is None else int(first), *(_OPEN if n is None else int(n) for n in rest))
    kind = tensor.dtype if isinstance(tensor.dtype, str) else tensor.dtype.name
    return np.zeros(shape, dtype=kind)


# Running recorded boundary calls again, in a process that has no R.

_STANDING: Final = {"random": random, "np.random": np.random}


class ReplayError(BridgeError, RuntimeError):
    """A recorded value cannot be had in this process; the message says which and why."""


class Replay:
    """The objects that the replayed calls made, by the numbers that they had in the recording.

    Args:
        capsule: the recording.
        keras: the Keras of this process.
        gap: is told of what cannot be made again.
        folder: what the calls write lies there.
    """

    def __init__(
        self,
        capsule: Capsule,
        keras: Any,
        gap: Callable[[Call, BridgeError], None],
        folder: Path | None = None,
    ) -> None:
        self._capsule = capsule
        self._keras = keras
        self._gap = gap
        self._folder = folder or Path.cwd()
        self._objects: dict[int, Any] = {}
        self._found_as: dict[str, str] = {}
        self._lacking: dict[int, str] = {}
        #: Of the script, where the call that is made now stands.
        self.line: int | None = None
        self._functions = RecordedFunctions(
            capsule, self.value, self._bind, self._body, self._missed
        )
        self._files: dict[int, list[RecordedFile]] = {}
        for file in capsule.manifest.files:
            self._files.setdefault(file.call, []).append(file)
        self._helpers: dict[str, Any] = {}
        self._classes = {
            recorded_class.id: recorded_class for recorded_class in classes_of(capsule)
        }
        #: What a function of R's could not do again since the last step began.
        self._stopped: BridgeError | None = None

    def lack(self, call: Call, error: BridgeError) -> None:
        """Remember that a call could not be made on an object, which is not what it was then."""
        made_on = owner(call)
        if isinstance(made_on, ObjectValue):
            self._lacking.setdefault(made_on.id, str(error))

    def step(self, call: Call) -> Any:
        """Make one recorded call, remember what it gave, and return that.

        Raises:
            ReplayError: it cannot be made here, or a function of R's that it calls cannot.
            Exception: whatever the call raises.
        """
        self.line = call.line
        outer, self._stopped = self._stopped, None
        during, self._functions.during = self._functions.during, call.id
        try:
            return self._step(call)
        except ReplayError:
            raise
        except Exception as error:  # Keras may raise anything, and hides what it met in a function
            if self._stopped is not None:
                raise ReplayError(str(self._stopped)) from error
            raise
        finally:
            self._stopped = outer
            self._functions.during = during

    def _step(self, call: Call) -> Any:
        for file in self._files.get(call.id, ()):
            self._lay(file)
        target = self.value(call.target)
        if call.kind == "call":
            renamed = self._renamed(call.target)
            args = [self._argument("", item) for item in call.args]
            kwargs = {
                renamed.get(key, key): self._argument(key, item)
                for key, item in call.kwargs.items()
            }
            result = target(*args, **kwargs)
        elif call.kind == "getattr":
            # R asks softly: an attribute that is not there is NULL. One that ended the script is
            # asked for as it was.
            result = getattr(target, call.name, *(() if call.error else (None,)))
            if isinstance(call.result, Method):
                # A method may be found by another name than the one that it gives itself.
                self._found_as[call.result.name] = call.name
        elif call.kind == "setattr" and call.result is not None:
            result = self.value(call.result)
            setattr(target, call.name, result)
        elif call.kind == "getitem" and not _is_known(call.result, self._objects):
            result = _item(target, call.name)
        else:
            # Other items are read by keys that R computed; what they give is recorded.
            return None
        self._bind(call.result, result)
        return result

    def _body(self, invocation: Invocation, calls: Sequence[Call], bind: Callable[[], None]) -> Any:
        """Make the calls of an invocation again, and return what R returned.

        Raises:
            ReplayError: something that R returned cannot be had.
            Exception: what R let through, or raised itself.
        """
        bind()
        last: Exception | None = None
        for call in calls:
            last = self.attempt(call) or last
            if last is not None and call.error is None:
                raise last
        if invocation.error is not None:
            raise last or _error(invocation.error)
        try:
            return self.value(invocation.result)
        except ReplayError as error:
            self._stopped = error
            raise

    def _missed(self, error: NotRecordedError) -> None:
        self._stopped = error

    def attempt(self, call: Call) -> Exception | None:
        """Make one call; return what it raised, and tell of it where it cannot be made."""
        try:
            self.step(call)
        except ReplayError as error:
            # An attribute that cannot be read matters only where something is done with it.
            if (call.kind not in ("getattr", "getitem") or call.error) and not is_aside(call):
                self._gap(call, error)
                self.lack(call, error)
        except Exception as error:  # the call may raise as it did in R
            return error
        return None

    def _lay(self, file: RecordedFile) -> None:
        """Put a file where a call finds it."""
        name = PurePosixPath(file.path).name
        if file.key is None:
            raise ReplayError(f"the file {name} is not recorded")
        data = self._capsule.arrays[file.key].tobytes()
        if _holds_code(name, data):
            raise ReplayError(f"the file {name} may hold code, and is not opened")
        path = Path(own_path(file.path, self._folder))
        path = path if path.is_absolute() else self._folder / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def knows(self, call: Call) -> bool:
        """Say whether the class of what a missing attribute was asked of has it in this Keras.

        For objects that could not be made again.
        """
        target = call.target
        asked = call.kind == "getattr" and call.error is not None
        return (
            asked
            and isinstance(target, ObjectValue)
            and target.cls.partition(":")[0].partition(".")[0] in KERAS
            and has_counterpart(self._keras, target.cls, call.name)
        )

    def _renamed(self, target: Value) -> Mapping[str, str]:
        """Return how the target's arguments are called in the Keras that the replay runs on."""
        if not isinstance(target, Symbol) or not _is_foreign(target, self._keras):
            return {}
        names = NAMES_IN_KERAS_2.get(target.public.removeprefix("keras.layers."), {})
        return names if self._keras.__name__ == "tf_keras" else {b: a for a, b in names.items()}

    def _argument(self, _name: str, value: Value) -> Any:
        """Return an argument; a path leads into the replay's own folder."""
        if isinstance(value, Scalar) and value.t == "str":
            path = own_path(value.v, self._folder)
            with_folders(path, self._folder)
            return path
        return self.value(value)

    def value(self, value: Value | None) -> Any:
        """Return the Python object that ``value`` describes.

        Raises:
            ReplayError: it was made where the recording cannot see, or is a function of R's.
        """
        match value:
            case None:
                return None
            case Scalar():
                return own_path(value.v, self._folder) if value.t == "str" else _scalar(value)
            case Items():
                kinds = {"list": list, "tuple": tuple, "set": set}
                return kinds[value.t](self.value(item) for item in value.items)
            case Pairs():
                return {self.value(key): self.value(item) for key, item in value.items}
            case Slice():
                return slice(*(self.value(p) for p in (value.start, value.stop, value.step)))
            case ArrayValue():
                return self._array(value)
            case ObjectValue():
                return self._object(value.id, value.cls)
            case Symbol():
                return self._symbol(value)
            case Method():
                return self._method(value)
            case Closure():
                try:
                    return self._functions.function(value)
                except NotRecordedError as error:
                    raise ReplayError(str(error)) from None
            case Class():
                return self._class(value)
            case Descriptor():
                kind = {"property": property, "staticmethod": staticmethod}
                functions = (
                    None if function is None else self.value(function)
                    for function in value.functions
                )
                return kind.get(value.kind, classmethod)(*functions)
            case Generator():
                if value.id not in self._objects:
                    self._objects[value.id] = (item for item in self.value(value.source))
                return self._objects[value.id]
            case Opaque() if value.id in self._objects:
                # It could not be described, but the replay made it as well.
                return self._objects[value.id]
        raise ReplayError(f"a value was not recorded: {value.text}")

    def _symbol(self, value: Symbol) -> Any:
        module, _, name = value.path.partition(":")
        if not is_front_end(module):
            return _symbol(value, self._keras)
        if name not in self._helpers:
            self._helpers[name] = helper(name, self._keras)
            if isinstance(self._helpers[name], type):
                # A model's description names the module of each layer's class.
                self._helpers[name].__module__ = module
        if self._helpers[name] is None:
            raise ReplayError(f"{value.path} is of the R packages, and has no like without them")
        return self._helpers[name]

    def _method(self, value: Method) -> Any:
        made_on = self.value(value.owner)
        name = self._found_as.get(value.name, value.name)
        if value.of is not None:
            # The method of a class further up, which the object's own class hides.
            found = vars(self.value(value.of)).get(value.name)
            if found is not None:
                return found.__get__(made_on, type(made_on))
        found = getattr(made_on, name, None)
        if found is None:
            raise ReplayError(f"there is no {value.name}() without R")
        return found

    def _class(self, value: Class) -> Any:
        if value.id in self._objects:
            return self._objects[value.id]
        members = {"__module__": value.module}
        for name, item in value.members:
            try:
                members[name] = self.value(item)
            except ReplayError:
                # What only Python made of the class is made again with it.
                continue
        bases = tuple(self.value(base) for base in value.bases)
        cls = types.new_class(value.name, bases, {}, lambda space: space.update(members))
        self._objects[value.id] = cls
        return cls

    def _object(self, number: int, cls: str) -> Any:
        if number in self._classes:
            return self._class(self._classes[number])
        if number not in self._objects and cls in STANDING:
            return _STANDING[STANDING[cls]]
        if number in self._lacking:
            raise ReplayError(f"it was not made whole, since {self._lacking[number]}")
        if number not in self._objects:
            if made_in_r(cls.partition(":")[0]):
                raise ReplayError(f"the class {cls.rpartition(':')[2]} is written in R")
            if cls in ("builtins:type", "abc:ABCMeta"):
                raise ReplayError("its class was made by the script, as a class written in R is")
            raise ReplayError(f"an object of class {cls} was made where the trace cannot see it")
        return self._objects[number]

    def _array(self, value: ArrayValue) -> Any:
        if value.id is not None and value.id in self._objects:
            return self._objects[value.id]
        if value.key is None:
            raise ReplayError(f"the elements of an array of shape {value.shape} were not recorded")
        # A copy: memory order as it was received, and writable, as reticulate's arrays are.
        order: Any = "F" if value.order == "F" else "C"
        array = np.array(self._capsule.arrays[value.key], order=order, copy=True)
        if value.t == "array":
            return array
        import tensorflow as tf

        tensor = tf.constant(array) if value.t == "tensor" else tf.Variable(array)
        if value.id is not None:
            self._objects[value.id] = tensor
        return tensor

    def _bind(self, value: Value | None, result: Any) -> None:
        """Give what was made the numbers that it had in the recording."""
        number = getattr(value, "id", None)
        if number is not None:
            self._objects[number] = result
        elif isinstance(value, Items) and isinstance(result, (list, tuple)):
            for item, part in zip(value.items, result, strict=False):
                self._bind(item, part)
        elif isinstance(value, Pairs) and isinstance(result, Mapping):
            for (key, item), part in zip(value.items, result.values(), strict=False):
                del key
                self._bind(item, part)


def _holds_code(name: str, data: bytes) -> bool:
    """Say whether opening a recorded file may run what a stranger wrote into it."""
    if name.endswith((".pkl", ".pickle", ".pb", ".joblib")):
        return True
    if name.endswith((".npy", ".npz")):
        return b"'|O'" in data
    if name.endswith(".keras"):
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as parts:
                return any(b"Lambda" in parts.read(file_name) for file_name in parts.namelist())
        except (zipfile.BadZipFile, RuntimeError, zlib.error):
            return True
    return name.endswith((".h5", ".hdf5")) and b"Lambda" in data


def _is_known(value: Value | None, objects: Mapping[int, Any]) -> bool:
    """Say whether an item that R read is known by another way."""
    number = getattr(value, "id", None)
    return number is None or number in objects


def _item(target: Any, key: str) -> Any:
    """Return an item by the key that R used, as it was spelled.

    Raises:
        ReplayError: there is none.
    """
    digits = key.removesuffix("L")
    try:
        return target[int(digits) if digits.lstrip("-").isdigit() else key]
    except Exception as error:  # it may be anything that is asked for an item
        raise ReplayError(f"it has no item {key!r}") from error


def _error(record: ErrorRecord) -> Exception:
    """Return an exception like the one that R raised."""
    kind = getattr(builtins, record.cls, None)
    if isinstance(kind, type) and issubclass(kind, Exception):
        return kind(record.message)
    return RuntimeError(record.message)


def _scalar(value: Scalar) -> Any:
    if value.t == "none":
        return None
    if value.t == "ellipsis":
        return ...
    if value.t == "str":
        return value.v
    if value.t == "bytes":
        return bytes.fromhex(value.v)
    if value.t == "float":
        return float(value.v)
    if value.t == "complex":
        return complex(value.v)
    return ast.literal_eval(value.v)


def _symbol(value: Symbol, keras: Any) -> Any:
    module, _, name = value.path.partition(":")
    root = module.partition(".")[0]
    if module == "builtins" and name in BUILTINS:
        return getattr(builtins, name)
    if made_in_r(module):
        raise ReplayError(f"the class {name} is written in R")
    if root not in LIBRARIES:
        raise ReplayError(
            f"{value.path} is not called: only TensorFlow, Keras and NumPy are replayed"
        )
    if _is_foreign(value, keras):
        return _counterpart(value, keras)
    found = resolve(value.path)
    if found is None:
        raise ReplayError(f"{value.path} does not exist in the versions that are installed here")
    return found


def _is_foreign(value: Symbol, keras: Any) -> bool:
    root = value.path.partition(":")[0].partition(".")[0]
    return root in KERAS and root != keras.__name__


def _counterpart(value: Symbol, keras: Any) -> Any:
    """Find the same documented name in the other generation of Keras."""
    found = keras
    for part in value.public.split(".")[1:]:
        if part not in ("api", "_v2", "keras"):
            found = getattr(found, part, None)
    if found is None:
        raise ReplayError(f"{value.public} does not exist in {keras.__name__}")
    return found


def run_replay(
    pool: Pool,
    recorded: Capsule,
    generation: int,
    limits: Limits,
    lever: Lever | None = None,
    *,
    full: bool = True,
) -> Capsule:
    """Make the recorded boundary calls again, in a process without R, under a lever.

    Unless ``full``, trainings are judged on their first epochs, and go on from R's weights.

    Raises:
        LeverError: the lever cannot be pulled for a script.
        PoolError: TensorFlow or Keras cannot be started.
    """
    params = params_for_script(lever) | {"capsule": pool.file_of(recorded), "full": full}
    with run_job(pool, warm_for(lever, generation), replay_job, params, limits) as left:
        return left.capsule(origin_of(recorded), lever)


def replay_job(context: Context, params: dict[str, Any]) -> None:
    """Replay ``params["capsule"]`` into ``params["spool"]``."""
    recorded = read_capsule(Path(params["capsule"]))
    spool = begin(context, params, of_script=True)
    encoder = Encoder(spool)
    replay = Replay(recorded, context.keras, lambda call, error: _gap(spool, call, error))
    if not params["full"]:
        TrainingStart(recorded, lambda: replay.line).install(context.keras)
    Observer(spool, encoder).install(context.keras)
    finish(spool, context, _replay(replay, recorded, context.keras, spool, encoder))


def _write_call(spool: SpoolWriter, call: Call) -> None:
    kept = {"id", "kind", "target", "name", "line", "r_call", "internal"}
    spool.event("call", parent=None, **call.model_dump(mode="json", include=kept))


def _tried(spool: SpoolWriter, call: Call, keras: Any, result: Any) -> None:
    """Use what a call made that raised when it was recorded: it may only put the error off."""
    try:
        use_once(keras, result)
    except Exception as error:  # that Keras raises is what is wanted to be known
        spool.event("raised", id=call.id, error=describe_error(error) | {"in_use": True})


def _answered(spool: SpoolWriter, encoder: Encoder, call: Call, result: Any) -> None:
    """Tell what came back to the script, which R went on computing with."""
    _write_call(spool, call)
    spool.event("returned", id=call.id, result=encoder.value(result))


def _gap(spool: SpoolWriter, call: Call, error: BridgeError) -> None:
    where = f" (line {call.line})" if call.line else ""
    spool.event("gap", text=f"{call.r_call or call.kind}{where}: {error}"[:500])


def _replay(
    replay: Replay, recorded: Capsule, keras: Any, spool: SpoolWriter, encoder: Encoder
) -> str:
    last: dict[str, Any] | None = None
    for call in of_script(recorded):
        try:
            result = replay.step(call)
        except ReplayError as error:
            if replay.knows(call):
                _write_call(spool, call)
                continue
            # An attribute that cannot be read matters only where something is done with it.
            if (call.kind not in ("getattr", "getitem") or call.error) and not is_aside(call):
                _gap(spool, call, error)
                replay.lack(call, error)
        except Exception as error:  # the call may raise as it did in R
            last = describe_error(error) | {"line": call.line, "call": call.r_call}
            _write_call(spool, call)
            spool.event("raised", id=call.id, error=last)
        else:
            if call.error is not None:
                # What raised when it was recorded, and does not here, is worth telling.
                _write_call(spool, call)
                _tried(spool, call, keras, result)
            elif is_answer(call):
                _answered(spool, encoder, call, result)
    # R may have caught an error and gone on; only the one that ended the script ends the replay.
    if last is not None and recorded.manifest.status == "error":
        spool.event("error", error=last)
        return "error"
    return "ok"
