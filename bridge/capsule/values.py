"""Values that crossed the boundary, as data.

A value is described, never pickled: scalars by their text (so that NaN, infinities, signed zeros
and big integers survive JSON), containers by their items, arrays by a key into the capsule's
arrays, and everything else by a number that stands for one Python object within the run.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class Frozen(BaseModel):
    """Base of every record in a capsule: immutable, and nothing that the schema does not know."""

    # NaN and infinities are words in JSON, or they would come back as nothing.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class Scalar(Frozen):
    """None, a number, a string or bytes; ``v`` is Python's ``repr`` of it (bytes as hex digits)."""

    t: Literal["none", "bool", "int", "float", "complex", "str", "bytes", "ellipsis"]
    v: str = ""


class Items(Frozen):
    """A list, tuple or set and its items in order."""

    t: Literal["list", "tuple", "set"]
    items: tuple[Value, ...] = ()


class Pairs(Frozen):
    """A dict, as pairs of key and value in order."""

    t: Literal["dict"] = "dict"
    items: tuple[tuple[Value, Value], ...] = ()


class ArrayValue(Frozen):
    """An array or an eager tensor.

    ``key`` names the stored elements (None when they were not stored: too large, or of a type
    that has no bytes, such as strings); ``order`` is NumPy's memory layout as it was received.
    """

    t: Literal["array", "tensor", "variable"]
    dtype: str
    shape: tuple[int, ...]
    order: Literal["C", "F", "CF", ""] = ""
    key: str | None = None
    id: int | None = None
    digest: str | None = None


class ObjectValue(Frozen):
    """A live Python object, known within the run by a number; ``cls`` is ``module:qualname``."""

    t: Literal["object"] = "object"
    id: int
    cls: str


class Symbol(Frozen):
    """A module, class or function that another process can import: ``module:qualname``.

    ``public`` is the documented spelling, for people (``keras.layers.Dense``).
    """

    t: Literal["symbol"] = "symbol"
    path: str
    public: str = ""


class Method(Frozen):
    """A method bound to an object: ``owner.name``.

    ``of`` is the class that it was found in, where the object's own class has another of that name.
    """

    t: Literal["method"] = "method"
    owner: Value
    name: str
    of: Value | None = None


class Parameter(Frozen):
    """An argument that a function of R's shows to Python."""

    name: str
    kind: Literal["positional-only", "any", "rest", "keyword", "keywords"] = "any"
    default: Value | None = None


class Closure(Frozen):
    """A function written in R, of which Python holds a wrapper.

    ``parameters`` are None where it takes whatever it is given; ``spelled`` says that its own code
    has them, and not only what is set on it. ``passing`` says how a front end's wrapper hands on to
    R: at which places it counts from 1, and what it does with the result.
    """

    t: Literal["closure"] = "closure"
    id: int
    name: str = ""
    module: str = ""
    parameters: tuple[Parameter, ...] | None = None
    spelled: bool = False
    passing: str = ""


class Class(Frozen):
    """A class that a script made, as it was when it was first seen; ``members`` in order."""

    t: Literal["class"] = "class"
    id: int
    name: str
    module: str = ""
    bases: tuple[Value, ...] = ()
    members: tuple[tuple[str, Value], ...] = ()


class Descriptor(Frozen):
    """A member of a class that is a property, or a method of the class itself."""

    t: Literal["descriptor"] = "descriptor"
    kind: Literal["property", "staticmethod", "classmethod"]
    functions: tuple[Value | None, ...] = ()


class Generator(Frozen):
    """A Python generator that gives what ``source`` gives."""

    t: Literal["generator"] = "generator"
    id: int
    source: Value


class Slice(Frozen):
    """A Python slice."""

    t: Literal["slice"] = "slice"
    start: Value
    stop: Value
    step: Value


class Opaque(Frozen):
    """Anything else; ``text`` describes it for people."""

    t: Literal["opaque"] = "opaque"
    text: str
    id: int | None = None


Value = Annotated[
    Scalar
    | Items
    | Pairs
    | ArrayValue
    | ObjectValue
    | Symbol
    | Method
    | Closure
    | Class
    | Descriptor
    | Generator
    | Slice
    | Opaque,
    Field(discriminator="t"),
]

for _model in (Items, Pairs, Method, Parameter, Closure, Class, Descriptor, Generator, Slice):
    _model.model_rebuild()
