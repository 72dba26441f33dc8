"""Things that execute and return a capsule: ``r``, ``replay``, ``twin``, ``reference``."""
