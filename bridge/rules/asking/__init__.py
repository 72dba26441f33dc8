"""Rules P: ways of asking one model."""
