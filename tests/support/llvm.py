"""For tests of the runtime: LLVM IR text to object bytes, with as little of llvmlite as will do."""

from __future__ import annotations

import functools

import llvmlite.binding as llvm


@functools.cache
def compile_ir(text: str, triple: str = "", cpu: str = "", features: str = "") -> bytes:
    """Object bytes of a module for this machine, or for `triple`."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    triple = triple or llvm.get_process_triple()
    module = llvm.parse_assembly(text)
    module.triple = triple
    module.verify()
    target = llvm.Target.from_triple(triple)
    machine = target.create_target_machine(cpu=cpu, features=features, opt=2, reloc="pic", codemodel="small")
    return bytes(machine.emit_object(module))
