"""Auditing a front end: what its wrappers do to arguments on their way to Python.

Judging (:mod:`bridge.audit.judge`) and writing (:mod:`bridge.cli.audit`) are pure;
:mod:`bridge.audit.wrapper_calls` runs R.
"""
