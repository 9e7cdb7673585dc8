"""The command as a process of its own: Ctrl-C, closed pipes, full disks, odd terminals, and what a bare start imports."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.support.cli import environment
from tests.support.processes import started

LEM = (sys.executable, "-m", "lem")
SPIN = """\
kernel spin[N](x: f32[N], y: out f32[N]):
    for i in grid(N):
        v = x[i]
        while v < 1.0:
            v = v * 0.5
        y[i] = v
"""

posix = pytest.mark.skipif(os.name != "posix", reason="signals and devices of POSIX")


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "spin.lem").write_text(SPIN)
    np.save(tmp_path / "zeros.npy", np.zeros(100, np.float32))
    np.save(tmp_path / "ones.npy", np.ones(100, np.float32))
    return tmp_path


def process(folder: Path, *args: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*LEM, *args], cwd=folder, env=environment(**more), capture_output=True, timeout=60, encoding="utf-8",
        errors="replace",
    )  # fmt: skip


@posix
def test_ctrl_c_stops_a_kernel_at_once(here: Path) -> None:
    assert process(here, "run", "spin.lem", "x=ones.npy").returncode == 0  # so that what follows is in the cache
    (here / "y.npy").write_bytes(b"before")
    command = [*LEM, "run", "spin.lem", "x=zeros.npy", "-o", "y=y.npy"]
    with started(command, cwd=here, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as p:
        time.sleep(1.5)
        assert p.poll() is None
        p.send_signal(signal.SIGINT)
        out, err = p.communicate(timeout=10)  # in 100 ms on a machine of its own; this one is shared
    assert p.returncode == 130 and out == ""
    # On a busy machine it may still be loading: that is answered alike, in other words.
    assert err.startswith("error[E0613]: interrupted: ") and err.endswith("; nothing was written\n") and len(err) < 100
    assert (here / "y.npy").read_bytes() == b"before"
    assert sorted(f.name for f in here.iterdir()) == ["ones.npy", "spin.lem", "y.npy", "zeros.npy"]


@posix
@pytest.mark.parametrize("delay", [0.1, 0.25, 0.4])
def test_ctrl_c_at_any_moment_is_quiet(here: Path, delay: float) -> None:
    command = [*LEM, "run", "spin.lem", "x=zeros.npy", "-o", "y=y.npy", "--no-cache"]
    with started(command, cwd=here, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as p:
        time.sleep(delay)
        p.send_signal(signal.SIGINT)
        _, err = p.communicate(timeout=30)
    if p.returncode == 130:
        assert "Traceback" not in err and "interrupted" in err
    else:  # the command had not begun: Python itself answers
        assert "KeyboardInterrupt" in err or p.returncode == -signal.SIGINT
        assert "in main" not in err
    assert not (here / "y.npy").exists()


@posix
def test_reader_that_goes_away_is_no_error(here: Path) -> None:
    line = f"{sys.executable} -m lem explain E0312 | head -n 1"
    done = subprocess.run(["sh", "-c", line], cwd=here, env=environment(), capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("# E0312") and done.stderr == ""


@posix
def test_streams_that_are_closed_or_full(here: Path) -> None:
    for redirect, code, said in ((">&-", 0, ""), ("2>&-", 0, ""), ("> /dev/full", 2, "no space left on device")):
        line = f"{sys.executable} -m lem check spin.lem {redirect}"
        done = subprocess.run(["sh", "-c", line], cwd=here, env=environment(), capture_output=True, text=True, timeout=60)
        assert done.returncode == code and said in done.stderr, (redirect, done)
        assert "Traceback" not in done.stderr and "Exception" not in done.stderr


@pytest.mark.parametrize("encoding", ["ascii", "utf-8", "latin-1"])
def test_names_that_the_terminal_cannot_show(here: Path, encoding: str) -> None:
    done = process(here, "run", "größe ☃.lem", PYTHONIOENCODING=encoding)
    assert done.returncode == 2 and "error[E0610]" in done.stderr and "Traceback" not in done.stderr


@posix
def test_names_that_are_no_text(here: Path) -> None:
    name = os.fsencode(here) + b"/odd\xff.lem"
    try:
        with open(name, "wb") as f:
            f.write(SPIN.encode())
    except OSError:
        pytest.skip("this file system takes no such name")
    for args in ((b"check", name), (b"run", name, b"x=ones.npy")):
        done = subprocess.run([*LEM, *args], cwd=here, env=environment(), capture_output=True, timeout=60)
        assert done.returncode == 0, done.stderr


def test_help_imports_nothing_heavy(here: Path) -> None:
    assert {"numpy", "llvmlite", "rich", "lem.pipeline", "lem.syntax"}.isdisjoint(imported(here, "--help"))


def test_a_cached_run_imports_no_compiler(here: Path) -> None:
    assert process(here, "run", "spin.lem", "x=ones.npy").returncode == 0
    heavy = {"llvmlite", "rich", "lark", "lem.pipeline", "lem.syntax", "lem.types", "lem.ir", "PIL"}
    assert heavy.isdisjoint(imported(here, "run", "spin.lem", "x=ones.npy", "-o", "y=y.npy", "--report"))


def imported(folder: Path, *args: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "lem", *args], cwd=folder, env=environment(), capture_output=True,
        text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
