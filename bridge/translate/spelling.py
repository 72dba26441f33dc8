"""Recorded values and calls spelled as Python: literals, names for variables, lines for readers."""

from __future__ import annotations

import builtins
import keyword
import math
import re
import unicodedata
from collections.abc import Callable, Iterator
from collections.abc import Sequence as Many
from dataclasses import dataclass
from typing import Any, Final

import ml_dtypes  # noqa: F401  (registers bfloat16 and the float8 types with NumPy)
import numpy as np

from bridge._typing import AnyArray
from bridge.capsule import Call
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
from bridge.facts.keras import METHODS

WIDTH: Final = 92


@dataclass(frozen=True)
class PythonText:
    """A piece of Python that stands as it is."""

    text: str


@dataclass(frozen=True)
class StatementResult:
    """What a statement made, by the number of the statement."""

    by: int


@dataclass(frozen=True)
class Attribute:
    """``owner.name``."""

    owner: Expression
    name: str


@dataclass(frozen=True)
class Item:
    """``owner[key]``."""

    owner: Expression
    key: Expression


@dataclass(frozen=True)
class Apply:
    """A call, with its arguments by position and by name."""

    function: Expression
    args: tuple[Expression, ...] = ()
    kwargs: tuple[tuple[str, Expression], ...] = ()


@dataclass(frozen=True)
class Sequence:
    """A list, tuple or set."""

    left: str
    right: str
    items: tuple[Expression, ...]


@dataclass(frozen=True)
class Dictionary:
    """A dict."""

    items: tuple[tuple[Expression, Expression], ...]


Expression = PythonText | StatementResult | Attribute | Item | Apply | Sequence | Dictionary


def parts(of: Expression) -> tuple[Expression, ...]:
    """Return what an expression is made of, in the order in which Python evaluates it."""
    match of:
        case Attribute():
            return (of.owner,)
        case Item():
            return (of.owner, of.key)
        case Apply():
            return (of.function, *of.args, *(value for _, value in of.kwargs))
        case Sequence():
            return of.items
        case Dictionary():
            return tuple(part for pair in of.items for part in pair)
    return ()


def made_in(of: Expression) -> Iterator[int]:
    """Yield the numbers of the statements whose results stand in it, in order of evaluation."""
    stack = [of]
    while stack:
        item = stack.pop()
        if isinstance(item, StatementResult):
            yield item.by
        stack.extend(reversed(parts(item)))


def renamed(of: Expression, name: Callable[[int], Expression]) -> Expression:
    """Return an expression with what ``name`` gives in the place of each statement's result."""

    def again(item: Expression) -> Expression:
        return renamed(item, name)

    match of:
        case StatementResult():
            return name(of.by)
        case Attribute():
            return Attribute(again(of.owner), of.name)
        case Item():
            return Item(again(of.owner), again(of.key))
        case Apply():
            kwargs = tuple((key, again(value)) for key, value in of.kwargs)
            return Apply(again(of.function), tuple(map(again, of.args)), kwargs)
        case Sequence():
            return Sequence(of.left, of.right, tuple(map(again, of.items)))
        case Dictionary():
            return Dictionary(tuple((again(key), again(value)) for key, value in of.items))
    return of


def write(of: Expression, name: Callable[[int], Expression], indent: int = 0, used: int = 0) -> str:
    """Return the text of an expression.

    Args:
        of: the expression.
        name: what stands for the result of a statement.
        indent: the column in which the statement begins.
        used: how many columns the first line has lost to what stands before and after.
    """
    short = _line(of, name)
    if indent + used + len(short) <= WIDTH:
        return short
    inner = indent + 4
    pad = " " * inner
    end = "\n" + " " * indent

    def spread(items: list[tuple[str, Expression]]) -> str:
        lines = (f"{pad}{key}{write(item, name, inner, len(key) + 1)}," for key, item in items)
        return "\n".join(["", *lines]) + end

    match of:
        case StatementResult():
            return write(name(of.by), name, indent, used)
        case Attribute():
            return f"{write(of.owner, name, indent, used + len(of.name) + 1)}.{of.name}"
        case Apply() if of.args or of.kwargs:
            given = [("", argument) for argument in of.args]
            given += [(_given_as(key), argument) for key, argument in of.kwargs]
            return f"{write(of.function, name, indent, used + 1)}({spread(given)})"
        case Sequence() if all(isinstance(item, PythonText) for item in of.items):
            return f"{of.left}{_filled(of, name, inner)}{end}{of.right}"
        case Sequence():
            return f"{of.left}{spread([('', item) for item in of.items])}{of.right}"
        case Dictionary():
            pairs = [(f"{_line(key, name)}: ", item) for key, item in of.items]
            return f"{{{spread(pairs)}}}"
    return short


def _given_as(key: str) -> str:
    """What stands before an argument with a name; ``**`` is for those that Python cannot name."""
    return key if key == "**" else f"{key}="


def _filled(of: Sequence, name: Callable[[int], Expression], indent: int) -> str:
    """Numbers fill their lines; one a line would make a page of them."""
    lines = [""]
    for item in of.items:
        word = f"{_line(item, name)},"
        if lines[-1] and indent + len(lines[-1]) + 1 + len(word) <= WIDTH:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return "".join(f"\n{' ' * indent}{line}" for line in lines if line)


def _line(of: Expression, name: Callable[[int], Expression]) -> str:
    match of:
        case PythonText():
            return of.text
        case StatementResult():
            return _line(name(of.by), name)
        case Attribute():
            return f"{_line(of.owner, name)}.{of.name}"
        case Item():
            return f"{_line(of.owner, name)}[{_line(of.key, name)}]"
        case Apply():
            given = [_line(argument, name) for argument in of.args]
            given += [f"{_given_as(key)}{_line(argument, name)}" for key, argument in of.kwargs]
            return f"{_line(of.function, name)}({', '.join(given)})"
        case Sequence():
            comma = "," if of.left == "(" and len(of.items) == 1 else ""
            return f"{of.left}{', '.join(_line(item, name) for item in of.items)}{comma}{of.right}"
        case Dictionary():
            pairs = (f"{_line(key, name)}: {_line(value, name)}" for key, value in of.items)
            return "{" + ", ".join(pairs) + "}"


# Numbers and arrays as Python text that gives the same bits again.

#: Arrays of more elements than this are kept beside the script: a reader does not read them.
MAX_INLINE: Final = 32

_BRACKETS: Final = {"list": ("[", "]"), "tuple": ("(", ")"), "set": ("{", "}")}
#: The types that NumPy has of its own; others are not written to .npz files as they are.
_NATIVE: Final = frozenset("biufc")


def number(value: Any) -> str:
    """Return the text of a number: a bool, int, float or complex."""
    if isinstance(value, complex):
        return f"complex({number(value.real)}, {number(value.imag)})"
    if isinstance(value, float) and not math.isfinite(value):
        return "np.nan" if math.isnan(value) else "np.inf" if value > 0 else "-np.inf"
    return repr(value)


def text(value: str) -> str:
    """Return a string as Python, in double quotes where that needs no escapes."""
    said = repr(value)
    return f'"{said[1:-1]}"' if said[0] == "'" and '"' not in said else said


def scalar(value: Scalar) -> str:
    """Return the text of a scalar that crossed the boundary.

    Raises:
        ValueError: it is not what it says it is.
    """
    match value.t:
        case "none":
            return "None"
        case "ellipsis":
            return "..."
        case "str":
            return text(value.v)
        case "bytes":
            return repr(bytes.fromhex(value.v))
        case "bool":
            return "True" if value.v == "True" else "False"
        case "int":
            return repr(int(value.v))
        case "float":
            return number(float(value.v))
    return number(complex(value.v))


def brackets(kind: str, items: tuple[Expression, ...]) -> Expression:
    """Return a list, tuple or set of these."""
    if kind == "set" and not items:
        return PythonText("set()")
    return Sequence(*_BRACKETS[kind], items)


def numbers(items: Items) -> AnyArray | None:
    """Return a long list of numbers of one kind as an array, whose ``tolist()`` it is."""
    kinds = {item.t if isinstance(item, Scalar) else "" for item in items.items}
    if len(items.items) <= MAX_INLINE or len(kinds) != 1:
        return None
    texts = [item.v for item in items.items if isinstance(item, Scalar)]
    match kinds.pop():
        case "float":
            return np.array([float(text) for text in texts], np.float64)
        case "bool":
            return np.array([text == "True" for text in texts])
        case "int":
            found = [int(text) for text in texts]
            return np.array(found, np.int64) if all(abs(value) < 2**63 for value in found) else None
    return None


def count_up(values: Many[Any]) -> str | None:
    """Return the ``start, stop, step`` of whole numbers that go up or down evenly."""
    if len(values) < 4:
        return None
    first, step = int(values[0]), int(values[1]) - int(values[0])
    if not step or list(values) != list(range(first, first + step * len(values), step)):
        return None
    stop = first + step * len(values)
    return f"{first}, {stop}" if step == 1 else f"{first}, {stop}, {step}"


def array(values: AnyArray, order: str = "") -> Expression | None:
    """Return an array as Python; None where it is too large, or its bits cannot be written."""
    kind = values.dtype.kind
    if kind not in _NATIVE or values.dtype.byteorder == ">":
        return None
    if _odd_nan(values):
        return None
    dtype = PythonText(text(values.dtype.name))
    fortran = (("order", PythonText('"F"')),) if order == "F" else ()
    if values.size > 4 and (same := _constant(values, dtype)) is not None:
        return Apply(same.function, same.args, (*same.kwargs, *fortran))
    if values.ndim == 1 and kind in "iu" and (span := count_up(values.tolist())):
        return Apply(PythonText("np.arange"), (PythonText(span),), (("dtype", dtype),))
    if not 0 < values.size <= MAX_INLINE or values.ndim > 4:
        return _empty(values, dtype) if values.size == 0 else None
    nested = values.tolist()
    default = _default_type(values)
    if kind == "f" and values.dtype.itemsize < 8:
        nested = _shortest(values)
    if np.array(nested, values.dtype).tobytes() != values.tobytes(order="C"):
        return None
    typed = () if default else (("dtype", dtype),)
    return Apply(PythonText("np.array"), (_nested(nested),), (*typed, *fortran))


def storable(values: AnyArray) -> tuple[AnyArray, str]:
    """Return what is put in a .npz file, and what restores it there ("" where nothing has to)."""
    if values.dtype.kind in _NATIVE:
        return values, ""
    raw = np.ascontiguousarray(values).view(np.dtype(f"u{values.dtype.itemsize}"))
    return raw, f".view(tf.{values.dtype.name}.as_numpy_dtype)"


def _odd_nan(values: AnyArray) -> bool:
    """Say whether there is a NaN with bits of its own, such as R's NA: it cannot be written."""
    if values.dtype.kind not in "fc" or not np.isnan(values).any():
        return False
    plain = np.where(np.isnan(values), np.array(np.nan, values.dtype), values)
    return values.dtype.kind == "c" or plain.tobytes() != values.tobytes()


def _constant(values: AnyArray, dtype: PythonText) -> Apply | None:
    first = values.reshape(-1)[:1]
    if values.tobytes() != np.broadcast_to(first, values.shape).tobytes():
        return None
    common = first[0].item()
    shape = PythonText(repr(values.shape if values.ndim != 1 else values.shape[0]))
    typed = () if values.dtype == np.float64 else (("dtype", dtype),)
    if first.tobytes() == np.zeros(1, values.dtype).tobytes():
        return Apply(PythonText("np.zeros"), (shape,), typed)
    if first.tobytes() == np.ones(1, values.dtype).tobytes():
        return Apply(PythonText("np.ones"), (shape,), typed)
    if np.array([common], values.dtype).tobytes() != first.tobytes():
        return None
    return Apply(PythonText("np.full"), (shape, PythonText(number(common))), (("dtype", dtype),))


def _empty(values: AnyArray, dtype: PythonText) -> Apply:
    return Apply(PythonText("np.zeros"), (PythonText(repr(values.shape)),), (("dtype", dtype),))


def _default_type(values: AnyArray) -> bool:
    """Say whether NumPy chooses this type by itself for such numbers."""
    return values.dtype in (np.float64, np.bool_) or values.dtype == np.int64


def _shortest(values: AnyArray) -> Any:
    """Numbers of a short type, with no more digits than it has."""
    flat = [float(str(value)) for value in values.reshape(-1)]
    return np.array(flat, np.float64).reshape(values.shape).tolist()


def _nested(item: Any) -> Expression:
    if isinstance(item, list):
        return Sequence("[", "]", tuple(_nested(inner) for inner in item))
    return PythonText(number(item))


_RESERVED: Final = frozenset(
    {"tf", "keras", "np", "os", "data", "folder", "Path", "tempfile", "error", "_", *dir(builtins)}
)
_WORDS: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_IDENTIFIER: Final = re.compile(r"[^\W\d][\w.]*|\.[^\W\d][\w.]*")

#: Methods of models, by the place of their data among R's arguments (the model comes first).
_DATA: Final = {"x": 1, "y": 2}
#: What the results of these methods are called where R gave them no name.
_RESULTS: Final = {
    "fit": "history",
    "predict": "prediction",
    "predict_on_batch": "prediction",
    "evaluate": "evaluation",
    "test_on_batch": "evaluation",
    "train_on_batch": "loss",
    "gradient": "gradients",
}
_CLASSES: Final = {
    "Sequential": "model",
    "Functional": "model",
    "Model": "model",
    "EagerTensor": "tensor",
    "KerasTensor": "tensor",
    "GradientTape": "tape",
}


def identifier(name: str) -> str:
    """Return R's name as one that Python takes, "" where nothing is left of it."""
    found = re.sub(r"\W", "_", unicodedata.normalize("NFKC", name.replace(".", "_"))).strip("_")
    if not found or found[0].isdigit():
        return ""
    return f"{found}_" if keyword.iskeyword(found) or found in _RESERVED else found


def is_plain(name: str) -> bool:
    """Say whether Python takes it as the name of an attribute or an argument."""
    return name.isidentifier() and not keyword.iskeyword(name)


def of_class(cls: str) -> str:
    """Return a name for an object of a class ``module:qualname``."""
    last = cls.rpartition(":")[2].rpartition(".")[2]
    return identifier(_CLASSES.get(last, _WORDS.sub("_", last).lower())) or "thing"


def of_result(function: str) -> str:
    """Return a name for what a function or method returns."""
    last = function.rpartition(".")[2]
    return _RESULTS.get(last) or identifier(_WORDS.sub("_", last).lower()) or "value"


class Written:
    """What R's text says of a call: how its arguments are called there."""

    def __init__(self, call: Call) -> None:
        head, _, rest = call.r_call.partition("(")
        self._function = head.rpartition("$")[2]
        self._dollar = "$" in head
        self._named: dict[str, str] = {}
        self._placed: list[str] = []
        for part in _split(rest.removesuffix("...").removesuffix(")")):
            name, sign, value = part.partition("=")
            if sign and _IDENTIFIER.fullmatch(name.strip()) and not value.startswith("="):
                self._named[name.strip()] = value.strip()
            else:
                self._placed.append(part)

    @property
    def is_method(self) -> bool:
        """Whether R's text calls one of the methods that train, evaluate or predict."""
        return self._function in METHODS

    def name(self, place: int | None, keyword: str) -> str:
        """Return the R variable that an argument was, "" where it was none."""
        found = self._named.get(keyword, "")
        if not found and keyword in self._placed:
            found = keyword
        if not found and self._dollar and place is not None and place < len(self._placed):
            found = self._placed[place]
        elif not found and not self._dollar and self._function in METHODS and keyword in _DATA:
            at = _DATA[keyword]
            found = self._placed[at] if at < len(self._placed) else ""
        if not _IDENTIFIER.fullmatch(found) or found in ("TRUE", "FALSE", "NULL", "T", "F", "NA"):
            return ""
        return identifier(found)


def _split(text: str) -> Iterator[str]:
    """Yield the arguments of a call, split at its own commas."""
    depth, quote, last = 0, "", 0
    for place, sign in enumerate(text):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "\"'`":
            quote = sign
        elif sign in "([{":
            depth += 1
        elif sign in ")]}":
            depth -= 1
        elif sign == "," and depth == 0:
            yield text[last:place].strip()
            last = place + 1
    if text[last:].strip():
        yield text[last:].strip()


_MAX_ITEMS: Final = 8


def spell_call(call: Call) -> str:
    """Return one recorded crossing as a line of Python."""
    target = spell(call.target)
    if call.kind == "getattr":
        return f"{target}.{call.name}"
    if call.kind == "setattr":
        return f"{target}.{call.name} = {spell(call.result)}"
    if call.kind in ("getitem", "setitem"):
        return f"{target}[{call.name}]"
    parts = [spell(value) for value in call.args]
    parts += [f"{key}={spell(value)}" for key, value in call.kwargs.items()]
    raised = f"  # raises {call.error.cls}" if call.error else ""
    return f"{target}({', '.join(parts)}){raised}"


def spell(value: Value | None) -> str:
    """Return a recorded value as Python, large ones in short."""
    match value:
        case None:
            return "None"
        case Scalar():
            return _scalar(value)
        case Items():
            inner = [spell(item) for item in value.items[:_MAX_ITEMS]]
            inner += ["..."] if len(value.items) > _MAX_ITEMS else []
            comma = "," if value.t == "tuple" and len(value.items) == 1 else ""
            left, right = _BRACKETS[value.t]
            return f"{left}{', '.join(inner)}{comma}{right}"
        case Pairs():
            inner = [f"{spell(key)}: {spell(item)}" for key, item in value.items[:_MAX_ITEMS]]
            inner += ["..."] if len(value.items) > _MAX_ITEMS else []
            return "{" + ", ".join(inner) + "}"
        case ArrayValue():
            kind = {"array": "array", "tensor": "tensor", "variable": "Variable"}[value.t]
            order = ", order='F'" if value.order == "F" else ""
            return f"<{kind} {value.dtype} {_shape(value.shape)}{order}>"
        case ObjectValue():
            return f"{value.cls.rpartition(':')[2].rpartition('.')[2].lower()}_{value.id}"
        case Symbol():
            return value.public or value.path.replace(":", ".")
        case Method():
            return f"{spell(value.owner)}.{value.name}"
        case Closure():
            return f"<R function {value.name}>".replace(" >", ">")
        case Class():
            return value.name
        case Descriptor():
            return f"<{value.kind}>"
        case Generator():
            return f"<generator of {spell(value.source)}>"
        case Slice():
            return f"slice({spell(value.start)}, {spell(value.stop)}, {spell(value.step)})"
        case Opaque():
            return f"<{value.text}>"


def _scalar(value: Scalar) -> str:
    if value.t == "none":
        return "None"
    if value.t == "str":
        return repr(value.v if len(value.v) <= 80 else f"{value.v[:77]}...")
    if value.t == "bytes":
        return f"bytes of length {len(value.v) // 2}"
    return "..." if value.t == "ellipsis" else value.v


def _shape(shape: tuple[int, ...]) -> str:
    return f"({shape[0]},)" if len(shape) == 1 else f"({', '.join(map(str, shape))})"
