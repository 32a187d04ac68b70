"""Find data, verify it, load it: never more than was checked, never other data in silence."""

from __future__ import annotations

import inspect
from dataclasses import replace
from pathlib import Path

from harness.config.values import named_place
from harness.datasets import cifar as cifar
from harness.datasets import packages as packages
from harness.datasets.checks import checked
from harness.datasets.data import Bytes as Bytes
from harness.datasets.data import Dataset as Dataset
from harness.datasets.idx import IdxFile as IdxFile
from harness.datasets.idx import load_folder as load_folder
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
