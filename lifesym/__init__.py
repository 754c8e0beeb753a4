"""lifesym: closed-form formulas for the speed of LLM inference.

Operators emit symbolic costs; a model is a sum of operators; hardware turns costs into time;
everything a user reads, plots, differentiates or compiles is a view of that one expression.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from lifesym.version import __version__ as __version__

if TYPE_CHECKING:
    from lifesym import symbols as symbols
    from lifesym.analysis.sensitivity import elasticities
    from lifesym.article import document, write_article
    from lifesym.capacity import fit
    from lifesym.codegen import compile
    from lifesym.convnet import unet
    from lifesym.devices import load_hardware, typical
    from lifesym.engines import Engine, load_engine
    from lifesym.errors import InfeasibleError, LifesymError, SpecError, SymbolError
    from lifesym.forecasting import forecast
    from lifesym.hardware import Hardware
    from lifesym.huggingface import load_model
    from lifesym.inference import Forecast
    from lifesym.model import Model
    from lifesym.own_symbols import symbol
    from lifesym.printing import latex, legend
    from lifesym.results import Result
    from lifesym.spelling import notation
    from lifesym.sweeps import sweep
    from lifesym.training import training_step
    from lifesym.workload import Formats, Workload

# SymPy remembers 1,000 results of each of its functions unless told otherwise before it is first
# imported: fewer than one forecast has, so that the same sums and signs are found again and again.
os.environ.setdefault("SYMPY_CACHE_SIZE", "20000")

# Names are imported when first used, so that the command line can answer --help without SymPy.
_HOME = {
    "Forecast": "inference",
    "Engine": "engines",
    "Formats": "workload",
    "Hardware": "hardware",
    "InfeasibleError": "errors",
    "LifesymError": "errors",
    "Model": "model",
    "Result": "results",
    "SpecError": "errors",
    "SymbolError": "errors",
    "compile": "codegen",
    "document": "article",
    "elasticities": "analysis.sensitivity",
    "fit": "capacity",
    "forecast": "forecasting",
    "latex": "printing",
    "legend": "printing",
    "load_engine": "engines",
    "load_hardware": "devices",
    "load_model": "huggingface",
    "notation": "spelling",
    "sweep": "sweeps",
    "symbol": "own_symbols",
    "training_step": "training",
    "symbols": "symbols",
    "typical": "devices",
    "unet": "convnet",
    "write_article": "article",
    "Workload": "workload",
}

__all__ = [
    "Engine",
    "Forecast",
    "Formats",
    "Hardware",
    "InfeasibleError",
    "LifesymError",
    "Model",
    "Result",
    "SpecError",
    "SymbolError",
    "Workload",
    "compile",
    "document",
    "elasticities",
    "fit",
    "forecast",
    "latex",
    "legend",
    "load_engine",
    "load_hardware",
    "load_model",
    "notation",
    "sweep",
    "symbol",
    "symbols",
    "training_step",
    "typical",
    "unet",
    "write_article",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'lifesym' has no attribute {name!r}")
    module = import_module(f"lifesym.{_HOME[name]}")
    value = module if name == "symbols" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
