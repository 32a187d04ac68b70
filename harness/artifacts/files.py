"""Files on disk: written whole or not at all, and read with a sentence where they are not what they were.

What is written stands at its place once it is whole and flushed; a killed process leaves at most a hidden
file, which bears its owner's name and is swept when that is gone (`staging`).
"""

from __future__ import annotations

import csv
import errno
import hashlib
import io
import json
import math
import os
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import pydantic
import tomli_w

from harness.artifacts.staging import hidden_name, hold
from harness.errors import RunError, StorageError

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 1
"""The schema version that JSON files bear; a file of a newer one is refused by name."""

Array = npt.NDArray[Any]
T = TypeVar("T")


class Seal(Protocol):
    """Who knows what the files of a folder were."""

    def check(self, path: Path, content: bytes | None) -> None:
        """Refuse content that is not what stood at the path; None where nothing is there.

        Raises:
            RunError: it is not.
        """


@contextmanager
def storing(path: Path) -> Iterator[None]:
    """Inside, what the disk refuses is a sentence.

    Raises:
        StorageError: an OSError, told with the path and what to do.
    """
    try:
        yield
    except OSError as error:
        raise StorageError.of(path, error) from error


def write(path: Path, content: bytes | Iterable[bytes]) -> None:
    """Let `path` hold `content`, or all of its parts, whole; until then it holds what it held.

    Raises:
        StorageError: the disk is full, or the place cannot be written to.
    """
    with storing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        staged = path.with_name(hidden_name(path.name))
        # by the mode that the umask leaves, so that nothing has to be changed after
        handle = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        try:
            try:
                hold(handle)
                with os.fdopen(handle, "wb", closefd=False) as stream:
                    stream.writelines((content,) if isinstance(content, bytes) else content)
                _flush(handle)
            finally:
                os.close(handle)
            staged.replace(path)
        except BaseException:
            with suppress(OSError):
                staged.unlink(missing_ok=True)
            raise


def _flush(handle: int) -> None:
    """Let a file's content reach the disk, where the file system knows how."""
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
            raise


def plain_json(value: Any) -> Any:
    """`value` as JSON holds it. A number that is not finite is a bug of the caller: null needs a reason."""
    if isinstance(value, Mapping):
        return {str(key): plain_json(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain_json(inner) for inner in value]
    if isinstance(value, np.generic):
        return plain_json(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"JSON has no {value}; write null and a reason")
    return value


def _in_parts(values: Mapping[str, Any]) -> Iterator[str]:
    """A JSON object, key by key, and what an iterator gives one by one."""
    opening = "{"
    for key, value in values.items():
        yield f"{opening}\n{_as_line(key)}: "
        opening = ","
        if not isinstance(value, Iterator):
            yield _as_line(value)
            continue
        record = "["
        for one in value:
            yield f"{record}\n{_as_line(one)}"
            record = ","
        yield "[]" if record == "[" else "\n]"
    yield "\n}\n"


def _as_line(value: Any) -> str:
    return json.dumps(plain_json(value), ensure_ascii=False, allow_nan=False)


def digest_of(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as stream:
        digest = hashlib.sha256()
        while part := stream.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()


def key_of(parts: Mapping[str, Any]) -> str:
    """A short digest of everything a stage depends on."""
    return digest_of_values(parts)[:24]


def digest_of_values(values: Mapping[str, Any]) -> str:
    """SHA-256 of values as JSON, whatever the order of their keys."""
    text = json.dumps(plain_json(values), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


class Folder:
    """Reads and writes files below one folder; where it has a seal, it reads only what was sealed."""

    seal: Seal | None = None

    def __init__(self, path: Path, seal: Seal | None = None) -> None:
        """`path` need not exist yet."""
        self.path = path
        if seal is not None:
            self.seal = seal

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def write_text(self, name: str, text: str) -> None:
        """Write a text file; what UTF-8 cannot hold, such as a path's stray bytes, is written as its code."""
        write(self / name, text.encode("utf-8", "backslashreplace"))

    def write_json(self, name: str, values: Mapping[str, Any]) -> None:
        """Write a JSON file that bears the schema version."""
        text = json.dumps(
            {"schema": SCHEMA} | plain_json(values), indent=2, ensure_ascii=False, allow_nan=False
        )
        self.write_text(name, text + "\n")

    def write_long_json(self, name: str, values: Mapping[str, Any]) -> None:
        """The same, a line a key; an iterator's records are taken, and written, one by one, a line each."""
        self.write_parts(name, _in_parts({"schema": SCHEMA, **values}))

    def write_parts(self, name: str, parts: Iterable[str]) -> None:
        """Write a text file of parts that are never in memory together."""
        write(self / name, (part.encode("utf-8", "backslashreplace") for part in parts))

    def write_arrays(self, name: str, arrays: Mapping[str, Array]) -> None:
        """Write an .npz file."""
        with self.writing(name) as stream:
            np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]

    def write_table(self, name: str, table: pd.DataFrame) -> None:
        """Write a CSV file; numbers keep every digit."""
        self.write_text(name, table.to_csv(index=False, lineterminator="\n"))

    def write_toml(self, name: str, values: Mapping[str, Any]) -> None:
        """Write a TOML file."""
        self.write_text(name, tomli_w.dumps(values))

    @contextmanager
    def writing(self, name: str) -> Iterator[IO[bytes]]:
        """A stream for a file of another format, in memory: some writers hide why a disk refuses."""
        stream = io.BytesIO()
        yield stream
        write(self / name, stream.getvalue())

    def read(self, name: str) -> bytes:
        """A file's content, as it was sealed where it was.

        Raises:
            RunError: it is missing, cannot be read, or is not what was sealed.
        """
        path = self / name
        if not path.is_file():
            if self.seal is not None:
                self.seal.check(path, None)
            raise RunError(f"{path}: missing; the run is not whole, compute it again")
        try:
            content = path.read_bytes()
        except OSError as error:
            raise RunError(f"{path}: cannot be read ({error.strerror or error})") from None
        if self.seal is not None:
            self.seal.check(path, content)
        return content

    def read_json(self, name: str) -> dict[str, Any]:
        """Read a JSON file as it is.

        Raises:
            RunError: missing, damaged, or of a newer schema.
        """
        return self._read_shape(name, _OBJECT)

    def read_record(self, name: str, shape: type[T]) -> T:
        """Read a JSON file as a record, which pydantic checks.

        Raises:
            RunError: missing, damaged, of another shape, or of a newer schema.
        """
        return self._read_shape(name, adapter(shape))

    def _read_shape(self, name: str, shape: pydantic.TypeAdapter[T]) -> T:
        content, path = self.read(name), self / name
        try:
            schema = _SCHEMED.validate_json(content, strict=True).schema_
            if schema <= SCHEMA:
                return shape.validate_json(content, strict=True)
        except pydantic.ValidationError as error:
            raise RunError(f"{path}: damaged ({what_is_wrong(error)}); compute the run again") from None
        raise RunError(
            f"{path}: schema {schema} is newer than this harness knows ({SCHEMA}); use a newer harness"
        )

    def read_arrays(self, name: str, only: Collection[str] | None = None) -> dict[str, Array]:
        """Read an .npz file of plain arrays; of `only` those that are there, and no other is unpacked.

        Raises:
            RunError: missing or damaged.
        """
        content = self.read(name)
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                return {key: arrays[key] for key in arrays if only is None or key in only}
        except Exception as error:  # numpy and zipfile raise errors of many kinds for a damaged archive
            raise RunError(f"{self / name}: damaged ({error}); compute the run again") from None

    def read_rows(self, name: str) -> list[dict[str, str]]:
        """Read a CSV file as its rows, every cell as text: without pandas, which takes a second to import.

        Raises:
            RunError: missing or damaged.
        """
        content = self.read(name)
        try:
            return list(csv.DictReader(io.StringIO(content.decode(), newline=""), strict=True))
        except (ValueError, csv.Error) as error:
            raise RunError(f"{self / name}: damaged ({error}); compute the run again") from None

    def read_table(self, name: str) -> pd.DataFrame:
        """Read a CSV file; only empty cells are missing values, so a class may be called `None`."""
        import pandas as pd  # takes a second, and judging needs no table

        content = self.read(name)
        try:
            return pd.read_csv(io.BytesIO(content), keep_default_na=False, na_values=[""])
        except ValueError as error:
            raise RunError(f"{self / name}: damaged ({error}); compute the run again") from None


class _Schemed(pydantic.BaseModel):
    schema_: int = pydantic.Field(alias="schema")


_SCHEMED = pydantic.TypeAdapter(_Schemed)
_OBJECT = pydantic.TypeAdapter(dict[str, Any])
_ADAPTERS: dict[type, pydantic.TypeAdapter[Any]] = {}


def adapter(shape: type[T]) -> pydantic.TypeAdapter[T]:
    """Pydantic's check of a shape, made once."""
    if shape not in _ADAPTERS:
        _ADAPTERS[shape] = pydantic.TypeAdapter(shape)
    return _ADAPTERS[shape]


def what_is_wrong(error: pydantic.ValidationError) -> str:
    """The first thing that is wrong with a record: where, and what."""
    first = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else str(first["msg"])


def shipped(folder: str) -> Path:
    """`templates` or `validation`: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    for place in (package / folder, package.parent / folder):
        if place.is_dir():
            return place
    raise RunError(f"the installation lacks its folder {folder!r}; install the harness again ({sys.prefix})")
