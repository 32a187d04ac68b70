"""Files that may be gzipped, read no further than their declared size."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from harness.errors import DataError


def read_packed(path: Path, size: int, mend: str = "fetch it anew") -> bytes:
    """The content of a file, decompressed where its name ends in `.gz`.

    No more than one byte over the declared size is ever read, so a file that decompresses without end costs
    no memory; whoever asked sees by the length, or the digest, that it is longer.

    Args:
        path: The file.
        size: Bytes that its content must have.
        mend: What to do about a damaged one, for messages.

    Raises:
        DataError: it ends early, or cannot be read.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            return stream.read(size + 1)
    except EOFError:
        raise DataError(
            f"{path}: truncated: the gzip stream ends early ({path.stat().st_size} bytes on disk, must "
            f"decompress to {size} bytes); {mend}"
        ) from None
    except (OSError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read: {error}; {mend}") from None
