"""Logs -> datasets, with pandas and Arrow; no TensorFlow here."""

from data_prep.engines import DaskOptions
from data_prep.options import PrepareOptions
from data_prep.prepare import prepare
from data_prep.recipe import Recipe

__all__ = ["DaskOptions", "PrepareOptions", "Recipe", "prepare"]
