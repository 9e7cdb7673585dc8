"""LLVM in other processes: the same bytes, errors as they are here, and a death that is told."""

from __future__ import annotations

import os
import signal

import pytest

from lem.diagnostics import InternalError
from lem.targets import llvm, llvm_workers
from lem_runtime import detect


def text(n: int) -> str:
    return f"define i64 @f{n}(i64 %x) {{\n  %y = add i64 %x, {n}\n  ret i64 %y\n}}\n"


def test_other_processes_give_the_same_bytes() -> None:
    here = [llvm.compile_ir(text(n), detect()) for n in range(12)]
    worker = llvm_workers._Worker()
    try:
        assert worker.is_up()
        assert [worker.made("object", text(n), detect(), llvm.PASSES) for n in range(12)] == here
    finally:
        worker.stop()


def test_jobs_keep_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llvm_workers, "_WORTH_S", 0.0)
    made = llvm_workers.all_of([lambda n=n: (n, llvm.compile_ir(text(n), detect())) for n in range(20)], 3)  # type: ignore[misc]
    assert made == [(n, llvm.made_here("object", text(n), detect())) for n in range(20)]
    assert llvm._elsewhere == []


def test_an_error_is_that_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llvm_workers, "_WORTH_S", 0.0)
    texts = [text(0), text(1), "define nonsense", text(3)]
    with pytest.raises(InternalError, match="(?s)internal error in llvm: .*expected"):
        llvm_workers.all_of([lambda t=t: llvm.compile_ir(t, detect()) for t in texts], 2)  # type: ignore[misc]
    assert llvm._elsewhere == []
    worker = llvm_workers._Worker()
    try:
        assert worker.is_up()
        with pytest.raises(InternalError, match="expected") as caught:
            worker.made("object", "define nonsense", detect(), llvm.PASSES)
        assert caught.value.ir == "define nonsense"
        assert worker.made("object", text(1), detect(), llvm.PASSES) == llvm.made_here("object", text(1), detect())
    finally:
        worker.stop()


@pytest.mark.skipif(os.name != "posix", reason="processes are killed otherwise there")
def test_a_worker_that_dies_is_told_with_its_text() -> None:
    worker = llvm_workers._Worker()
    try:
        assert worker.is_up()
        os.kill(worker._process.pid, signal.SIGKILL)
        with pytest.raises(InternalError, match="ended") as caught:
            worker.made("object", text(1), detect(), llvm.PASSES)
        assert caught.value.ir == text(1) and not worker.is_alive
    finally:
        worker.stop()
