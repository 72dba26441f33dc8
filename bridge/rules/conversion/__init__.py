"""Rules C: what changes on the way from R to Python, and defaults."""
