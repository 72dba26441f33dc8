"""Faults that are put in on purpose: one catalogue, and how each is made."""
