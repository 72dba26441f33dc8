"""Rules R: R's own rules."""
