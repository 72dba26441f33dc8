"""Certificates: for every output that is called rounding, what it rests on, to be checked again.

:mod:`bridge.verify.certificate` writes them beside a run's capsule, from what the ladder evaluated.
:mod:`bridge.verify.check` checks them in exact arithmetic: layers are read, and bounds derived, by
the rules that the ladder uses; what a layer returns is computed anew, in whole numbers and in balls
that contain it, and whether an element is within its bound is decided exactly.
"""
