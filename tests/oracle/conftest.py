"""Without torch and transformers there is nothing to collect here."""

from importlib.util import find_spec

missing = find_spec("torch") is None or find_spec("transformers") is None
collect_ignore_glob = ["*.py"] if missing else []
