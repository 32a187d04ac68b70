"""The documentation holds together: links, anchors, quoted files, and every command that it names exists."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from harness.cli import app
from harness.config import Config
from harness.config.tables import parse
from tests.pages import PAGES, ROOT, anchors, blocks, links
from tools import write_reference

WRITTEN = tuple(page for page in PAGES if write_reference.WRITTEN not in page.read_text(encoding="utf-8"))
"""Those that people wrote; usage lines and signatures of the others are no commands and no code."""

EACH = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@EACH
def test_links_and_anchors_resolve(page: Path) -> None:
    """Each file that is linked is there, each anchor is a heading; addresses elsewhere are not asked."""
    for link in links(page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{link}: there is no {name}"
        assert target.is_relative_to(ROOT), link
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target.read_text(encoding="utf-8")), f"{link}: no such heading"


def test_every_page_is_found_from_the_readme() -> None:
    """Along links, in as many steps as it takes."""
    met, ahead = set[Path](), [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        met.add(page)
        for link in links(page.read_text(encoding="utf-8")):
            target = (page.parent / link.partition("#")[0]).resolve()
            if target.suffix == ".md" and target.exists() and target not in met:
                ahead.append(target)
    assert {str(page.relative_to(ROOT)) for page in set(PAGES) - met} == set()


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_exist_with_their_options(page: Path) -> None:
    """Of every `harness …` in a block of commands, and of every one in the running text."""
    text = page.read_text(encoding="utf-8")
    told = [command for block in blocks(text) for command, _ in block.commands()]
    told += re.findall(r"`(harness [a-z][^`\n]*)`", text)
    for command in told:
        for part in re.split(r"\s*(?:&&|\|\|?|;)\s*", command):
            try:
                words = shlex.split(part, comments=True)
            except ValueError:
                continue  # a shell's own grammar: a loop, a quote over lines
            if words[:1] == ["harness"]:
                _known(words[1:], part)


def _known(words: list[str], told: str) -> None:
    """Parsed as the command line would be, down to the command that is named."""
    command: Any = typer.main.get_command(app)
    while True:
        parser = command.make_parser(command.context_class(command, resilient_parsing=True))
        try:
            _, words, _ = parser.parse_args(list(words))
        except Exception as error:
            raise AssertionError(f"{told}: {error}") from None
        commands = getattr(command, "commands", {})
        if not commands or not words or words[0] == "…":
            return
        assert words[0] in commands, f"{told}: no command {words[0]}"
        command, words = commands[words[0]], words[1:]


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: str(page.relative_to(ROOT)))
def test_quoted_files_can_be_read(page: Path) -> None:
    """TOML that is a configuration is one, YAML is YAML, and Python compiles."""
    for block in blocks(page.read_text(encoding="utf-8")):
        if block.language == "yaml":
            assert isinstance(yaml.safe_load(block.text), dict)
        elif block.language == "python":
            compile(block.text, f"{page.name}:{block.line}", "exec")
        elif block.language == "toml":
            told = dict(parse(block.text.encode(), page.name))
            if not {"project", "build-system"} & set(told):
                Config.model_validate({key: value for key, value in told.items() if key != "sweep"})
