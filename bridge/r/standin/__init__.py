"""R packages that stand in for CRAN's keras, keras3 and tensorflow where CRAN is out of reach."""
