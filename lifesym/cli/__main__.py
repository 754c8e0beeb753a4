"""``python -m lifesym.cli``."""

from lifesym.cli import main

main()
