"""What an author of cases writes: scripts with expectations, claims and labels."""
