"""Schedules as values: ``core`` the data, ``text`` print and read, ``legality`` checks, ``propose`` the cost model."""

from lem.schedule.core import GridPlan, Schedule, Setting

__all__ = ["GridPlan", "Schedule", "Setting"]
