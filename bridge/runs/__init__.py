"""One module for each way of running: what is asked for, and the job in the child that does it."""
