"""Rules M: how a model is built."""
