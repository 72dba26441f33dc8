"""Rules L: the last layer, its loss and its targets."""
