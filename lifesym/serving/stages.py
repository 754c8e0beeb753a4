"""Equal stages of a pipeline, by themselves."""

from lifesym.checks import checked
from lifesym.inference import Forecast
from lifesym.serving.pipeline import Pipeline, pipeline
from lifesym.symbols import Size


@checked
def equal_stages(forecast: Forecast, stages: Size, microbatches: Size = 1) -> Pipeline:
    """The pipeline of so many equal stages; their number may be a symbol.

    Raises:
        SymbolError: as `lifesym.serving.pipeline`.
    """
    return pipeline(forecast, stages, microbatches)
