"""What every wrapper of a front end hands to Python, asked in warm children."""

from __future__ import annotations

import contextlib
import inspect
import math
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from bridge.audit.judge import AuditReport, judge, sort_events
from bridge.process.environment import SEED, keras_version
from bridge.process.pool import Limits, Pool, Warm
from bridge.process.zygote import Context
from bridge.r import embed
from bridge.r.script import GENERATIONS, Served
from bridge.runs.job import begin, run_job
from bridge.trace import recorder
from bridge.trace.spool import SpoolWriter

#: Where Keras and TensorFlow keep the public names of what they export, and what precedes them.
_NAMES: Final = {"_keras_api_names": "", "_api_export_path": "", "_tf_api_names": "tensorflow."}
_MOST: Final = 64


def public_name(target: Any) -> str:
    """Return the public path of a callable; a method is named by the first class that has it."""
    owner = getattr(target, "__self__", None)
    if owner is not None and not isinstance(owner, type) and not inspect.ismodule(owner):
        name = target.__name__
        owners = [cls for cls in type(owner).__mro__ if _exported(cls) and hasattr(cls, name)]
        return f"{_exported(owners[-1])}.{name}" if owners else _private(target)
    return _exported(target) or _private(target)


def spell(value: Any) -> str:
    """Return a value as the tables write it: arrays with dtype, shape, order; objects by class."""
    if isinstance(value, np.ndarray):
        flags = value.flags
        order = {(True, True): "CF", (True, False): "C", (False, True): "F"}
        kept = order.get((flags.c_contiguous, flags.f_contiguous), "-")
        return f"ndarray({value.dtype}, {value.shape}, {kept}, {_numbers(value)})"
    if isinstance(value, np.generic):
        return f"numpy({value.dtype}, {value})"
    if value is None or isinstance(value, (bool, int, float, str)):
        return repr(value)
    if isinstance(value, list):
        return f"[{', '.join(map(spell, value))}]"
    if type(value) is tuple:
        return f"({', '.join(map(spell, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key!r}: {spell(item)}' for key, item in value.items())}}}"
    return _object(value)


def _object(value: Any) -> str:
    name = type(value).__name__
    if name == "EagerTensor":
        return f"Tensor({value.dtype.name}, {tuple(value.shape)}, {_numbers(value.numpy())})"
    if name == "TensorShape":
        return str(value.as_list()).join(("TensorShape(", ")"))
    if name == "PyCapsule":
        return name
    if isinstance(value, type) or inspect.isroutine(value):
        exported = _exported(value)
        if exported:
            return f"@{exported}"
        return f"function {value.__name__}{_signature(value)}"
    public = next((base for base in type(value).__mro__ if _exported(base)), None)
    if public is None:
        return f"<{type(value).__module__}.{type(value).__qualname__}>"
    return f"<{_exported(public)}{'' if public is type(value) else '*'}>"


def _signature(function: Any) -> str:
    try:
        return str(inspect.signature(function))
    except (TypeError, ValueError):
        return "(?)"


def _numbers(array: np.ndarray[Any, Any]) -> str:
    if array.size > _MOST:
        return "..."
    return str(array.tolist())


def _exported(target: Any) -> str:
    """Return the shortest public name that an object itself has, "" if it has none.

    Of aliases (``MaxPool1D``) the one counts that the object itself is called by.
    """
    for attribute, before in _NAMES.items():
        # A subclass inherits the attribute, and is not what is exported under it.
        own = vars(target).get(attribute) if isinstance(target, type) else None
        names = own if isinstance(target, type) else getattr(target, attribute, None)
        if isinstance(names, str):
            names = (names,)
        if names:
            own_name = getattr(target, "__name__", "")
            return before + min(
                names, key=lambda name: (not name.endswith(f".{own_name}"), name.count("."), name)
            )
    return ""


def _private(target: Any) -> str:
    module = (getattr(target, "__module__", "") or "").partition(".")[0]
    return f"{module}.{getattr(target, '__qualname__', '')}"


#: Wrappers that only hand things to Keras. What installs, saves, loads, or starts something is not
#: called with odd arguments.
FAMILIES: Final = (
    "^(layer|bidirectional|time_distributed|rnn_cell|activation|optimizer|learning_rate_schedule|"
    "loss|metric|callback|initializer|regularizer|constraint|op|k|random|rnn|text|timeseries|"
    "application)_|^(keras_input|image_array_resize|pad_sequences|to_categorical|normalize|"
    "skipgrams|make_sampling_table|timeseries_generator|bidirectional|time_distributed)$"
)


@dataclass(frozen=True)
class Questions:
    """What every wrapper is asked; all values are R's text.

    ``probes`` are tried in each argument, ``fillers`` for all that is required, ``objects`` as the
    first argument where nothing else gets as far as Python. Arguments that are ``aside`` are given
    nothing. With ``tables`` all is written down that a coercion table says: answers as its text,
    also silence, and arguments given through ``dots``.
    """

    probes: Mapping[str, str]
    fillers: Sequence[str]
    families: str
    spared: str = "^$"
    aside: Sequence[str] = ("object", "y_true", "y_pred")
    tables: bool = False
    objects: Mapping[str, str] = field(default_factory=dict)
    dots: Sequence[str] = ()
    modes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    data: str = "NULL"
    returned: str = "NULL"
    setup: str = ""


#: Required arguments are filled with one of these.
FILLERS: Final = (
    "3L", "list(3L, 3L)", "'a'", "c(3L, 3L)", "matrix(1, 2, 2)", "function(x, ...) x", "0.5",
)  # fmt: skip
_ODD: Final = (
    "2.5", "2", "c(5, 2, 3)", "c(b = 2, a = 1)", "list(b = 2, a = 1)", "NULL", "NA", "3e9",
    "array(2.5)",
)  # fmt: skip


def ask_wrappers(
    pool: Pool, package: str, served: Served, limits: Limits, shares: int, questions: Questions
) -> list[dict[str, Any]]:
    """Ask the wrappers of ``package`` in so many children, two at once or more; return the events.

    Raises:
        PoolError: R, TensorFlow or Keras cannot be started.
    """
    warm = Warm(GENERATIONS[package], True, served.libraries, served.preload)

    def share(number: int) -> list[dict[str, Any]]:
        params = {
            "package": package,
            "questions": asdict(questions),
            "share": number,
            "shares": shares,
        }
        with run_job(pool, warm, audit_job, params, limits) as left:
            events = left.events
            if left.ending:
                broken = f"share {number + 1} came to no end ({left.ending})"
                events.append({"e": "broken", "text": broken})
        return events

    with ThreadPoolExecutor(max_workers=min(shares, os.cpu_count() or 1)) as at_once:
        return [event for part in at_once.map(share, range(shares)) for event in part]


def run_audit(
    pool: Pool,
    package: str,
    served: Served,
    limits: Limits,
    shares: int,
    families: str = FAMILIES,
) -> AuditReport:
    """Audit ``package`` in so many children at once.

    Raises:
        PoolError: R, TensorFlow or Keras cannot be started.
    """
    started = time.monotonic()
    questions = Questions({text: text for text in _ODD}, FILLERS, families)
    heard = sort_events(ask_wrappers(pool, package, served, limits, shares, questions))
    return AuditReport(
        package=package,
        frontend=served.frontend,
        keras=heard.keras,
        r_packages=heard.packages,
        functions=len(heard.bases),
        arguments=len(heard.lines),
        calls=len(heard.arrived),
        seconds=time.monotonic() - started,
        findings=judge(heard),
        unprobed=heard.unprobed,
        notes=tuple(dict.fromkeys(heard.broken)),
    )


# What every wrapper of a front end hands to Python, written down in a child of a warm process.

_DRIVER: Final = Path(embed.__file__).with_name("audit.R")
#: Questions that a wrapper asks on its way; they are not what the script asked for.
_QUESTIONS: Final = frozenset(
    {"is_tensor", "is_keras_tensor", "is_tf_type", "floatx", "image_data_format", "as_list"}
    | {"standardize_dtype", "convert_to_tensor", "as_dtype", "backend", "dtype", "shape"}
    | {"is_int_dtype", "is_float_dtype", "epsilon", "get_static_value", "as_shape", "TensorShape"}
    | {"deserialize_keras_object", "is_symbolic_tensor", "config", "is_sparse"}
)
#: Classes of values: a wrapper that calls a method of one converts what it was given.
_VALUES: Final = frozenset({"EagerTensor", "TensorShape", "DType", "ResourceVariable", "Variable"})
_LIBRARIES: Final = ("keras", "tf_keras", "tensorflow")

_state: dict[str, Any] = {}


def audit_job(context: Context, params: dict[str, Any]) -> None:
    """Audit ``params["package"]`` and leave what arrived in ``params["spool"]``."""
    assert context.r is not None, "this warm process was started without R"
    folder = Path(params["spool"])
    (folder / "plots").mkdir(parents=True, exist_ok=True)
    spool = begin(context, params)
    encode = spell if params["questions"]["tables"] else encoded
    _state.update(spool=spool, params=params, plain={}, encode=encode)
    recorder.activate(None)
    recorder.listen(_AuditSession(spool, folder))
    context.r.listen(lambda _text: None, lambda _text: None, lambda _prompt: "")
    context.r.run()
    spool.event("environment", keras=keras_version(context.generation))
    spool.event("end")


class _AuditSession:
    """Tells R what to run, and writes down what goes wrong with it."""

    def __init__(self, spool: SpoolWriter, folder: Path) -> None:
        self._spool = spool
        self._folder = folder

    def hear(self, event: str, line: int | None, about: dict[str, Any]) -> Any:
        del line
        if event == "job":
            return {
                "script": str(_DRIVER),
                "plots": str(self._folder / "plots"),
                "seed": SEED,
                "temporary": str(self._folder),
            }
        if event == "situation":
            versions = zip(about["situation"]["names"], about["situation"]["versions"], strict=True)
            self._spool.event("situation", packages=dict(versions))
        elif event == "signalled" and about.get("kind") == "error":
            self._spool.event("broken", text=str(about.get("text"))[:500])
        return None


def job() -> dict[str, Any]:
    """Return what R is to audit."""
    params = _state["params"]
    asked = {key: value for key, value in params["questions"].items() if key != "tables"}
    numbers = {key: params[key] for key in ("package", "share", "shares")}
    return {**asked, **numbers, "silence": params["questions"]["tables"]}


def is_asked(target: Any) -> bool:
    """Say whether a call is what a script would have asked for, not a question on the way."""
    name = getattr(target, "__name__", "")
    if type(getattr(target, "__self__", None)).__name__ in _VALUES:
        return False
    module = getattr(target, "__module__", "") or ""
    return module.partition(".")[0] in _LIBRARIES and name not in _QUESTIONS


def plain(text: str, value: Any = None) -> None:
    """Keep what reticulate alone makes of a probe."""
    _state["plain"][text] = value
    _state["spool"].event("plain", probe=text, value=_state["encode"](value))


def failed(tried: Sequence[str], text: str) -> None:
    """Write down that R or Python refused a probe before anything arrived."""
    function, argument, probe = tried
    _state["spool"].event("refused", function=function, argument=argument, probe=probe, text=text)


def described(function: str, argument: str, line: Any = "") -> None:
    """Write down the line of R that an argument first stands in."""
    text = line if isinstance(line, str) else " ".join(map(str, line or ()))
    _state["spool"].event("line", function=function, argument=argument, text=text[:200])


def noted(function: str, what: str, *values: Any) -> None:
    """Write down something else about a function, for a table."""
    if what == "exports":
        shown: Any = list(values[0])
    elif what == "formals":
        shown = [list(pair) for pair in zip(*values, strict=True)]
    else:
        (value,) = values
        shown = value if isinstance(value, bool) else spell(value)
    _state["spool"].event("noted", function=function, what=what, value=shown)


def arrived(target: Any, tried: Sequence[str], /, *args: Any, **kwargs: Any) -> bool:
    """Write down what reached Python; say no to what is but a question on the way."""
    if not is_asked(target):
        return False
    function, argument, probe = tried
    spool: SpoolWriter = _state["spool"]
    path = f"{getattr(target, '__module__', '')}:{getattr(target, '__qualname__', '')}"
    encode = _state["encode"]
    bound = not isinstance(getattr(target, "__self__", type), type)
    if not argument:
        spool.event(
            "base",
            function=function,
            target=path,
            public=public_name(target),
            method=bound,
            is_class=isinstance(target, type),
            args=[encode(item) for item in args],
            kwargs={name: encode(item) for name, item in kwargs.items()},
            defaults=_defaults(target),
            documented=_documented(target),
        )
        return True
    spool.event(
        "arrived",
        public=public_name(target),
        function=function,
        argument=argument,
        probe=probe,
        args=[encode(item) for item in args],
        kwargs={name: encode(item) for name, item in kwargs.items()},
        python=_asked_python(target, args, kwargs, argument, probe),
    )
    return True


def encoded(value: Any) -> Any:
    """Return a value as JSON: numbers of Python keep their type, everything else names it."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return {"int": value}
    if isinstance(value, float):
        return {"float": repr(value)}
    if isinstance(value, (list, tuple)):
        return {type(value).__name__: [encoded(item) for item in value[:16]]}
    if isinstance(value, dict):
        return {"dict": [[str(key), encoded(item)] for key, item in list(value.items())[:16]]}
    if isinstance(value, (np.ndarray, np.generic)):
        values = np.asarray(value)
        items = [encoded(item) for item in values.ravel()[:16].tolist()]
        return {"array": [values.dtype.name, list(values.shape), items]}
    return {"object": f"{type(value).__module__}:{type(value).__qualname__}"}


def _asked_python(
    target: Any, args: tuple[Any, ...], kwargs: dict[str, Any], argument: str, probe: str
) -> str:
    """Say what a class would have made of the number as R had it: ``refuses``, ``keeps``, ``same``.

    "" where it was not asked: the number did not change, or the target is no class.
    """
    given = _state["plain"].get(probe)
    got = kwargs.get(argument)
    fraction = isinstance(given, float) and not given.is_integer()
    changed = fraction and isinstance(got, (int, float)) and got != given
    if not changed or not isinstance(target, type):
        return ""
    seen = _made(target, args, kwargs)
    if isinstance(seen, str):
        return ""
    meant = _made(target, args, kwargs | {argument: given})
    if isinstance(meant, str):
        return f"refuses: {meant}"
    return "same" if meant == seen else "keeps"


def _made(target: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return the numbers that an object keeps of its arguments, or the error of making it."""
    try:
        with contextlib.redirect_stderr(None), contextlib.redirect_stdout(None):
            built = target(*args, **kwargs)
    except Exception as error:  # how a class refuses a value is what is asked
        return f"{type(error).__name__}: {error}"[:200]
    found: dict[str, Any] = {}
    with contextlib.suppress(Exception):  # a class may have none, or none of these arguments
        config = built.get_config()
        found |= {f"config {name}": _number(value) for name, value in config.items()}
    kept = getattr(built, "__dict__", {})
    found |= {name: _number(value) for name, value in kept.items()}
    return {name: value for name, value in found.items() if value is not None}


def _number(value: Any) -> str | None:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return repr(value) if isinstance(value, int) or math.isfinite(value) else None
    if isinstance(value, (list, tuple)) and all(isinstance(item, (int, float)) for item in value):
        return repr(tuple(value))
    return None


def _defaults(target: Any) -> dict[str, Any]:
    try:
        parameters = inspect.signature(target).parameters
    except (TypeError, ValueError):
        return {}
    return {
        name: encoded(parameter.default)
        for name, parameter in parameters.items()
        if parameter.default is not inspect.Parameter.empty
    }


def _documented(target: Any) -> dict[str, str]:
    """Return what the documentation says of each argument, by name."""
    text = inspect.getdoc(target) or ""
    if isinstance(target, type):
        text += "\n" + (inspect.getdoc(getattr(target, "__init__", None)) or "")
    found: dict[str, str] = {}
    for match in re.finditer(r"^ *`?(\w+)`?: (.+(?:\n(?: {6,}).+)*)", text, re.MULTILINE):
        found.setdefault(match[1], " ".join(match[2].split())[:300])
    return found
