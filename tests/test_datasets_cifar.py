"""CIFAR-10 is read from its binary archive as it was verified, and nothing of it is executed."""

from __future__ import annotations

import hashlib
import io
import tarfile
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness import datasets
from harness.datasets import cifar, fetching
from harness.datasets.cifar import CLASSES, FEATURES, MEMBERS, Archive, load_archive
from harness.errors import DataError

FETCH = fetching.fetch
N = 4
RECORDS = np.random.default_rng(0).integers(0, 256, (6, N, 1 + FEATURES), dtype=np.uint8)
RECORDS[:, :, 0] %= 10


def packed(members: dict[str, bytes]) -> bytes:
    """A gzipped archive of these files in a folder, as it is published."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


SOUND = {name: records.tobytes() for name, records in zip(MEMBERS, RECORDS, strict=True)}
CONTENT = packed(SOUND | {"readme.html": b"?", "batches.meta.txt": b"airplane\n"})


def declared(content: bytes) -> Archive:
    return Archive(
        "cifar.tar.gz", "https://x.invalid/c", len(content), hashlib.sha256(content).hexdigest(), N
    )


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder where a small archive passes for the real one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cifar, "CIFAR10", declared(CONTENT))
    return tmp_path


def test_an_archive_gives_its_records(small: Path) -> None:
    """Five batches to train on, one for the test, channels before rows and columns."""
    (small / "data").mkdir()
    (small / "data/cifar.tar.gz").write_bytes(CONTENT)
    found = datasets.load("cifar10")
    assert found.form.axes == ("channel", "row", "column")
    assert (found.shape, found.classes) == ((3, 32, 32), CLASSES)
    assert np.array_equal(found.train_images, RECORDS[:5].reshape(-1, 1 + FEATURES)[:, 1:])
    assert np.array_equal(found.test_labels, RECORDS[5, :, 0])


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT + b"0", CONTENT[:-1] + b"0"])
def test_an_archive_unlike_its_digest_is_not_opened(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut, longer, or of one other byte."""
    monkeypatch.setattr(tarfile, "open", None)
    (tmp_path / "c").write_bytes(content)
    with pytest.raises(DataError, match=r"must be \S+( bytes)? \(got .*fetch it anew"):
        load_archive(tmp_path / "c", declared(CONTENT))


@pytest.mark.parametrize(
    "members",
    [
        {name: content for name, content in SOUND.items() if name != MEMBERS[3]},
        SOUND | {MEMBERS[0]: SOUND[MEMBERS[0]][:-1]},
        SOUND | {MEMBERS[5]: SOUND[MEMBERS[5]] * 2},
    ],
)
def test_a_member_that_is_gone_or_of_another_size_is_refused(
    members: dict[str, bytes], tmp_path: Path
) -> None:
    """Whatever digest is declared."""
    content = packed(members)
    (tmp_path / "c").write_bytes(content)
    with pytest.raises(DataError, match=rf"must hold {N} images in \w+\.bin"):
        load_archive(tmp_path / "c", declared(content))


def test_an_archive_that_is_none_is_refused(tmp_path: Path) -> None:
    """Also where its digest is the declared one."""
    (tmp_path / "c").write_bytes(b"no archive")
    with pytest.raises(DataError, match="cannot be read"):
        load_archive(tmp_path / "c", declared(b"no archive"))


def test_an_absent_archive_tells_where_to_put_which(small: Path) -> None:
    """The places looked in, the address, and why it was not fetched."""
    with pytest.raises(datasets.Absent) as caught:
        datasets.load("cifar10", small / "mine")
    for part in (str(small / "mine"), "https://x.invalid/c", "no download to", "--data-dir"):
        assert part in str(caught.value)


def test_a_download_is_kept_whole_or_not_at_all(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What broke off leaves nothing behind; what came is verified like any other."""
    monkeypatch.setattr(fetching, "fetch", FETCH)

    class Broken(io.BytesIO):
        def read(self, *_: Any) -> bytes:
            raise OSError("connection lost")

    answers = [Broken(), io.BytesIO(CONTENT[:-1] + b"0"), io.BytesIO(CONTENT)]

    def urlopen(_: str, timeout: float | None = None) -> io.BytesIO:
        return io.BytesIO(b"knocked") if timeout else answers.pop(0)

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    with pytest.raises(datasets.Absent, match=r"The download failed \(connection lost\)"):
        datasets.load("cifar10")
    assert list((small / "data").iterdir()) == []
    with pytest.raises(DataError, match="SHA-256 must be"):
        datasets.load("cifar10")
    (small / "data/cifar.tar.gz").unlink()
    assert len(datasets.load("cifar10").train_images) == 5 * N
