"""Questions asked of finished expressions."""

from lifesym.analysis.crossover import meeting_points

__all__ = ["meeting_points"]
