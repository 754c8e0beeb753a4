"""``python -m lifesym``."""

from lifesym.cli import main

main()
