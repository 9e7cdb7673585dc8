"""A program that type checkers accept in strict mode: what annotations and bodies of kernels look like to them."""

from __future__ import annotations

import math

import numpy as np

import lem
from lem.dims import K, M, N


class Rows(lem.Dim): ...


@lem.fn
def sigmoid(x: lem.f32) -> lem.f32:
    return lem.f32(1.0 / (1.0 + math.exp(-x)))


@lem.kernel
def matmul(a: lem.f32[M, K], b: lem.f32[K, N], c: lem.out[lem.f32[M, N]]) -> None:
    for i, j in lem.grid(M, N):
        c[i, j] = sum(a[i, k] * b[k, j] for k in K)


@lem.kernel
def interior(x: lem.f32[Rows], y: lem.inout[lem.f32[Rows]], scale: float = 0.5) -> None:
    for i in lem.grid(Rows[1:-1]):
        s: lem.f32 = lem.f32(0)
        for j in lem.tiles(Rows, 32):
            s += sum(x[j], over=j)  # type: ignore[call-overload]  # `over=` is lem's
        y[i] = x[i - 1] + lem.f32(scale) * s if s > 0.0 else lem.where(x[i] > 1.0, x[i], -x[i])


@lem.variant(of=matmul, on=lem.cpu, when=M % 32 == 0 and N > 1)
@lem.kernel
def matmul32(a: lem.f32[M, K], b: lem.f32[K, N], c: lem.out[lem.f32[M, N]]) -> None:
    for i, j in lem.grid(M, N):
        c[i, j] = sum(a[i, k] * b[k, j] for k in K)


@lem.struct
class Place:
    x: lem.f64
    y: lem.f64


@lem.struct
class Body:
    at: Place
    mass: lem.f64


@lem.fn
def moved(p: Place, dx: lem.f64) -> Place:
    return Place(p.x + dx, y=2.0 * p.y)


@lem.kernel
def move(b: lem.array[Body, N], c: lem.out[lem.soa[Body, N]], dx: lem.f64) -> None:
    for i in lem.grid(N):
        c[i] = Body(moved(b[i].at, dx), b[i].mass)


@lem.task
def twice(a: lem.f32[M, K], b: lem.f32[K, N], c: lem.inout[lem.f32[M, N]]) -> None:
    lem.spawn(matmul(a, b, c), on=lem.cpu)
    matmul(a, b, c)


@lem.test("places add up")
def test_moved() -> None:
    p = Place(1.0, 2.0)
    lem.check(moved(p, 0.5).x == 1.5, within=0.1)


@lem.kernel("a: f32[2 * M], c: out f32[M]")
def pairs(a: lem.f32[M], c: lem.out[lem.f32[M]]) -> None:
    for i in lem.grid(M):
        c[i] = a[2 * i] + a[2 * i + 1]


def main() -> None:
    a = np.ones((2, 3), np.float32)
    c = np.zeros((2, 2), np.float32)
    matmul(a, a.T, c)
    twice(a, a.T, c)
    print(c.sum(), matmul.specializations, matmul.inspect("ir"))


if __name__ == "__main__":
    main()
