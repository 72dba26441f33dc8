"""Exact probes: a model with whole numbers for which no sum is rounded, in any order.

Every way of running it must then agree bit for bit with the exact result, and any difference is
real. :func:`plan` chooses the numbers, :func:`judge_exact` reads what was made of them.
"""
