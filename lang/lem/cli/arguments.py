"""The command line: verbs, options, help. A verb's module is imported when that verb runs, so that help is instant."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from importlib import import_module
from typing import NoReturn

from lem import __version__
from lem.cli import output
from lem.cli.codes import Exit
from lem.diagnostics.suggest import nearest
from lem_runtime.abi.records import dataclass

_EXAMPLES = """\
examples:
  lem run sharpen.lem image=photo.png -o result=sharp.png
  lem run heat.lem u=start.npy steps=100 -o u=end.npy --report
  lem check matmul.lem          lem explain E0312          lem test examples/          lem fmt .

exit codes:
  0 done   1 the program is wrong, or a test failed   2 the command line or an input does not fit
  3 the program faulted while running   70 an error of lem itself   124 time is up   130 interrupted
"""
_RUN_EPILOG = """\
values:
  an array parameter    a file: .npy .npz .png .jpg .csv .safetensors; FILE::member where it holds several arrays
  a scalar parameter    a number, or true or false
  a dimension           a whole number, where the arguments do not tell it

Shapes and element types must be those of the signature; nothing is converted, and no input file is changed.
`lem --help` shows examples and exit codes.
"""
_FMT_EPILOG = """\
layout:
  four blanks for each block, lines of at most 100 characters, two empty lines around kernels, tasks, fns and tests.
  A comma after the last argument asks for one argument on each line. Comments and strings keep their text, the
  program keeps its meaning. A file with a syntax error is reported and left as it is.

examples:
  lem fmt .                     lem fmt --check src/          lem fmt --diff matmul.lem
  lem fmt - < in.lem > out.lem
  lem fmt --to python matmul.lem -o matmul.py                 lem fmt --to lem matmul.py
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
        guess = None
        if unknown := _after(message, "unrecognized arguments: "):
            word = unknown.split()[0]
            guess = nearest(word.partition("=")[0], self._option_string_actions)
            message = f"`{self.prog}` has no option `{word}`" if word.startswith("-") else f"`{word}` is one word too many"
        elif missing := _after(message, "the following arguments are required: "):
            message = f"`{self.prog}` needs {missing}"
        elif choice := _after(message, ": invalid choice: "):
            word = choice.partition(" (")[0].strip("'")
            message = f"`{self.prog}` does not know `{word}`"
        elif message.endswith(": expected one argument"):
            message = f"{message.partition(':')[0]} needs a value after it"
        help = f"did you mean `{guess}`?" if guess else f"`{self.prog} --help` shows what it takes"
        output.fail("E0620", message, help=help)


def _after(message: str, words: str) -> str:
    return message.partition(words)[2]


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
    for topic in topics:
        verb = next((v for v in VERBS if v.name == topic), None)
        if verb is None:
            _refuse_verb(topic)
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
    made = _Parser(
        prog=f"lem {verb.name}", description=f"{verb.text[0].upper()}{verb.text[1:]}.", allow_abbrev=False,
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, max_help_position=26, width=100),
    )  # fmt: skip
    verb.fill(made)
    if sys.version_info >= (3, 14):
        made.color = False
    return made


# ---------------------------------------------------------------- the verbs
def _run(p: argparse.ArgumentParser) -> None:
    p.usage = "lem run FILE[:entry] [name=value ...] [-o name=path ...] [options]"
    p.epilog = _RUN_EPILOG
    text = "a .lem file or a .lemb bundle (entry: a kernel or task of it), then a value for each parameter"
    p.add_argument("words", nargs="*", metavar="FILE[:entry] name=value", help=text)
    text = "where a result is written; what has no -o is summed up on stdout"
    p.add_argument("-o", dest="outputs", action="append", default=[], metavar="name=path", help=text)
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
    text = "any of ast,ir,schedule,loops,ll,asm,obj (default: obj), or bundle, or so,h"
    p.add_argument("--emit", metavar="KINDS", help=text)
    p.add_argument("--show", metavar="after=STAGE", help="the program after one stage: parse, lower, simplify, ...")
    text = "where the object goes (default: ENTRY.o), else the text; NAME.lemb: a bundle; with so,h: NAME of both files"
    p.add_argument("-o", dest="output", metavar="PATH", help=text)
    text = "processors of a bundle or library: baseline, x86-64-v3, host (these by default), x86-64-v4, aarch64, ..."
    p.add_argument("--cpu", metavar="NAMES", help=text)
    p.add_argument("--any-layout", action="store_true", help="code for arrays with any strides, not for plain ones")
    _dtype(p)


def _test(p: argparse.ArgumentParser) -> None:
    p.add_argument("files", nargs="+", metavar="FILE", help=".lem files or folders of them")
    p.add_argument("-k", dest="pick", default="", metavar="TEXT", help="only tests whose name contains TEXT")
    _json(p)


def _fmt(p: argparse.ArgumentParser) -> None:
    p.epilog = _FMT_EPILOG
    p.add_argument("files", nargs="+", metavar="FILE", help=".lem files or folders of them; - is standard input")
    p.add_argument("--check", action="store_true", help="write nothing; exit 1 when a file would change")
    p.add_argument("--diff", action="store_true", help="write nothing; show what would change")
    text = "the other spelling of one file, on stdout: of a .lem file, or of a module with @lem.kernel functions"
    p.add_argument("--to", choices=("python", "lem"), metavar="python|lem", help=text)
    p.add_argument("-o", dest="output", metavar="PATH", help="where that goes instead")
    _json(p)


def _new(p: argparse.ArgumentParser) -> None:
    p.add_argument("name", metavar="NAME", help="the folder to make; a program in it gets its name")


def _explain(p: argparse.ArgumentParser) -> None:
    p.add_argument("code", nargs="?", metavar="CODE", help="the code in a report, such as E0312; left out: all codes")


def _cache(p: argparse.ArgumentParser) -> None:
    actions = ("list", "clear", "path")
    text = "show the entries, remove them, or show the folder"
    p.add_argument("action", choices=actions, metavar="|".join(actions), help=text)
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
    Verb("fmt", "fmt", "lay out programs in one way, or spell them in Python", _fmt),
    Verb("new", "new", "make a folder with a program, its test, a README and a CI file", _new),
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
