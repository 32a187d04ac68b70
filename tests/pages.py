"""The documentation as what it says: pages, their blocks, links and anchors, and the commands they name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = tuple(
    sorted(
        path
        for place in ("*.md", "docs/*.md", "docs/*/*.md")
        for path in ROOT.glob(place)
        if not path.name.startswith(".")
    )
)
"""Every page of Markdown that the project shows."""

NAMED = re.compile(r'^(?:# |""")([\w./-]+\.[a-z]+)(?:""")?$|^\{# ([\w./-]+) #\}$')
"""The first line of a block that is a file, with its path."""


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        language: The word behind the fence.
        text: What stands in it, without the indent of the fence.
        line: Of the page, where it begins.
    """

    language: str
    text: str
    line: int

    @property
    def file(self) -> str | None:
        """The path of the file that it is."""
        found = NAMED.match(self.text.partition("\n")[0])
        return found and (found[1] or found[2])

    def commands(self) -> Iterator[tuple[str, str]]:
        """Each command on one line, and the remark behind it; lines that a backslash parts are one."""
        if self.language in ("sh", "console", ""):
            for line in self.text.replace("\\\n", " ").splitlines():
                line = line.removeprefix("$ ")
                command, _, remark = line.partition("  # ")
                if command.strip() and not command.startswith("#"):
                    yield command.strip(), remark.strip()


def blocks(text: str) -> list[Block]:
    """The fenced blocks of a page, in their order."""
    found: list[Block] = []
    opened: tuple[str, str, int] | None = None
    kept: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        fence = re.match(r"^( *)(```+)(\w*)", line)
        if opened is None and fence:
            opened, kept = (fence[1], fence[3], number), []
        elif opened is not None and fence and not fence[3]:
            found.append(Block(opened[1], "\n".join(kept) + "\n", opened[2]))
            opened = None
        elif opened is not None:
            kept.append(line.removeprefix(opened[0]))
    return found


def prose(text: str) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"(?ms)^ *```.*?^ *```$", "", text)


def sections(text: str) -> list[tuple[str, str]]:
    """Each heading, with its hashes, and what stands below it up to the next; nothing of before the first."""
    found: list[tuple[str, str]] = []
    fenced = False
    for line in text.splitlines(keepends=True):
        fenced ^= bool(re.match(r" *```", line))
        if line.startswith("#") and not fenced:
            found.append((line.strip(), ""))
        elif found:
            found[-1] = (found[-1][0], found[-1][1] + line)
    return found


def anchors(text: str) -> set[str]:
    """The anchors that a page's headings get where it is shown: GitHub's rule."""
    found: dict[str, int] = {}
    names: set[str] = set()
    for heading in re.findall(r"(?m)^#+ (.+?)\s*#*$", prose(text)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", plain.strip().lower()).replace(" ", "-")
        again = found.get(name, 0)
        found[name] = again + 1
        names.add(f"{name}-{again}" if again else name)
    return names | set(re.findall(r'<a (?:id|name)="([^"]+)"', text))


def links(text: str) -> list[str]:
    """The targets of a page's links and pictures."""
    return re.findall(r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)", re.sub(r"`[^`\n]*`", "", prose(text)))
