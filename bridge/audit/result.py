"""What an audit found, as data."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from bridge.capsule import FrontEnd
from bridge.capsule.values import Frozen

#: What became of a value. ``truncated``: its fraction is gone. ``overflowed``: it became R's
#: missing integer. ``dropped``: it, its names or its dimension did not arrive. ``shifted``: one
#: less or one more arrived. ``defaulted``: another value took its place, or one that was not given
#: is sent.
#: ``reordered``: the same elements came in another order.
Change = Literal["truncated", "overflowed", "dropped", "shifted", "defaulted", "reordered"]

#: What Python would have done with the value as it was. ``uses it``: another object was made.
#: ``refuses it``: it raises an error. ``no difference``: it makes the same of both.
Python = Literal["uses it", "refuses it", "no difference", "not known"]

#: How a finding is to be taken. ``fault``: Python would have behaved differently, and nothing says
#: that a whole number is meant. ``silent``: Python would have refused it. ``meant``: the
#: documentation asks for a whole number. ``convention``: the package counts from 1. ``harmless``.
Level = Literal["fault", "silent", "convention", "meant", "harmless", "not known"]

LEVELS: tuple[Level, ...] = ("fault", "silent", "not known", "convention", "meant", "harmless")


class Finding(Frozen):
    """One argument of one wrapper that does not arrive as it was given.

    ``probe`` is the R text of what was given, "" where nothing was; ``meant`` is what reticulate
    alone would hand over, ``arrived`` what did, both as Python. ``line`` is the line of the wrapper
    in which the argument stands, ``documented`` what Python's documentation says of it, ``detail``
    what Python said to the value as it was.
    """

    function: str
    argument: str
    change: Change
    probe: str
    meant: str
    arrived: str
    python: Python = "not known"
    level: Level = "not known"
    target: str = ""
    line: str = ""
    documented: str = ""
    detail: str = ""


class AuditReport(Frozen):
    """The audit of one package; findings are sorted, faults first.

    ``functions`` and ``arguments`` were probed; ``unprobed`` never got as far as Python, with why.
    """

    package: str
    frontend: FrontEnd
    keras: str
    r_packages: dict[str, str] = Field(default_factory=dict)
    functions: int = 0
    arguments: int = 0
    calls: int = 0
    seconds: float = 0.0
    findings: tuple[Finding, ...] = ()
    unprobed: dict[str, str] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()
