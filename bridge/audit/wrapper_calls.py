"""What every wrapper of a front end hands to Python, asked in warm children."""

from __future__ import annotations

import contextlib
import inspect
import math
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np

from bridge.audit.judge import AuditReport, judge, sort_events
from bridge.process.environment import keras_version
from bridge.process.job_setup import SEED
from bridge.process.pool import Limits, Pool, Warm
from bridge.process.zygote import Context
from bridge.r import embed
from bridge.r.script import GENERATIONS, Served
from bridge.runs.job import begin, run_job
from bridge.trace import recorder
from bridge.trace.spool import SpoolWriter

#: Wrappers that only hand things to Keras. What installs, saves, loads, or starts something is not
#: called with odd arguments.
FAMILIES: Final = (
    "^(layer|bidirectional|time_distributed|rnn_cell|activation|optimizer|learning_rate_schedule|"
    "loss|metric|callback|initializer|regularizer|constraint|op|k|random|rnn|text|timeseries|"
    "application)_|^(keras_input|image_array_resize|pad_sequences|to_categorical|normalize|"
    "skipgrams|make_sampling_table|timeseries_generator|bidirectional|time_distributed)$"
)


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
    warm = Warm(GENERATIONS[package], True, served.libraries, served.preload)

    def share(number: int) -> list[dict[str, Any]]:
        params = {"package": package, "families": families, "share": number, "shares": shares}
        with run_job(pool, warm, audit_job, params, limits) as left:
            events = left.events
            if left.ending:
                broken = f"share {number + 1} came to no end ({left.ending})"
                events.append({"e": "broken", "text": broken})
        return events

    with ThreadPoolExecutor(max_workers=shares) as at_once:
        events = [event for part in at_once.map(share, range(shares)) for event in part]
    heard = sort_events(events)
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
_LIBRARIES: Final = ("keras", "tf_keras", "tensorflow")

_state: dict[str, Any] = {}


def audit_job(context: Context, params: dict[str, Any]) -> None:
    """Audit ``params["package"]`` and leave what arrived in ``params["spool"]``."""
    assert context.r is not None, "this warm process was started without R"
    folder = Path(params["spool"])
    (folder / "plots").mkdir(parents=True, exist_ok=True)
    spool = begin(context, params)
    _state.update(spool=spool, params=params, plain={})
    recorder.activate(None)
    recorder.listen(_Session(spool, folder))
    context.r.listen(lambda _text: None, lambda _text: None, lambda _prompt: "")
    context.r.run()
    spool.event("environment", keras=keras_version(context.generation))
    spool.event("end")


class _Session:
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
    return {key: _state["params"][key] for key in ("package", "families", "share", "shares")}


def is_asked(target: Any) -> bool:
    """Say whether a call is what a script would have asked for, not a question on the way."""
    name = getattr(target, "__name__", "")
    module = getattr(target, "__module__", "") or ""
    return module.partition(".")[0] in _LIBRARIES and name not in _QUESTIONS


def plain(text: str, value: Any = None) -> None:
    """Keep what reticulate alone makes of a probe."""
    _state["plain"][text] = value
    _state["spool"].event("plain", probe=text, value=encoded(value))


def failed(tried: Sequence[str], text: str) -> None:
    """Write down that R or Python refused a probe before anything arrived."""
    function, argument, probe = tried
    _state["spool"].event("refused", function=function, argument=argument, probe=probe, text=text)


def described(function: str, argument: str, line: Any = "") -> None:
    """Write down the line of R that an argument first stands in."""
    text = line if isinstance(line, str) else " ".join(map(str, line or ()))
    _state["spool"].event("line", function=function, argument=argument, text=text[:200])


def arrived(target: Any, tried: Sequence[str], /, *args: Any, **kwargs: Any) -> bool:
    """Write down what reached Python; say no to what is but a question on the way."""
    if not is_asked(target):
        return False
    function, argument, probe = tried
    spool: SpoolWriter = _state["spool"]
    path = f"{getattr(target, '__module__', '')}:{getattr(target, '__qualname__', '')}"
    if not argument:
        spool.event(
            "base",
            function=function,
            target=path,
            public=_public(target),
            args=[encoded(item) for item in args],
            kwargs={name: encoded(item) for name, item in kwargs.items()},
            defaults=_defaults(target),
            documented=_documented(target),
        )
        return True
    spool.event(
        "arrived",
        function=function,
        argument=argument,
        probe=probe,
        args=[encoded(item) for item in args],
        kwargs={name: encoded(item) for name, item in kwargs.items()},
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
            made = target(*args, **kwargs)
    except Exception as error:  # how a class refuses a value is what is asked
        return f"{type(error).__name__}: {error}"[:200]
    found: dict[str, Any] = {}
    with contextlib.suppress(Exception):  # a class may have none, or none of these arguments
        config = made.get_config()
        found |= {f"config {name}": _number(value) for name, value in config.items()}
    kept = getattr(made, "__dict__", {})
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


def _public(target: Any) -> str:
    for attribute in ("_keras_api_names", "_tf_api_names", "_api_export_path"):
        names = getattr(target, attribute, None)
        if isinstance(names, str):
            return names
        if names:
            return str(sorted(names, key=lambda each: (each.count("."), each))[0])
    return f"{(getattr(target, '__module__', '') or '').partition('.')[0]}." + str(
        getattr(target, "__qualname__", "")
    )
