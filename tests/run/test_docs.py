"""The documentation holds: its programs, its command lines and what they answer, its links."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support.docs import (
    Block,
    accept,
    anchors,
    answers_alike,
    blocks,
    hold,
    links,
    needs_c_compiler,
    pages,
    prose,
    run_session,
)
from tests.support.generated import examples, library_modules, public_items, renewed
from tests.support.ui import accepting

PAGES = pages()
CHAPTERS = [page for page in PAGES if page.parent in (ROOT / "docs", ROOT / "docs" / "reference")]
BLOCKS = [block for page in PAGES for block in blocks(page) if not block.is_console]
SESSIONS = [page for page in PAGES if any(block.is_console for block in blocks(page))]


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("block", BLOCKS, ids=[block.id for block in BLOCKS])
def test_block_holds(block: Block, tmp_path: Path) -> None:
    hold(block, tmp_path)


@pytest.mark.parametrize("page", SESSIONS, ids=name)
def test_commands_say_what_the_page_says(page: Path, tmp_path: Path) -> None:
    if needs_c_compiler(page) and shutil.which("cc") is None:
        pytest.skip("no C compiler (cc) is installed")
    for block, answers in run_session(page, tmp_path):
        if accepting():
            accept(page, block, answers)
            continue
        for command, said in answers:
            assert answers_alike(command.answer, said), f"{block.id}: $ {command.line}\n{said}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        file, _, anchor = link.partition("#")
        if "://" in file:
            continue
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), f"{link}: there is no {file}"
        assert not anchor or anchor in anchors(target), f"{link}: no such heading in {name(target)}"


def test_every_page_is_reached_from_the_index() -> None:
    reached, waiting = set(), [ROOT / "docs" / "README.md"]
    while waiting:
        page = waiting.pop()
        if page.is_dir():
            waiting += page.glob("*.md")
        if page in reached or page.suffix != ".md" or not page.is_file():
            continue
        reached.add(page)
        waiting += [(page.parent / link.partition("#")[0]).resolve() for link in links(page) if "://" not in link]
    missing = [name(page) for page in PAGES if page.is_relative_to(ROOT / "docs") and page not in reached]
    assert not missing, f"no link leads to {missing}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_generated_parts_are_up_to_date(page: Path) -> None:
    made = renewed(page)
    if accepting():
        page.write_text(made, encoding="utf-8")
    assert page.read_text(encoding="utf-8") == made, "`python -m tests docs --accept` writes it"


@pytest.mark.parametrize("module", [name for name in sorted(library_modules()) if examples(name)])
def test_examples_of_the_library_hold(module: str, tmp_path: Path) -> None:
    names = ", ".join(item.name.id for item in public_items(module))
    checks = "".join(f"    check {example}\n" for example in examples(module))
    text = f'import {module}\nfrom {module} import {names}\n\ntest "examples":\n{checks}'
    hold(Block(tmp_path / "page.md", 1, ("lem", "test"), "", text), tmp_path)


@pytest.mark.parametrize("page", CHAPTERS, ids=name)
def test_prose_keeps_to_the_line_width(page: Path) -> None:
    long = [n for n, line in prose(page) if len(line) > 130 and not line.startswith(("|", "**`", "- ["))]
    assert not long
