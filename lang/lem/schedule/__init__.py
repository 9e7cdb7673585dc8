"""Schedules as values: ``core`` the data, ``text`` print and read, ``legality`` checks, ``propose`` the cost model."""

from lem.schedule.core import GridPlan, Schedule, Setting
from lem.schedule.legality import check
from lem.schedule.propose import asked, propose
from lem.schedule.text import BadSchedule, read, show

__all__ = ["BadSchedule", "GridPlan", "Schedule", "Setting", "asked", "check", "propose", "read", "show"]
