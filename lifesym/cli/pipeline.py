"""A workload in a pipeline, of stages on one device or on several."""

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from lifesym.cli.output import whole

if TYPE_CHECKING:
    from lifesym.cli.setting import Setting
    from lifesym.inference import Forecast


def pipelined(setting: "Setting", forecast: "Forecast") -> dict[str, Any]:
    """The pipeline's times, TPOT as the mean over the generation, and its memory.

    Raises:
        LifesymError: as `lifesym.serving.pipeline`, or more stages than layers.
    """
    from lifesym.serving import pipeline  # noqa: PLC0415 (SymPy only where a command needs it)

    options = setting.options
    stages: list[Forecast] = [forecast] * (options["pipeline"] or 1)
    if options["stages_on"] is not None:
        names = map(str.strip, options["stages_on"].split(","))
        stages = [setting.forecast(setting.device(name)) for name in names]
    shares = _shares(options["shares"], stages)
    piped = pipeline(stages, microbatches=options["microbatches"] or 1, shares=shares)
    return {
        "ttft_s": float(piped.ttft),
        "tpot_s": float(piped.tpot),
        "bubble": float(piped.bubble),
        "memory_bytes": whole(piped.memory.expr),
        "shares": [float(share) for share in piped.parts],
    }


def _shares(text: str | None, stages: "list[Forecast]") -> list[Any] | None:
    """Numbers, which must add up to 1; or those with which the stages' prefills take as long."""
    from lifesym.errors import SpecError  # noqa: PLC0415
    from lifesym.serving import balanced_shares  # noqa: PLC0415

    if text is None:
        return None
    if text == "balanced":
        return list(balanced_shares([stage.ttft.expr for stage in stages]))
    try:
        return [Fraction(part.strip()) for part in text.split(",")]
    except (ValueError, ZeroDivisionError):
        raise SpecError(f"--shares: {text!r} is not a list of numbers, nor 'balanced'") from None
