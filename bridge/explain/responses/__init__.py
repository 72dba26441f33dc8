"""What a model makes of its input: shapes of responses and the units behind them."""
