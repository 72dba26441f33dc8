"""Everything that speaks R: embedding it, tracing the boundary, the stand-in front ends."""
