"""Rules D: the data that a model is given."""
