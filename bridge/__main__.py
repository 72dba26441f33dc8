"""``python -m bridge`` is ``keras-bridge``."""

from bridge.cli import main

main()
