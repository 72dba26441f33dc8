"""How far rounding may take a layer's output: bounds, the ladder, measured activations."""
