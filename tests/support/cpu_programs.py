"""Programs that together use all that the CPU target lowers, each with inputs of sizes where loops begin and end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]
rng = np.random.default_rng(1)
PROGRAMS: dict[str, tuple[str, tuple[dict[str, Any], ...]]] = {}


def f4(*shape: int) -> Any:
    return rng.standard_normal(shape).astype("f4")


def f8(*shape: int) -> Any:
    return rng.standard_normal(shape)


def program(name: str, text: str, *cases: dict[str, Any]) -> None:
    PROGRAMS[name] = (text, cases)


program(
    "softmax",
    (ROOT / "examples/softmax.lem").read_text(),
    *[dict(x=f4(m, n)) for m, n in ((1, 1), (3, 31), (2, 32), (5, 100), (3, 5000), (0, 4), (4, 9000))],
)
program(
    "rowsum",
    """
kernel rowsum[M,N](x: f32[M,N], y: out f32[M]):
    for i in grid(M):
        y[i] = sum(x[i,k] for k in N)
""",
    *[dict(x=f4(m, n)) for m, n in ((1, 0), (3, 1), (3, 31), (2, 33), (5, 4096), (2, 4097), (2, 12300), (1, 40000))],
)
program(
    "colsum",
    """
kernel colsum[M,N](x: f32[M,N], y: out f32[N]):
    for j in grid(N):
        y[j] = sum(x[k,j] for k in M)
""",
    *[dict(x=f4(m, n)) for m, n in ((0, 3), (1, 1), (255, 33), (256, 8), (257, 40), (1000, 65), (3000, 7))],
)
program(
    "stencil5",
    """
kernel st[H,W](u: f64[H,W], v: out f64[H,W]):
    for y, x in grid(H[1:-1], W[1:-1]):
        v[y,x] = u[y,x] + 0.1*(u[y-1,x]+u[y+1,x]+u[y,x-1]+u[y,x+1]-4.0*u[y,x])
""",
    *[dict(u=f8(h, w)) for h, w in ((3, 3), (2, 5), (10, 17), (33, 70))],
)
program(
    "clamp3",
    """
kernel cl[H,W](u: f32[H,W], v: out f32[H,W]):
    for y, x in grid(H, W):
        v[y,x] = sum(clamp(u)[y+dy,x+dx] for dy in range(-1,2) for dx in range(-1,2))
""",
    *[dict(u=f4(h, w)) for h, w in ((1, 1), (2, 3), (10, 17), (33, 70))],
)
program(
    "wrapfill",
    """
kernel wf[N](u: f32[N], v: out f32[N], s: int):
    for x in grid(N):
        v[x] = wrap(u)[x+s] + fill(u, 7.0)[x-s] * 2.0 + clamp(u)[3*x-s]
""",
    *[dict(u=f4(n), s=s) for n in (1, 5, 17, 100) for s in (0, 1, -3, 40)],
)
program(
    "mandel",
    """
kernel mandelbrot[H, W](n_out: out i32[H, W], limit: i32):
    for y, x in grid(H, W):
        cr = 3.0 * f32(x) / f32(W) - 2.0
        ci = 2.0 * f32(y) / f32(H) - 1.0
        a: f32 = 0.0
        b: f32 = 0.0
        n: i32 = 0
        while n < limit and a * a + b * b < 4.0:
            a, b = a * a - b * b + cr, 2.0 * a * b + ci
            n += 1
        n_out[y, x] = n
""",
    dict(H=13, W=37, limit=50),
    dict(H=1, W=5, limit=0),
)
program(
    "branchy",
    """
kernel br[N](x: f32[N], y: out f32[N]):
    for i in grid(N):
        v = x[i]
        if v < 0.0:
            if i > 0:
                v = v * x[i-1]
            else:
                v = 3.0
        elif v > 1.0:
            y[i] = 1.0
            return
        else:
            for k in range(i % 5):
                v = v + 0.25 * f32(k)
        y[i] = v
""",
    *[dict(x=f4(n)) for n in (1, 7, 8, 100, 1000)],
)
program(
    "argmax",
    """
kernel am[M,N](x: f64[M,N], y: out i64[M], z: out f64[M], w: out i64[N]):
    for i in grid(M):
        y[i] = argmax(x[i,k] for k in N)
        z[i] = max(x[i,:], over=N)
    for j in grid(N):
        w[j] = argmin(x[k,j] for k in M)
""",
    *[dict(x=f8(m, n)) for m, n in ((1, 1), (3, 31), (7, 100))],
)
program(
    "csr",
    """
kernel spmv[R, Z, C](ptr: i64[R + 1], col: i32[Z], val: f64[Z], x: f64[C], y: out f64[R]):
    for r in grid(R):
        y[r] = sum(val[z] * x[col[z]] for z in Z[ptr[r]:ptr[r+1]])
""",
    dict(ptr=np.array([0, 0, 3, 3, 40, 41]), col=rng.integers(0, 9, 41).astype("i4"), val=f8(41), x=f8(9)),
)
program(
    "hist",
    """
kernel hist[N](x: u8[N], h: reduce(+) i64[256]):
    for i in grid(N):
        h[x[i]] += 1
""",
    dict(x=rng.integers(0, 256, 10007).astype("u1"), h=np.arange(256)),
)
program(
    "scatf",
    """
kernel sc[N,K](idx: i64[N], v: f32[N], h: reduce(+) f32[K]):
    for i in grid(N):
        h[idx[i]] += v[i]
""",
    dict(idx=rng.integers(0, 11, 1003), v=f4(1003), h=f4(11)),
)
program(
    "scal",
    """
kernel dot[N](x: f32[N], y: f32[N]) -> s: f32:
    s = sum(x[i]*y[i] for i in N)
""",
    *[dict(x=f4(n), y=f4(n)) for n in (0, 1, 100, 5000, 100000)],
)
program(
    "seq",
    """
kernel gs[N](a: inout f64[N]) -> s: f64:
    t: f64[N] = 1.5
    for k in range(3):
        for i in range(1, N):
            a[i] = 0.5 * (a[i-1] + a[i]) + t[i]
        t[:] = a[:] * 2.0
    s = max(a[i] for i in N)
    i = 0
    while a[i] < 1.0 and i < N - 1:
        i += 1
    a[0] = f64(i)
""",
    *[dict(a=f8(n)) for n in (1, 5, 100)],
)
program(
    "dtypes",
    """
kernel dt[N](
    a: i8[N], b: u16[N], c: bool[N], h: f16[N], o1: out i32[N], o2: out f16[N], o3: out u8[N], o4: out bool[N],
    o5: out f32[N],
):
    for i in grid(N):
        o1[i] = a[i] * b[i] // (3 + a[i] * a[i]) + (a[i] % 5)
        o2[i] = f16(h[i] * 1.1)
        o3[i] = u8(a[i])
        o4[i] = c[i] and a[i] > 0
        o5[i] = f32(h[i]) % 0.3 + f32(a[i]) // 7.0
""",
    *[
        dict(
            a=rng.integers(-128, 128, n).astype("i1"),
            b=rng.integers(0, 65536, n).astype("u2"),
            c=rng.random(n) < 0.5,
            h=f4(n).astype("f2"),
        )
        for n in (1, 9, 100)
    ],
)
program(
    "local",
    """
kernel loc[N](x: f32[N], y: out f32[N]):
    for i in grid(N):
        v: f32[9] = 0
        for k in range(9):
            v[k] = x[i] * f32(k)
        v[i % 9] = 100.0
        m = 0.0
        for k in range(9):
            m = m + f64(v[(k + i) % 9] * f32(k))
        y[i] = f32(m)
""",
    *[dict(x=f4(n)) for n in (1, 9, 100)],
)
program(
    "tri",
    """
kernel tri[N](a: f64[N,N], y: out f64[N,N]):
    for i, j in grid(N, N):
        if j <= i:
            y[i,j] = sum(a[i,k] * a[j,k] for k in N[:j+1])
""",
    *[dict(a=f8(n, n)) for n in (1, 5, 40)],
)
program(
    "transp",
    """
kernel tr[M,N](a: f32[M,N], y: out f32[N,M]):
    for i, j in grid(M, N):
        y[j,i] = a[i,j] * 2.0
""",
    *[dict(a=f4(m, n)) for m, n in ((1, 1), (5, 9), (40, 33))],
)
program(
    "matmul",
    """
kernel mm[M,N,K](a: f32[M,K], b: f32[K,N], c: out f32[M,N]):
    for i, j in grid(M, N):
        c[i,j] = sum(a[i,k]*b[k,j] for k in K)
""",
    *[dict(a=f4(m, k), b=f4(k, n)) for m, n, k in ((1, 1, 1), (5, 9, 300), (40, 33, 20))],
)
program(
    "att",
    (ROOT / "examples/attention.lem").read_text(),
    dict(q=f4(1, 2, 70, 16), k=f4(1, 2, 70, 16), v=f4(1, 2, 70, 16), scale=np.float32(0.3)),
)
program(
    "knn",
    """
kernel knn[M,N,D](x: f32[M,D], c: f32[N,D], y: out i64[M]):
    for i in grid(M):
        y[i] = argmin(sum((x[i,d]-c[j,d])*(x[i,d]-c[j,d]) for d in D) for j in N)
""",
    *[dict(x=f4(m, d), c=f4(n, d)) for m, n, d in ((3, 4, 5), (10, 7, 40))],
)
program(
    "layernorm",
    """
kernel ln[M,N](x: f32[M,N], g: f32[N], b: f32[N], y: out f32[M,N]):
    for i in grid(M):
        mu = mean(x[i,:], over=N)
        d = x[i,:] - mu
        var = mean(d*d, over=N)
        y[i,:] = d / sqrt(var + 1e-5) * g[:] + b[:]
""",
    *[dict(x=f4(m, n), g=f4(n), b=f4(n)) for m, n in ((1, 1), (3, 100), (4, 5000))],
)
program(
    "inplace",
    """
kernel rv[M,N](x: inout f32[M,N]):
    for i in grid(M):
        x[i,:] = x[i,:] + sum(x[i,:], over=N)
        for k in range(N):
            x[i,k] = x[i,k] + 1.0 + x[i,N-1-k]
""",
    *[dict(x=f4(m, n)) for m, n in ((1, 1), (3, 10), (20, 33))],
)
program(
    "inplace2",
    """
kernel rv[M,N](x: inout f32[M,N], y: out f32[M,N]):
    for i in grid(M):
        t = x[i,:] * 2.0
        x[i,:] = exp(x[i,:] - max(x[i,:], over=N))
        x[i,:] = x[i,:] / sum(x[i,:], over=N)
        y[i,:] = t
        if x[i,0] > 0.3:
            y[i,0] = x[i,0]
""",
    *[dict(x=f4(m, n)) for m, n in ((1, 1), (3, 10), (20, 33))],
)
program(
    "seqaxes",
    """
kernel sa[M,N](x: inout f64[M,N], v: f64[N]) -> r: f64[N]:
    for k in range(2):
        x[0,:] = x[0,:] + v[:]
        t: f64[N]
        t[:] = x[M-1,:] * 2.0
        x[M-1,:] = t[:] - x[0,:]
        for i, j in grid(M,N):
            x[i,j] = x[i,j] + 1.0
    r[:] = sum(x[i,:] for i in M)
""",
    *[dict(x=f8(m, n), v=f8(n)) for m, n in ((1, 1), (3, 10), (20, 33))],
)
program(
    "fnax",
    """
fn f(x: f32) -> f32:
    if x < 0.0:
        return -x * 2.0
    s: f32 = 0.0
    while s < x:
        s = s + 0.3
    return s
kernel fa[M,N](x: f32[M,N], y: out f32[M,N], z: out f32[M]):
    for i in grid(M):
        y[i,:] = f(x[i,:])
        z[i] = sum(f(x[i,k]) * f(x[i,k]+1.0) for k in N)
""",
    *[dict(x=f4(m, n)) for m, n in ((1, 1), (3, 10), (4, 70))],
)
program(
    "tilesrag",
    """
kernel tr[M,N](x: f32[M,N], y: out f32[M], z: out f32[M]):
    for i in grid(M):
        s: f32 = 0
        m: f32 = -inf
        for j in tiles(N[i:], 8):
            s = s + sum(x[i,j], over=j)
            m = max(m, max(x[i,j] * 2.0, over=j))
        y[i] = s
        z[i] = m
""",
    dict(x=f4(5, 30)),
    dict(x=f4(1, 1)),
)
program(
    "colscan",
    """
kernel cs[M,N](x: f32[M,N], y: out f32[M,N]):
    for j in grid(N):
        s: f32 = 0
        for i in range(M):
            s = s + x[i,j]
            y[i,j] = s
""",
    *[dict(x=f4(m, n)) for m, n in ((1, 1), (3, 10), (4, 70))],
)
program(
    "ints",
    """
kernel it[N](a: i32[N], b: i64[N], o: out i64[N], q: out u32[N], s: out i32[N]):
    for i in grid(N):
        o[i] = (a[i] // 7) * (b[i] % (1 + b[i]*b[i] % 5)) + (b[i] >> (i % 70)) + (b[i] << (i % 70))
        q[i] = u32(a[i]) >> u32(i % 40)
        s[i] = max(a[i], -5) ^ abs(a[i])
""",
    *[dict(a=rng.integers(-(2**31), 2**31, n).astype("i4"), b=rng.integers(-(2**62), 2**62, n)) for n in (1, 9, 100)],
)
program(
    "reduce2",
    """
kernel r2[M,N](x: f32[M,N], p: out f32[M], a: out bool[M], b: out bool[M], c: out i64[M], q: out f32[N]):
    for i in grid(M):
        p[i] = prod(x[i,k] for k in N)
        a[i] = any(x[i,k] > 2.0 for k in N)
        b[i] = all(x[i,k] > -2.0 for k in N)
        c[i] = sum(1 for k in N if x[i,k] > 0.0)
    for j in grid(N):
        q[j] = prod(x[k,j] for k in M) + sum(x[k,j]*x[k,j] for k in range(3) if k < M)
""",
    *[dict(x=f4(m, n)) for m, n in ((1, 1), (3, 10), (40, 70))],
)
program(
    "gather2",
    """
kernel g[N,K](idx: i32[N], t: f32[K], y: out f32[N]):
    for i in grid(N):
        y[i] = t[idx[i]] + clamp(t)[idx[i] * 3]
""",
    dict(idx=rng.integers(0, 7, 100).astype("i4"), t=f4(7)),
)
program(
    "bf16ish",
    """
kernel cv[N](x: f64[N], k: i64[N], h: out f16[N], g: out f16[N], d: out f64[N]):
    for i in grid(N):
        h[i] = f16(x[i] * 1000.0)
        g[i] = f16(k[i])
        d[i] = f64(bf16(x[i])) + f64(f8e4m3(x[i])) + f64(f8e5m2(x[i])) + f64(bf16(k[i]))
""",
    dict(x=f8(300), k=rng.integers(-(2**62), 2**62, 300)),
)
program(
    "checked_sum",
    """
kernel f[M, N](n: i64[M], idx: i64[M], x: f32[N], y: out f32[M]):
    for r in grid(M):
        s: f32 = 0
        for k in range(n[r]):
            s += sum(x[idx[r] + j] for j in range(3))
        y[r] = s
""",
    # What no element uses may be any number: nothing is read there, and nothing faults.
    dict(n=np.arange(70) % 3, idx=np.where(np.arange(70) % 3 > 0, np.arange(70) % 5, 2**40), x=f4(8)),
)
