"""The run directory and the cache: the only module that knows paths, formats and schema versions.

Every file is written beside its place, flushed to disk, and renamed into it: a killed run leaves nothing
half-written.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import tomli_w

from harness import config as configuration
from harness.config import Config
from harness.errors import ConfigurationError, OutputError, RunError
from harness.records import Estimate, Provenance, Verdict
from harness.values import named_place

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 1
"""The schema version that JSON files bear; a file of a newer one is refused by name."""

SEALS = "seals.json"
UNREPEATABLE = "unrepeatable.json"

Array = npt.NDArray[Any]


@contextmanager
def _written(path: Path) -> Iterator[IO[bytes]]:
    """A stream whose content stands at `path` once it is whole, and not before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _plain(value: Any) -> Any:
    """`value` as JSON holds it. A number that is not finite is a bug of the caller: null needs a reason."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"JSON has no {value}; write null and a reason")
    return value


def digest_of(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as stream:
        digest = hashlib.sha256()
        while part := stream.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()


def key_of(parts: Mapping[str, Any]) -> str:
    """A short digest of everything a stage depends on."""
    text = json.dumps(_plain(parts), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


class Folder:
    """Reads and writes files below one folder."""

    def __init__(self, path: Path) -> None:
        """`path` need not exist yet."""
        self.path = path

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def write_text(self, name: str, text: str) -> None:
        """Write a text file."""
        with _written(self / name) as stream:
            stream.write(text.encode())

    def write_json(self, name: str, values: Mapping[str, Any]) -> None:
        """Write a JSON file that bears the schema version."""
        text = json.dumps({"schema": SCHEMA} | _plain(values), indent=2, ensure_ascii=False, allow_nan=False)
        self.write_text(name, text + "\n")

    def write_arrays(self, name: str, arrays: Mapping[str, Array]) -> None:
        """Write an .npz file."""
        with _written(self / name) as stream:
            np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]

    def write_table(self, name: str, table: pd.DataFrame) -> None:
        """Write a CSV file; numbers keep every digit."""
        self.write_text(name, table.to_csv(index=False, lineterminator="\n"))

    def write_toml(self, name: str, values: Mapping[str, Any]) -> None:
        """Write a TOML file."""
        self.write_text(name, tomli_w.dumps(values))

    @contextmanager
    def writing(self, name: str) -> Iterator[IO[bytes]]:
        """A stream for a file of another format."""
        with _written(self / name) as stream:
            yield stream

    def _existing(self, name: str) -> Path:
        path = self / name
        if not path.is_file():
            raise RunError(f"{path}: missing; the run is not whole, compute it again")
        return path

    def read_json(self, name: str) -> dict[str, Any]:
        """Read a JSON file.

        Raises:
            RunError: missing, damaged, or of a newer schema.
        """
        path = self._existing(name)
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            schema = int(values["schema"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(f"{path}: damaged ({error}); compute the run again") from None
        if schema > SCHEMA:
            raise RunError(
                f"{path}: schema {schema} is newer than this harness knows ({SCHEMA}); use a newer harness"
            )
        return dict(values)

    def read_arrays(self, name: str, only: Collection[str] | None = None) -> dict[str, Array]:
        """Read an .npz file of plain arrays; of `only` those that are there, and no other is unpacked.

        Raises:
            RunError: missing or damaged.
        """
        path = self._existing(name)
        try:
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
                return {key: arrays[key] for key in arrays if only is None or key in only}
        except Exception as error:  # numpy and zipfile raise errors of many kinds for a damaged archive
            raise RunError(f"{path}: damaged ({error}); compute the run again") from None

    def read_rows(self, name: str) -> list[dict[str, str]]:
        """Read a CSV file as its rows, every cell as text: without pandas, which takes a second to import.

        Raises:
            RunError: missing or damaged.
        """
        path = self._existing(name)
        try:
            with path.open(encoding="utf-8", newline="") as stream:
                return list(csv.DictReader(stream, strict=True))
        except (ValueError, OSError, csv.Error) as error:
            raise RunError(f"{path}: damaged ({error}); compute the run again") from None

    def read_table(self, name: str) -> pd.DataFrame:
        """Read a CSV file; only empty cells are missing values, so a class may be called `None`."""
        import pandas as pd  # takes a second, and judging needs no table

        path = self._existing(name)
        try:
            return pd.read_csv(path, keep_default_na=False, na_values=[""])
        except (ValueError, OSError) as error:
            raise RunError(f"{path}: damaged ({error}); compute the run again") from None


class RunDirectory(Folder):
    """One run's folder; the README lists its files."""

    @classmethod
    def create(cls, output: Path, commit: str, now: datetime | None = None) -> RunDirectory:
        """A new folder `runs/<UTC time>-<commit>`, made exclusively: two runs never share one.

        Raises:
            OutputError: the folder cannot be written to.
        """
        now = now or datetime.now(timezone.utc)
        name = f"{now:%Y%m%dT%H%M%SZ}-{commit}"
        try:
            for folder in ("runs", "cache"):
                (output / folder).mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryFile(dir=output / folder):
                    pass
            if (output / "latest").exists() and not (output / "latest").is_symlink():
                raise OutputError(f"{output / 'latest'}: must be a link, and is none; move it out of the way")
            for number in range(1, 1000):
                path = output / "runs" / (name if number == 1 else f"{name}-{number}")
                with suppress(FileExistsError):
                    path.mkdir()
                    return cls(path)
        except OSError as error:
            raise OutputError(
                f"--output {output}: cannot be written to ({error.strerror}); name another folder"
            ) from None
        raise OutputError(f"--output {output}: a thousand runs bear the name {name}; try again in a second")

    @classmethod
    def open(cls, path: str | Path) -> RunDirectory:
        """An existing run directory, or a link to one such as `artifacts/latest`.

        Raises:
            ConfigurationError: there is none.
        """
        path = Path(os.path.realpath(named_place("RUN", path)))
        if not os.path.isfile(path / "environment.json"):  # noqa: PTH113 - a name may be too long for pathlib
            raise ConfigurationError(f"{path}: is no run directory (it has no environment.json)")
        return cls(path)

    def link_latest(self) -> None:
        """Let `latest`, beside `runs`, point here, unless it points to a newer run with a verdict."""
        output = self.path.parent.parent
        current = (output / "latest").resolve()
        if current.name > self.path.name and (current / "verdict.json").is_file():
            return
        staged = output / f".latest.{self.path.name}"
        staged.unlink(missing_ok=True)
        staged.symlink_to(self.path.relative_to(output), target_is_directory=True)
        staged.replace(output / "latest")

    def seed(self, seed: int) -> Folder:
        """The folder of one seed's files."""
        return Folder(self / f"seed-{seed}")

    def write_config(self, config: Config) -> None:
        """`config.toml`: every default spelled out."""
        self.write_toml("config.toml", config.as_toml_values())

    def read_config(self) -> Config:
        """The run's own configuration."""
        return configuration.load(self._existing("config.toml"))

    def write_provenance(self, provenance: Provenance) -> None:
        """`environment.json`."""
        self.write_json("environment.json", asdict(provenance))

    def read_provenance(self) -> Provenance:
        """The run's provenance."""
        values = self.read_json("environment.json")
        try:
            # a run from before these keys were there is read all the same
            values = {"gate": "", "git": ""} | values
            return Provenance(**{name: values[name] for name in Provenance.__dataclass_fields__})
        except KeyError as error:
            raise RunError(
                f"{self / 'environment.json'}: {error} is missing; compute the run again"
            ) from None

    def write_estimates(self, estimates: Sequence[Estimate]) -> None:
        """`estimates.json`, and `metrics.csv`, its twin for spreadsheets."""
        import pandas as pd

        rows = [estimate.as_json() for estimate in estimates]
        self.write_json("estimates.json", {"estimates": rows})
        table = pd.DataFrame(rows, columns=list(Estimate.__dataclass_fields__))
        table = table.rename(columns={"name": "measurement"})
        table["seed"] = ["all" if row["seed"] is None else row["seed"] for row in rows]
        self.write_table(
            "metrics.csv", table[["measurement", "seed", "estimate", "low", "high", "n", "unit"]]
        )

    def read_estimates(self) -> list[Estimate]:
        """The run's estimates, of each seed and of all together; none where nothing was estimated."""
        if not (self / "estimates.json").is_file():
            return []
        return [Estimate(**row) for row in self.read_json("estimates.json")["estimates"]]

    def read_verdict(self) -> dict[str, Any] | None:
        """`verdict.json` with its criteria as records; None where the run was not judged.

        Raises:
            RunError: it is damaged, or of another run.
        """
        if not (self / "verdict.json").is_file():
            return None
        values = self.read_json("verdict.json")
        mine = self.read_provenance().run_id
        if values.get("run_id") != mine:
            raise RunError(
                f"{self / 'verdict.json'}: is the verdict of another run: must be of {mine!r} "
                f"(got {values.get('run_id')!r}); judge the run again: harness judge {self.path}"
            )
        try:
            return values | {"criteria": [Verdict.from_json(row) for row in values["criteria"]]}
        except (KeyError, TypeError) as error:
            raise RunError(f"{self / 'verdict.json'}: damaged ({error}); judge the run again") from None


class Cache:
    """Folders of finished stages, `cache/<stage>/<key>`, each sealed with the digests of its files.

    An entry is used only if every file is as it was sealed: one that was truncated, edited or is foreign
    is thrown away and computed anew.
    """

    def __init__(self, output: Path, *, fresh: bool = False) -> None:
        """`fresh` finds nothing, and replaces what was there."""
        self.path = output / "cache"
        self.fresh = fresh

    def find(self, stage: str, key: str) -> Folder | None:
        """The entry, if it is whole. A damaged one is thrown away: `damaged` tells beforehand."""
        entry = self.path / stage / key
        if self.fresh or not entry.is_dir():
            return None
        if self.damaged(stage, key):
            shutil.rmtree(entry)
            return None
        return Folder(entry)

    def damaged(self, stage: str, key: str) -> bool:
        """Whether there is an entry whose files are not those that were sealed, and as they were."""
        entry = self.path / stage / key
        if self.fresh or not entry.is_dir():
            return False
        try:
            seals = json.loads((entry / SEALS).read_text(encoding="utf-8"))
            sealed = seals["files"].items()
            there = {str(path.relative_to(entry)) for path in entry.rglob("*") if path.is_file()}
            whole = seals["key"] == key and sealed and there == {SEALS, *seals["files"]}
            return not whole or any(digest_of(entry / name) != digest for name, digest in sealed)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return True

    def found_or_made(self, stage: str, key: str, fill: Callable[[Folder], None]) -> Folder:
        """The entry; `fill` makes its files where there is none."""
        entry = self.find(stage, key)
        if entry is None:
            with self.making(stage, key) as made:
                fill(made)
            entry = Folder(self.path / stage / key)
        return entry

    @contextmanager
    def making(self, stage: str, key: str) -> Iterator[Folder]:
        """A folder to fill; it becomes the entry when the block ends well, and vanishes otherwise."""
        place = self.path / stage
        place.mkdir(parents=True, exist_ok=True)
        staged = Path(tempfile.mkdtemp(prefix=f".{key}.", dir=place))
        try:
            yield Folder(staged)
            files = {
                str(path.relative_to(staged)): digest_of(path)
                for path in sorted(staged.rglob("*"))
                if path.is_file()
            }
            Folder(staged).write_json(SEALS, {"key": key, "files": files})
            staged.chmod(0o755)
            entry = place / key
            if entry.exists():
                shutil.rmtree(entry)
            with suppress(FileExistsError):
                staged.rename(entry)
        finally:
            shutil.rmtree(staged, ignore_errors=True)


def share(entry: Folder, target: Path) -> None:
    """Put a cache entry's files under `target`, as hard links where the file system has them."""
    for path in sorted(entry.path.rglob("*")):
        if path.is_file() and path.name != SEALS:
            place = target / path.relative_to(entry.path)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.unlink(missing_ok=True)
            try:
                os.link(path, place)
            except OSError:
                shutil.copy2(path, place)


def shipped(folder: str) -> Path:
    """`templates` or `validation`: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parent
    for place in (package / folder, package.parent / folder):
        if place.is_dir():
            return place
    raise RunError(f"the installation lacks its folder {folder!r}; install the harness again ({sys.prefix})")
