"""A case from its script to its findings, and the same for a recorded capsule."""
