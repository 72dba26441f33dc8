"""Rules E: what is refused, and why."""
