"""A release, proved: built twice to the same bytes, checked, and run on Pythons that never saw the checkout.

    python -m tools.release [--quick] [--out dist]

It needs a git checkout, uv, and what `nox -s release` installs. `--quick` takes this Python alone.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import harness

ROOT = Path(__file__).parents[1]
VERSIONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
"""The Pythons that are supported, the oldest first."""

WANTED = (
    *(
        "LICENSE",
        "README.md",
        "CHANGELOG.md",
        "CITATION.cff",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "pyproject.toml",
    ),
    *("noxfile.py", ".ci/run", "docs/gate.md", "harness/__init__.py", "templates/report.html.j2"),
    *("tests/conftest.py", "tools/release.py", "validation/test_accuracy.py"),
    *("tests/plugin/pyproject.toml", "tests/plugin/harness.toml", "harness/py.typed"),
)
"""Files that the source distribution must have."""

UNWANTED = ("artifacts", "data", "dist", "build", ".git", ".nox", ".venv")
"""Folders at the top that it must not have."""

JOB = (
    *("validate", "--dataset", "fashion-mnist-mini", "--epochs", "3", "--classifier-epochs", "20"),
    *("--confidence", "0.5", "--batch-size", "64", "--quiet"),
)


def main() -> None:
    """Prove a release of the working tree; its files are left in a folder."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="install on this Python alone")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="where the files are left")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="release-") as made:
        place = Path(made)
        files = same(
            built(place / "one", umask=0o022, mtime=1_000_000_000, options=()),
            # straight from the tree, where the first wheel is made of the unpacked source distribution
            built(place / "two and more", umask=0o077, mtime=1_700_000_000, options=("--sdist", "--wheel")),
        )
        for name, digest in digests(files).items():
            print(f"{digest}  {name}", flush=True)
        (source,) = (path for path in files if path.name.endswith(".tar.gz"))
        (wheel,) = (path for path in files if path.suffix == ".whl")
        with tarfile.open(source) as packed:
            if strange := missing_or_strange(packed.getnames()):
                sys.exit(f"{source.name}: {'; '.join(strange)}")
        run("twine", "check", "--strict", *map(str, files))
        for python in [sys.executable] if given.quick else pythons():
            install_and_run(python, wheel, Path(tempfile.mkdtemp(dir=place)))
        given.out.mkdir(parents=True, exist_ok=True)
        for path in files:
            shutil.copy(path, given.out)
    print(f"{harness.__version__} is in {given.out}")


def run(module: str, *arguments: str, folder: Path = ROOT, umask: int = -1, **variables: str) -> None:
    """A module of this Python as a command; the program ends where it fails."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=folder,
        env=os.environ | variables,
        umask=umask,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{module} {' '.join(arguments)}: ended with {done.returncode}")


def built(folder: Path, umask: int, mtime: int, options: Sequence[str]) -> list[Path]:
    """Both distributions of a copy of the working tree, made under a umask, of files of a time."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    tree = folder / "tree"
    before = os.umask(umask)
    try:
        for name in filter(None, listed.stdout.decode().split("\0")):
            if (ROOT / name).is_file():  # one that is removed and not yet committed is listed, too
                target = tree / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, target)
                target.chmod(((ROOT / name).stat().st_mode | 0o600) & ~umask)
                os.utime(target, (mtime, mtime))
    finally:
        os.umask(before)
    run(
        *("build", "--no-isolation", "--outdir", str(folder / "dist"), *options, str(tree)),
        umask=umask,
        PYTHONHASHSEED=str(mtime % 1000),
        TZ="UTC" if umask == 0o022 else "Asia/Tokyo",
    )
    return sorted((folder / "dist").iterdir())


def digests(files: Iterable[Path]) -> dict[str, str]:
    """The SHA-256 of files, by their names."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def same(first: Sequence[Path], second: Sequence[Path]) -> Sequence[Path]:
    """The first files; the program ends where the second are not the same, byte for byte."""
    if digests(first) != digests(second):
        sys.exit(f"two builds differ: {digests(first)} and {digests(second)}")
    return first


def missing_or_strange(names: Iterable[str]) -> list[str]:
    """What a source distribution lacks, and what it should not have; its paths begin with a folder."""
    inside = {name.partition("/")[2] for name in names}
    tops = {name.partition("/")[0] for name in inside}
    lacks = [f"lacks {name}" for name in WANTED if name not in inside]
    return lacks + [f"has {name}/" for name in UNWANTED if name in tops]


def pythons() -> Iterator[str]:
    """The oldest and the newest supported Python that can be had; of others the reason is told."""
    had: Mapping[str, str] = {}
    for order in (VERSIONS, VERSIONS[::-1]):
        for version in order:
            if version in had:
                break
            path, reason = found(version)
            if path:
                had = {**had, version: path}
                yield path
                break
            print(f"Python {version} is skipped: {reason}", flush=True)


def found(version: str) -> tuple[str, str]:
    """The path of a Python, installed by uv or pyenv or downloaded by uv; or why there is none."""
    root = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    for path in sorted(root.glob(f"versions/{version}.*/bin/python")):
        return str(path), ""
    reason = ""
    for asked in (("find", "--no-python-downloads"), ("install",), ("find", "--no-python-downloads")):
        done = subprocess.run(
            [sys.executable, "-m", "uv", "python", *asked, version],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0 and asked[0] == "find":
            return done.stdout.strip(), ""
        if asked[0] == "install":
            reason = f"uv cannot install it: {done.stderr.strip().rpartition(chr(10))[2].strip()}"
    return "", reason or "uv says nothing"


def install_and_run(python: str, wheel: Path, folder: Path) -> None:
    """The wheel into an empty environment: its version, then the main job in small, in an empty folder."""
    print(f"on {python}", flush=True)
    start = time.perf_counter()
    run("uv", "venv", "--quiet", "--python", python, str(folder / "venv"))
    inside = folder / "venv" / "bin"
    run("uv", "pip", "install", "--quiet", "--python", str(inside / "python"), str(wheel))
    bare = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    for arguments in (("--version",), JOB):
        done = subprocess.run(
            [str(inside / "harness"), *arguments],
            cwd=folder,
            env=bare,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        print(done.stdout, end="", flush=True)
        if done.returncode:
            sys.exit(f"harness {' '.join(arguments)}: ended with {done.returncode}")
        if arguments == ("--version",) and done.stdout != f"harness {harness.__version__}\n":
            sys.exit(f"the wheel is of another version (wanted {harness.__version__})")
    print(f"on {python}: {time.perf_counter() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
