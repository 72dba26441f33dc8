"""How many examples a property is tried on: a share of what its test names.

``make test`` tries four in ten. ``pytest --hypothesis-profile=thorough`` tries ten times as many as
the tests name, for whoever has changed a rule or a bound. What is no property asks ``thorough``.
"""

from __future__ import annotations

from typing import Any, Final

from hypothesis import settings

#: Examples of a test that names no number, in each profile; of one that does, the percentage.
PROFILES: Final = {"quick": 40, "thorough": 1000}
#: A property is never tried on fewer.
FEWEST: Final = 25


def register() -> None:
    """Make the profiles known, and choose the quick one unless the command line names another."""
    for name, examples in PROFILES.items():
        # What hypothesis has chosen for a machine that only tests is kept.
        settings.register_profile(name, settings(max_examples=examples))
    settings.load_profile("quick")


def examples(number: int = 100, **more: Any) -> settings:
    """Return the settings of a property that is dear to try; ``more`` is passed on.

    A machine that is busy with other tests is slow, so none is given a deadline.
    """
    share = settings().max_examples
    return settings(max_examples=max(FEWEST, number * share // 100), deadline=None, **more)


def thorough() -> bool:
    """Say whether the number of examples is no matter: then all is tried, and not a share."""
    return settings().max_examples >= PROFILES["thorough"]
