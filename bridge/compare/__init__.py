"""Comparing runs: pure functions of capsules and arrays, without R and without TensorFlow."""
