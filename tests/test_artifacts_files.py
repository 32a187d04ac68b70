"""Files are written whole or not at all, and read with a sentence."""

from __future__ import annotations

import errno
import json
import math
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pydantic
import pytest

from harness.artifacts import files
from harness.artifacts.files import Folder, key_of
from harness.errors import RunError, StorageError


def test_a_write_that_breaks_off_leaves_the_old_file(tmp_path: Path) -> None:
    """A file that was there stays whole when its successor breaks off, and nothing else is left."""
    folder = Folder(tmp_path)
    folder.write_text("file", "old")
    with pytest.raises(RuntimeError, match="power cut"), folder.writing("file") as stream:
        stream.write(b"ne")
        raise RuntimeError("power cut")
    assert (tmp_path / "file").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("number", [float("nan"), float("inf"), np.float64("nan")])
def test_json_holds_no_nan(tmp_path: Path, number: float) -> None:
    """A number that is not finite is never written to JSON."""
    with pytest.raises(ValueError, match="null and a reason"):
        Folder(tmp_path).write_json("file.json", {"deep": [{"value": number}]})
    assert not list(tmp_path.iterdir())


def test_json_bears_the_schema_version(tmp_path: Path) -> None:
    """Every JSON file bears the schema version, and numpy's numbers are plain in it."""
    Folder(tmp_path).write_json("file.json", {"n": np.int64(3), "x": np.float32(0.5)})
    assert json.loads((tmp_path / "file.json").read_text()) == {"schema": 1, "n": 3, "x": 0.5}


def test_a_newer_schema_is_refused_by_name(tmp_path: Path) -> None:
    """A file of a newer schema is not guessed at."""
    (tmp_path / "file.json").write_text('{"schema": 99}')
    with pytest.raises(RunError, match=r"file\.json: schema 99 is newer"):
        Folder(tmp_path).read_json("file.json")


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"schema": null}'])
def test_damaged_json_is_refused_by_name(tmp_path: Path, content: str) -> None:
    """A truncated or foreign JSON file is an error that names it."""
    (tmp_path / "file.json").write_text(content)
    with pytest.raises(RunError, match=r"file\.json: damaged"):
        Folder(tmp_path).read_json("file.json")


def test_damaged_arrays_are_refused_by_name(tmp_path: Path) -> None:
    """A truncated .npz file is an error that names it, and pickles in one are not loaded."""
    folder = Folder(tmp_path)
    folder.write_arrays("whole.npz", {"a": np.arange(100)})
    (tmp_path / "cut.npz").write_bytes((tmp_path / "whole.npz").read_bytes()[:-40])
    np.savez(tmp_path / "pickle.npz", a=np.array([{}], dtype=object))
    for name in ("cut", "pickle"):
        with pytest.raises(RunError, match=rf"{name}\.npz: damaged"):
            folder.read_arrays(f"{name}.npz")
    with pytest.raises(RunError, match="missing"):
        folder.read_arrays("none.npz")


def test_tables_keep_every_digit_and_odd_names(tmp_path: Path) -> None:
    """A table is written with all digits, and a class called `None` or `NA` comes back as such."""
    folder = Folder(tmp_path)
    table = pd.DataFrame({"class": ["None", "NA", 'a "b", c'], "x": [0.1 + 0.2, 1 / 3, 1e-300]})
    folder.write_table("t.csv", table)
    assert "0.30000000000000004" in (tmp_path / "t.csv").read_text()
    pd.testing.assert_frame_equal(folder.read_table("t.csv"), table, rtol=1e-15)


def test_keys_know_every_part() -> None:
    """A key depends on every value and name, not on the order of names."""
    base = {"a": 1, "b": [1.5, "x"], "c": {"d": None}}
    same = key_of({"c": {"d": None}, "b": [1.5, "x"], "a": 1})
    others = [base | {"a": 2}, base | {"b": [1.5, "y"]}, base | {"e": 0}, base | {"c": {"d": 0}}]
    assert key_of(base) == same
    assert len({key_of(base), *map(key_of, others)}) == 5


class Record(pydantic.BaseModel):
    """What the tests read."""

    names: list[str]
    n: int


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ('{"schema": 1}', "names: Field required"),
        ('{"schema": 1, "names": null, "n": 1}', "names: Input should be a valid array"),
        ('{"schema": 1, "names": [3], "n": 1}', r"names\.0: Input should be a valid string"),
        ('{"schema": 1, "names": [], "n": "1"}', "n: Input should be a valid integer"),
        ('{"schema": 1, "names": [], "n": 1', "Invalid JSON: EOF"),
        ("[]", "Input should be an object"),
        ('{"schema": "1", "names": [], "n": 1}', "schema: Input should be a valid integer"),
    ],
)
def test_a_record_of_a_wrong_shape_is_a_line(tmp_path: Path, text: str, wrong: str) -> None:
    """JSON that holds something else is refused by path, key and what is wrong with it (fault 58)."""
    (tmp_path / "file.json").write_text(text)
    with pytest.raises(RunError, match=rf"file\.json: damaged \({wrong}.*compute the run again"):
        Folder(tmp_path).read_record("file.json", Record)


def test_no_flipped_bit_of_a_record_is_a_riddle(tmp_path: Path) -> None:
    """Whatever bit of a record is flipped, it is read, or refused in a sentence."""
    folder = Folder(tmp_path)
    folder.write_json("file.json", {"names": ["a", "b"], "n": 17})
    whole = (tmp_path / "file.json").read_bytes()
    refused = 0
    for place in range(len(whole) * 8):
        changed = bytearray(whole)
        changed[place // 8] ^= 1 << place % 8
        (tmp_path / "file.json").write_bytes(changed)
        try:
            folder.read_record("file.json", Record)
        except RunError:
            refused += 1
    assert refused > len(whole)


@pytest.mark.parametrize(
    ("code", "mend"),
    [
        (errno.ENOSPC, "free the place"),
        (errno.EDQUOT, "free the place"),
        (errno.EROFS, "make it writable"),
        (errno.EACCES, "make it writable"),
        (errno.EISDIR, "move what is there out of the way"),
    ],
)
def test_what_a_disk_refuses_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, mend: str
) -> None:
    """Each writer says which path, why, and what to do; what was there stands (fault 32)."""
    folder = Folder(tmp_path)
    folder.write_text("file", "old")

    def full(_: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", full)
    writers: tuple[Callable[[], None], ...] = (
        lambda: folder.write_text("file", "new"),
        lambda: folder.write_json("file", {}),
        lambda: folder.write_arrays("file", {"a": np.arange(3)}),
        lambda: folder.write_toml("file", {"a": 1}),
        lambda: folder.write_table("file", pd.DataFrame({"a": [1]})),
    )
    for write in writers:
        with pytest.raises(StorageError, match=rf"file: cannot be written \({os.strerror(code)}\); {mend}"):
            write()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "old"


def test_files_have_the_mode_that_the_umask_leaves(tmp_path: Path) -> None:
    """Who shares an output folder with others by their umask, shares its files."""
    before = os.umask(0o027)
    try:
        Folder(tmp_path).write_text("file", "x")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


def test_text_that_is_not_utf8_is_written_all_the_same(tmp_path: Path) -> None:
    """A path's stray bytes in a text are written as their code."""
    Folder(tmp_path).write_text("file", os.fsdecode(b"a\xffb"))
    assert (tmp_path / "file").read_bytes() == b"a\\udcffb"


def test_a_seal_is_asked_of_every_reader(tmp_path: Path) -> None:
    """Under a seal each way to read a file hands its content over first."""
    plain = Folder(tmp_path)
    plain.write_json("a.json", {"names": [], "n": 1})
    plain.write_arrays("b.npz", {"a": np.arange(3)})
    plain.write_text("c.csv", "x\n1\n")

    class Refusing:
        def check(self, path: Path, content: bytes | None) -> None:
            assert content == path.read_bytes()
            raise RunError(f"{path.name} is not believed")

    sealed = Folder(tmp_path, Refusing())
    for read in (
        lambda: sealed.read_json("a.json"),
        lambda: sealed.read_record("a.json", Record),
        lambda: sealed.read_arrays("b.npz"),
        lambda: sealed.read_rows("c.csv"),
        lambda: sealed.read_table("c.csv"),
    ):
        with pytest.raises(RunError, match="is not believed"):
            read()


def test_a_killed_writer_leaves_the_old_file_and_a_hidden_one(tmp_path: Path) -> None:
    """Killed between the first byte and the last, a file is what it was (fault 27)."""
    (tmp_path / "file").write_text("old")
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from harness.artifacts import files\n"
        "os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)\n"
        "files.write(Path(sys.argv[1]), b'new')\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "file")], check=False)
    assert done.returncode < 0
    assert (tmp_path / "file").read_text() == "old"
    hidden = [path for path in tmp_path.iterdir() if path.name != "file"]
    assert len(hidden) == 1
    assert files.digest_of(hidden[0]) != files.digest_of(tmp_path / "file")


def test_a_long_json_is_that_of_its_whole(tmp_path: Path) -> None:
    """What iterators give is a list, an empty one too, and stands on a line each."""
    Folder(tmp_path).write_long_json(
        "long.json", {"id": "é", "none": iter(()), "points": ({"n": one} for one in range(3)), "last": [1.5]}
    )
    text = (tmp_path / "long.json").read_text(encoding="utf-8")
    whole = {"schema": 1, "id": "é", "none": [], "points": [{"n": 0}, {"n": 1}, {"n": 2}], "last": [1.5]}
    assert json.loads(text) == whole
    assert '\n{"n": 1},\n' in text


def test_a_long_json_is_never_in_memory(tmp_path: Path) -> None:
    """A file of 4 MB is written by a process that holds less than a quarter of it."""
    tracemalloc.start()
    Folder(tmp_path).write_long_json("long.json", {"points": ({"text": "x" * 400} for _ in range(10_000))})
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (tmp_path / "long.json").stat().st_size > 4e6
    assert most < 1e6


def test_a_long_json_that_breaks_off_leaves_the_old_file(tmp_path: Path) -> None:
    """Neither half a file, nor one beside it."""
    (tmp_path / "long.json").write_text("old")
    with pytest.raises(ValueError, match="JSON has no nan"):
        Folder(tmp_path).write_long_json("long.json", {"points": iter([1.0, math.nan])})
    assert (tmp_path / "long.json").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["long.json"]
