"""Experiments: one thing changed, run again; what is expected, and what came out."""
