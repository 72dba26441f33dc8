"""Measures whether the ladder can be trusted: ``python -m benchmarks.trust``, see ``__main__``."""
