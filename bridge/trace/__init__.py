"""From a running interpreter to a capsule: what is recorded, and how it is written down."""
