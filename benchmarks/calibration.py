"""Make `specs/calibration.json` anew: the fit to all measurements of the database.

    python benchmarks/calibration.py

It takes some minutes: the forecasts of all rows are derived and compiled.
"""

import sys

from lifesym.calibration import load, usable
from lifesym.calibration.pooled import Calibration
from lifesym.calibration.shipped import path, written
from lifesym.specs import names, root


def main() -> None:
    """Fit, and write the file."""
    files = names("measurements")
    read = [load(root() / "measurements" / f"{name}.csv")[0] for name in files]
    rows, _ = usable([o for some in read for o in some])
    fitted = Calibration.of(rows, lambda text: print(text, file=sys.stderr))
    source = f"fits to {len(rows)} rows of specs/measurements ({', '.join(files)})"
    path().write_text(written(fitted, source), encoding="utf-8")


if __name__ == "__main__":
    main()
