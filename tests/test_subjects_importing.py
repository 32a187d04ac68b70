"""Functions of one's own modules are found, imported and called, or refused in one line with the mend."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.errors import ConfigurationError
from harness.subjects.importing import attribute_of, called, own_name

OWN = """
from torch import nn

class Nets:
    @staticmethod
    def build():
        return 3

def load():
    return inner()

def inner():
    raise ValueError("no\\nweights")

answer = 42
ready = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """One's own modules; forgotten afterwards."""
    texts = {
        "own_nets": OWN,
        "broken_nets": "import numpy\nimport not_installed_anywhere\n",
        "failing_nets": "1 / 0\n",
        "leaving_nets": "raise SystemExit('bye')\n",
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.py").write_text(text)
    yield tmp_path
    for name in texts:
        sys.modules.pop(name, None)


def test_a_function_is_found_by_its_module(folder: Path) -> None:
    """In a class too; the folder is searched during the import alone."""
    before = list(sys.path)
    assert attribute_of("model", "own_nets:Nets.build", folder)() == 3
    assert sys.path == before


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no_nets:build", "there is no module 'no_nets'; looked in "),
        ("own_nets:loda", "own_nets has no 'loda': did you mean 'load'"),
        ("own_nets:answer", r"must be a function \(got int\)"),
        (
            "own_nets:ready",
            r"it is a network, and must be a function that makes one; write def load\(\): "
            r"return Sequential\(...\)$",
        ),
        ("broken_nets:build", "the module is there, and cannot be imported: No module named 'not_installed"),
        ("failing_nets:build", "cannot be imported: ZeroDivisionError: division by zero"),
        ("leaving_nets:build", "cannot be imported: SystemExit: bye"),
        ("own_nets.py:load", "must be named as module:function; say 'own_nets:load'$"),
        ("own_nets.py", "say 'own_nets:load'$"),
        ("own_nets", "say 'own_nets:load'$"),
        ("some/where/own_nets.py:go", "say 'own_nets:go' and --model-dir some/where$"),
    ],
)
def test_what_cannot_be_imported_is_refused_in_one_line(folder: Path, name: str, said: str) -> None:
    """With the places looked in, a suggestion, how it is named, or what was got."""
    with pytest.raises(ConfigurationError, match=said) as caught:
        attribute_of("code", name, folder)
    assert str(caught.value).startswith(f"code {name!r}: ")
    assert "\n" not in str(caught.value)


def test_a_network_in_place_of_its_factory_is_told_the_factorys_form(folder: Path) -> None:
    """With the keywords that a factory is called with, not with the error of the network's forward pass."""
    form = r"write def build\(\*, shape, classes, seed\): return Sequential\(...\); its trained weights go by"
    with pytest.raises(ConfigurationError, match=f"it is a network, and must be a function.* {form}"):
        attribute_of("model", "own_nets:ready", folder)


def test_a_function_that_fails_tells_where_and_what_it_was_given(folder: Path) -> None:
    """By its last line in its own file; what it called with, or that it was nothing."""
    load = attribute_of("code", "own_nets:load", folder)
    said = r"ValueError at own_nets.py, line 13: no weights; it was called without arguments$"
    with pytest.raises(ConfigurationError, match=said):
        called("code", "own_nets:load", load)
    with pytest.raises(ConfigurationError, match=r"TypeError: .*; it was called with width=3$"):
        called("code", "own_nets:load", load, width=3)


@pytest.mark.parametrize("name", ["nets:build", "pack.nets:Net.make"])
def test_a_name_that_serves_is_itself(name: str) -> None:
    """Of what is named rightly nothing else is suggested."""
    assert own_name("model", name) == name
