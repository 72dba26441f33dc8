"""Doing something with every element, calling, asking, failing, printing."""

# Parameters are R's own, also where they make no difference here.
# ruff: noqa: ARG001, SIM101

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bridge.translate.rbase.values import (
    Factor,
    Frame,
    Gap,
    Missing,
    Named,
    array,
    is_foreign,
    is_number,
    scalar,
    show,
    simple,
    vector,
)

#: Hears every number that is printed: the runner sets it to compare what R printed.
heard: Callable[[list[Any]], None] | None = None
#: What R drew at random in its own run, by function, in order; the runner fills it.
draws: dict[str, list[Any]] = {}


def items(x: Any) -> list[Any]:
    """Return what a loop over a value goes through."""
    if isinstance(x, Missing):
        len(x)
    if x is None:
        return []
    if isinstance(x, Frame) or isinstance(x, dict):
        return list(x.values())
    if isinstance(x, (list, tuple)):
        return list(x)
    if isinstance(x, Factor):
        return x.text
    if is_foreign(x) and not hasattr(x, "dtype"):
        return list(x)
    return [each.item() if isinstance(each, np.generic) else each for each in vector(x)]


def lapply(x: Any, function: Any, *args: Any, **kwargs: Any) -> Any:
    """``lapply(x, f)``: a list."""
    found = [function(each, *args, **kwargs) for each in items(x)]
    return dict(zip(x, found, strict=True)) if isinstance(x, dict) else found


def simplified(found: list[Any]) -> Any:
    """Return a list as a vector, or as columns of a matrix, where ``sapply`` would."""
    if not found:
        return []
    flat = [scalar(each) for each in found]
    if all(is_number(each) for each in flat):
        return scalar(np.array(flat))
    if all(isinstance(each, str) for each in flat):
        return flat if len(flat) > 1 else flat[0]
    if all(isinstance(each, np.ndarray) for each in found):
        sizes = {each.size for each in found}
        if len(sizes) == 1:
            return np.stack([vector(each) for each in found], axis=1)
    return found


def sapply(x: Any, function: Any, *args: Any, **kwargs: Any) -> Any:
    """``sapply(x, f)``: a vector or a matrix where it can be one."""
    kwargs.pop("USE_NAMES", None)
    kwargs.pop("simplify", None)
    found = [function(each, *args, **kwargs) for each in items(x)]
    made = simplified(found)
    names = list(x) if isinstance(x, dict) else x if _texts(x) else None
    if names and all(is_number(scalar(each)) for each in found):
        return Named(zip(names, (scalar(each) for each in found), strict=True))
    return made


def _texts(x: Any) -> bool:
    return isinstance(x, list) and bool(x) and all(isinstance(each, str) for each in x)


def vapply(x: Any, function: Any, value: Any = None, *args: Any, **kwargs: Any) -> Any:
    """``vapply(x, f, value)``."""
    kwargs.pop("FUN_VALUE", None)
    return sapply(x, function, *args, **kwargs)


def mapply(function: Any, *args: Any, **kwargs: Any) -> Any:
    """``mapply(f, ...)``."""
    kwargs.pop("SIMPLIFY", None)
    return simplified(Map(function, *args, **kwargs))


def Map(function: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N802 - R's own name
    """``Map(f, ...)``: a list."""
    kwargs.pop("MoreArgs", None)
    kwargs.pop("USE_NAMES", None)
    lists = [items(each) for each in args]
    named = {key: items(each) for key, each in kwargs.items()}
    size = max(len(each) for each in (*lists, *named.values()))
    found = [
        function(*(each[n % len(each)] for each in lists),
                 **{key: each[n % len(each)] for key, each in named.items()})
        for n in range(size)
    ]  # fmt: skip
    return dict(zip(args[0], found, strict=True)) if args and isinstance(args[0], dict) else found


def Reduce(function: Any, x: Any, init: Any = None, accumulate: Any = False) -> Any:  # noqa: N802
    """``Reduce(f, x, init)``."""
    parts = items(x) if init is None else [init, *items(x)]
    return functools.reduce(function, parts) if parts else None


def Filter(function: Any, x: Any) -> Any:  # noqa: N802 - R's own name
    """``Filter(f, x)``."""
    if isinstance(x, dict):
        return type(x)((key, value) for key, value in x.items() if function(value))
    kept = [each for each in items(x) if bool(scalar(function(each)))]
    return kept if isinstance(x, list) else np.array(kept)


def do_call(function: Any, args: Any = None) -> Any:
    """``do.call(f, args)``."""
    if isinstance(args, dict):
        return function(**args)
    return function(*items(args))


def apply(x: Any, margin: Any, function: Any, *args: Any, **kwargs: Any) -> Any:
    """``apply(x, margin, f)``: over rows (1), columns (2), or both."""
    found = array(x)
    sides = [int(each) - 1 for each in vector(margin)]
    if len(sides) > 1:
        made = [function(each, *args, **kwargs) for each in found.ravel(order="F").tolist()]
        return np.array(made).reshape(found.shape, order="F")
    slices = [np.take(found, place, axis=sides[0]) for place in range(found.shape[sides[0]])]
    return simplified([function(each, *args, **kwargs) for each in slices])


def tapply(x: Any, by: Any, function: Any) -> Any:
    """``tapply(x, by, f)``."""
    groups = by.text if isinstance(by, Factor) else [show(each) for each in vector(by)]
    values = vector(x)
    found = {}
    for group in sorted(set(groups)):
        chosen = values[np.array([each == group for each in groups])]
        found[group] = scalar(function(chosen))
    return Named(found)


def replicate(n: Any, function: Any) -> Any:
    """``replicate(n, expr)``."""
    return simplified([function() for _ in range(int(scalar(n)))])


def try_catch(
    body: Callable[[], Any], error: Any = None, finally_: Any = None, **_others: Any
) -> Any:
    """``tryCatch(expr, error = function(e) ..., finally = ...)``."""
    try:
        return body()
    except Gap:
        raise
    except Exception as raised:
        if error is None:
            raise
        return error(raised)
    finally:
        if finally_ is not None:
            finally_()


def try_(body: Callable[[], Any], silent: Any = False) -> Any:
    """``try(expr)``: the error itself if there is one."""
    return try_catch(body, lambda error: error)


def condition_message(error: Any) -> str:
    """``conditionMessage(e)``, with the class of an error of Python's in front, as in R."""
    text = str(error)
    if isinstance(error, Stop):
        return text
    module = type(error).__module__
    name = type(error).__qualname__ if module == "builtins" else f"{module}.{type(error).__name__}"
    return f"{name}: {text}"


class Stop(Exception):  # noqa: N818 - R's word
    """``stop("...")``."""


def stop(*parts: Any) -> Any:
    """``stop(...)``.

    Raises:
        Stop: always.
    """
    raise Stop("".join(_text(each) for each in parts))


def stopifnot(*conditions: Any, **named: Any) -> None:
    """``stopifnot(...)``.

    Raises:
        Stop: a condition does not hold.
    """
    for each in (*conditions, *named.values()):
        if not bool(np.all(vector(each))):
            raise Stop("a condition of stopifnot() does not hold")


def nothing(*_: Any, **__: Any) -> None:
    """What has no meaning outside R, such as ``library()`` or ``options()``."""


def warning(*parts: Any) -> None:
    """``warning(...)`` and ``message(...)``: said on standard error."""
    sys.stderr.write("".join(_text(each) for each in parts) + "\n")


def is_null(x: Any) -> bool:
    """``is.null(x)``."""
    return x is None


def is_true(x: Any) -> bool:
    """``isTRUE(x)``."""
    return isinstance(scalar(x), (bool, np.bool_)) and bool(scalar(x))


def is_false(x: Any) -> bool:
    """``isFALSE(x)``."""
    return isinstance(scalar(x), (bool, np.bool_)) and not bool(scalar(x))


def is_numeric(x: Any) -> bool:
    """``is.numeric(x)``."""
    if isinstance(x, bool) or isinstance(x, (str, list, Factor)) or x is None:
        return False
    return is_number(x) or (isinstance(x, np.ndarray) and x.dtype.kind in "if")


def is_character(x: Any) -> bool:
    """``is.character(x)``."""
    return isinstance(x, str) or _texts(x)


def is_list(x: Any) -> bool:
    """``is.list(x)``."""
    return isinstance(x, (list, dict)) and not isinstance(x, Named) and not _texts(x)


def is_matrix(x: Any) -> bool:
    """``is.matrix(x)``."""
    return isinstance(x, np.ndarray) and x.ndim == 2


def is_factor(x: Any) -> bool:
    """``is.factor(x)``."""
    return isinstance(x, Factor)


def is_data_frame(x: Any) -> bool:
    """``is.data.frame(x)``."""
    return isinstance(x, Frame)


def is_function(x: Any) -> bool:
    """``is.function(x)``."""
    return callable(x)


def class_of(x: Any) -> Any:
    """``class(x)``."""
    if isinstance(x, Stop):
        return ["simpleError", "error", "condition"]
    if isinstance(x, BaseException):
        module = type(x).__module__
        front = "python.builtin" if module == "builtins" else module
        return [f"{front}.{type(x).__name__}", "python.builtin.Exception", "error", "condition"]
    known = {bool: "logical", int: "integer", float: "numeric", str: "character"}
    if type(x) in known:
        return known[type(x)]
    if isinstance(x, Frame):
        return "data.frame"
    if isinstance(x, Factor):
        return "factor"
    if isinstance(x, np.ndarray):
        if x.ndim > 1:
            return ["matrix", "array"] if x.ndim == 2 else "array"
        return {"f": "numeric", "i": "integer", "b": "logical"}.get(x.dtype.kind, "character")
    if isinstance(x, (list, dict)):
        return "list"
    return f"{type(x).__module__}.{type(x).__name__}"


def inherits(x: Any, what: Any) -> bool:
    """``inherits(x, what)``."""
    wanted = [what] if isinstance(what, str) else list(what)
    found = class_of(x)
    found = [found] if isinstance(found, str) else list(found)
    if isinstance(x, BaseException):
        found += ["try-error"]
    if is_foreign(x) and not isinstance(x, BaseException):
        found += [f"{each.__module__}.{each.__name__}" for each in type(x).__mro__]
    return any(each in found for each in wanted)


def identical(a: Any, b: Any) -> bool:
    """``identical(a, b)``."""
    if is_foreign(a) or is_foreign(b):
        return a is b
    if isinstance(a, (list, dict)) or isinstance(b, (list, dict)):
        if type(a) is not type(b) or len(a) != len(b):
            return False
        if isinstance(a, dict) and list(a) != list(b):
            return False
        return all(identical(x, y) for x, y in zip(items(a), items(b), strict=True))
    return bool(np.shape(a) == np.shape(b) and np.array_equal(np.asarray(a), np.asarray(b)))


def all_equal(a: Any, b: Any, tolerance: Any = 1.5e-8) -> bool:
    """``all.equal(a, b)``: up to R's own tolerance."""
    one, other = vector(a).astype(np.float64), vector(b).astype(np.float64)
    if one.shape != other.shape:
        return False
    scale = np.abs(one).mean() if len(one) else 0.0
    gap = np.abs(one - other).mean() if len(one) else 0.0
    return bool(gap <= tolerance * (scale if scale > tolerance else 1.0))


def drawn(name: str, *_args: Any, **_kwargs: Any) -> Any:
    """Return what R itself drew with this function at this point of its run.

    Raises:
        Gap: R's draws were not recorded.
    """
    if not draws.get(name):
        raise Gap(f"what {name}() drew in R was not recorded")
    return draws[name].pop(0)


def _text(x: Any) -> str:
    if isinstance(x, str):
        return x
    if isinstance(x, (list, tuple, np.ndarray, Factor)):
        found = x.text if isinstance(x, Factor) else vector(x)
        return " ".join(each if isinstance(each, str) else show(each) for each in found)
    return show(x)


def _texts_of(x: Any) -> list[str]:
    if isinstance(x, Factor):
        return x.text
    if isinstance(x, dict):
        return [_text(each) for each in x.values()]
    if is_foreign(x):
        return [str(x)]
    if isinstance(x, (list, tuple)):
        return [_text(each) for each in x]
    return [each if isinstance(each, str) else _long(each) for each in vector(x)]


def _long(x: Any) -> str:
    """Return a number as ``paste()`` writes it, to fifteen digits."""
    if isinstance(x, (float, np.floating)) and np.isfinite(x):
        return f"{float(x):.15g}"
    return show(x)


def tempfile(pattern: Any = "file", tmpdir: Any = None, fileext: Any = "") -> str:
    """``tempfile(...)``: a name that no file has yet, in the folder of the run."""
    import tempfile as own

    folder = own.mkdtemp(dir=".") if tmpdir is None else str(tmpdir)
    return str(Path(folder) / f"{pattern}0{fileext}")


def tempdir() -> str:
    """``tempdir()``: a folder of the run."""
    import tempfile as own

    return own.mkdtemp(dir=".")


def file_path(*parts: Any) -> str:
    """``file.path(...)``."""
    return "/".join(str(each) for each in parts)


def file_exists(*names: Any) -> Any:
    """``file.exists(...)``."""
    found = [Path(str(each)).exists() for each in names]
    return found[0] if len(found) == 1 else np.array(found)


def paste(*parts: Any, sep: Any = " ", collapse: Any = None) -> Any:
    """``paste(...)``."""
    columns = [_texts_of(each) for each in parts if each is not None]
    columns = [each for each in columns if each]
    size = max((len(each) for each in columns), default=0)
    found = [sep.join(each[n % len(each)] for each in columns) for n in range(size)]
    if collapse is not None:
        return str(collapse).join(found)
    return found[0] if len(found) == 1 else found


def paste0(*parts: Any, collapse: Any = None) -> Any:
    """``paste0(...)``."""
    return paste(*parts, sep="", collapse=collapse)


def sprintf(form: Any, *args: Any) -> Any:
    """``sprintf(form, ...)``."""
    columns = [items(each) if not isinstance(each, str) else [each] for each in args]
    size = max([1, *(len(each) for each in columns)])
    found = []
    for n in range(size):
        given = [each[n % len(each)] for each in columns]
        kinds = re.findall(r"%[-+ 0#]*[\d*]*(?:\.\d+)?([diouxXeEfgGs%])", form)
        kinds = [kind for kind in kinds if kind != "%"]
        made = [int(v) if kind in "dioxX" else show(v) if kind == "s" and not isinstance(v, str)
                else v for kind, v in zip(kinds, given, strict=False)]  # fmt: skip
        found.append(form % tuple(made))
    return found[0] if len(found) == 1 else found


def format_(x: Any, digits: Any = 7, nsmall: Any = 0, **_: Any) -> Any:
    """``format(x, ...)``."""
    found = []
    for each in items(x):
        if isinstance(each, str):
            found.append(each)
            continue
        text = f"{each:.{int(digits)}g}" if isinstance(each, float) else show(each)
        places = len(text.partition(".")[2])
        if isinstance(each, float) and places < int(nsmall):
            text = f"{each:.{int(nsmall)}f}"
        found.append(text)
    return found[0] if len(found) == 1 else found


def _on_each(x: Any, made: Callable[[str], Any]) -> Any:
    found = [made(each) for each in _texts_of(x)]
    return found[0] if len(found) == 1 else found


def nchar(x: Any) -> Any:
    """``nchar(x)``."""
    found = _on_each(x, len)
    return np.array(found, np.int32) if isinstance(found, list) else found


def toupper(x: Any) -> Any:
    """``toupper(x)``."""
    return _on_each(x, str.upper)


def tolower(x: Any) -> Any:
    """``tolower(x)``."""
    return _on_each(x, str.lower)


def trimws(x: Any) -> Any:
    """``trimws(x)``."""
    return _on_each(x, str.strip)


def substr(x: Any, start: Any, stop: Any) -> Any:
    """``substr(x, start, stop)``: places from 1, the last one included."""
    return _on_each(x, lambda text: text[max(0, int(scalar(start)) - 1) : int(scalar(stop))])


def strsplit(x: Any, split: Any, fixed: Any = False) -> Any:
    """``strsplit(x, split)``: a list."""

    def made(text: str) -> list[str]:
        if split == "":
            return list(text)
        return text.split(split) if fixed else re.split(split, text)

    return [made(each) for each in _texts_of(x)]


def gsub(pattern: Any, replacement: Any, x: Any, fixed: Any = False) -> Any:
    """``gsub(pattern, replacement, x)``."""
    wanted = re.escape(pattern) if fixed else pattern
    return _on_each(x, lambda text: re.sub(wanted, replacement, text))


def sub_first(pattern: Any, replacement: Any, x: Any, fixed: Any = False) -> Any:
    """``sub(pattern, replacement, x)``."""
    wanted = re.escape(pattern) if fixed else pattern
    return _on_each(x, lambda text: re.sub(wanted, replacement, text, count=1))


def grepl(pattern: Any, x: Any, fixed: Any = False) -> Any:
    """``grepl(pattern, x)``."""
    wanted = re.escape(pattern) if fixed else pattern
    found = [re.search(wanted, text) is not None for text in _texts_of(x)]
    return found[0] if len(found) == 1 else np.array(found)


def switch(value: Any, *places: Any, **cases: Any) -> Any:
    """``switch(value, ...)``: each case is a function of nothing."""
    if is_number(value):
        chosen = [*places, *cases.values()]
        return chosen[int(value) - 1]() if 1 <= int(value) <= len(chosen) else None
    names = list(cases)
    if value in cases:
        for name in names[names.index(value) :]:
            if cases[name] is not None:
                return cases[name]()
    return places[0]() if places else None


def hear(x: Any) -> None:
    """Tell whoever listens which numbers are printed, row by row."""
    if heard is not None:
        heard(_numbers(x))


def _numbers(x: Any) -> list[Any]:
    if x is None or isinstance(x, BaseException):
        return []
    if isinstance(x, str):
        return [x]
    if isinstance(x, Frame):
        return []
    if isinstance(x, dict) or isinstance(x, (list, tuple)):
        return [part for each in items(x) for part in _numbers(each)]
    if isinstance(x, Factor):
        return list(x.text)
    if is_foreign(x):
        return []
    found = np.asarray(x)
    if found.ndim > 2:
        # R prints matrix after matrix; the last axis changes slowest.
        moved = np.moveaxis(found, (0, 1), (-2, -1))
        order = moved.transpose(*reversed(range(found.ndim - 2)), -2, -1)
        return list(order.ravel().tolist())
    return list(found.ravel().tolist())


def print_(x: Any = None, *_args: Any, **_kwargs: Any) -> Any:
    """``print(x)``."""
    hear(x)
    if isinstance(x, (np.ndarray, list)) and not is_foreign(x):
        print(np.array2string(np.asarray(x), precision=7) if isinstance(x, np.ndarray) else x)
    else:
        print(show(x) if is_number(x) or x is None else x)
    return x


def cat(*parts: Any, sep: Any = " ", fill: Any = None, file: Any = None) -> None:
    """``cat(...)``."""
    for each in parts:
        hear(each)
    print(str(sep).join(_text(each) for each in parts), end="")


def shown(x: Any) -> Any:
    """What R prints by itself at the top of a script."""
    return x if x is None or is_foreign(x) else print_(x)


def invisible(x: Any = None) -> Any:
    """``invisible(x)``."""
    return x


def identity(x: Any) -> Any:
    """``identity(x)``."""
    return x


def first(x: Any) -> Any:
    """The first element."""
    return simple(items(x)[0])


def frame(columns: dict[str, Any]) -> Frame:
    """Make a data frame of R's own from its recorded columns."""
    made: dict[str, Any] = {}
    for name, column in columns.items():
        if "levels" in column:
            made[name] = Factor([code or 0 for code in column["codes"]], column["levels"])
        elif "strings" in column:
            made[name] = list(column["strings"])
        else:
            values = [np.nan if each is None else each for each in column["values"]]
            exact = column["type"] == "integer" and None not in column["values"]
            made[name] = np.array(values, np.int32 if exact else np.float64)
    return Frame(made)


def dataset(about: dict[str, Any]) -> Any:
    """Make a data set of R's own from its recorded values."""
    if "frame" in about:
        return frame(about["frame"])
    values = [np.nan if each is None else each for each in about["array"]]
    kind = np.int32 if about["type"] == "integer" and None not in about["array"] else np.float64
    shape = tuple(int(each) for each in about["dim"])
    return np.array(values, kind).reshape(shape, order="F")
