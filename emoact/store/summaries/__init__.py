"""What pages need of a file of activations, measured once and kept beside it."""

from emoact.store.summaries.grid import Measured, measures_of
from emoact.store.summaries.keeping import kept_measures, unit_measures

__all__ = ["Measured", "kept_measures", "measures_of", "unit_measures"]
