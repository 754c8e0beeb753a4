"""Formulas as fast functions and as source text."""

from lifesym.codegen.functions import Compiled, compile

__all__ = ["Compiled", "compile"]
