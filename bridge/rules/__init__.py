"""What surprises although all runs agree: how the script uses Keras.

Every rule reads the recorded run, and the script's syntax tree where it needs it, and yields
answers. An answer that ``decides`` rests on evidence that is in the run, and may name the cause
of a case in which nothing is wrong; the others are only told.
"""

from __future__ import annotations

from bridge.rules.registry import answers

__all__ = ["answers"]
