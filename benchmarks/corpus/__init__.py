"""Realistic scripts of our own, what a right answer to each of them says, and how to measure it.

Half of them are clean, half have one planted surprise. ``expected.json`` has, for each, the part
that it belongs to: "tuned" may be looked at, of "held-out" only the totals are of interest.
``NAME.out`` is what plain ``Rscript`` prints with the genuine packages.
"""
