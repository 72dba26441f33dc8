"""What was reported elsewhere, set against every fault that may be its cause."""
