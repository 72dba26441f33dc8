"""What a twin declares: claims, pictures, and names of what it computes.

A claim is a sentence that somebody wrote, decided by a computation.

A module in ``comparisons/`` declares its claims beside ``twin()``, and may draw pictures::

    from bridge import Evidence, claim, picture

    @claim("With a sigmoid at the end the loss stalls.", said_by="answer")
    def sigmoid_stalls(quick: bool) -> Evidence:
        loss, floor = ...
        return Evidence(
            loss > floor,
            f"the loss ends at {loss:.3g}, and cannot fall below {floor:.3g}",
            number=loss,
        )

    @picture("The loss and its floor", alt="Loss by epoch, with the floor as a line")
    def losses() -> Figure:  # matplotlib; every axis labelled
        ...

``holds`` is True, False, None or one of :data:`Holds`; "holds in part" and "undecided" are honest
answers. ``text`` is one sentence with the number in it, without a full stop; ``number`` is that
number by itself, ``interval`` its confidence interval where chance is involved.

Every run computes every claim: nothing is written down as a result. All claims of a module are
computed in the order of their definition in **one** fresh process that has the Keras of the script
(2: ``tf_keras``, 3: ``keras``) and no R, under the case's limits of time and memory; what several
claims need is best shared through :func:`functools.cache`. The generators of chance of Python,
NumPy and Keras start from the same seed before each of them. A claim that raises, or needs a
package that is not there, is undecided, and says why; so is one that was not reached before the
process was stopped. Those before it keep their evidence.

A claim or picture may take, by these names:

* ``quick`` (bool): the user wants few repetitions. ``@claim(..., slow=True)`` is for claims that
  cannot be had with few: ``--quick`` leaves them out and says so.
* ``recorded`` (:class:`bridge.Capsule`): the run of the R script, to be read without R. Where R
  was not run, the claim is undecided, or gets the parameter's default if it has one.
* ``folder`` (:class:`pathlib.Path`): a folder that stays from run to run, for computations that
  can be resumed; whoever stores there must store under a name that says everything that the
  numbers depend on.
* ``tell`` (``Callable[[str], None]``): say how far a long computation is, ``tell("120 of 1000")``.
"""

from __future__ import annotations

import ast
import inspect
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar, get_args

from bridge.errors import BridgeError

Holds = Literal["holds", "does not hold", "holds in part", "undecided"]
Speaker = Literal["question", "answer", "comment", "ours"]

#: What a claim or picture may ask for, by the name of its parameter.
GIVEN: Final = ("quick", "recorded", "folder", "tell")

_MARK: Final = "__bridge_claim__"
_OF_BOOL: Final[dict[bool | None, Holds]] = {
    True: "holds",
    False: "does not hold",
    None: "undecided",
}
_TO_BOOL: Final[dict[Holds, bool | None]] = {
    "holds": True,
    "does not hold": False,
    "holds in part": None,
    "undecided": None,
}

F = TypeVar("F", bound=Callable[..., Any])


class ClaimError(BridgeError, TypeError):
    """A claim or picture is not declared as it has to be; the message says how."""


@dataclass(frozen=True)
class Evidence:
    """What a computation says of a claim: whether it holds, and a sentence with the number.

    Args:
        holds: True, False or None, NumPy's own included, or one of :data:`Holds`.
        text: one sentence with the number, its unit, and what it is compared with.
        number: the number that decides, by itself.
        interval: its confidence interval, low and high, where chance is involved.

    Raises:
        ClaimError: ``holds`` is none of these, ``text`` is empty, or the interval is upside down.
    """

    holds: bool | Holds | None
    text: str
    number: float | None = None
    interval: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        holds: Any = self.holds
        text: object = self.text
        if type(holds).__module__ == "numpy" and hasattr(holds, "item"):
            holds = holds.item()
            object.__setattr__(self, "holds", holds)
        if not (holds is None or isinstance(holds, bool) or holds in get_args(Holds)):
            listed = ", ".join(map(repr, get_args(Holds)))
            raise ClaimError(f"holds is {holds!r}; it should be True, False, None, {listed}.")
        if not isinstance(text, str) or not text.strip():
            raise ClaimError("Evidence needs a sentence with the number: Evidence(holds, text).")
        if self.number is not None:
            object.__setattr__(self, "number", float(self.number))
        if self.interval is not None:
            low, high = (float(end) for end in self.interval)
            if low > high:
                raise ClaimError(f"the interval ({low}, {high}) is upside down.")
            object.__setattr__(self, "interval", (low, high))

    @property
    def verdict(self) -> Holds:
        """Whether the claim holds, in words."""
        if isinstance(self.holds, str):
            return self.holds
        if self.holds is not None and self.number is not None and math.isnan(self.number):
            # A comparison with NaN is false, which is no evidence of anything.
            return "undecided"
        return _OF_BOOL[self.holds]

    @property
    def as_bool(self) -> bool | None:
        """Whether the claim holds, as ``report.json`` has it: None for in part and undecided."""
        return _TO_BOOL[self.verdict]


@dataclass(frozen=True)
class DeclaredClaim:
    """A claim as it is declared; ``compute`` returns its :class:`Evidence`."""

    sentence: str
    said_by: Speaker
    slow: bool
    compute: Callable[..., Evidence]


@dataclass(frozen=True)
class PictureOf:
    """A picture as it is declared; ``draw`` returns a matplotlib figure."""

    title: str
    alt: str
    slow: bool
    draw: Callable[..., Any]


@dataclass(frozen=True)
class Decided:
    """A claim with its evidence; ``seconds`` is how long that took."""

    sentence: str
    said_by: Speaker
    evidence: Evidence
    seconds: float = 0.0


@dataclass(frozen=True)
class PictureFile:
    """A picture as it was drawn: an SVG file's bytes, or why there is none."""

    title: str
    alt: str
    content: bytes = b""
    why: str = ""


def claim(sentence: str, *, said_by: Speaker = "answer", slow: bool = False) -> Callable[[F], F]:
    """Declare that a function decides a claim.

    Args:
        sentence: what is claimed, as a sentence of our own.
        said_by: who would say it: ``question``, ``answer``, ``comment``, or ``ours``.
        slow: leave it out with ``--quick``.

    Raises:
        ClaimError: the sentence is missing, or the function takes what nobody gives.
    """
    if not str(sentence).strip() or callable(sentence):
        raise ClaimError('A claim begins with its sentence: @claim("...", said_by="answer").')
    if said_by not in get_args(Speaker):
        listed = ", ".join(map(repr, get_args(Speaker)))
        raise ClaimError(f"said_by is {said_by!r}; it should be one of {listed}.")

    def mark(function: F) -> F:
        _check(function)
        setattr(function, _MARK, DeclaredClaim(sentence, said_by, slow, function))
        return function

    return mark


def picture(title: str, *, alt: str, slow: bool = False) -> Callable[[F], F]:
    """Declare that a function draws a picture of the case, as a matplotlib figure.

    Args:
        title: what the picture shows, in a few words.
        alt: what somebody who cannot see it has to know.
        slow: leave it out with ``--quick``.

    Raises:
        ClaimError: the title or ``alt`` is missing, or the function takes what nobody gives.
    """
    if callable(title) or not title.strip() or not alt.strip():
        raise ClaimError('A picture has a title and a text: @picture("...", alt="...").')

    def mark(function: F) -> F:
        _check(function)
        setattr(function, _MARK, PictureOf(title, alt, slow, function))
        return function

    return mark


def declared(items: Iterable[object]) -> tuple[list[DeclaredClaim], list[PictureOf]]:
    """Return the claims and the pictures among ``items``, in order, each once."""
    marks = [getattr(item, _MARK, None) for item in items if inspect.isfunction(item)]
    unique = list({id(mark): mark for mark in marks if mark is not None}.values())
    claims = [mark for mark in unique if isinstance(mark, DeclaredClaim)]
    return claims, [mark for mark in unique if isinstance(mark, PictureOf)]


def wanted(function: Callable[..., Any]) -> dict[str, bool]:
    """Return which of :data:`GIVEN` a declared function takes, and whether it must have it."""
    parameters = inspect.signature(function).parameters
    return {name: parameter.default is parameter.empty for name, parameter in parameters.items()}


def announced(text: str) -> tuple[list[tuple[str, Speaker]], bool]:
    """Return the claims that a module's source declares, and whether it declares a picture.

    The source is read, not run: this is what can be said of a module that cannot be loaded.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return [], False
    claims: list[tuple[str, Speaker]] = []
    pictures = False
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for decorator in node.decorator_list:
            if not isinstance(decorator, ast.Call):
                continue
            name = (
                decorator.func.attr
                if isinstance(decorator.func, ast.Attribute)
                else ast.unparse(decorator.func)
            )
            pictures = pictures or name == "picture"
            if name == "claim" and decorator.args:
                claims.append((_text(decorator.args[0]), _speaker(decorator)))
    return claims, pictures


def _text(node: ast.expr) -> str:
    return str(node.value) if isinstance(node, ast.Constant) else ast.unparse(node)


def _speaker(call: ast.Call) -> Speaker:
    for keyword in call.keywords:
        if keyword.arg == "said_by" and isinstance(keyword.value, ast.Constant):
            found: list[Speaker] = [s for s in get_args(Speaker) if s == keyword.value.value]
            return found[0] if found else "answer"
    return "answer"


def _check(function: Callable[..., Any]) -> None:
    for name, parameter in inspect.signature(function).parameters.items():
        if name not in GIVEN or parameter.kind is parameter.POSITIONAL_ONLY:
            listed = ", ".join(GIVEN)
            raise ClaimError(
                f"{getattr(function, '__name__', 'the function')}() takes {name!r}; "
                f"a claim can be given only: {listed}."
            )


_label: ContextVar[str] = ContextVar("label", default="")
_on_error: Callable[[str, Exception], None] | None = None


@contextmanager
def probe(label: str) -> Iterator[None]:
    """Name the predictions made inside; without a recording it does nothing.

    An error that leaves the block is recorded and raised on, so that a twin can show an error
    and survive it.

    Example:
        >>> with probe("A/relu"):
        ...     model.predict(x)  # doctest: +SKIP
    """
    token = _label.set(label)
    try:
        yield
    except Exception as error:  # what a stranger's twin raises is noted, and raised again
        if _on_error is not None:
            _on_error(label, error)
        raise
    finally:
        _label.reset(token)


def current_label() -> str:
    """Return the name that applies now, or an empty string."""
    return _label.get()


def on_error(listener: Callable[[str, Exception], None]) -> None:
    """Have ``listener`` told of every error that leaves a :func:`probe` block."""
    global _on_error
    _on_error = listener
