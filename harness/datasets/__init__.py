"""Find images, verify them, load them: never more than was checked, never other data in silence."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import inspect
import os
import socket
import struct
import tempfile
import threading
import urllib.request
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from harness.config.values import named_place
from harness.datasets.checks import checked
from harness.datasets.data import Bytes as Bytes
from harness.datasets.data import Dataset as Dataset
from harness.errors import ConfigurationError, DataError
from harness.records import Floats
from harness.registry import Registry, suggestion

FASHION_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip

SYSTEM_FOLDER = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's and Ubuntu's package `dataset-fashion-mnist` installs the files."""

MINI_FOLDER = Path(__file__).parents[1] / "data" / "fashion-mnist-mini"

DOWNLOAD_SECONDS = 10.0
"""A download that has not begun by then is given up."""

_IMAGE_MAGIC, _LABEL_MAGIC = 2051, 2049


Loader = Callable[[Path | None], Dataset]
"""A loader takes the folder named by the user, or None, and returns verified data or raises DataError."""

datasets: Registry[Loader] = Registry("dataset", reserved=("auto",))


@dataclass(frozen=True)
class IdxFile:
    """One of the four files: its name, how many items it holds, and the SHA-256 of its content."""

    name: str
    count: int
    sha256: str

    @property
    def is_images(self) -> bool:
        """Whether it holds images, rather than labels."""
        return "images" in self.name

    @property
    def size(self) -> int:
        """Bytes of the decompressed content."""
        return 16 + self.count * 784 if self.is_images else 8 + self.count


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


def load(
    name: str, data_dir: str | Path | None = None, baseline: str | float | Floats | Path | None = None
) -> Dataset:
    """The data set of that name, verified, in the form that `Dataset` documents.

    Args:
        name: A registered name; `auto` takes `fashion-mnist` where it is found or can be downloaded, else
            `fashion-mnist-mini`, and says so in `notice`.
        data_dir: The first folder to look in.
        baseline: Where attributions start from, as `Dataset` has it; by default what the data set declares.

    Raises:
        ConfigurationError: no data set of that name.
        DataError: not found, found damaged, or unlike what `Dataset` documents; also of `auto`, which takes
            the small set for no other reason than absence.
    """
    folder = None if data_dir is None else named_place("--data-dir", data_dir)
    if name != "auto":
        if name not in datasets:
            raise ConfigurationError(f"unknown dataset {name!r}: {suggestion(name, ['auto', *datasets])}")
        return _loaded(name, folder, baseline)
    try:
        return _loaded("fashion-mnist", folder, baseline)
    except Absent as absent:
        mini = _loaded("fashion-mnist-mini", folder, baseline)
        notice = (
            "The full Fashion-MNIST was neither found nor downloaded: this run judges the small excerpt "
            f"{mini.name!r} ({len(mini.train_images)} training and {len(mini.test_images)} test images)."
        )
        return replace(mini, notice=f"{notice} {absent.download}")


def _loaded(name: str, data_dir: Path | None, baseline: str | float | Floats | Path | None) -> Dataset:
    """What the loader of that name gives, checked; with another baseline where one is asked for.

    Raises:
        DataError: it takes no folder, cannot read its files, or gives what `Dataset` does not document.
    """
    loader = datasets[name]
    try:
        inspect.signature(loader).bind(data_dir)
    except (TypeError, ValueError):
        raise DataError(
            f"data set {name!r}: its loader must be a function of the folder that the user names, or None "
            f"(got {loader!r:.60}); write it as: def {getattr(loader, '__name__', 'load')}(data_dir=None)"
        ) from None
    try:
        given = loader(data_dir)
        if baseline is not None and isinstance(given, Dataset):
            given = replace(given, baseline=baseline)
        return checked(name, given)
    except OSError as error:
        raise DataError(
            f"data set {name!r}: its files cannot be read: {error}; look at its loader"
        ) from error


class Absent(DataError):
    """The files are nowhere; `download` says why they could not be fetched either."""

    def __init__(self, message: str, download: str) -> None:
        super().__init__(message)
        self.download = download


@datasets.register("fashion-mnist")
def fashion_mnist(data_dir: Path | None = None) -> Dataset:
    """Fashion-MNIST (Xiao, Rasul and Vollgraf 2017): 60,000 training and 10,000 test images.

    Raises:
        DataError: absent (with the places looked in and the ways to get it), or unlike its digests.
    """
    for place in places(data_dir):
        folder = _folder_with_files(place)
        if folder is not None:
            return load_folder("fashion-mnist", folder, FASHION_MNIST)
    target = places(data_dir)[0]
    reason = _download(target)
    folder = _folder_with_files(target)
    if reason is None and folder is not None:
        return load_folder("fashion-mnist", folder, FASHION_MNIST)
    reason = reason or f"The download left no files in {target}."
    looked = "\n".join(f"  - {place}" for place in places(data_dir))
    raise Absent(
        f"Fashion-MNIST was not found. Looked in:\n{looked}\n{reason} Three ways to get it:\n"
        "  1. apt-get install dataset-fashion-mnist   (Debian, Ubuntu)\n"
        "  2. put the four IDX files (gzipped or not) in a folder and name it with --data-dir or "
        "HARNESS_DATA_DIR\n"
        "  3. run once with a network: torchvision's download is tried by itself\n"
        "Or judge the small excerpt that the package carries: --dataset fashion-mnist-mini",
        reason,
    )


@datasets.register("fashion-mnist-mini")
def fashion_mnist_mini(data_dir: Path | None = None) -> Dataset:  # noqa: ARG001 - it is always at hand
    """The excerpt that the package carries: 500 training and 200 test images of each class."""
    return load_folder("fashion-mnist-mini", MINI_FOLDER, FASHION_MNIST_MINI)


def places(data_dir: Path | None = None) -> list[Path]:
    """The folders where Fashion-MNIST is looked for, in order; a download goes to the first."""
    variable = os.environ.get("HARNESS_DATA_DIR")
    named = [data_dir, named_place("HARNESS_DATA_DIR", variable) if variable else None, Path("data")]
    return [place for place in named if place is not None] + [SYSTEM_FOLDER]


def _folder_with_files(place: Path) -> Path | None:
    """`place`, or torchvision's folder below it, if any of the four files is there.

    Raises:
        DataError: the place cannot be looked into, or torchvision's folder leads out of it.
    """
    try:
        for folder in (place, place / "FashionMNIST" / "raw"):
            if any((folder / f"{file.name}{end}").is_file() for file in FASHION_MNIST for end in ("", ".gz")):
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


def load_folder(name: str, folder: Path, files: tuple[IdxFile, ...]) -> Dataset:
    """The four IDX files of a folder (training images and labels, test images and labels), verified."""
    contents = {file.name: read_idx(folder, file) for file in files}
    train_images, train_labels, test_images, test_labels = contents.values()
    check_pair(_path(folder, files[1].name), train_images, train_labels, len(FASHION_CLASSES))
    check_pair(_path(folder, files[3].name), test_images, test_labels, len(FASHION_CLASSES))
    if train_images.shape == test_images.shape and np.array_equal(train_images, test_images):
        raise DataError(f"{folder}: training and test images are the same file; a test needs unseen images")
    for file in files:
        digest = _digest(contents[file.name], file)
        if digest != file.sha256:
            raise DataError(
                f"{_path(folder, file.name)}: damaged, or another set's file of the same name (MNIST's are "
                f"named alike): SHA-256 of the decompressed content must be {file.sha256} (got {digest}); "
                "fetch it anew, or name another folder with --data-dir"
            )
    return Dataset(
        name=name,
        train_images=train_images,
        train_labels=train_labels,
        test_images=test_images,
        test_labels=test_labels,
        classes=FASHION_CLASSES,
        shape=(28, 28),
        sha256={file.name: file.sha256 for file in files},
        source=str(folder),
    )


def _path(folder: Path, name: str) -> Path:
    """The file in the folder, gzipped or not.

    Raises:
        DataError: it is missing, or a link that leads out of the folder.
    """
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            if not path.resolve().is_relative_to(folder.resolve()):
                raise DataError(
                    f"{path}: leads out of the data folder, to {path.resolve()}; "
                    "copy the file there, or name that folder with --data-dir"
                )
            return path
    raise DataError(f"{folder / name}: missing, while other files of the set are there; fetch it anew")


def read_idx(folder: Path, file: IdxFile) -> Bytes:
    """The payload of one IDX file: uint8 [n, pixels] for images, [n] for labels.

    No more than the declared size is ever read, so a file that decompresses without end costs no memory.

    Raises:
        DataError: truncated, too long, wrong magic, or a header unlike the payload.
    """
    path = _path(folder, file.name)
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            content = stream.read(file.size + 1)
    except EOFError:
        raise DataError(
            f"{path}: truncated: the gzip stream ends early ({path.stat().st_size} bytes on disk, must "
            f"decompress to {file.size} bytes); fetch it anew"
        ) from None
    except (OSError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read: {error}; fetch it anew") from None
    header = 16 if file.is_images else 8
    if len(content) < header:
        raise DataError(f"{path}: truncated: must be {file.size} bytes (got {len(content)}); fetch it anew")
    magic, count, *sides = struct.unpack(f">{header // 4}i", content[:header])
    expected = _IMAGE_MAGIC if file.is_images else _LABEL_MAGIC
    if magic != expected:
        kind = "images" if file.is_images else "labels"
        raise DataError(
            f"{path}: magic number must be {expected} for IDX {kind} (got {magic}); fetch it anew"
        )
    if len(content) != file.size:
        got = f"more than {file.size}" if len(content) > file.size else str(len(content))
        raise DataError(f"{path}: content must be {file.size} bytes (got {got}); fetch it anew")
    declared = count * int(np.prod(sides)) if sides else count
    if (file.is_images and sides != [28, 28]) or declared != len(content) - header:
        raise DataError(
            f"{path}: header declares {' x '.join(map(str, [count, *sides]))} "
            f"but the payload has {len(content) - header} bytes; fetch it anew"
        )
    payload = np.frombuffer(content, dtype=np.uint8, offset=header)
    return payload.reshape(count, -1) if file.is_images else payload


def _digest(payload: Bytes, file: IdxFile) -> str:
    """SHA-256 of the file's whole content, its header rebuilt from the shape that was checked."""
    sides = (28, 28) if file.is_images else ()
    magic = _IMAGE_MAGIC if file.is_images else _LABEL_MAGIC
    header = struct.pack(f">{2 + len(sides)}i", magic, len(payload), *sides)
    return hashlib.sha256(header + payload.tobytes()).hexdigest()


def check_pair(path: Path, images: Bytes, labels: Bytes, classes: int) -> None:
    """Images and labels belong together; `path` is the labels' file.

    Raises:
        DataError: they differ in number, or a label names no class.
    """
    if len(images) != len(labels):
        raise DataError(
            f"{path}: {len(images)} images but {len(labels)} labels; they must be as many; fetch both anew"
        )
    if len(labels) and labels.max() >= classes:
        raise DataError(
            f"{path}: labels must be in 0..{classes - 1} (got {labels.max()} at position {labels.argmax()}); "
            "fetch it anew"
        )


def _download(folder: Path) -> str | None:
    """Fetch the set through torchvision; the reason in words where that did not work.

    The files come into `folder` when all are there: what broke off would pass for damaged data next time.
    """
    from torchvision.datasets import FashionMNIST

    begun, problem = threading.Event(), ["no answer"]

    def knock() -> None:
        try:
            url = f"{FashionMNIST.mirrors[0]}{FashionMNIST.resources[0][0]}"
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
        target = folder / "FashionMNIST" / "raw"
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".download-") as part:
            FashionMNIST(part, download=True)
            for file in (Path(part) / "FashionMNIST" / "raw").glob("*"):
                file.replace(target / file.name)
    except (OSError, RuntimeError, http.client.HTTPException) as error:
        return f"The download failed ({error})."
    finally:
        socket.setdefaulttimeout(patience)
    return None
