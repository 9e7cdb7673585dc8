"""Schedules as text and back: ``read(show(s)) == s``.

schedule saxpy for cpu
  grid 0 (i): spmd lanes=32 rest=8 vector=i
"""

from __future__ import annotations

import re

from lem.schedule.core import GridPlan, Schedule, Setting

_HEAD = re.compile(r"schedule (\S+) for (\S+)")
_GRID = re.compile(r"  grid (\d+) \(([^)]*)\): (\S+)(.*)")


class BadSchedule(Exception):
    """Text that is not a schedule; `line` counts from 1."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(f"line {line}: {message}")
        self.line = line


def show(schedule: Schedule) -> str:
    lines = [f"schedule {schedule.function} for {schedule.target}"]
    for g in schedule.grids:
        settings = "".join(f" {name}={_show(value)}" for name, value in g.settings)
        lines.append(f"  grid {g.index} ({', '.join(g.axes)}): {g.strategy}{settings}")
    return "\n".join(lines) + "\n"


def read(text: str) -> Schedule:
    """The schedule that :func:`show` wrote. Raises :class:`BadSchedule`."""
    lines = [(n, line.split("#")[0].rstrip()) for n, line in enumerate(text.splitlines(), 1)]
    lines = [(n, line) for n, line in lines if line]
    head = _HEAD.fullmatch(lines[0][1]) if lines else None
    if head is None:
        raise BadSchedule("expected `schedule NAME for TARGET`", lines[0][0] if lines else 1)
    return Schedule(head[1], head[2], tuple(_grid(n, line) for n, line in lines[1:]))


def _grid(n: int, line: str) -> GridPlan:
    found = _GRID.fullmatch(line)
    if found is None:
        raise BadSchedule("expected `  grid NUMBER (AXES): STRATEGY SETTING=VALUE ...`", n)
    axes = tuple(a.strip() for a in found[2].split(",") if a.strip())
    settings: dict[str, Setting] = {}
    for word in found[4].split():
        name, sign, value = word.partition("=")
        if not sign:
            raise BadSchedule(f"`{word}` is not SETTING=VALUE", n)
        settings[name] = _read(value)
    return GridPlan(int(found[1]), axes, found[3], tuple(sorted(settings.items())))


def _show(value: Setting) -> str:
    if isinstance(value, tuple):
        return "x".join(map(str, value)) + ("x" if len(value) == 1 else "")
    return str(value) if value != "" else "-"


def _read(text: str) -> Setting:
    if text == "-":
        return ""
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    if re.fullmatch(r"(\d+x)+\d*", text):
        return tuple(int(part) for part in text.split("x") if part)
    return text
