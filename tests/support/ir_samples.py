"""Tile IR written by hand, as text: small kernels that together use every op. Shared by unit and run tests."""

from __future__ import annotations

from lem.ir.core import Module
from lem.ir.reader import read_module

MATMUL = """
kernel matmul[M, N, K] {
  param a: f32[M, K] read
  param b: f32[K, N] read
  param c: f32[M, N] out
  rule M = a, 0
  rule K = a, 1
  rule N = b, 1
  axes i: grid, j: grid, k: range
  body
  %zero: i64 = tile.const 0, i64
  %M: i64 = tile.dim M
  %N: i64 = tile.dim N
  %K: i64 = tile.dim K
  tile.grid (#i, #j), (%zero, %zero), (%M, %N), (1, 1) {
    ^(%i: i64{i}, %j: i64{j})
    %k: i64{k} = tile.range #k, %zero, %K
    %0: f32{i, k} = tile.load @a[%i, %k]
    %1: f32{j, k} = tile.load @b[%k, %j]
    %2: f32{i, j} = tile.contract %0, %1, #k, f32
    tile.store @c[%i, %j], %2
  }
}
"""

SOFTMAX = """
kernel softmax[M, N] {
  param x: f32[M, N] read
  param y: f32[M, N] out
  rule M = x, 0
  rule N = x, 1
  axes i: grid, j: range
  body
  %zero: i64 = tile.const 0, i64
  %M: i64 = tile.dim M
  %N: i64 = tile.dim N
  tile.grid (#i), (%zero), (%M), (1) {
    ^(%i: i64{i})
    %j: i64{j} = tile.range #j, %zero, %N
    %x: f32{i, j} = tile.load @x[%i, %j]
    %top: f32{i} = tile.reduce (%x), #j, max.f32, any
    %s: f32{i, j} = tile.binary sub, %x, %top
    %p: f32{i, j} = tile.binary mul, %s, %s
    %sum: f32{i} = tile.reduce (%p), #j, sum.f32, lanes
    %q: f32{i, j} = tile.binary div, %p, %sum
    tile.store @y[%i, %j], %q
  }
}
"""

# Online maximum and weighted sum over positions j <= i, block by block; the weight 1 / (1 + top - s) stands in for exp.
ATTENTION = """
kernel attention[S, D] {
  param q: f32[S, D] read
  param k: f32[S, D] read
  param v: f32[S, D] read
  param o: f32[S, D] out
  rule S = q, 0
  rule D = q, 1
  axes i: grid, d: whole, j: tiles
  body
  %zero: i64 = tile.const 0, i64
  %one: i64 = tile.const 1, i64
  %S: i64 = tile.dim S
  %D: i64 = tile.dim D
  %low: f32 = tile.const -inf, f32
  %none: f32 = tile.const 0.0, f32
  tile.grid (#i), (%zero), (%S), (1) {
    ^(%i: i64{i})
    %d: i64{d} = tile.range #d, %zero, %D
    %hi: i64{i} = tile.binary add, %i, %one
    %q: f32{i, d} = tile.load @q[%i, %d]
    %m: f32{i}, %l: f32{i}, %acc: f32{i, d} = tile.tiles #j, %zero, %hi, none, (%low, %none, %none) {
      ^(%j: i64{j}, %m0: f32{i}, %l0: f32{i}, %acc0: f32{i, d})
      %k: f32{d, j} = tile.load @k[%j, %d]
      %s: f32{i, j} = tile.contract %q, %k, #d, f32
      %blocktop: f32{i} = tile.reduce (%s), #j, max.f32, any
      %top: f32{i} = tile.binary max, %m0, %blocktop
      %unit: f32 = tile.const 1.0, f32
      %gap: f32{i, j} = tile.binary sub, %top, %s
      %below: bool{i, j} = tile.compare gt, %gap, %unit
      %p: f32{i, j} = tile.select %below, %none, %unit
      %sum: f32{i} = tile.reduce (%p), #j, sum.f32, lanes
      %oldgap: f32{i} = tile.binary sub, %top, %m0
      %oldbelow: bool{i} = tile.compare gt, %oldgap, %none
      %keep: f32{i} = tile.select %oldbelow, %none, %unit
      %l1: f32{i} = tile.fma %l0, %keep, %sum
      %v: f32{d, j} = tile.load @v[%j, %d]
      %pv: f32{i, d} = tile.contract %p, %v, #j, f32
      %acc1: f32{i, d} = tile.fma %acc0, %keep, %pv
      yield %top, %l1, %acc1
    }
    %out: f32{i, d} = tile.binary div, %acc, %l
    tile.store @o[%i, %d], %out
  }
}
"""

MANDELBROT = """
kernel mandelbrot[H, W] {
  param count: i32[H, W] out
  param limit: i32 read
  rule H = count, 0
  rule W = count, 1
  axes y: grid, x: grid
  body
  %zero: i64 = tile.const 0, i64
  %H: i64 = tile.dim H
  %W: i64 = tile.dim W
  %limit: i32 = tile.scalar limit, i32
  tile.grid (#y, #x), (%zero, %zero), (%H, %W), (1, 1), (none, 8), escape {
    ^(%y: i64{y}, %x: i64{x})
    %fy: f64{y} = tile.cast %y, f64
    %fx: f64{x} = tile.cast %x, f64
    %scale: f64 = tile.const 0.25, f64
    %shift: f64 = tile.const -1.5, f64
    %cy: f64{y} = tile.fma %fy, %scale, %shift
    %cx: f64{x} = tile.fma %fx, %scale, %shift
    %n0: i32 = tile.const 0, i32
    %z0: f64 = tile.const 0.0, f64
    %n: i32{y, x}, %re: f64{y, x}, %im: f64{y, x} = tile.while (%n0, %z0, %z0) {
      ^(%n1: i32{y, x}, %re1: f64{y, x}, %im1: f64{y, x})
      %re2: f64{y, x} = tile.binary mul, %re1, %re1
      %im2: f64{y, x} = tile.binary mul, %im1, %im1
      %r2: f64{y, x} = tile.binary add, %re2, %im2
      %four: f64 = tile.const 4.0, f64
      %near: bool{y, x} = tile.compare le, %r2, %four
      %more: bool{y, x} = tile.compare lt, %n1, %limit
      %go: bool{y, x} = tile.binary and, %near, %more
      yield %go
    } {
      ^(%n3: i32{y, x}, %re3: f64{y, x}, %im3: f64{y, x})
      %one: i32 = tile.const 1, i32
      %n4: i32{y, x} = tile.binary add, %n3, %one
      %rr: f64{y, x} = tile.binary mul, %re3, %re3
      %ii: f64{y, x} = tile.binary mul, %im3, %im3
      %dd: f64{y, x} = tile.binary sub, %rr, %ii
      %re5: f64{y, x} = tile.binary add, %dd, %cx
      %ri: f64{y, x} = tile.binary mul, %re3, %im3
      %ri2: f64{y, x} = tile.binary add, %ri, %ri
      %im5: f64{y, x} = tile.binary add, %ri2, %cy
      yield %n4, %re5, %im5
    }
    tile.store @count[%y, %x], %n
  }
}
"""

STENCIL = """
kernel blur[N] {
  param x: f32[N] read
  param y: f32[N] out
  rule N = x, 0
  axes i: grid, r: range
  body
  %lo: i64 = tile.const 0, i64
  %three: i64 = tile.const 3, i64
  %N: i64 = tile.dim N
  tile.grid (#i), (%lo), (%N), (1) {
    ^(%i: i64{i})
    %r: i64{r} = tile.range #r, %lo, %three
    %x: f32{i, r} = tile.load @x[%i + %r - 1], clamp
    %s: f32{i} = tile.reduce (%x), #r, sum.f32, lanes
    tile.store @y[%i], %s
  }
}
"""

CSR = """
kernel spmv[R, Z, C] {
  param ptr: i64[R + 1] read
  param col: i32[Z] read
  param val: f64[Z] read
  param x: f64[C] read
  param y: f64[R] out
  rule R = ptr, 0, 1, 1
  rule Z = val, 0
  rule C = x, 0
  site 0 E0601 spmv "`col[z]` is {0}, axis 0 of `x` has size {1}" (i64, i64) (r) {0, R, 1}
  axes r: grid, z: range
  body
  %zero: i64 = tile.const 0, i64
  %R: i64 = tile.dim R
  %C: i64 = tile.dim C
  tile.grid (#r), (%zero), (%R), (1) {
    ^(%r: i64{r})
    %lo: i64{r} = tile.load @ptr[%r]
    %hi: i64{r} = tile.load @ptr[%r + 1]
    %z: i64{r, z} = tile.range #z, %lo, %hi
    %c: i32{r, z} = tile.load @col[%z]
    %c8: i64{r, z} = tile.cast %c, i64
    %nonneg: bool{r, z} = tile.compare ge, %c8, %zero
    %below: bool{r, z} = tile.compare lt, %c8, %C
    %inside: bool{r, z} = tile.binary and, %nonneg, %below
    tile.assert %inside, 0, (%c8, %C)
    %x: f64{r, z} = tile.load @x[%c8]
    %v: f64{r, z} = tile.load @val[%z]
    %s: f64{r} = tile.reduce (%v, %x), #z, dot.f64, lanes
    tile.store @y[%r], %s
  }
}
"""

# Two states along an axis, from its end: the greatest value so far, and how often it was beaten.
PEAKS = """
kernel peaks[M, N] {
  param x: f32[M, N] read
  param y: f32[M, N] out
  param n: i64[M, N] out
  rule M = x, 0
  rule N = x, 1
  axes i: grid, j: range
  body
  %0: i64 = tile.const 0, i64
  %1: i64 = tile.const 1, i64
  %M: i64 = tile.dim M
  %N: i64 = tile.dim N
  %least: f32 = tile.const -inf, f32
  tile.grid (#i), (%0), (%M), (1) {
    ^(%i: i64{i})
    %j: i64{j} = tile.range #j, %0, %N
    %x: f32{i, j} = tile.load @x[%i, %j]
    %top: f32{i, j}, %count: i64{i, j} = tile.scan (%x), #j, (%least, %0), true {
      ^(%top.1: f32{i}, %count.1: i64{i}, %item: f32{i})
      %more: bool{i} = tile.compare gt, %item, %top.1
      %next: f32{i} = tile.binary max, %top.1, %item
      %step: i64{i} = tile.select %more, %1, %0
      %beaten: i64{i} = tile.binary add, %count.1, %step
      yield %next, %beaten
    }
    tile.store @y[%i, %j], %top
    tile.store @n[%i, %j], %count
  }
}
"""

# Histogram, a local array per element, a masked branch, and a step called in a loop.
MIXED = """
kernel step[N] {
  param x: f32[N] inout
  rule N = x, 0
  axes i: grid
  body
  %0: i64 = tile.const 0, i64
  %1: i64 = tile.dim N
  %2: f32 = tile.const 0.5, f32
  tile.grid (#i), (%0), (%1), (1) {
    ^(%i: i64{i})
    %x: f32{i} = tile.load @x[%i]
    %3: f32{i} = tile.binary mul, %x, %2
    tile.store @x[%i], %3
  }
}

kernel mixed[N, B] {
  param x: f32[N] read
  param h: i64[B] reduce("add")
  param times: i64 read = 2
  param total: f32 result
  rule N = x, 0
  rule B = h, 0
  where B >= 1 and not N % 2 == 1, "`where` clause" at "mixed.lem" 2:1-2:9 10-18
  attr fast = true
  attr notes = {"a": (1, 2.5, none), "b": ["x"]}
  site 0 E0603 mixed "printed {0}" (f64) (i) {0, N, 1} at "mixed.lem" 3:1-3:9 20-28
  site 1 E0603 mixed "called" () ()
  axes i: grid, t: range
  temp @t: f32[N] inout
  local @v: f32[?] inout{i}
  body
  %0: i64 = tile.const 0, i64
  %one: i64 = tile.const 1, i64
  %N: i64 = tile.dim N
  %B: i64 = tile.dim B
  tile.alloc @t, (%N), none
  tile.grid (#i), (%0), (%N), (1) {
    ^(%i: i64{i})
    %x: f32{i} = tile.load @x[%i]
    %z: f32 = tile.const 0.0, f32
    tile.alloc @v, (%one), %z
    %neg: bool{i} = tile.compare lt, %x, %z
    %y: f32{i} = tile.if %neg {
      %nx: f32{i} = tile.unary neg, %x
      tile.store @v[0], %nx
      tile.print 0, (%nx)
      yield %nx
    } {
      yield %x
    }
    %w: f32{i} = tile.load @v[0]
    %s: f32{i} = tile.binary add, %y, %w
    tile.store @t[%i], %s
    %b: i64{i} = tile.binary mod, %i, %B
    tile.update add, @h[%b], %one
  }
  %times: i64 = tile.scalar times, i64
  tile.for %0, %times, 1, () {
    ^(%n: i64)
    tile.call step, (@t), (), (%N), 1
  }
  %t: i64{t} = tile.range #t, %0, %N
  %tt: f32{t} = tile.load @t[%t]
  %sum: f32 = tile.reduce (%tt), #t, sum.f32, chain
  tile.store @total[], %sum
}
"""

# Halves what stands in every second place of each row: parts of an array with gaps, without one of its axes.
VIEWS = (
    MIXED[: MIXED.index("kernel mixed")]
    + """task views[M, N] {
  param a: f32[M, N] inout
  rule M = a, 0
  rule N = a, 1
  site 0 "" views "called" () ()
  view @row: f32[?] inout
  view @odd: f32[?] inout
  body
  %0: i64 = tile.const 0, i64
  %one: i64 = tile.const 1, i64
  %two: i64 = tile.const 2, i64
  %M: i64 = tile.dim M
  %N: i64 = tile.dim N
  %half: i64 = tile.binary floordiv, %N, %two
  tile.for %0, %M, 1, () {
    ^(%i: i64)
    tile.view @row, @a, (%i, %0), (none, %N), (1, 1)
    tile.view @odd, @row, (%one), (%half), (2)
    tile.call step, (@odd), (), (%half), 0
  }
}
"""
)

SAMPLES = {
    "matmul": MATMUL, "softmax": SOFTMAX, "attention": ATTENTION, "mandelbrot": MANDELBROT, "stencil": STENCIL,
    "csr": CSR, "peaks": PEAKS, "mixed": MIXED, "views": VIEWS,
}  # fmt: skip


def sample(name: str) -> Module:
    return read_module(SAMPLES[name])
