"""Ten mistakes that a newcomer makes: each gets one message, at the right place, with its exit code, and leaves no file.

The whole message stands beside this file in ``mistakes/*.stderr`` (``LEM_ACCEPT=1`` rewrites them).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lem.cli import Exit
from tests.support.cli import lem
from tests.support.ui import compare

Array = np.ndarray[Any, Any]
MESSAGES = Path(__file__).parent / "mistakes"


@dataclass(frozen=True)
class Mistake:
    """args: after ``lem run program.lem``; place: ``line:column`` in the program, "" where there is none to point at."""

    program: str
    args: str
    code: str
    exit: Exit
    place: str
    arrays: dict[str, Array] = field(default_factory=dict)


f32 = np.float32
MATMUL = """\
kernel matmul[M, N, K](a: f32[M, K], b: f32[K, N], c: out f32[M, N]):
    for i, j in grid(M, N):
        c[i, j] = sum(a[i, k] * b[k, j] for k in K)
"""

MISTAKES = {
    "wrong_index": Mistake(
        MATMUL.replace("b: f32[K, N]", "b: f32[N, K]"), "a=a.npy b=b.npy -o c=c.npy", "E0312", Exit.PROGRAM, "3:35",
        {"a": np.ones((2, 3), f32), "b": np.ones((4, 3), f32)},
    ),
    "missing_out": Mistake(
        MATMUL.replace("out ", ""), "a=a.npy b=b.npy c=c0.npy", "E0401", Exit.PROGRAM, "3:9",
        {"a": np.ones((2, 3), f32), "b": np.ones((3, 4), f32), "c0": np.ones((2, 4), f32)},
    ),
    "unknown_name": Mistake(
        "kernel scale[N](x: f32[N], y: out f32[N], factor: f32 = 2.0):\n    for i in grid(N):\n"
        "        y[i] = x[i] * facter\n",
        "x=x.npy -o y=y.npy", "E0201", Exit.PROGRAM, "3:23", {"x": np.ones(3, f32)},
    ),
    "race": Mistake(
        "kernel histogram[N](x: u8[N], bins: inout i64[256]):\n    for i in grid(N):\n        bins[x[i]] = bins[x[i]] + 1\n",
        "x=x.npy bins=bins.npy -o bins=after.npy", "E0402", Exit.PROGRAM, "3:9",
        {"x": np.ones(3, np.uint8), "bins": np.zeros(256, np.int64)},
    ),
    "division_by_zero": Mistake(
        "kernel share[N](total: i64[N], people: i64[N], each: out i64[N]):\n    for i in grid(N):\n"
        "        each[i] = total[i] // people[i]\n",
        "total=total.npy people=people.npy -o each=each.npy", "E0602", Exit.FAULT, "3:31",
        {"total": np.arange(6), "people": np.array([1, 2, 3, 0, 5, 0])},
    ),
    "file_not_found": Mistake(MATMUL, "a=matrix.npy b=b.npy", "E0610", Exit.USAGE, "", {"matrx": np.ones((2, 3), f32)}),
    "wrong_dtype": Mistake(
        MATMUL, "a=a.npy b=b.npy -o c=c.npy", "E0607", Exit.USAGE, "1:24",
        {"a": np.ones((2, 3)), "b": np.ones((3, 4), f32)},
    ),
    "shape_clash": Mistake(
        MATMUL, "a=a.npy b=b.npy -o c=c.npy", "E0606", Exit.USAGE, "1:38",
        {"a": np.ones((2, 3), f32), "b": np.ones((5, 4), f32)},
    ),
    "endless_loop": Mistake(
        "kernel halve[N](x: f32[N], y: out f32[N]):\n    for i in grid(N):\n        v = x[i]\n        while v != 0.3:\n"
        "            v = (v + 1.0) * 0.5\n        y[i] = v\n",
        "x=x.npy -o y=y.npy --timeout 0.3", "E0612", Exit.TIMEOUT, "1:8", {"x": np.zeros(8, f32)},
    ),
    "gather_out_of_range": Mistake(
        "kernel pick[N, K](x: f32[N], idx: i64[K], y: out f32[K]):\n    for i in grid(K):\n        y[i] = x[idx[i]]\n",
        "x=x.npy idx=idx.npy -o y=y.npy", "E0601", Exit.FAULT, "3:18",
        {"x": np.ones(4, f32), "idx": np.array([0, 3, 4, -1])},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_gets_one_clear_message(name: str, tmp_path: Path) -> None:
    m = MISTAKES[name]
    (tmp_path / "program.lem").write_text(m.program)
    for array, values in m.arrays.items():
        np.save(tmp_path / f"{array}.npy", values)
    before = sorted(p.name for p in tmp_path.iterdir())
    said = lem("run", "program.lem", *m.args.split(), cwd=tmp_path)
    compare(said.err, MESSAGES / f"{name}.stderr")
    assert said.code == m.exit
    assert said.err.count("error[") == 1 and f"error[{m.code}]" in said.err
    assert f"--> program.lem:{m.place}\n" in said.err if m.place else "-->" not in said.err
    assert said.out == ""
    assert sorted(p.name for p in tmp_path.iterdir()) == before


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_as_json(name: str, tmp_path: Path) -> None:
    m = MISTAKES[name]
    (tmp_path / "program.lem").write_text(m.program)
    for array, values in m.arrays.items():
        np.save(tmp_path / f"{array}.npy", values)
    said = lem("run", "--json", "program.lem", *m.args.split(), cwd=tmp_path)
    assert said.code == said.json["exit"] == m.exit and said.json["ok"] is False
    (report,) = said.json["diagnostics"]
    start = report["range"]["start"] if report["range"] else None
    assert report["code"] == m.code
    assert (f"{start['line']}:{start['column']}" if start else "") == m.place


def test_every_message_belongs_to_a_mistake() -> None:
    assert {p.stem for p in MESSAGES.iterdir()} == set(MISTAKES)
