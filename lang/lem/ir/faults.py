"""Which element of a grid faults first, where elements run together. The smallest one has to be reported (LANGUAGE 39).

Takes the body of a grid; answers for schedules and targets.
"""

from __future__ import annotations

from lem.ir import ops
from lem.ir.core import Block, walk_ops


def faults_in_turns(body: Block) -> bool:
    """Can an element fault at a later point than another one that comes after it in the grid? Elements that run together,
    op by op, then do not meet the smallest element's fault first."""
    checks = [o for o in walk_ops(body) if isinstance(o, ops.Assert)]
    inside = any(o not in body.ops for o in checks)
    inner = {r.axis for r in walk_ops(body) if isinstance(r, ops.Range | ops.Tiles)}
    return len(checks) > 1 or inside or any(not inner.isdisjoint(o.cond.axes) for o in checks)


def run_one_by_one(body: Block) -> bool:
    """Must the elements of a grid run one after the other, so that the smallest one that faults is found, and none writes
    its lines twice, or after another one's fault?"""
    kinds = {type(o) for o in walk_ops(body)}
    return {ops.Assert, ops.Print} <= kinds or (faults_in_turns(body) and _faults_after_changes(body))


def _faults_after_changes(body: Block) -> bool:
    """Is a check done after, or in turns with, a change of an array that the body also reads? An element cannot be asked
    again then."""
    read = {o.array for o in walk_ops(body) if isinstance(o, ops.Load)}
    changed = False
    for o in body.ops:
        inside = [o, *(p for b in o.blocks for p in walk_ops(b))]
        changes = any(isinstance(p, ops.Store | ops.Update) and p.array in read for p in inside)
        if (changed or changes) and any(isinstance(p, ops.Assert) for p in inside):
            return True
        changed = changed or changes
    return False


__all__ = ["faults_in_turns", "run_one_by_one"]
