"""From comparisons to causes: pure functions of capsules."""
