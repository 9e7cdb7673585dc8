"""``lem.compile(f, g, module)``: code for several kernels at once, before they are called."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import ModuleType

from lem.embed.boundary import boundary
from lem.embed.function import Function
from lem.embed.mistakes import UsageError
from lem.targets.llvm_workers import all_of
from lem_runtime import detect
from lem_runtime.abi.artifact import Artifact
from lem_runtime.abi.source import Facts


@boundary
def compile(*things: Function | ModuleType, dtypes: Mapping[str, str] | None = None, workers: int | None = None) -> None:
    """Make the code of kernels and tasks, and of all that modules define, for contiguous arrays; several at once.

    dtypes: of generic ones, ``{"T": "f32"}``; those that it leaves open are left out. workers: processes at most, this one
    included (else as many as there are processors). Raises :class:`lem.CompileError` of the first that is wrong.
    """
    if workers is not None and not isinstance(workers, int):
        raise UsageError(f"`workers` is a number of processes, found {type(workers).__name__}")
    jobs = [job for thing in things for f in _functions(thing) if (job := _job(f, dtypes or {})) is not None]
    all_of(jobs, workers or detect().n_cores)


def _functions(thing: Function | ModuleType) -> Iterator[Function]:
    if isinstance(thing, Function):
        yield thing
    elif not isinstance(thing, ModuleType):
        raise UsageError(f"`lem.compile` takes kernels, tasks and modules, found {type(thing).__name__}")
    else:
        yield from (v for v in vars(thing).values() if isinstance(v, Function))


def _job(f: Function, dtypes: Mapping[str, str]) -> Callable[[], Artifact] | None:
    if f.kind == "fn":
        return None
    front = f.engine.front()
    if any(t not in dtypes for t in front.type_params):
        return None
    n_arrays = sum(p.is_array for p in front.signature.params)
    known = tuple(sorted((t, dtypes[t]) for t in front.type_params))
    return lambda: f.engine.prepared(Facts(("inner",) * n_arrays, (), known))


__all__ = ["compile"]
