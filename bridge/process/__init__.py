"""Processes that run a stranger's code: the pool, its warm parents, limits, the sandbox."""
