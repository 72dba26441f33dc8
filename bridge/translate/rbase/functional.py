"""R's functions that take functions, and what hands values to Keras."""

from __future__ import annotations

import functools
import re
import sys
import types
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from bridge.translate.rbase import values as known
from bridge.translate.rbase.text import text_of
from bridge.translate.rbase.values import (
    Classed,
    Factor,
    Frame,
    GapError,
    Named,
    array,
    is_foreign,
    is_number,
    items,
    scalar,
    show,
    simple,
    vector,
    whole,
)

# Parameters are R's own, also where they make no difference here.
# ruff: noqa: ARG001, SIM101


#: What R drew at random in its own run, by function, in order; the runner fills it.
draws: dict[str, list[Any]] = {}
#: What R computed at places of the script, in order; and who hears that it was asked for.
answers: dict[int, list[Callable[[], Any]]] = {}
asked: Callable[[str], None] | None = None


def lapply(x: Any, function: Any, *args: Any, **kwargs: Any) -> Any:
    """``lapply(x, f)``: a list."""
    found = [function(item, *args, **kwargs) for item in items(x)]
    return dict(zip(x, found, strict=True)) if isinstance(x, dict) else found


def simplified(found: list[Any]) -> Any:
    """Return a list as a vector, or as columns of a matrix, where ``sapply`` would."""
    if not found:
        return []
    if all(isinstance(result, Named) and len(result) > 1 for result in found):
        found = [vector(result) for result in found]
    flat = [scalar(result) for result in found]
    if all(is_number(value) for value in flat):
        return scalar(np.array(flat))
    if all(isinstance(value, str) for value in flat):
        return flat if len(flat) > 1 else flat[0]
    if all(isinstance(result, np.ndarray) for result in found):
        sizes = {result.size for result in found}
        if len(sizes) == 1:
            return np.stack([vector(result) for result in found], axis=1)
    return found


def sapply(x: Any, function: Any, *args: Any, **kwargs: Any) -> Any:
    """``sapply(x, f)``: a vector or a matrix where it can be one."""
    kwargs.pop("USE_NAMES", None)
    kwargs.pop("simplify", None)
    found = [function(item, *args, **kwargs) for item in items(x)]
    plain = simplified(found)
    names = list(x) if isinstance(x, dict) else x if _texts(x) else None
    if names and all(is_number(scalar(result)) for result in found):
        return Named(zip(names, (scalar(result) for result in found), strict=True))
    return plain


def _texts(x: Any) -> bool:
    return isinstance(x, list) and bool(x) and all(isinstance(item, str) for item in x)


def vapply(x: Any, function: Any, value: Any = None, *args: Any, **kwargs: Any) -> Any:
    kwargs.pop("FUN_VALUE", None)
    return sapply(x, function, *args, **kwargs)


def mapply(function: Any, *args: Any, **kwargs: Any) -> Any:
    kwargs.pop("SIMPLIFY", None)
    return simplified(Map(function, *args, **kwargs))


def Map(function: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N802 - R's own name
    """``Map(f, ...)``: a list."""
    kwargs.pop("MoreArgs", None)
    kwargs.pop("USE_NAMES", None)
    lists = [items(argument) for argument in args]
    named = {key: items(argument) for key, argument in kwargs.items()}
    size = max(len(values) for values in (*lists, *named.values()))
    found = [
        function(*(values[n % len(values)] for values in lists),
                 **{key: values[n % len(values)] for key, values in named.items()})
        for n in range(size)
    ]  # fmt: skip
    return dict(zip(args[0], found, strict=True)) if args and isinstance(args[0], dict) else found


def Reduce(function: Any, x: Any, init: Any = None, accumulate: Any = False) -> Any:  # noqa: N802
    parts = items(x) if init is None else [init, *items(x)]
    return functools.reduce(function, parts) if parts else None


def Filter(function: Any, x: Any) -> Any:  # noqa: N802 - R's own name
    if isinstance(x, dict):
        return type(x)((key, value) for key, value in x.items() if function(value))
    kept = [item for item in items(x) if bool(scalar(function(item)))]
    return kept if isinstance(x, list) else np.array(kept)


def do_call(function: Any, args: Any = None) -> Any:
    if isinstance(args, dict):
        return function(**args)
    return function(*items(args))


def apply(x: Any, margin: Any, function: Any, *args: Any, **kwargs: Any) -> Any:
    """``apply(x, margin, f)``: over rows (1), columns (2), or both."""
    found = array(x)
    sides = [int(side) - 1 for side in vector(margin)]
    if len(sides) > 1:
        results = [function(values, *args, **kwargs) for values in found.ravel(order="F").tolist()]
        return np.array(results).reshape(found.shape, order="F")
    slices = [np.take(found, place, axis=sides[0]) for place in range(found.shape[sides[0]])]
    return simplified([function(values, *args, **kwargs) for values in slices])


def tapply(x: Any, by: Any, function: Any) -> Any:
    groups = by.text if isinstance(by, Factor) else [show(level) for level in vector(by)]
    values = vector(x)
    found = {}
    for group in sorted(set(groups)):
        chosen = values[np.array([label == group for label in groups])]
        found[group] = scalar(function(chosen))
    return Named(found)


def replicate(n: Any, function: Any) -> Any:
    return simplified([function() for _ in range(int(scalar(n)))])


def try_catch(
    body: Callable[[], Any], error: Any = None, finally_: Any = None, **_others: Any
) -> Any:
    try:
        return body()
    except GapError:
        raise
    except Exception as raised:  # as R does with what the script's own code raises
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
    raise Stop("".join(text_of(part) for part in parts))


def stopifnot(*conditions: Any, **named: Any) -> None:
    """``stopifnot(...)``.

    Raises:
        Stop: a condition does not hold.
    """
    for condition in (*conditions, *named.values()):
        if not bool(np.all(vector(condition))):
            raise Stop("a condition of stopifnot() does not hold")


def nothing(*_: Any, **__: Any) -> None:
    """What has no meaning outside R, such as ``library()`` or ``options()``."""


def warning(*parts: Any) -> None:
    """``warning(...)`` and ``message(...)``: said on standard error."""
    sys.stderr.write("".join(text_of(part) for part in parts) + "\n")


def is_null(x: Any) -> bool:
    return x is None


def is_true(x: Any) -> bool:
    return isinstance(scalar(x), (bool, np.bool_)) and bool(scalar(x))


def is_false(x: Any) -> bool:
    return isinstance(scalar(x), (bool, np.bool_)) and not bool(scalar(x))


def is_numeric(x: Any) -> bool:
    if isinstance(x, bool) or isinstance(x, (str, list, Factor)) or x is None:
        return False
    return is_number(x) or (isinstance(x, np.ndarray) and x.dtype.kind in "if")


def is_character(x: Any) -> bool:
    return isinstance(x, str) or _texts(x)


def is_list(x: Any) -> bool:
    return isinstance(x, (list, dict)) and not isinstance(x, Named) and not _texts(x)


def is_matrix(x: Any) -> bool:
    return isinstance(x, np.ndarray) and x.ndim == 2


def is_factor(x: Any) -> bool:
    return isinstance(x, Factor)


def is_data_frame(x: Any) -> bool:
    return isinstance(x, Frame)


def is_function(x: Any) -> bool:
    return callable(x)


def put_class(x: Any, classes: Any) -> Any:
    """``class(x) <- classes``, of a list.

    Raises:
        GapError: it is no list with names.
    """
    if not isinstance(x, dict) or isinstance(x, (Named, Frame)):
        raise GapError("the class of what is no list with names is not translated")
    classed = Classed(x)
    classed.classes = (classes,) if isinstance(classes, str) else tuple(classes)
    return classed


def dispatched(
    name: str,
    names: Mapping[str, Any],
    x: Any,
    method: Callable[[Any], Any],
    otherwise: Callable[[], Any] | None = None,
) -> Any:
    """Call the method of a generic function that the script has for the class of ``x``.

    Raises:
        GapError: it has none, and ``otherwise`` is not given.
    """
    found = class_of(x)
    for cls in (*([found] if isinstance(found, str) else found), "default"):
        function = names.get(re.sub(r"\W", "_", f"{name}.{cls}"))
        if function is not None:
            return method(function)
    if otherwise is None:
        raise GapError(f"the script has no method {name}() for a {found}")
    return otherwise()


def class_of(x: Any) -> Any:
    if isinstance(x, Classed):
        return list(x.classes)
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
    wanted = [what] if isinstance(what, str) else list(what)
    found = class_of(x)
    found = [found] if isinstance(found, str) else list(found)
    if isinstance(x, BaseException):
        found += ["try-error"]
    if is_foreign(x) and not isinstance(x, BaseException):
        found += [f"{base.__module__}.{base.__name__}" for base in type(x).__mro__]
    return any(name in found for name in wanted)


def identical(a: Any, b: Any) -> bool:
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
    left, right = vector(a).astype(np.float64), vector(b).astype(np.float64)
    if left.shape != right.shape:
        return False
    scale = np.abs(left).mean() if len(left) else 0.0
    gap = np.abs(left - right).mean() if len(left) else 0.0
    return bool(gap <= tolerance * (scale if scale > tolerance else 1.0))


def drawn(name: str, *_args: Any, **_kwargs: Any) -> Any:
    """Return what R itself drew with this function at this point of its run.

    Raises:
        GapError: R's draws were not recorded.
    """
    if not draws.get(name):
        raise GapError(f"what {name}() drew in R was not recorded")
    return draws[name].pop(0)


def answer(place: int, what: str) -> Any:
    """Return what R itself computed at a place of the script, this time; ``what`` names it.

    Raises:
        GapError: R came to no such value, or it was not kept.
    """
    if not answers.get(place):
        raise GapError(f"{what}, for which R has no answer")
    value = answers[place].pop(0)()
    if isinstance(value, known.Missing):
        len(value)
    if asked is not None:
        asked(what)
    return value


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


def invisible(x: Any = None) -> Any:
    return x


def identity(x: Any) -> Any:
    return x


def first(x: Any) -> Any:
    """The first element."""
    return simple(items(x)[0])


def negated(function: Any) -> Any:
    return lambda *args, **kwargs: not scalar(function(*args, **kwargs))


def is_vector(x: Any) -> bool:
    plain = x is not None and not isinstance(x, (Factor, Frame)) and not is_foreign(x)
    return plain and not (isinstance(x, np.ndarray) and x.ndim > 1)


# Handing values to Keras, and putting layers together.

# Parameters are R's own, also where they make no difference here.


def shape(*sizes: Any) -> Any:
    """``shape(...)``: a shape; NA, NULL and -1 are not known."""
    if len(sizes) == 1 and is_foreign(sizes[0]):
        return tuple(sizes[0].shape)
    flat: list[Any] = []
    for size in sizes:
        found = whole(size)
        flat += found if isinstance(found, (list, tuple)) else [found]
    return tuple(None if size in (-1, None) else size for size in flat)


def summary(x: Any, *_: Any, **__: Any) -> Any:
    """``summary(x)`` of a model; of R's own data there is none here."""
    if is_foreign(x) and hasattr(x, "summary"):
        return x.summary(print_fn=lambda *_, **__: None)
    raise known.GapError("summary() of what is no model is not translated")


def set_random_seed(seed: Any) -> None:
    """``set_random_seed(seed)`` of R's package tensorflow."""
    import random

    random.seed(int(seed))
    np.random.seed(int(seed))
    sys.modules["tensorflow"].random.set_seed(int(seed))


def from_one(x: Any, name: str) -> Any:
    """A place that Python counts from 0, where ``name`` of the R package counts from 1."""
    what = f"{name}() counts from 1 in R, and the same function from 0 in Python"
    if known.is_otherwise("counted", "r-index-base", what):
        return x
    return x + 1


def tensor(x: Any, dtype: Any = None, shape: Any = None) -> Any:
    tf = sys.modules["tensorflow"]
    if is_foreign(x):
        result = x if dtype is None else tf.cast(x, dtype)
    else:
        found = x if is_number(x) or isinstance(x, (str, list)) else array(x)
        result = tf.convert_to_tensor(found)
        result = result if dtype is None else tf.cast(result, dtype)
    if shape is not None:
        result = tf.fill(shape, result) if result.shape.rank == 0 else tf.reshape(result, shape)
    return result


def compose(target: Any, layer: Any) -> Any:
    """Add a layer to a sequential model, or call it on a tensor."""
    if hasattr(target, "add") and hasattr(target, "pop"):
        target.add(layer)
        return target
    return layer(target)


def counted(function: Any, *names: str) -> Any:
    """A wrapper of R's as a function: arguments of these names are whole numbers or shapes."""

    def made(*args: Any, **kwargs: Any) -> Any:
        target = kwargs.pop("object", None)
        layer = function(
            *(whole(argument) for argument in args),
            **{
                key: whole(argument) if key in names else argument
                for key, argument in kwargs.items()
            },
        )
        return layer if target is None else compose(target, layer)

    return made


def given(arguments: Any) -> dict[str, Any]:
    """The arguments in a list that are not NULL."""
    return {key: argument for key, argument in (arguments or {}).items() if argument is not None}


def then(target: Any, action: Any) -> Any:
    """Do something with a model, and hand the model on."""
    action(target)
    return target


def evaluated(found: Any) -> Any:
    """What ``evaluate()`` made, by name."""
    return Named((key, float(value)) for key, value in found.items()) if isinstance(
        found, dict) else found  # fmt: skip


def listed(x: Any) -> Any:
    """A list, also of one thing."""
    return list(x) if isinstance(x, (list, tuple)) else [x]


def nested(x: Any) -> Any:
    """The elements of a list of lists, to be taken apart."""
    if isinstance(x, dict):
        x = list(x.values())
    return [nested(item) if isinstance(item, (dict, list, tuple)) else item for item in x]


def called(function: Any, name: str) -> Any:
    """A function under another name."""

    @functools.wraps(function)
    def made(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    made.__name__ = name
    return made


def metrics(model: Any, named: Mapping[str, Any]) -> Any:
    """A named list of metrics: the names are those of outputs, or else the metrics' own."""
    if all(name in (getattr(model, "output_names", None) or ()) for name in named):
        return named
    return [
        called(metric, name) if isinstance(metric, types.FunctionType) else metric
        for name, metric in named.items()
    ]


def frozen(target: Any, trainable: bool = False) -> Any:
    """A model or layer whose weights stay, or move again."""
    target.trainable = trainable
    return target
