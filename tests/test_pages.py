"""The documentation holds together: links, anchors, quoted files, and every command that it names exists."""

from __future__ import annotations

import csv
import json
import re
import shlex
import shutil
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from harness.artifacts.directories import RunDirectory
from harness.cli import app
from harness.config import Config
from harness.config.tables import parse
from tests.commands import alone, called
from tests.pages import PAGES, ROOT, anchors, blocks, links, prose, sections
from tests.small import SMALL
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


@pytest.mark.thorough
@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_exist_with_their_options(page: Path) -> None:
    """Of every `harness …` in a block of commands, and of every one in the running text."""
    for words in commands_of(page):
        _known(words, shlex.join(words))


def commands_of(page: Path) -> Iterator[list[str]]:
    """The words behind `harness` of each of its commands on a page."""
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
                yield words[1:]


@pytest.mark.thorough
def test_quick_commands_of_the_explanations_do_what_they_are_told_to(
    finished: RunDirectory, only: Callable[..., None], judged_here: None
) -> None:
    """Each that takes a moment, and asks for nothing but what every run leaves, ends with 0.

    One that is named alone is asked of the latest run. Those of how-tos are done with all that stands around.
    """
    only("provenance")
    of_a_run = {"judge", "report"}
    told = {tuple(words) for page in WRITTEN if page.parent.name == "docs" for words in commands_of(page)}
    asked = [words for words in told if words[0] in {"clean", "datasets", "schema"} | of_a_run]
    assert {words[0] for words in asked} >= {"clean", "datasets"} | of_a_run
    (finished.path.parents[1] / "latest").symlink_to(finished.path)
    for words in sorted(asked):
        if not re.search("[A-Z]{2,}|…", shlex.join(words)):  # those stand for what a reader has
            latest = ["artifacts/latest"] if words[0] in of_a_run and len(words) == 1 else []
            done = called(finished.path.parents[2], *words, *latest)
            assert done.returncode == 0, f"{shlex.join(words)}: {done.stdout} {done.stderr}"


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


SESSIONS = {
    given or name
    for given, name in re.findall(
        r'@nox\.session(?:\(name="([\w-]+)"\))?\ndef (\w+)', (ROOT / "noxfile.py").read_text()
    )
}
"""The sessions of nox."""


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: str(page.relative_to(ROOT)))
def test_sessions_and_modules_exist_with_their_options(page: Path) -> None:
    """Of every `nox -s …` and every `python -m …` of the project's own, wherever it stands."""
    text = re.sub(r"\\\n\s*", "", page.read_text(encoding="utf-8"))
    for name in re.findall(r"\bnox -s ([\w-]+)", text):
        assert name in SESSIONS, f"nox -s {name}"
    for module, rest in re.findall(r"\bpython -m ((?:tools|tests)[\w.]*)([^`\n;)|]*)", text):
        path = ROOT / module.replace(".", "/")
        file = path / "__main__.py" if path.is_dir() else path.with_suffix(".py")
        assert file.is_file(), f"python -m {module}"
        source = "".join(one.read_text(encoding="utf-8") for one in file.parent.glob("*.py"))
        unknown = [one for one in re.findall(r"--[a-z][a-z-]*", rest) if f'"{one}"' not in source]
        assert unknown == [], f"python -m {module}{rest}"


MEASURED = re.compile(r"(?<![\w.])\d+\.\d+|\d %|\d (?:ms|s|kB|MB|GB|minutes|hours)\b")
"""How a number looks that somebody has measured; a count or a year does not."""
PRINTING = re.compile(r"\b(?:nox -s|harness [a-z]+|python -m (?:harness|tests|tools)\b)")


@pytest.mark.parametrize(
    "page", [one for one in WRITTEN if one.parent.name == "docs"], ids=lambda page: page.name
)
def test_numbers_stand_with_the_command_that_prints_them(page: Path) -> None:
    """A section that tells numbers names a command: itself, or what stands above it."""
    above: list[tuple[int, bool]] = []
    for heading, body in sections(page.read_text(encoding="utf-8")):
        depth = len(heading) - len(heading.lstrip("#"))
        above = [one for one in above if one[0] < depth] + [(depth, bool(PRINTING.search(body)))]
        told = MEASURED.findall(re.sub(r"`[^`\n]*`|\]\([^)]*\)", "", prose(body)))
        assert not told or any(named for _, named in above), f"{heading}: which command prints {told}?"


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


@pytest.mark.thorough
def test_the_worked_change_does_what_it_says(tmp_path: Path) -> None:
    """CONTRIBUTING's two listings, put where it says into a copy: number, verdict, and report have them."""
    number, line = (
        textwrap.dedent(listing)
        for listing in re.findall(r"(?ms)^ *```python\n(.*?)^ *```", (ROOT / "CONTRIBUTING.md").read_text())
    )
    for name in ("harness", "validation", "templates"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / "harness/measurements/model.py").open("a") as model:
        model.write("\n\n" + number)
    parameters = tmp_path / "harness/config/parameters.py"
    source = parameters.read_text()
    assert "    always = (\n" in source
    parameters.write_text(source.replace("    always = (\n", f"    always = (\n        {line.strip()},\n", 1))

    flags = [part for key, value in SMALL.items() for part in (f"--{key.replace('_', '-')}", str(value))]
    done = alone(tmp_path, "validate", *flags)
    assert done.returncode == 0, done.stdout + done.stderr
    latest = tmp_path / "artifacts/latest"
    (row,) = (
        row
        for row in json.loads((latest / "verdict.json").read_text())["criteria"]
        if row["id"] == "mean_confidence"
    )
    assert row["gate"] is False
    assert row["verdict"] == "pass"
    with (latest / "metrics.csv").open(newline="") as file:
        assert any("mean_confidence" in told.values() for told in csv.DictReader(file))
    assert "Mean confidence" in (latest / "report.html").read_text(encoding="utf-8")
    assert "mean_confidence" in (latest / "junit.xml").read_text(encoding="utf-8")
