"""Which switch of the stack takes a difference away: the search and its parts."""
