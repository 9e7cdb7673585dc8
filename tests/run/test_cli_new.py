"""``lem new``: what it makes is right by lem's own judgement, and it never touches what is there."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from lem.cli import Exit
from tests.support.cli import lem


def test_a_project_passes_its_own_ci(tmp_path: Path) -> None:
    said = lem("new", "my-blur", cwd=tmp_path)
    assert said.code == Exit.DONE and said.err == ""
    assert said.out.splitlines()[0] == "made my-blur: my_blur.lem, README.md, .github/workflows/lem.yml"
    folder = tmp_path / "my-blur"
    workflow = (folder / ".github" / "workflows" / "lem.yml").read_text()
    steps = re.findall(r"^      - run: (.*)$", workflow, re.MULTILINE)
    assert steps == ["pip install lemlang", "lem check .", "lem test .", "lem fmt --check ."]
    for step in steps[1:]:
        told = lem(*step.split()[1:], cwd=folder)
        assert told.code == Exit.DONE, told.err
    assert "1 kernel, 1 test" in lem("check", "my_blur.lem", cwd=folder).out
    assert not [name for name in os.listdir(tmp_path) if name != "my-blur"]


def test_the_readme_runs(tmp_path: Path) -> None:
    np = pytest.importorskip("numpy")
    lem("new", "blur", cwd=tmp_path)
    folder = tmp_path / "blur"
    for name in ("x", "y"):
        np.save(folder / f"{name}.npy", np.arange(3, dtype=np.float32))
    commands = [line for line in (folder / "README.md").read_text().splitlines() if line.startswith("lem run")]
    said = lem(*commands[0].split()[1:], cwd=folder)
    assert said.code == Exit.DONE and np.load(folder / "result.npy").tolist() == [0, 3, 6]


def test_folders_below_others(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    assert lem("new", "src/blur/", cwd=tmp_path).code == Exit.DONE
    assert (tmp_path / "src" / "blur" / "blur.lem").is_file()


@pytest.mark.parametrize("name", ["f32", "grid", "kernel", "test", "nn", "add_scaled"])
def test_any_other_name_will_do(tmp_path: Path, name: str) -> None:
    lem("new", name, cwd=tmp_path)
    for verb in ("check", "test"):
        told = lem(verb, ".", cwd=tmp_path / name)
        assert told.code == Exit.DONE, told.err


@pytest.mark.parametrize("there", ["file", "folder", "empty folder", "link to nothing"])
def test_nothing_is_overwritten(tmp_path: Path, there: str) -> None:
    target = tmp_path / "blur"
    if there == "file":
        target.write_text("mine")
    elif there == "link to nothing":
        target.symlink_to("nowhere")
    else:
        target.mkdir()
        if there == "folder":
            (target / "blur.lem").write_text("mine")
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    said = lem("new", "blur", cwd=tmp_path)
    assert said.code == Exit.USAGE and "error[E0611]" in said.err and "nothing is overwritten" in said.err
    assert sorted(str(path) for path in tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["3d", "a+b", "for", "lambda", "math", "", "é", ".", "/"])
def test_names_that_cannot_name_a_program(tmp_path: Path, name: str) -> None:
    said = lem("new", name, cwd=tmp_path)
    assert said.code == Exit.USAGE and "error[E06" in said.err and not os.listdir(tmp_path)


def test_a_missing_or_closed_parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = lem("new", "missing/blur", cwd=tmp_path)
    assert said.code == Exit.USAGE and "mkdir -p missing" in said.err

    def refuse(source: str, target: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "rename", refuse)
    said = lem("new", "blur", cwd=tmp_path)
    assert said.code == Exit.USAGE and "permission denied" in said.err and not os.listdir(tmp_path)
