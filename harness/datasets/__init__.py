"""Find data, verify it, load it: never more than was checked, never other data in silence."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harness.config.values import named_place
from harness.datasets import cifar as cifar
from harness.datasets import made as made
from harness.datasets import packages as packages
from harness.datasets.checks import checked
from harness.datasets.data import Bytes as Bytes
from harness.datasets.data import Dataset as Dataset
from harness.datasets.idx import IdxFile as IdxFile
from harness.datasets.idx import load_folder as load_folder
from harness.datasets.own import Settings, read
from harness.datasets.own import is_path as is_path
from harness.datasets.published import FASHION_CLASSES as FASHION_CLASSES
from harness.datasets.published import FASHION_MNIST as FASHION_MNIST
from harness.datasets.published import fashion_mnist as fashion_mnist
from harness.datasets.published import fashion_mnist_mini as fashion_mnist_mini
from harness.datasets.registered import Absent as Absent
from harness.datasets.registered import Loader as Loader
from harness.datasets.registered import datasets as datasets
from harness.datasets.registered import downloading as downloading
from harness.errors import ConfigurationError, DataError
from harness.records import Floats
from harness.registry import suggestion


def is_own(name: object) -> bool:
    """Whether a data set's name is the path of data of one's own, and not a registered name that looks so."""
    return is_path(name) and name not in datasets


def kept(name: str) -> str:
    """The name by which a run keeps its data set: of a path the whole, which is the same from anywhere.

    Raises:
        ConfigurationError: it names no place.
    """
    return str(named_place("data.dataset", name).absolute()) if is_own(name) else name


def load(
    name: str,
    data_dir: str | Path | None = None,
    baseline: str | float | Floats | Path | None = None,
    *,
    test_share: float | None = None,
    image_size: Sequence[int] | None = None,
    label_column: str | None = None,
    axes: Sequence[str] | None = None,
) -> Dataset:
    """The data set of that name, verified, in the form that `Dataset` documents.

    Args:
        name: A registered name, or the path of data of one's own: a folder of images by class (with a slash
            in it), an .npz, .csv or .ts file. `auto` takes `fashion-mnist` where it is found or can be
            downloaded, else `fashion-mnist-mini`, and says so in `notice`.
        data_dir: The first folder to look in.
        baseline: Where attributions start from, as `Dataset` has it; by default what the data set declares.
        test_share: Of data by path without a test, the share of each class that is held back for it.
        image_size: Of images by path, rows and columns to stretch them to, or one number for both.
        label_column: Of a .csv by path, the label's column by name or position.
        axes: Of arrays by path, the names of their axes after the first.

    Raises:
        ConfigurationError: no data set of that name, or a setting that plays no part in it.
        DataError: not found, found damaged, or unlike what `Dataset` documents; also of `auto`, which takes
            the small set for no other reason than absence.
    """
    folder = None if data_dir is None else named_place("--data-dir", data_dir)
    settings = Settings(test_share, image_size, label_column, axes)
    if is_own(name):
        return _checked(name, read(name, settings), baseline)
    settings.refuse(f"data set {name!r}", "only data by path has it")
    if name != "auto":
        if name not in datasets:
            beside = isinstance(name, str) and name.strip() and Path(name).exists()
            mend = f"a folder of your own is named with its slash: {name}/" if beside else ""
            mend = mend or suggestion(name, ["auto", *datasets])
            raise ConfigurationError(f"unknown dataset {name!r}: {mend}")
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
        return _checked(name, loader(data_dir), baseline)
    except OSError as error:
        raise DataError(
            f"data set {name!r}: its files cannot be read: {error}; look at its loader"
        ) from error


def _checked(name: str, given: object, baseline: str | float | Floats | Path | None) -> Dataset:
    """What was given in the form that `Dataset` documents, with another baseline where one is asked for."""
    if baseline is not None and isinstance(given, Dataset):
        given = replace(given, baseline=baseline)
    return checked(name, given)
