"""Where R's run and the Python that its text means part, and why."""
