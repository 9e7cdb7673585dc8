"""The command line: verbs, options, help. A verb's module is imported when that verb runs, so that help is instant."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import NoReturn

from lem import __version__
from lem.cli import output
from lem.cli.codes import Exit
from lem.diagnostics.suggest import nearest

_EXAMPLES = """\
examples:
  lem run sharpen.lem image=photo.png -o result=sharp.png
  lem run heat.lem u=start.npy steps=100 -o u=end.npy --report
  lem check matmul.lem          lem explain E0312          lem test examples/

exit codes:
  0 done   1 the program is wrong, or a test failed   2 the command line or an input does not fit
  3 the program faulted while running   70 an error of lem itself   124 time is up   130 interrupted
"""


@dataclass(frozen=True, slots=True)
class Verb:
    """module: of ``lem.cli``, with a function ``command(args) -> exit code``; fill: adds the verb's arguments."""

    name: str
    module: str
    text: str
    fill: Callable[[argparse.ArgumentParser], None]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        message = message.removeprefix("argument ")
        _, unknown, rest = message.partition("unrecognized arguments: ")
        guess = nearest(rest.split()[0].partition("=")[0], self._option_string_actions) if unknown else None
        if unknown:
            message = f"`{self.prog}` has no option `{rest.split()[0]}`"
        help = f"did you mean `{guess}`?" if guess else f"`{self.prog} --help` shows the options"
        output.fail("E0620", message, help=help)


def dispatch(argv: list[str]) -> int:
    """Parse and run; gives the exit code."""
    if not argv:
        _help([])
        return Exit.USAGE
    if argv[0] in ("-h", "--help", "help"):
        return _help(argv[1:2])
    if argv[0] in ("-V", "--version"):
        print(f"lem {__version__}")
        return Exit.DONE
    verb = next((v for v in VERBS if v.name == argv[0]), None)
    if verb is None:
        _refuse_verb(argv[0])
    try:
        args = _parser(verb).parse_intermixed_args(argv[1:])
    except SystemExit as e:  # --help has been printed
        return int(e.code or 0)
    return int(import_module(f"lem.cli.{verb.module}").command(args))


def _help(topics: list[str]) -> int:
    for verb in VERBS:
        if topics == [verb.name]:
            _parser(verb).print_help()
            return Exit.DONE
    print("lem: write what each element is; run it on every processor.\n")
    print("usage: lem VERB ...       lem VERB --help       lem --version\n\nverbs:")
    for verb in VERBS:
        print(f"  {verb.name:<9} {verb.text}")
    print("\n" + _EXAMPLES, end="")
    return Exit.DONE


def _refuse_verb(word: str) -> NoReturn:
    if word.startswith("-"):
        output.fail("E0620", f"there is no option `{word}` before the verb", help="`lem --help` shows the verbs")
    if ".lem" in word:
        output.fail("E0620", f"`{word}` stands where a verb is expected", help=f"to run it: lem run {word}")
    guess = nearest(word, [v.name for v in VERBS])
    names = ", ".join(v.name for v in VERBS)
    help = f"did you mean `lem {guess}`?" if guess else f"there are {names}"
    output.fail("E0620", f"there is no verb `{word}`", help=help)


def _parser(verb: Verb) -> _Parser:
    made = _Parser(prog=f"lem {verb.name}", description=f"{verb.text[0].upper()}{verb.text[1:]}.", allow_abbrev=False)
    verb.fill(made)
    if sys.version_info >= (3, 14):
        made.color = False
    return made


# ---------------------------------------------------------------- the verbs
def _run(p: argparse.ArgumentParser) -> None:
    p.usage = "lem run FILE[:entry] [name=value ...] [options]"
    text = "a .lem file (entry: a kernel or task of it); then a file for each array, a number for each scalar or dimension"
    p.add_argument("words", nargs="*", metavar="FILE[:entry] name=value", help=text)
    p.add_argument("-o", dest="outputs", action="append", default=[], metavar="name=path", help="where a result is written")
    p.add_argument("--threads", type=_positive, metavar="N", help="workers (default: the processors of this machine)")
    p.add_argument("--timeout", type=_seconds, metavar="S", help="stop the program after S seconds")
    p.add_argument("--report", action="store_true", help="time, GFLOP/s and GB/s of each kernel")
    p.add_argument("--no-cache", action="store_true", help="compile anew")
    _dtype(p)
    _json(p)


def _check(p: argparse.ArgumentParser) -> None:
    p.add_argument("files", nargs="+", metavar="FILE", help=".lem files or folders of them")
    _json(p)


def _build(p: argparse.ArgumentParser) -> None:
    p.add_argument("file", metavar="FILE[:entry]", help="a .lem file; entry: a kernel or task of it")
    p.add_argument("--emit", metavar="KINDS", help="any of ast,ir,schedule,loops,ll,asm,obj (default: obj)")
    p.add_argument("--show", metavar="after=STAGE", help="the program after one stage: parse, lower, simplify, ...")
    p.add_argument("-o", dest="output", metavar="PATH", help="where the object goes (default: ENTRY.o), else the text")
    p.add_argument("--any-layout", action="store_true", help="code for arrays with any strides, not for plain ones")
    _dtype(p)


def _test(p: argparse.ArgumentParser) -> None:
    p.add_argument("files", nargs="+", metavar="FILE", help=".lem files or folders of them")
    p.add_argument("-k", dest="pick", default="", metavar="TEXT", help="only tests whose name contains TEXT")
    _json(p)


def _explain(p: argparse.ArgumentParser) -> None:
    p.add_argument("code", metavar="E0312", help="the code in a report")


def _cache(p: argparse.ArgumentParser) -> None:
    p.add_argument("action", choices=["list", "clear", "path"])
    _json(p)


def _json(p: argparse.ArgumentParser) -> None:
    p.add_argument("--json", action="store_true", help="one JSON value on stdout, for programs")


def _dtype(p: argparse.ArgumentParser) -> None:
    text = "type parameter of a generic kernel"
    p.add_argument("--dtype", action="append", default=[], metavar="T=f32", type=_type_param, help=text)


VERBS = (
    Verb("run", "run", "compile and run a program on files", _run),
    Verb("check", "check", "check names, types, shapes, races and effects", _check),
    Verb("build", "build", "show or write what a program becomes", _build),
    Verb("test", "test", "run the test blocks of files", _test),
    Verb("explain", "explain", "the page of an error code", _explain),
    Verb("devices", "devices", "processors that lem can use here", _json),
    Verb("doctor", "doctor", "check this installation", _json),
    Verb("cache", "cache", "compiled code kept on disk", _cache),
)


# ---------------------------------------------------------------- values of options
def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, found `{text}`")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise argparse.ArgumentTypeError(f"expected a number of seconds above 0, found `{text}`")
    return seconds


def _type_param(text: str) -> tuple[str, str]:
    name, equals, dtype = text.partition("=")
    if not (name and equals and dtype):
        raise argparse.ArgumentTypeError(f"expected a name and a type, such as T=f32, found `{text}`")
    return name, dtype
