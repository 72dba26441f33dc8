"""Python helpers of the stand-in for R's package keras."""
