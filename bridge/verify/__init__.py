"""Certificates: for every output that is called rounding, what it rests on, to be checked again.

:mod:`bridge.verify.issue` writes them beside a run's capsule, from the ladder's own evaluations.
:mod:`bridge.verify.verify` checks them with exact arithmetic and formulas of its own; neither it
nor anything that it imports knows :mod:`bridge.compare`, so that an error there is not repeated.
"""
