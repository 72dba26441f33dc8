"""``python -m bridge`` is ``keras-bridge``."""

from bridge.cli.main import main

main()
