"""A bundle in the place of a program: ``lem run x.lemb``. No stage of the compiler is loaded for it."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from lem.cli import output
from lem.cli.session import Entry, offer_compiler, other_file, pick_entry
from lem.source import SourceFile
from lem_runtime import Bundled, BundleError
from lem_runtime.abi.artifact import Artifact
from lem_runtime.abi.records import dataclass
from lem_runtime.abi.signature import Place
from lem_runtime.abi.source import Facts, Refusal

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class BundleSession:
    """One function of a bundle, as ``session.Session`` is one of a text. Its places are of a text that is not here: they
    are told by name and never drawn."""

    source: Bundled
    entry: Entry
    files: tuple[SourceFile, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def cpu(self) -> str:
        """What its code was made for."""
        return self.source.machine

    def artifact(self, facts: Facts) -> Artifact:
        """Code for these layouts."""
        try:
            made = self.source.request(self.entry.name, facts)
        except BundleError as e:
            output.fail(e.code, e.message, help=e.help)
        if isinstance(made, Refusal):
            output.fail(made.code, made.reason)
        return replace(made, signature=self.entry.signature)

    def told(self, place: Place | None) -> str:
        """A place in words."""
        return f"at {place.file}, line {place.line}, column {place.col}" if place is not None else ""


def open_bundle(path: str, wanted: str) -> BundleSession:
    """Find the entry that is named, or meant. Stops where the file cannot be used."""
    offer_compiler()
    try:
        source = Bundled(path)
    except BundleError as e:
        output.fail(e.code, e.message, help=e.help)
    except OSError as e:
        output.fail("E0610", f"`{path}`: {(e.strerror or str(e)).lower()}", help=other_file(path, ".lemb"))
    entries = {name: Entry(name, _without_places(sig)) for name, sig in source.signatures.items()}
    return BundleSession(source, pick_entry(entries, wanted, path))


def _without_places(value: T) -> T:
    if isinstance(value, tuple):
        return tuple(_without_places(x) for x in value)  # type: ignore[return-value]
    if is_dataclass(value) and not isinstance(value, type):
        found: dict[str, Any] = {}
        for f in fields(value):
            old = getattr(value, f.name)
            found[f.name] = None if isinstance(old, Place) else _without_places(old)
        return replace(value, **found)
    return value
