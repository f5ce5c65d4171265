"""``python -m heliograph`` is ``heliograph``."""

from heliograph.cli import main

main()
