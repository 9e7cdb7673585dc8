"""The command line: verbs, options, help. Imports a verb's module only when that verb runs, so `--help` is instant."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from typing import NoReturn

from lem import __version__
from lem.cli.codes import Exit

_EPILOG = """examples:
  lem run sharpen.lem image=photo.png -o result=sharp.png
  lem run heat.lem u=start.npy steps=100 -o u=end.npy --report
  lem check matmul.lem          lem explain E0312          lem test examples/
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        print(f"error[E0620]: command line is not understood\n{self.prog}: {message}", file=sys.stderr)
        print(f"help: {self.prog} --help", file=sys.stderr)
        raise SystemExit(Exit.USAGE)


def dispatch(argv: list[str]) -> int:
    """Parse and run; gives the exit code."""
    try:
        args = _parser().parse_args(argv)
    except SystemExit as e:
        return int(e.code or 0)
    if args.verb is None:
        _parser().print_help()
        return Exit.USAGE
    return int(import_module(f"lem.cli.{args.module}").command(args))


def _parser() -> argparse.ArgumentParser:
    top = _Parser(
        prog="lem",
        description="lem: write what each element is; run it on every processor.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"lem {__version__}")
    verbs = top.add_subparsers(dest="verb", metavar="VERB", title="verbs")

    p = _verb(verbs, "run", "run", "compile and run a program on files")
    p.add_argument("file", metavar="FILE[:entry]", help="a .lem file; entry: a kernel or task of it")
    p.add_argument("values", nargs="*", metavar="name=value", help="a file for an array, a number for a scalar or dimension")
    p.add_argument("-o", dest="outputs", action="append", default=[], metavar="name=path", help="where a result is written")
    p.add_argument("--threads", type=_positive, metavar="N", help="workers (default: the processors of this machine)")
    p.add_argument("--timeout", type=_seconds, metavar="S", help="stop after S seconds")
    p.add_argument("--report", action="store_true", help="time, GFLOP/s and GB/s of each kernel")
    p.add_argument("--no-cache", action="store_true", help="compile anew")
    _json(p)

    p = _verb(verbs, "check", "check", "check names, types, shapes, races and effects")
    p.add_argument("files", nargs="+", metavar="FILE", help=".lem files or folders of them")
    _json(p)

    p = _verb(verbs, "build", "build", "show or write what a program becomes")
    p.add_argument("file", metavar="FILE[:entry]")
    p.add_argument("--emit", default="obj", metavar="KINDS", help="ast, ir, schedule, loops, ll, asm, obj (comma-separated)")
    p.add_argument("-o", dest="output", metavar="PATH", help="write there instead of to stdout (obj: NAME.o)")
    p.add_argument("--show", metavar="after=STAGE", help="the IR after one stage: lower, simplify, drop_dead_ops, fuse_fma")
    p.add_argument("--dtype", action="append", default=[], metavar="T=f32", help="type parameters of a generic kernel")

    p = _verb(verbs, "test", "testing", "run the test blocks of files")
    p.add_argument("files", nargs="+", metavar="FILE", help=".lem files or folders of them")
    p.add_argument("-k", dest="pick", default="", metavar="TEXT", help="only tests whose name contains TEXT")
    _json(p)

    p = _verb(verbs, "explain", "explain", "the page of an error code")
    p.add_argument("code", metavar="E0312")

    p = _verb(verbs, "devices", "machine", "processors that lem can use here")
    p.set_defaults(what="devices")
    _json(p)
    p = _verb(verbs, "doctor", "machine", "check this installation")
    p.set_defaults(what="doctor")
    _json(p)

    p = _verb(verbs, "cache", "cache", "compiled code kept on disk")
    p.add_argument("action", choices=["list", "clear", "path"])
    _json(p)
    return top


def _verb(verbs, name: str, module: str, text: str) -> argparse.ArgumentParser:  # type: ignore[no-untyped-def]
    made: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=text)
    made.set_defaults(module=module)
    return made


def _json(p: argparse.ArgumentParser) -> None:
    p.add_argument("--json", action="store_true", help="one JSON value on stdout, for programs")


def _positive(text: str) -> int:
    n = int(text)
    if n < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return n


def _seconds(text: str) -> float:
    s = float(text)
    if not s > 0:
        raise argparse.ArgumentTypeError("must be more than 0")
    return s
