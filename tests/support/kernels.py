"""Kernels written by hand in LLVM IR against ``abi/layout.py``, and the artifacts around them, for tests of the runtime.

Each body is ``i32 (ctx, frame, lo, hi)``; :func:`entry_around` makes the entry that runs it over a number of units.
"""

from __future__ import annotations

import functools

from lem_runtime import native
from lem_runtime.abi import layout
from lem_runtime.abi.artifact import Artifact, Site
from lem_runtime.abi.signature import DimRule, Param, Signature
from lem_runtime.native import pool
from tests.support.llvm import compile_ir

HELPERS = f"""
define internal ptr @table(ptr %ctx, i64 %offset) {{
  %p = getelementptr i8, ptr %ctx, i64 {layout.CTX_TABLE}
  %t = load ptr, ptr %p
  %f = getelementptr i8, ptr %t, i64 %offset
  %r = load ptr, ptr %f
  ret ptr %r
}}

define internal i32 @fault(ptr %ctx, i32 %code, i32 %site, i64 %order, i64 %value) {{
entry:
  %p = getelementptr i8, ptr %ctx, i64 {layout.CTX_FAULT}
  %f = load ptr, ptr %p
  br label %try
try:
  %old = atomicrmw xchg ptr %f, i32 1 acquire
  %free = icmp eq i32 %old, 0
  br i1 %free, label %mine, label %try
mine:
  %code_p = getelementptr i8, ptr %f, i64 {layout.FAULT_CODE}
  %order_p = getelementptr i8, ptr %f, i64 {layout.FAULT_ORDER}
  %c = load i32, ptr %code_p
  %o = load i64, ptr %order_p
  %none = icmp eq i32 %c, 0
  %less = icmp slt i64 %order, %o
  %take = or i1 %none, %less
  br i1 %take, label %write, label %done
write:
  %site_p = getelementptr i8, ptr %f, i64 {layout.FAULT_SITE}
  %n_p = getelementptr i8, ptr %f, i64 {layout.FAULT_N_VALUES}
  %v_p = getelementptr i8, ptr %f, i64 {layout.FAULT_VALUES}
  store i32 %code, ptr %code_p
  store i64 %order, ptr %order_p
  store i32 %site, ptr %site_p
  store i32 1, ptr %n_p
  store i64 %value, ptr %v_p
  br label %done
done:
  store atomic i32 0, ptr %f release, align 4
  ret i32 1
}}

define internal i64 @slot(ptr %args, i64 %n) {{
  %p = getelementptr i64, ptr %args, i64 %n
  %v = load i64, ptr %p
  ret i64 %v
}}
"""


def entry_around(body: str, units_slot: int, chunk: int = 16, name: str = "entry") -> str:
    """An entry that runs `@body` over as many units as argument slot `units_slot` says."""
    return f"""
define i32 @{name}(ptr %ctx, ptr %args, i64 %lo, i64 %hi) {{
  %n = call i64 @slot(ptr %args, i64 {units_slot})
  %f = call ptr @table(ptr %ctx, i64 {layout.TABLE_OFFSET["parallel_for"]})
  %s = call i32 %f(ptr %ctx, ptr @{body}, ptr %args, i64 %n, i64 {chunk})
  ret i32 %s
}}
"""


# saxpy(a: f32, x: f32[N], y: inout f32[N]): slots a, x, N, sx, y, N, sy, N
SAXPY = """
define internal i32 @body(ptr %ctx, ptr %args, i64 %lo, i64 %hi) {
entry:
  %a = load float, ptr %args
  %xi = call i64 @slot(ptr %args, i64 1)
  %sx = call i64 @slot(ptr %args, i64 3)
  %yi = call i64 @slot(ptr %args, i64 4)
  %sy = call i64 @slot(ptr %args, i64 6)
  %x = inttoptr i64 %xi to ptr
  %y = inttoptr i64 %yi to ptr
  br label %loop
loop:
  %i = phi i64 [ %lo, %entry ], [ %i1, %loop ]
  %ox = mul i64 %i, %sx
  %oy = mul i64 %i, %sy
  %xp = getelementptr float, ptr %x, i64 %ox
  %yp = getelementptr float, ptr %y, i64 %oy
  %xv = load float, ptr %xp
  %yv = load float, ptr %yp
  %m = fmul float %a, %xv
  %r = fadd float %m, %yv
  store float %r, ptr %yp
  %i1 = add i64 %i, 1
  %more = icmp slt i64 %i1, %hi
  br i1 %more, label %loop, label %done
done:
  ret i32 0
}
"""

SAXPY_SIGNATURE = Signature(
    "saxpy", "kernel", ("N",),
    (Param("a", "f32", None, "read"), Param("x", "f32", ("N",), "read"), Param("y", "f32", ("N",), "inout")),
    (DimRule("N", "x"), DimRule("N", "y")),
)  # fmt: skip


def artifact(ir: str, sig: Signature, sites: tuple[Site, ...] = (), facts: str = "") -> Artifact:
    """An artifact of hand-written code whose entry is ``@entry``."""
    return Artifact(sig.name, "cpu", sig, "entry", compile_ir(HELPERS + ir), sites, facts=facts)


@functools.cache
def saxpy() -> Artifact:
    return artifact(SAXPY + entry_around("body", 7), SAXPY_SIGNATURE)


@functools.cache
def core() -> native.Core:
    """The native core, compiled for this process (not taken from the user's store)."""
    made = native.Core(compile_ir(pool.core_text(native._arch())))
    return made


def by_size(name: str, *params: Param) -> Signature:
    """A signature with the dimension N given by name, and `params`."""
    return Signature(name, "kernel", ("N",), params, tuple(DimRule("N", p.name) for p in params if p.is_array))
