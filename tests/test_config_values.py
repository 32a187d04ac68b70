"""A value means what it says, whoever's type holds it, and is plain Python afterwards."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness import config
from harness.config.values import named_place, plain
from harness.errors import ConfigurationError

PLAIN = st.one_of(st.integers(-(2**31), 2**31 - 1), st.floats(allow_nan=False, width=32), st.booleans())
SCALARS: list[Callable[[Any], Any]] = [
    lambda one: one,
    np.asarray,
    torch.tensor,
    lambda one: np.asarray(one)[()],
]
LISTS: list[Callable[[list[Any]], Any]] = [
    np.array, torch.tensor, deque, iter, pd.Series, pd.Index, lambda some: (one for one in some),
    lambda some: dict(enumerate(some)).values(), lambda some: [np.asarray(one)[()] for one in some],
]  # fmt: skip


def is_plain(value: object) -> bool:
    if type(value) in (list, tuple):
        return all(map(is_plain, value))  # type: ignore[call-overload]
    if type(value) is dict:
        return all(map(is_plain, value.values()))
    return value is None or type(value) in (bool, int, float, str)


@given(value=PLAIN, wrap=st.sampled_from(SCALARS))
def test_a_scalar_of_any_library_is_the_number(value: Any, wrap: Callable[[Any], Any]) -> None:
    """Of the same type too: a truth stays a truth, a float a float."""
    found = plain(wrap(value))
    assert type(found) is type(value)
    assert found == pytest.approx(value, rel=1e-6)


@given(values=st.lists(st.integers(0, 99), min_size=1), wrap=st.sampled_from(LISTS))
def test_a_sequence_of_any_library_is_the_list(values: list[int], wrap: Callable[[list[Any]], Any]) -> None:
    """Also a generator, which can be read only once."""
    found = plain(wrap(values))
    assert found == values
    assert is_plain(found)


@given(values=st.sets(st.integers(0, 99)))
def test_a_set_is_sorted(values: set[int]) -> None:
    """It has no order of its own, and a run must be the same twice."""
    assert plain({np.int64(one) for one in values}) == sorted(values)
    assert plain(frozenset(map(str, values))) == sorted(map(str, values))


def test_what_is_mixed_is_plain_throughout() -> None:
    """Inside tables, lists and tuples too; what is no number or collection is left as it is."""

    class Choice(Enum):
        ONE = np.int64(1)

    given_ = {
        "a": [np.float64(0.5), {"b": np.str_("x")}],
        "c": (np.bool_(True), torch.tensor(2)),
        "d": Choice.ONE,
    }
    found = plain(given_)
    assert found == {"a": [0.5, {"b": "x"}], "c": (True, 2), "d": 1}
    assert is_plain(found)
    path, thing = Path("x"), object()
    assert plain(path) is path
    assert plain(thing) is thing
    assert plain(np.ndarray) is np.ndarray
    assert plain({3, "x", 2, None}) == [None, 2, 3, "x"]


def test_it_imports_nobody() -> None:
    """A command line that names no number of torch must not load it."""
    code = (
        "import sys, harness.config as c; c.load(flags={'seeds': range(3)}); "
        "sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# places


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home folder."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


PLACES: dict[str, Callable[[Any], Path]] = {
    "output": lambda given: config.load(flags={"output": given}).output,
    "data_dir": lambda given: config.load(flags={"data_dir": given}).data.data_dir or Path(),
    "checks": lambda given: config.load(flags={"checks": given}).checks[0],
    "checks, listed": lambda given: config.load(flags={"checks": [given]}).checks[0],
    "a name": lambda given: named_place("--output", given),
}
"""Every way in which a path comes in."""


@pytest.mark.parametrize("way", PLACES)
def test_a_tilde_is_the_home_folder(way: str, home: Path) -> None:
    """As a text and as a path; of the user, or of another who is named. One inside a name is a tilde."""
    assert PLACES[way]("~") == home
    for tilde in ("~/x y", Path("~/x y")):
        assert PLACES[way](tilde) == home / "x y"
    user = pwd.getpwuid(os.getuid())
    assert PLACES[way](f"~{user.pw_name}/x") == Path(user.pw_dir) / "x"
    assert PLACES[way]("a~/~b").absolute() == Path("a~/~b").absolute()
    assert PLACES[way]("./~x").absolute() == Path.cwd() / "~x"
    assert str(PLACES[way]("./-x")).startswith("/")  # else it would be an option to some program


@pytest.mark.parametrize("way", PLACES)
@pytest.mark.parametrize("given", ["", " ", "~nobody-of-this-name/x", "a\0b", "not utf-8 \udcff"], ids=ascii)
def test_what_names_no_place_is_refused(way: str, given: str) -> None:
    """In one line that names the flag."""
    with pytest.raises(
        ConfigurationError, match=rf"^(data\.|--)?{way.split(',')[0].split()[-1]}|^--"
    ) as caught:
        PLACES[way](given)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("name", ["a [1] b", "it's", 'a "b"', "a\nb", "$HOME", "*?", "%20", "ü", "-x", "a,b"])
def test_a_strange_name_is_a_name(name: str) -> None:
    """Nothing in a path but the tilde stands for something else."""
    assert config.load(flags={"output": name}).output.absolute() == Path(name).absolute()
    assert config.load(flags={"checks": [name]}).checks == (Path(name).absolute(),)


@pytest.mark.parametrize("key", [key for key, _, field in config.settings() if field.annotation is not bool])
def test_a_text_that_cannot_be_written_down_is_refused(key: str) -> None:
    """Bytes of a command line that are not UTF-8, in whatever key: before any work."""
    with pytest.raises(ConfigurationError, match=key):
        config.load(flags={key: "a\udcffb"})


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("zero", "zero"),
        ("mean", "mean"),
        ("0.5", 0.5),
        (0, 0.0),
        (np.float32(0.5), 0.5),
        ("grey.npy", str(Path("grey.npy").absolute())),
        (Path("there/grey.npy"), str(Path("there/grey.npy").absolute())),
        (None, None),
    ],
)
def test_a_baseline_is_a_name_a_number_or_a_file(given: Any, meant: Any) -> None:
    """A flag's text is what a file's value is, and a stored configuration holds it."""
    read = config.load(flags={"baseline": given})
    assert read.data.baseline == meant
    assert config.of(read.as_toml_values(), "itself").data.baseline == meant


@pytest.mark.parametrize("given", ["black", "nan", "inf", True, "grey.npz", "", [0.5], {}])
def test_what_is_no_baseline_is_refused(given: Any) -> None:
    """By its key, with what it may be; an array is named by its file."""
    with pytest.raises(ConfigurationError, match=r"data\.baseline: "):
        config.load(flags={"baseline": given})


@pytest.mark.parametrize(
    ("key", "given", "meant"),
    [
        ("image_size", "32", (32,)),
        ("image_size", "32,48", (32, 48)),
        ("image_size", 32, (32,)),
        ("image_size", [32, 48], (32, 48)),
        ("test_share", "0.3", 0.3),
        ("label_column", "-1", "-1"),
        ("label_column", -1, "-1"),
        ("label_column", "species", "species"),
        ("axes", "channel,time", ("channel", "time")),
        ("axes", ["time"], ("time",)),
    ],
)
def test_what_is_said_of_data_by_path_is_read(key: str, given: Any, meant: Any) -> None:
    """As a flag and in a file, and again of a stored configuration; none of it stands there unasked."""
    read = config.load(flags={key: given})
    assert getattr(read.data, key) == meant
    assert getattr(config.of(read.as_toml_values(), "itself").data, key) == meant
    assert config.load().as_toml_values()["data"] == {"dataset": "auto"}


@pytest.mark.parametrize(
    ("key", "given"),
    [
        ("image_size", "0"),
        ("image_size", "1,2,3"),
        ("image_size", True),
        ("test_share", 0),
        ("test_share", 1),
        ("test_share", True),
        ("axes", ""),
        ("label_column", True),
        ("axes", "time,time"),
    ],
)
def test_what_cannot_be_said_of_data_by_path_is_refused(key: str, given: Any) -> None:
    """By its key."""
    with pytest.raises(ConfigurationError, match=rf"data\.{key}"):
        config.load(flags={key: given})
