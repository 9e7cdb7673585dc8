"""The one door to llvmlite: text IR in, object code, assembly or optimised IR out.

Takes LLVM IR as text and a :class:`Machine`; gives bytes or text. llvmlite is imported on first use (its import costs
100 ms), so that running cached code never pays for it. Every failure is an :class:`InternalError` that carries the IR:
text that LLVM refuses is the emitter's fault, never the user's.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from lem.diagnostics import InternalError
from lem_runtime.abi.machine import Machine

# Explicit vector code gains nothing from the standard pipelines, which double the time of a compile. Variables become
# registers, constants fold, branches merge; loops arrive in the shape they should have, and equal expressions have met
# before. (LLVM's pass for these, NewGVN, changed nothing in 128 kernels, and ends the process on some programs.)
PASSES = ("sroa", "instcombine", "simplifycfg", "dce")

_ADD = {
    "sroa": "add_sroa_pass",
    "instcombine": "add_instruction_combine_pass",
    "simplifycfg": "add_simplify_cfg_pass",
    "dce": "add_aggressive_dce_pass",
    "dse": "add_dead_store_elimination_pass",
    "rotate": "add_loop_rotate_pass",
    "reassociate": "add_reassociate_pass",
    "unroll": "add_loop_unroll_pass",
    "sink": "add_sinking_pass",
    "inline": "add_always_inliner_pass",
    "globaldce": "add_global_dead_code_eliminate_pass",
}
_lock = threading.Lock()
# What is wanted ("object", "quick": an object by LLVM's fast instruction selector, "asm", "ir"), the text, for whom.
Door = Callable[[str, str, Machine, tuple[str, ...]], bytes]


def compile_ir(text: str, machine: Machine, *, passes: tuple[str, ...] = PASSES) -> bytes:
    """A position-independent object file for `machine`. Raises :class:`InternalError`."""
    return _door()("object", text, machine, passes)


def compile_quickly(text: str, machine: Machine) -> bytes:
    """The same in a sixth of the time, for code that mostly waits or calls: nothing is improved, variables are in memory."""
    return _door()("quick", text, machine, ())


def assembly(text: str, machine: Machine, *, passes: tuple[str, ...] = PASSES) -> str:
    """The machine's assembly for `text`."""
    return _door()("asm", text, machine, passes).decode()


def optimised_ir(text: str, machine: Machine, *, passes: tuple[str, ...] = PASSES) -> str:
    """LLVM IR after the passes, for people."""
    return _door()("ir", text, machine, passes).decode()


def made_here(what: str, text: str, machine: Machine, passes: tuple[str, ...] = PASSES) -> bytes:
    """The same, in this process whatever anybody has arranged."""
    with _lock:
        module, tm = _optimised(text, machine, passes, level=0 if what == "quick" else 2)
        if what in ("object", "quick"):
            return bytes(tm.emit_object(module))
        return str(tm.emit_assembly(module) if what == "asm" else module).encode()


# ---------------------------------------------------------------- in other processes
_elsewhere: list[Door] = []
_is_unusable = False  # in a process that was forked while a thread was in LLVM: it may be half changed, and locked
_instead: list[Door] = []


def _door() -> Door:
    if _elsewhere:
        return _elsewhere[-1]
    return _instead[-1] if _is_unusable and _instead else made_here


@contextlib.contextmanager
def handed_to(other: Door) -> Iterator[None]:
    """While this lasts, `other` compiles, for all threads."""
    _elsewhere.append(other)
    try:
        yield
    finally:
        _elsewhere.remove(other)


def use_where_unusable(other: Door) -> None:
    """What compiles in a process that was forked while its parent was in LLVM."""
    _instead[:] = [other]


def _after_fork() -> None:
    global _lock, _is_unusable
    _is_unusable = _is_unusable or _lock.locked()
    _lock = threading.Lock()
    _elsewhere.clear()  # those are the parent's


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


# ---------------------------------------------------------------- LLVM
def version() -> str:
    """Version of LLVM, as part of cache keys."""
    return ".".join(map(str, _binding().llvm_version_info))


def host_features() -> tuple[str, tuple[str, ...], str]:
    """CPU name, features (with their sign, sorted) and triple of this computer, as LLVM sees them."""
    b = _binding()
    found = b.get_host_cpu_features()
    features = tuple(sorted(("+" if on else "-") + name for name, on in found.items()))
    return str(b.get_host_cpu_name()), features, str(b.get_process_triple())


@lru_cache(maxsize=1)
def _binding() -> Any:
    import llvmlite.binding as binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    return binding


def _target(triple: str) -> Any:
    """Raises RuntimeError where LLVM has none. All of them are made known only where this computer's own is not meant."""
    binding = _binding()
    try:
        return binding.Target.from_triple(triple)
    except RuntimeError:
        binding.initialize_all_targets()
        binding.initialize_all_asmprinters()
        return binding.Target.from_triple(triple)


@lru_cache(maxsize=16)
def _target_machine(triple: str, cpu: str, features: tuple[str, ...], level: int) -> Any:
    return _target(triple).create_target_machine(
        cpu=cpu, features=",".join(features), opt=level, reloc="pic", codemodel="small", jit=False
    )


def _optimised(text: str, machine: Machine, passes: tuple[str, ...], level: int) -> tuple[Any, Any]:
    binding = _binding()
    try:
        tm = _target_machine(machine.triple, machine.cpu, machine.features, level)
    except RuntimeError as e:
        raise InternalError("llvm", f"no target machine for {machine.triple} {machine.cpu}: {e}") from None
    try:
        module = binding.parse_assembly(text)
        module.verify()
    except RuntimeError as e:
        raise InternalError("llvm", str(e).strip(), text) from None
    module.triple = machine.triple
    module.data_layout = str(tm.target_data)
    if passes:
        pass_builder = binding.create_pass_builder(tm, binding.create_pipeline_tuning_options(speed_level=1))
        manager = binding.create_new_module_pass_manager()
        for name in passes:
            getattr(manager, _ADD[name])()
        manager.run(module, pass_builder)
    return module, tm


class JitObject:
    """An object file linked by LLVM's own linker: for systems whose objects the runtime cannot load itself."""

    def __init__(self, object_bytes: bytes, externals: Mapping[str, int]) -> None:
        binding = _binding()
        with _lock:
            self._jit = binding.create_lljit_compiler()
            builder = binding.JITLibraryBuilder().add_object_img(object_bytes).add_current_process()
            for name, address in externals.items():
                builder.import_symbol(name, address)
            self._builder = builder
        self._tracker: Any = None

    def address(self, symbol: str) -> int:
        with _lock:
            if self._tracker is None:
                self._tracker = self._builder.export_symbol(symbol).link(self._jit, f"lem{id(self)}")
                return int(self._tracker[symbol])
            return int(self._jit.lookup(f"lem{id(self)}", symbol)[symbol])


def load_fallback(object_bytes: bytes, externals: Mapping[str, int]) -> JitObject:
    """What ``lem_runtime.loader.register_fallback`` takes."""
    return JitObject(object_bytes, externals)


def call_address(address: int, *args: Any) -> int:
    """Call a function that returns i32, for quick checks."""
    kinds = [ctypes.c_int64 if isinstance(a, int) else ctypes.c_void_p for a in args]
    return int(ctypes.CFUNCTYPE(ctypes.c_int32, *kinds)(address)(*args))
