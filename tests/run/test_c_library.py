"""Programs as shared libraries: C calls them and gets the numbers, lines and messages that Python gets, with no Python."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from lem_runtime import KernelFault, load
from tests.support.cli import Said, lem

CC = shutil.which(os.environ.get("CC", "cc"))
CXX = shutil.which("c++")
pytestmark = pytest.mark.skipif(CC is None, reason="no C compiler (cc) is installed")

PROGRAM = """\
struct Body:
    x: f32
    mass: f64


kernel axpy[N](x: f32[N], y: inout f32[N], a: f32 = 2.0):
    for i in grid(N):
        y[i] = a * x[i] + y[i]


kernel matmul[M, N, K](a: f32[M, K], b: f32[K, N]) -> c: f32[M, N]:
    for i, j in grid(M, N):
        c[i, j] = sum(a[i, k] * b[k, j] for k in K)


kernel pick[M, N](x: f32[M], idx: i32[N], y: out f32[N]):
    for i in grid(N):
        y[i] = x[idx[i]]


kernel gather[M, N](x: f64[M, N], idx: i64[M, N]) -> y: f64[M, N]:
    for i, j in grid(M, N):
        y[i, j] = x[i, idx[i, j]]


kernel window[N](x: f32[N], width: int) -> y: f32[N]:
    for i in grid(N):
        y[i] = sum(x[j] for j in range(width))


kernel columns[M, N](a: f64[M, N].col) -> total: f64[N]:
    for j in grid(N):
        total[j] = sum(a[i, j] for i in M)


kernel drift[N](b: inout Body[N].aos, dt: f32):
    for i in grid(N):
        b[i] = Body(x=b[i].x + dt, mass=b[i].mass * 2)


kernel apart[N](b: Body[N]) -> m: f64:
    m = sum(b[i].mass * f64(b[i].x) for i in N)


kernel flags[N](x: u8[N], up: bool, least: i8) -> y: bool[N]:
    for i in grid(N):
        y[i] = (x[i] > 7) == up and least < 0


kernel histogram[N](x: u8[N], h: reduce(+) i64[256]):
    for i in grid(N):
        h[x[i]] += 1


task say[N](x: f64[N], small: f32, double: u64):
    print(f"N={N} first {x[0]} {small} {double} {double > 1}")
    print(f"[{x[1]:.3f}|{x[1]:10.2e}|{N:6}|{N:<4}|{N:04}|{double:,}|{x[0]:8}|{x[0]:.1%}]")


kernel lines[N](x: f32[N]):
    for i in grid(N):
        if x[i] > 2:
            print(f"big {x[i]}")


task even(n: int) -> r: bool:
    r = True
    if n != 0:
        r = odd(n - 1)


task odd(n: int) -> r: bool:
    r = False
    if n != 0:
        r = even(n - 1)
"""


@cache
def built() -> Path:
    """A folder with librelax.so, relax.h's program, and the same as a bundle."""
    made = tempfile.TemporaryDirectory(prefix="lem-c-")
    _alive.append(made)
    folder = Path(made.name)
    (folder / "relax.lem").write_text(PROGRAM, encoding="utf-8")
    said = lem("build", "relax.lem", "--emit", "so,h", "-o", "librelax", cwd=folder)
    assert said.code == 0 and "librelax.h: " in said.out, said.err
    assert lem("build", "relax.lem", "-o", "relax.lemb", cwd=folder).code == 0
    return folder


_alive: list[tempfile.TemporaryDirectory[str]] = []


def run(body: str, *, threads: str = "", before: str = "", library: str = "librelax") -> str:
    """What a program prints whose `main` is `body`, in a process without Python."""
    folder = built()
    number = len(list(folder.glob("*.c")))
    text = "".join(f"#include <{name}.h>\n" for name in ("stdio", "string", "stdlib", "math"))
    text += f'#include "{library}.h"\n{before}\n'
    text += f"int main(void) {{\n{body}\nreturn 0; }}\n"
    (folder / f"p{number}.c").write_text(text, encoding="utf-8")
    options = ["-std=c99", "-Wall", "-Wextra", "-Wno-unused-variable", "-Werror", "-pedantic", "-D_DEFAULT_SOURCE"]
    libraries = [f"./{library}.so", "-Wl,-rpath,.", "-lpthread", "-lm"]
    _call(folder, str(CC), *options, f"p{number}.c", "-o", f"p{number}", *libraries)
    return _call(folder, f"./p{number}", threads=threads)


def _call(folder: Path, *command: str, threads: str = "") -> str:
    env = {"PATH": os.environ["PATH"]} | ({"LEM_THREADS": threads} if threads else {})
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{done.returncode}: {done.stderr}{done.stdout}"
    return done.stdout


_SHOW = """
static void show(const char *what, int code) { printf("%s: %d %s\\n", what, code, code ? relax_message() : ""); }
"""


# ---------------------------------------------------------------- numbers
@pytest.mark.parametrize("threads", ["1", "4"])
def test_numbers_are_those_of_python(threads: str) -> None:
    said = run(
        """
    enum { N = 200000, M = 70 };
    float *x = malloc(N * 4), *y = malloc(N * 4);
    float a[M * M], b[M * M], c[M * M];
    for (int i = 0; i < N; i++) { x[i] = (float)(i % 97) / 7; y[i] = (float)(i % 13); }
    for (int i = 0; i < M * M; i++) { a[i] = x[i]; b[i] = y[i] / 3; }
    for (int n = 0; n < 20; n++) if (relax_axpy(N, x, y, 0.1f) || relax_matmul(M, M, M, a, b, c)) return 1;
    fwrite(y, 4, N, fopen("y.bin", "wb"));
    fwrite(c, 4, M * M, fopen("c.bin", "wb"));
    puts(lem_version());
        """,
        threads=threads,
    )
    assert said.startswith("lem 0.") and "ABI" in said
    m = load(built() / "relax.lemb")
    x = (np.arange(200_000) % 97).astype(np.float32) / np.float32(7)
    y = (np.arange(200_000) % 13).astype(np.float32)
    a, b = x[:4900].reshape(70, 70), (y[:4900] / np.float32(3)).reshape(70, 70)
    for _ in range(20):
        m.axpy(x, y, float(np.float32(0.1)))
    assert np.array_equal(np.fromfile(built() / "y.bin", np.float32), y)
    assert np.array_equal(np.fromfile(built() / "c.bin", np.float32).reshape(70, 70), m.matmul(a, b))


def test_layouts_structs_and_types() -> None:
    said = run("""
    double a[] = {1, 2, 3, 4, 5, 6}, totals[3], m;
    struct relax_drift_b_record bodies[] = {{1, 10}, {2, 20}};
    float bx[] = {1, 2};
    double mass[] = {3, 4};
    uint8_t x[] = {3, 9, 200};
    bool y[3];
    int64_t h[256] = {0};
    if (relax_columns(2, 3, a, totals) || relax_drift(2, bodies, 0.5f) || relax_apart(2, bx, mass, &m)) return 1;
    if (relax_flags(3, x, true, -1, y) || relax_histogram(3, x, h) || relax_histogram(3, x, h)) return 1;
    printf("%g %g %g | %g %g %g %g | %g | ", totals[0], totals[1], totals[2], bodies[0].x, bodies[0].mass, bodies[1].x,
           bodies[1].mass, m);
    printf("%d %d %d | %d %d %d", y[0], y[1], y[2], (int)h[3], (int)h[4], (int)h[200]);
    """)
    assert said == "3 7 11 | 1.5 20 2.5 40 | 11 | 0 1 1 | 2 0 2"


def test_printed_lines_are_those_of_python(capsys: pytest.CaptureFixture[str]) -> None:
    numbers = [1e16, -0.1, 1e-5, 1 / 3, 123456789.0, float("inf")]
    body = "float z[] = {1, 3, 2.5};\n"
    for n, x in enumerate(numbers):
        body += f"double x{n}[] = {{{'INFINITY' if x == float('inf') else repr(x)}, 1234.5678}};\n"
        body += f"relax_say(2, x{n}, 0.1f, {n * 123456}u);\n"
    said = run(body + "relax_lines(3, z);")
    m = load(built() / "relax.lemb")
    capsys.readouterr()
    for n, x in enumerate(numbers):
        m.say(np.array([x, 1234.5678]), 0.1, n * 123456)
    m.lines(np.array([1, 3, 2.5], np.float32))
    assert said == capsys.readouterr().out
    assert "lines[i=2]: big 2.5" in said


# ---------------------------------------------------------------- what goes wrong
def test_fault_is_told_as_python_tells_it() -> None:
    said = run(
        """
    float x[4] = {0}, y[3];
    double d[6] = {0}, e[6];
    int32_t good[] = {0, 1, 2}, bad[] = {0, 9, 2};
    int64_t wide[] = {0, 1, 2, 0, 1, -1000000000000};
    show("good", relax_pick(4, 3, x, good, y));
    show("bad", relax_pick(4, 3, x, bad, y));
    show("wide", relax_gather(2, 3, d, wide, e));
    show("good again", relax_pick(4, 3, x, good, y));
        """,
        before=_SHOW,
    ).splitlines()
    with pytest.raises(KernelFault) as fault:
        load(built() / "relax.lemb").pick(np.zeros(4, np.float32), np.array([0, 9, 2], np.int32), np.zeros(3, np.float32))
    assert said[0] == "good: 0 " and said[3] == "good again: 0 "
    assert said[1] == f"bad: 601 E0601: index out of range: {fault.value.message} at relax.lem:18:18"
    assert "(in pick[i=1])" in said[1]
    assert "-1000000000000" in said[2] and "(in gather[i=1, j=2])" in said[2]


def test_calls_are_checked() -> None:
    said = run(
        """
    float x[8] = {0}, y[8];
    int32_t idx[] = {0};
    show("size", relax_pick(-1, 1, x, idx, y));
    show("null", relax_pick(8, 1, NULL, idx, y));
    show("empty", relax_pick(0, 0, NULL, NULL, NULL));
    show("shared", relax_axpy(5, x, x + 4, 1));
    show("beside", relax_axpy(4, x, x + 4, 1));
    show("large", relax_matmul(INT64_MAX, INT64_MAX, 1, x, y, y));
    show("condition", relax_window(4, x, 5, y));
    show("fits", relax_window(4, x, 4, y));
        """,
        before=_SHOW,
    )
    assert said.splitlines() == [
        "size: 615 E0615: size is negative or too large: dimension `M` would be -1",
        "null: 608 E0608: argument is missing: `x` is NULL",
        "empty: 0 ",
        "shared: 619 E0619: arguments share elements: `y` is `inout` and shares elements with `x`",
        "beside: 0 ",
        "large: 615 E0615: size is negative or too large: `a` would have too many elements",
        "condition: 605 E0605: condition of the signature does not hold: `width <= N` must hold (`x[...]` at `j` needs it); "
        "here N = 4, width = 5",
        "fits: 0 ",
    ]


def test_deep_tasks_have_the_stack_they_need() -> None:
    said = run(
        'bool r; show("deep", relax_even(9000, &r)); printf("%d\\n", r); show("over", relax_even(20001, &r));', before=_SHOW
    )
    first, r, over = said.splitlines()
    assert (first, r) == ("deep: 0 ", "1") and over.startswith("over: 624 E0624: tasks call each other too deep: `even`")


# ---------------------------------------------------------------- threads and processes
def test_threads_and_forks_of_the_program_may_all_call() -> None:
    said = run(
        """
    pthread_t threads[6];
    relax_set_threads(3);
    for (long n = 0; n < 6; n++) pthread_create(threads + n, NULL, work, (void *)n);
    for (int n = 0; n < 6; n++) pthread_join(threads[n], NULL);
    pid_t child = fork();
    if (child == 0) { work((void *)9); fflush(stdout); _exit(0); }
    int status;
    waitpid(child, &status, 0);
    printf("child %d\\n", status);
        """,
        before="""
#include <pthread.h>
#include <unistd.h>
#include <sys/wait.h>
static void *work(void *given) {
    enum { N = 50000 };
    long me = (long)given;
    float *x = malloc(N * 4), *y = malloc(N * 4), z[2];
    int32_t idx[] = {0, (int32_t)me + 2}, failed = 0;
    char expected[40];
    for (int i = 0; i < N; i++) { x[i] = (float)me; y[i] = 0; }
    for (int n = 0; n < 200; n++) {
        failed |= relax_axpy(N, x, y, 1);
        failed |= relax_pick(2, 2, x, idx, z) != 601;
        sprintf(expected, "index %ld is outside", me + 2);
        failed |= strstr(relax_message(), expected) == NULL;
    }
    for (int i = 0; i < N; i++) failed |= y[i] != 200 * (float)me;
    if (failed) printf("thread %ld failed\\n", me);
    free(x), free(y);
    return NULL;
}
""",
    )
    assert said == "child 0\n"


def test_two_libraries_live_in_one_program() -> None:
    (built() / "other.lem").write_text("kernel twice[N](x: inout f32[N]):\n    for i in grid(N):\n        x[i] *= 2\n")
    assert lem("build", "other.lem", "--emit", "so,h", cwd=built()).code == 0
    text = """#include "librelax.h"
#include "other.h"
#include <stdio.h>
int main(void) {
    float x[] = {1, 2}, y[] = {0, 0};
    if (other_twice(2, x) || relax_axpy(2, x, y, 1) || other_twice(2, y)) return 1;
    printf("%g %g\\n", y[0], y[1]);
    return 0;
}
"""
    (built() / "two.cc").write_text(text)
    if CXX is None:
        pytest.skip("no C++ compiler (c++) is installed")
    _call(built(), CXX, "-Wall", "-Wextra", "-Werror", "-pedantic", "two.cc", "-o", "two", "./librelax.so", "./other.so")
    env = {"LD_LIBRARY_PATH": "."}
    assert subprocess.run(["./two"], cwd=built(), env=env, capture_output=True, text=True).stdout == "4 8\n"


# ---------------------------------------------------------------- the command
def _build(folder: Path, *args: str) -> Said:
    (folder / "p.lem").write_text("kernel f[N](x: inout f32[N]):\n    for i in grid(N):\n        x[i] += 1\n")
    return lem("build", "p.lem", *args, cwd=folder)


def test_library_needs_a_compiler_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler -O1")
    said = _build(tmp_path, "--emit", "so,h")
    assert said.code == 2 and "E0505" in said.err and "`no-such-compiler`, which CC names, is not found" in said.err
    monkeypatch.delenv("CC")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "`cc` is not found, and CC names no other" in _build(tmp_path, "--emit", "so").err
    assert not (tmp_path / "p.so").exists()
    assert _build(tmp_path, "--emit", "h").code == 0 and "int p_f(int64_t N, float *x);" in (tmp_path / "p.h").read_text()


def test_compiler_that_fails_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", f"{CC} --no-such-option")
    said = _build(tmp_path, "--emit", "so")
    assert said.code == 2 and "could not make the library" in said.err and "no-such-option" in said.err


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--emit", "so,bundle"], "go to different files"),
        (["--emit", "so,ll"], "cannot be made together with ll"),
        (["--emit", "so", "--cpu", "x86-64-v2,aarch64"], "for one architecture"),
    ],
)
def test_what_makes_no_sense_is_refused(args: list[str], says: str, tmp_path: Path) -> None:
    said = _build(tmp_path, *args)
    assert said.code == 2 and says in said.err


def test_files_may_have_any_name(tmp_path: Path) -> None:
    assert _build(tmp_path, "--emit", "so,h", "-o", 'a "b", c').code == 0
    assert "int a__b___c_f(int64_t N, float *x);" in (tmp_path / 'a "b", c.h').read_text()
    assert "names no file" in _build(tmp_path, "--emit", "so", "-o", ".").err


def test_names_that_c_does_not_take_are_changed(tmp_path: Path) -> None:
    text = "kernel double[N](int_t: inout f32[N], größe: f32):\n    for i in grid(N):\n        int_t[i] += größe\n"
    text += "kernel message[N](x: inout f32[N]):\n    for i in grid(N):\n        x[i] += 1\n"
    (tmp_path / "p.lem").write_text(text, encoding="utf-8")
    said = lem("build", "p.lem", "--emit", "so,h", "-o", "9p", cwd=tmp_path)
    assert said.code == 0, said.err
    header = (tmp_path / "9p.h").read_text()
    assert "int p_9p_double(int64_t N, float *int_t_, float gruf6udfe);" in header
    assert "int p_9p_message_(int64_t N, float *x);" in header
