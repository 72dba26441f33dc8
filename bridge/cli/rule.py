"""The rules on a terminal: one page, or all of them as a list or as JSON."""

from __future__ import annotations

import json

from bridge.rules.registry import find, page, rules


def show(code: str | None, as_json: bool) -> str:
    """Return the page of one rule, or the list of all; as JSON what the list has.

    Raises:
        RuleError: there is no such rule; the message names the near ones.
    """
    chosen = [find(code)] if code else list(rules().values())
    if as_json:
        rows = [
            {
                "rule": rule.code,
                "name": rule.name,
                "cause": rule.cause,
                "whose": rule.whose,
                "status": rule.status,
                "needs": list(rule.needs),
                "page": page(rule.code),
            }
            for rule in chosen
        ]
        return json.dumps(rows, indent=1)
    if code:
        return page(chosen[0].code).rstrip()
    return "\n".join(f"{rule.code:<4} {rule.name:<40} {rule.whose}" for rule in chosen)
