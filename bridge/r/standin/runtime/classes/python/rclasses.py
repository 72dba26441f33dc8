"""Python classes whose methods are R functions.

R hands over the functions and what it knows of their arguments; here they become functions with a
true signature, since Keras asks ``call`` whether it takes ``training``, and ``build`` for the
names of its shapes.
"""

import inspect
import itertools
import keyword
import types
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

_TOKENS: dict[int, int] = {}
_COUNTER = itertools.count(1)


def make_class(
    name: str,
    bases: Sequence[type],
    keywords: Mapping[str, Any],
    names: Sequence[str],
    values: Sequence[Any],
) -> type:
    """Return a new class with ``values`` as its members of the given ``names``."""
    members = dict(zip(names, values, strict=True))
    return types.new_class(name, tuple(bases), dict(keywords), lambda ns: ns.update(members))


def make_method(
    function: Callable[..., Any],
    name: str,
    names: Sequence[str],
    defaults: Mapping[str, Any],
    typed_only: bool,
    doc: str | None,
) -> Callable[..., Any]:
    """Return a Python function of R's ``function`` with R's arguments ``names``.

    ``...`` among them stands for any further arguments. With ``typed_only`` R gets what the caller
    gave and fills in its own defaults; otherwise the defaults cross as well, by position.
    """
    source = _source(name, names, defaults)
    method: Any = _passing(function)
    if source is not None:
        scope: dict[str, Any] = {"_function": function, "_defaults": dict(defaults)}
        exec(compile(source, f"<R function {name}>", "exec"), scope)
        if typed_only:
            method.__signature__ = inspect.signature(scope[name])
        else:
            method = scope[name]
    method.__name__ = name
    # The name that CRAN's packages give it, which errors of its arguments show.
    method.__qualname__ = name if typed_only else f"wrap_fn.<locals>.{name}"
    method.__doc__ = doc
    method_of_r: Callable[..., Any] = method
    return method_of_r


def _passing(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that hands on whatever it is given."""

    def method(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return method


def _source(name: str, names: Sequence[str], defaults: Mapping[str, Any]) -> str | None:
    """Write the function; None where it cannot be written in Python."""
    plain = [parameter for parameter in names if parameter != "..."]
    if not all(_spells(parameter) for parameter in (name, *plain)):
        return None
    head: list[str] = []
    passed: list[str] = []
    rest, defaulted = False, False
    for parameter in names:
        if parameter == "...":
            rest = True
            head.append("*_R_dots_positional_args")
            passed.append("*_R_dots_positional_args")
            continue
        if defaulted and parameter not in defaults and not rest:
            return None
        defaulted = defaulted or parameter in defaults
        head.append(f"{parameter}=_defaults[{parameter!r}]" if parameter in defaults else parameter)
        passed.append(f"{parameter}={parameter}" if rest else parameter)
    if rest:
        head.append("**_R_dots_keyword_args")
        passed.append("**_R_dots_keyword_args")
    return f"def {name}({', '.join(head)}):\n    return _function({', '.join(passed)})\n"


def _spells(name: str) -> bool:
    return name.isidentifier() and not keyword.iskeyword(name)


def token(instance: object) -> int:
    """Return a number that no other object has had, to keep R's private members by."""
    key = id(instance)
    if key not in _TOKENS:
        _TOKENS[key] = next(_COUNTER)
        finalizer = weakref.finalize(instance, _TOKENS.pop, key, None)
        finalizer.atexit = False
    return _TOKENS[key]


def counted_from_one(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a callback's method that gives R its epoch or batch counted from 1."""

    def called(self: Any, index: int, logs: Any = None) -> None:
        _take(logs, method(self, index + 1, logs))

    called.__name__ = called.__qualname__ = method.__name__
    return called


def with_logs(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a callback's method that may give back logs, which are taken over."""

    def called(self: Any, logs: Any = None) -> None:
        _take(logs, method(self, logs))

    called.__name__ = called.__qualname__ = method.__name__
    return called


def _take(logs: Any, result: Any) -> None:
    if isinstance(result, dict) and logs is not None:
        logs.update(result)


def parameters(kind: type) -> list[tuple[str, bool, Any]]:
    """Return the name of each argument of a constructor, whether it has a default, and that."""
    found: list[tuple[str, bool, Any]] = []
    constructor: Any = kind.__init__  # type: ignore[misc]
    known = list(inspect.signature(constructor).parameters.values())[1:]
    for parameter in known:
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            if not any(name == "..." for name, _, _ in found):
                found.append(("...", False, None))
            continue
        default = parameter.default
        plain = default is None or isinstance(default, bool | int | float | str)
        found.append((parameter.name, plain, default if plain else None))
    return found
