"""From a file and an entry to code that can run, through the disk cache.

Two steps are kept: what a text *is* (its entry's signature, the files it imports), so that a known program is not even
parsed; and the artifact for one set of facts. Keys are made of texts, versions, facts and the machine (DESIGN: cache key).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, field
from typing import TYPE_CHECKING, NoReturn, Protocol

from lem import texts
from lem.cli import output, reading
from lem.cli.codes import Exit
from lem.diagnostics import Diagnostic, Diagnostics
from lem.diagnostics.codes import E0502
from lem.diagnostics.suggest import nearest
from lem.source import SourceFile, Span
from lem_runtime import Store, StoreRefused, detect, use_compiler
from lem_runtime.abi.artifact import Artifact, BadArtifact, decode, encode, signature_from_json
from lem_runtime.abi.machine import Machine
from lem_runtime.abi.records import dataclass
from lem_runtime.abi.signature import Place, Signature
from lem_runtime.abi.source import Facts

if TYPE_CHECKING:
    from lem import pipeline


@dataclass(slots=True)
class Entry:
    """One runnable function of a file."""

    name: str
    signature: Signature
    type_params: tuple[str, ...] = ()  # of a generic kernel


class Prepared(Protocol):
    """What runs, wherever it comes from. told: what is said of a place that cannot be drawn; notes: said after the run."""

    @property
    def entry(self) -> Entry: ...
    @property
    def files(self) -> tuple[SourceFile, ...]: ...
    @property
    def notes(self) -> Sequence[str]: ...
    @property
    def cpu(self) -> str: ...
    def artifact(self, facts: Facts) -> Artifact: ...
    def told(self, place: Place | None) -> str: ...


@dataclass(slots=True)
class Session:
    """One file, as far as it had to be read. `program` is made only when something must be compiled.

    notes: why compiled code is not kept, where it is not: the next run will be as slow.
    """

    source: SourceFile
    files: tuple[SourceFile, ...]
    entry: Entry
    machine: Machine
    store: Store | None = None
    notes: list[str] = field(default_factory=list)
    program: pipeline.Program | None = None

    def artifact(self, facts: Facts) -> Artifact:
        """Code of the entry for `facts`: from the cache, or compiled now and kept."""
        key = "art-" + texts.source_key(self.files, self.entry.name, facts, self.machine, "cpu")
        kept = self.store.get(key) if self.store else None
        if kept is not None:
            try:
                return decode(kept)
            except BadArtifact:
                pass  # written by another version: made anew below
        made = self.compile(facts)
        if self.store and not self.store.put(key, encode(made)):
            self.notes.append(f"compiled code could not be kept in {self.store.path}")
        return made

    @property
    def cpu(self) -> str:
        return self.machine.cpu

    def told(self, place: Place | None) -> str:
        """Nothing: places of a text are drawn."""
        return ""

    def compile(self, facts: Facts) -> Artifact:
        from lem import pipeline
        from lem.targets import cpu

        program, name = instance(self.load_program(), self.entry, facts)
        return pipeline.compile_function(program, name, facts, self.machine, cpu.TARGET)

    def load_program(self) -> pipeline.Program:
        if self.program is None:
            self.program = analysed(self.source)
        return self.program


def instance(program: pipeline.Program, entry: Entry, facts: Facts) -> tuple[pipeline.Program, str]:
    """The program that holds the entry for these dtypes, and the entry's name in it. Stops when they do not suit it."""
    from lem import pipeline

    if not facts.dtypes:
        return program, entry.name
    diags = Diagnostics()
    made = pipeline.instantiate(program, entry.name, dict(facts.dtypes), diags)
    if made is None:
        raise output.Stop(Exit.PROGRAM, diags.items)
    return made


def analysed(source: SourceFile) -> pipeline.Program:
    """The checked program; stops with its errors, says its warnings."""
    from lem import pipeline

    diags = Diagnostics()
    program = pipeline.analyse(source, diags)
    if program is None:
        raise output.Stop(Exit.PROGRAM, diags.items, n_dropped=diags.n_dropped)
    output.show_reports(diags.items)
    return program


def offer_compiler() -> None:
    """Let the runtime ask for the native core when no store holds it yet."""

    def compile_core(text: str) -> bytes:
        from lem.targets import llvm

        return llvm.compile_quickly(text, detect())

    use_compiler(compile_core)


def split_entry(argument: str) -> tuple[str, str]:
    """``FILE:entry`` as its parts; a path may itself contain colons."""
    if os.path.exists(argument):
        return argument, ""
    path, colon, entry = argument.rpartition(":")
    return (path, entry) if colon and path else (argument, "")


def open_session(argument: str, *, use_cache: bool = True) -> Session:
    """Find the entry that an argument names, without parsing when the text is known. Stops on errors."""
    offer_compiler()
    path, wanted = split_entry(argument)
    diags = Diagnostics()
    source = texts.read_source(path, diags)
    if source is None:
        output.fail(diags.items[0].code.id, diags.items[0].label, help=other_file(path))
    machine = detect()
    store, notes = _open_store() if use_cache else (None, [])
    key = "front-" + texts.digest(texts.compiler_stamp(), os.path.abspath(path), source.name, source.text, wanted)
    known = _manifest(store.get(key) if store else None, source)
    if known is not None:
        files, entry = known
        return Session(source, files, entry, machine, store, notes)
    program = analysed(source)
    entry = find_entry(program, wanted, path)
    session = Session(source, program.files, entry, machine, store, notes, program)
    if store:
        store.put(key, _write_manifest(session))
    return session


def _open_store() -> tuple[Store | None, list[str]]:
    try:
        return Store(), []
    except StoreRefused as e:
        return None, [f"compiled code is not kept: {e}"]


def other_file(path: str, ending: str = ".lem") -> str:
    """What may have been meant by a file that cannot be read."""
    if os.path.isdir(path):
        inside = sorted(n for n in os.listdir(path) if n.endswith(ending))
        return f"name a file in it, such as {os.path.join(path, inside[0])}" if inside else ""
    if os.path.isfile(path + ending):
        return f"did you mean `{path}{ending}`?"
    return reading.similar_file(path, ending)


def _write_manifest(s: Session) -> bytes:
    data = {
        "entry": s.entry.name,
        "type_params": s.entry.type_params,
        "signature": asdict(s.entry.signature),
        "files": [[f.name, _text_digest(f.text)] for f in s.files],
    }
    return json.dumps(data).encode()


def _manifest(data: bytes | None, source: SourceFile) -> tuple[tuple[SourceFile, ...], Entry] | None:
    """What an earlier run found out about this text, if the files it imports are still the same."""
    if data is None:
        return None
    try:
        m = json.loads(data)
        files = []
        for name, text_digest in m["files"]:
            f = source if name == source.name else _again(name)
            if f is None or _is_shadowed(name, source) or _text_digest(f.text) != text_digest:
                return None
            files.append(f)
        entry = Entry(m["entry"], signature_from_json(m["signature"]), tuple(m["type_params"]))
    except (ValueError, KeyError, TypeError):
        return None
    return tuple(files), entry


def _is_shadowed(name: str, source: SourceFile) -> bool:
    """Whether a module that came from the library now also stands beside the file, where it is found first."""
    folder, base = os.path.dirname(source.name), name.removeprefix("lem_stdlib/")
    return base != name and os.path.isfile(os.path.join(folder, base))


def _again(name: str) -> SourceFile | None:
    if name.startswith("lem_stdlib/"):
        return texts.library_source(name.removeprefix("lem_stdlib/").removesuffix(".lem"))
    return texts.read_source(name, Diagnostics())


def _text_digest(text: str) -> str:
    return texts.digest(text)


def find_entry(program: pipeline.Program, wanted: str, path: str) -> Entry:
    """`main`, or the file's only kernel or task, or the one named (LANGUAGE 44). Stops when there is none."""
    entries = entries_of(program)
    waiting = {name: (why, span) for name, why, span in program.typed.not_run}
    first = wanted or ("main" if "main" in waiting else "" if entries else next(iter(waiting), ""))
    if first in waiting and first not in entries:
        _cannot_run(first, *waiting[first])
    return pick_entry(entries, wanted, path, bool(program.typed.tests))


def pick_entry(entries: Mapping[str, Entry], wanted: str, path: str, has_tests: bool = False) -> Entry:
    """The same of what can run."""
    if wanted in entries:
        return entries[wanted]
    if wanted:
        guess = nearest(wanted, entries)
        label = f"`{path}` has no kernel or task `{wanted}`"
        output.fail("E0618", label, help=f"did you mean `{guess}`?" if guess else _named(entries))
    if "main" in entries:
        return entries["main"]
    if len(entries) == 1:
        return next(iter(entries.values()))
    if not entries:
        only_tests = f"; to run its tests: lem test {path}" if has_tests else ""
        output.fail("E0618", f"`{path}` has no kernel and no task{only_tests}")
    first = next(iter(entries))
    output.fail("E0618", f"`{path}` has several: {', '.join(entries)}", help=f"name one: {path}:{first}")


def _named(entries: Mapping[str, Entry]) -> str:
    return f"it has {', '.join(entries)}" if entries else ""


def _cannot_run(name: str, why: str, span: Span) -> NoReturn:
    raise output.Stop(Exit.PROGRAM, [Diagnostic(E0502, span, f"`{name}` cannot run yet: {why}")])


def entries_of(program: pipeline.Program) -> Mapping[str, Entry]:
    """Runnable functions that the file itself defines, by name."""
    found: dict[str, Entry] = {}
    mine = program.source.name
    for name, fn in program.typed.functions.items():
        if fn.span.source.name == mine and "[" not in name and fn.kind in ("kernel", "task"):
            found[name] = Entry(name, fn.signature)
    for name, g in program.typed.generics.items():
        found[name] = Entry(name, g.signature, tuple(p for p, _ in g.params))
    return found
