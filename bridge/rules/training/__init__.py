"""Rules T: how a model is trained."""
