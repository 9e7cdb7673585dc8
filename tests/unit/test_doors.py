"""``--to python`` and ``--to lem``: each form beside the other, what people write by hand, and what has no spelling."""

from __future__ import annotations

import pytest

from lem.syntax import ast
from tests.support.doors import lem_of, python_of
from tests.support.syntax_gen import tree

# Each pair is read in both directions.
SPELLINGS = {
    "annotations": (
        "kernel f[M, N](a: f32[M, N], n: int, c: out f32[N], flag: bool = True):\n    pass\n",
        "import lem\nfrom lem.dims import M, N\n\n\n"
        "@lem.kernel\ndef f(a: lem.f32[M, N], n: int, c: lem.out[lem.f32[N]], flag: bool = True):\n    pass\n",
    ),
    "arrays of bools": (
        "kernel f[N](a: bool[N], n: bool, c: out bool[N]):\n    pass\n\n\n"
        "fn g[N](x: bool[N]) -> (bool, i32):\n    return x[0], 1\n",
        "import lem\nfrom lem.dims import N\n\n\n"
        "@lem.kernel\ndef f(a: lem.bool_[N], n: bool, c: lem.out[lem.bool_[N]]):\n    pass\n\n\n"
        "@lem.fn\ndef g(x: lem.bool_[N]) -> tuple[bool, lem.i32]:\n    return x[0], 1\n",
    ),
    "fn results": (
        "fn f(x: f32, y) -> (f32, i32):\n    return x, 1\n",
        "import lem\n\n\n@lem.fn\ndef f(x: lem.f32, y) -> tuple[lem.f32, lem.i32]:\n    return x, 1\n",
    ),
    "order of dimensions": (
        "kernel f[M, N, K](a: f32[K, M], b: f32[N]):\n    pass\n",
        "import lem\nfrom lem.dims import M, N, K\n\n\n@lem.kernel\ndef f(a: lem.f32[K, M], b: lem.f32[N]):\n    pass\n",
    ),
    "another order of dimensions": (
        "kernel f[M, N](a: f32[M, N]):\n    pass\n\n\nkernel g[N, M](a: f32[M, N]):\n    pass\n",
        "import lem\nfrom lem.dims import M, N\n\n\n@lem.kernel\ndef f(a: lem.f32[M, N]):\n    pass\n\n\n"
        '@lem.kernel("[N, M](a: f32[M, N])")\ndef g(a):\n    pass\n',
    ),
    "sizes that are no type expressions": (
        "kernel f[N](a: f32[2 * N, 3], b: reduce(+) f32[N], c: out f32[N].col, s: f32 = 1.0, t: int):\n    pass\n",
        "import lem\nfrom lem.dims import N\n\n\n"
        '@lem.kernel("a: f32[2 * N, 3], b: reduce(+) f32[N], c: out f32[N].col, s: f32 = 1.0, t: int")\n'
        "def f(a, b, c, s, t):\n    pass\n",
    ),
    "results, generics and conditions": (
        "kernel f[T: float, N](x: T[N]) -> s: T where N % 2 == 0:\n    s = x[0]\n",
        "import lem\nfrom lem.dims import N\n\n\n"
        '@lem.kernel("[T: float, N](x: T[N]) -> s: T where N % 2 == 0")\ndef f(x):\n    s = x[0]\n',
    ),
    "no parameters": (
        "task main() -> s: f32:\n    s = 1.0\n\n\ntask other():\n    pass\n",
        'import lem\n\n\n@lem.task("() -> s: f32")\ndef main():\n    s = 1.0\n\n\n@lem.task\ndef other():\n    pass\n',
    ),
    "decorators": (
        "@on(cpu, gpu)\n@prefer(gpu, when=N > 10)\nkernel f[N](a: f32[N]):\n    pass\n",
        "import lem\nfrom lem.dims import N\n\n\n"
        "@lem.on(lem.cpu, lem.gpu)\n@lem.prefer(lem.gpu, when=N > 10)\n@lem.kernel\ndef f(a: lem.f32[N]):\n    pass\n",
    ),
    "structs": (
        'struct Body:\n    """A point."""\n    x: f32\n    next: nn.Body.soa\n    v: pal8.block(2)[3]\n\n\n'
        "fn f(b: Body) -> Body:\n    return b\n",
        'import lem\n\n\n@lem.struct\nclass Body:\n    """A point."""\n    x: lem.f32\n    next: nn.Body.soa\n'
        "    v: lem.pal8.block(2)[3]\n\n\n@lem.fn\ndef f(b: Body) -> Body:\n    return b\n",
    ),
    "tests": (
        'test "it is 3, mostly":\n    check f(3) == 3\n    check (a + b) * 2 == c within 1e-3\n'
        '    check fails "E0601": f(a, -1)\n    check([1] == x)\n    check -x == y\n',
        'import lem\n\n\n@lem.test("it is 3, mostly")\ndef test_it_is_3_mostly():\n    check(f(3) == 3)\n'
        '    check((a + b) * 2 == c, within=1e-3)\n    check(f(a, -1), fails="E0601")\n    check([1] == x)\n'
        "    check(-x == y)\n",
    ),
    "spawns": (
        "task f(a: inout f32[3]):\n    spawn g(a)\n    y = spawn g(a[0]) on gpu near a priority 2 for energy\n"
        "    if y: \n        spawn g(a) for time\n    sync\n".replace(": \n", ":\n"),
        "import lem\n\n\n"
        '@lem.task("a: inout f32[3]")\ndef f(a):\n    spawn(g(a))\n'
        '    y = spawn(g(a[0]), on=gpu, near=a, priority=2, objective="energy")\n'
        '    if y:\n        spawn(g(a), objective="time")\n    sync\n',
    ),
    "temporaries": (
        "kernel f[N](a: f32[N]):\n    t: reduce(max) f32[N] = 0\n    u: f32[N]\n",
        "import lem\nfrom lem.dims import N\n\n\n"
        '@lem.kernel\ndef f(a: lem.f32[N]):\n    t: reduce["max", f32[N]] = 0\n    u: f32[N]\n',
    ),
    "imports and constants": (
        '"""Text."""\n\nimport shapes\nimport math as m\nfrom math import exp\n\nEPS = 2 * pi\n',
        '"""Text."""\n\nimport lem\nfrom lem import pi\n\nimport shapes\nfrom lem_stdlib import math as m\n'
        "from lem_stdlib.math import exp\n\nEPS = 2 * pi\n",
    ),
    "comments": (
        "# of the file\n\n\n# of f\n@on(cpu)  # where\nkernel f[N](\n    a: f32[N],  # input\n    b: f32[N],\n):  # head\n"
        "    # body\n    pass\n\n\n# the end\n",
        "# of the file\n\nimport lem\nfrom lem.dims import N\n\n\n# of f\n@lem.on(lem.cpu)  # where\n@lem.kernel\ndef f(\n"
        "    a: lem.f32[N],  # input\n    b: lem.f32[N],\n):  # head\n    # body\n    pass\n\n\n# the end\n",
    ),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_lem_becomes_python(name: str) -> None:
    text, python = SPELLINGS[name]
    assert python_of(text) == (python, [])


@pytest.mark.parametrize("name", SPELLINGS)
def test_python_becomes_lem(name: str) -> None:
    text, python = SPELLINGS[name]
    assert lem_of(python) == (text, [])


BY_HAND = '''\
from __future__ import annotations

import lem
from lem import fn, kernel
from lem.dims import K as Depth, M

N, B = lem.dims("N B")


class H(lem.Dim):
    """Height."""


@kernel
def f(
    x: lem.f32[M, Depth], y: lem.inout[f32[N]],  # both
    h: lem.reduce["+", lem.i64[H]],
) -> None:
    t: reduce[
        "max",  # of all
        f32[N],
    ] = 0
    y[0] = lem.f32(1) + x.lem
    z = lem.sum(x)


@lem.task()
def g(a: lem.f32[B]):
    lem.spawn(
        f(a,  # first
          a),
        near=a,
    )


@lem.test("t")
def anything():
    check(  # why
        f(1) == g(2),
        within=1e-3,
    )
    check(f(x for x in N))
    check(a, b)
'''
BY_HAND_IN_LEM = """\
kernel f[Depth, M, N, H](
    x: f32[M, Depth],
    y: inout f32[N],  # both
    h: reduce(+) i64[H],
):
    # of all
    t: reduce(max) f32[N] = 0
    y[0] = f32(1) + x.lem
    z = sum(x)


task g[B](a: f32[B]):
    # first
    spawn f(a, a) near a


test "t":
    # why
    check f(1) == g(2) within 1e-3
    check f(x for x in N)
    check(a, b)
"""


def test_python_as_people_write_it() -> None:
    assert lem_of(BY_HAND) == (BY_HAND_IN_LEM, [])


def test_tests_with_equal_names_get_different_functions() -> None:
    python, _ = python_of('test "a b":\n    pass\n\n\ntest "A-B":\n    pass\n\n\ntest "":\n    pass\n')
    assert python is not None and [line for line in python.splitlines() if line.startswith("def ")] == [
        "def test_a_b():", "def test_a_b_2():", "def test():"
    ]  # fmt: skip


def test_long_signatures_are_cut() -> None:
    params = ", ".join(f"p{i}: f32[2 * N]" for i in range(12))
    text = f"kernel f[N]({params}):\n    pass\n"
    python, _ = python_of(text)
    assert python is not None and max(map(len, python.splitlines())) <= 100
    back, _ = lem_of(python)
    assert back is not None and back.count("p11: f32[2 * N]") == 1


# ---------------------------------------------------------------- what has no spelling
@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("import lem\n", "`lem` is the name of lem's package there"),
        ("from lem.nn import f\n", "`lem.nn` is a package of Python's there"),
        ("fn lem(x):\n    return x\n", "`lem` is the name of lem's package there"),
        ("kernel f[N](x: f32[N]):\n    check x == x\n", "outside a test `check(...)` is a call there"),
        ("task f(spawn: int):\n    spawn(3)\n", "`spawn(...)` is the statement there, here it is a call"),
        ("fn f(lem):\n    return lem.x\n", "something in here would mean something else in Python"),
        ("kernel f(x: f32):\n    y = f\"{'\\n'}\"\n", "Python cannot read this"),
    ],
)
def test_what_python_cannot_say(text: str, label: str) -> None:
    made, reports = python_of(text)
    if "Python cannot" in label and made is not None:
        pytest.skip("this Python takes backslashes inside the fields of f-strings")
    assert made is None and reports[0].code.id == "E0111" and label in reports[0].label


def test_programs_with_mistakes_are_reported_as_such() -> None:
    made, reports = python_of("kernel f(x: f32:\n    pass\n")
    assert made is None and [r.code.id for r in reports] == ["E0103"]


_HEAD = "import lem\nfrom lem.dims import N\n\n\n"


@pytest.mark.parametrize(
    ("text", "code", "at", "label"),
    [
        ("def f():\n    pass\n", "E0111", "def f():", "not part of a lem program"),
        ("if x:\n    pass\n", "E0111", "if x:", "not part of a lem program"),
        ("x, y = 1, 2\n", "E0111", "x, y = 1, 2", "not part of a lem program"),
        ("@other\ndef f():\n    pass\n", "E0111", "@other", "this decorator is none of lem's"),
        ("@lem.kernel\nclass X:\n    pass\n", "E0111", "@lem.kernel", "this decorator is none of lem's"),
        ("@lem.kernel(3)\ndef f():\n    pass\n", "E0111", "@lem.kernel(3)", "expected the signature as a string"),
        ('@lem.kernel("x: f32")\ndef f(y):\n    pass\n', "E0111", "(y)", "expected (x), the parameters in"),
        ("@lem.test\ndef f():\n    pass\n", "E0111", "@lem.test", "expected the name of the test"),
        ('@lem.test("t")\ndef f(x):\n    pass\n', "E0111", "(x)", "a test has no parameters"),
        ("import lem as l\n", "E0111", "import lem as l", "lem has another name here"),
        ("@lem.kernel\ndef f(x: lem.f32[N]):\n    with x:\n        pass\n", "E0104", "with", ""),
        ("@lem.kernel\ndef f(x: lem.f32[N]):\n    y = {}\n", "E0104", "{", ""),
        ("@lem.task\ndef f(x: lem.f32[N]):\n    spawn(x)\n", "E0101", "x", "expected a call after `spawn`"),
        ('@lem.kernel("x: f32[")\ndef f(x):\n    pass\n', "E0103", None, ""),
        ("@lem.kernel\ndef f(x: lem.f32[N]:\n    pass\n", "E0103", "(", ""),
    ],
)
def test_what_lem_cannot_say_is_shown_in_the_python_text(text: str, code: str, at: str | None, label: str) -> None:
    made, reports = lem_of(_HEAD + text)
    assert made is None
    report = reports[0]
    assert report.code.id == code and label in report.label, (report.code.id, report.label)
    assert report.span is not None and report.span.source.text == _HEAD + text
    assert at is None or report.span.text == at, report.span.text


def test_an_empty_module() -> None:
    assert python_of("") == ("import lem\n", [])
    assert lem_of("import lem\n") == ("", [])
    assert lem_of("") == ("", [])


def test_rule_22_a_check_as_a_call_is_the_statement() -> None:
    call = tree('test "t":\n    check(a == b)\n    check(a == b, within=1e-3)\n    check(f(a), fails="E0601")\n')
    statement = tree('test "t":\n    check a == b\n    check a == b within 1e-3\n    check fails "E0601": f(a)\n')
    assert call is not None and statement is not None and ast.same(call, statement)


def test_rule_22_only_in_tests_and_only_in_these_forms() -> None:
    for text in ("task t():\n    check(a == b)\n", 'test "t":\n    check(a, fails=3)\n    check(a, b)\n    check(a, x=3)\n'):
        module = tree(text)
        assert module is not None and not any(isinstance(node, ast.Check) for node in ast.walk(module))


def test_a_comment_inside_of_a_result_type_is_kept_once() -> None:
    text = "fn f(x: f32) -> (f32, m.  # of another module\nBody):\n    return x, x\n"
    python, _ = python_of(text)
    assert python is not None and python.count("# of another module") == 1
    back, _ = lem_of(python)
    assert back is not None and back.count("# of another module") == 1
