"""What differs between two sweeps, two cells or two models: `nst compare`."""

from tasks.pages.comparison.compare import compare
from tasks.pages.comparison.page import comparison_page
from tasks.pages.comparison.records import Comparison, Metric, Pair, Setting, Side

__all__ = ["Comparison", "Metric", "Pair", "Setting", "Side", "compare", "comparison_page"]
