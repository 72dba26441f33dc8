"""Is the right layer, and the right cause, named? Injected faults, blind cases, the zoo, times."""
