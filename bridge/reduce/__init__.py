"""Making what differs smaller: a model, a script, and the code to paste."""
