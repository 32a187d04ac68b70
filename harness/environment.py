"""Where a run takes place: device, seeds, determinism, and what is written down of them.

Torch takes seconds to import, so each function that needs it imports it: what is written down of a place
is found without.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import platform
import runpy
import subprocess
import sys
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import DeviceError
from harness.text import clean

if TYPE_CHECKING:
    import torch

VARIABLES = ("CI", "GITHUB_ACTIONS", "GITHUB_RUN_ID", "GITHUB_SHA", "GITLAB_CI", "HARNESS_DATA_DIR")
"""The environment variables that are recorded: an allowlist, for the others may hold secrets."""

PACKAGES = ("torch", "torchvision", "numpy", "scipy", "pandas", "matplotlib", "interpretability-harness")


def choose_device(name: str) -> torch.device:
    """The device of that name; `auto` is the GPU where there is one.

    Raises:
        DeviceError: `cuda` was asked for and there is none. The CPU never steps in for it in silence.
    """
    import torch

    present = torch.cuda.is_available()
    if name == "cuda" and not present:
        build = "built without CUDA" if torch.version.cuda is None else f"built for CUDA {torch.version.cuda}"
        raise DeviceError(
            f"--device cuda: no CUDA device is usable (torch {torch.__version__}, {build}); "
            "use --device cpu, or install a torch build that fits the driver (see the README)"
        )
    return torch.device("cuda" if name == "cuda" or (name == "auto" and present) else "cpu")


GPUS = ("dev/nvidia*", "dev/nvhost*", "dev/nvmap", "dev/nvgpu*", "dev/dxg", "dev/kfd", "proc/driver/nvidia")
"""What the drivers of GPUs leave under `/`: NVIDIA's, also on a Tegra board and in WSL, and AMD's."""


def is_cpu(name: str, root: Path = Path("/")) -> bool:
    """Whether the device of that name is certainly the CPU; found out without torch where it is not loaded.

    False says only that torch must be asked: a GPU was named, or there is a sign of one.
    """
    if name == "cuda":
        return False
    if "torch" in sys.modules:
        return choose_device(name).type == "cpu"
    if name == "cpu":
        return True
    build = torch_build()
    if build.get("cuda") is None and build.get("hip") is None:
        return True
    return sys.platform.startswith("linux") and not any(any(root.glob(sign)) for sign in GPUS)


@contextmanager
def deterministic() -> Iterator[dict[str, Any]]:
    """Deterministic algorithms and full float32 precision inside; what was set is given back after.

    Yields the settings, to be written down. On CUDA, cuBLAS is deterministic only with a workspace
    configuration that must stand in the environment before its first use (NVIDIA cuBLAS documentation).
    """
    import torch

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.get_deterministic_debug_mode(), torch.get_float32_matmul_precision()
    # the debug mode sets the same switch as use_deterministic_algorithms, which imports the compiler (6 s)
    torch.set_deterministic_debug_mode("error")
    torch.set_float32_matmul_precision("highest")
    try:
        yield {"deterministic_algorithms": True, "float32_matmul_precision": "highest"}
    finally:
        torch.set_deterministic_debug_mode(before[0])
        torch.set_float32_matmul_precision(before[1])


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """The global generators of torch start from `seed` inside, and are given back after."""
    import torch

    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        yield


def describe_device(device: torch.device) -> dict[str, Any]:
    """`kind`, `name` and `threads` of what computes."""
    import torch

    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {"kind": device.type, "name": name, "threads": torch.get_num_threads()}


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that numbers depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed as a package"
    # the build is part of torch's own version, not of its package's
    return found | {"torch": str(torch_build()["__version__"])}


def torch_build() -> Mapping[str, Any]:
    """What torch says of its own build, in `torch/version.py`: `__version__`, `cuda` and `hip` among it.

    It is what torch itself reads its version from; the file imports nothing of torch.
    """
    if "torch" in sys.modules:
        return dict(vars(sys.modules["torch"].version))
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")
    return runpy.run_path(str(Path(spec.origin).with_name("version.py")))


def machine() -> str:
    """The operating system and processor in words."""
    return platform.platform()


def git(*arguments: str) -> str | None:
    """What git prints in the working directory, or None where it cannot answer."""
    try:
        done = subprocess.run(  # noqa: S603 - fixed program, arguments of our own
            ["git", *arguments],  # noqa: S607
            capture_output=True,
            encoding="utf-8",
            errors="replace",  # a branch may be named in any bytes
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return clean(done.stdout.strip())


def commit() -> str:
    """The short commit of the working directory; `nogit` outside git."""
    return git("rev-parse", "--short", "HEAD") or "nogit"


def branch() -> str:
    """The branch of the working directory; empty outside git or on a detached head."""
    return git("branch", "--show-current") or ""


def dirty() -> bool:
    """Whether tracked files differ from the commit."""
    return bool(git("status", "--porcelain", "--untracked-files=no"))


def command() -> str:
    """The command line of this process, with the program's name but not its folder."""
    return clean(" ".join([Path(sys.argv[0]).name, *sys.argv[1:]]), longest=2000)


def variables() -> dict[str, str]:
    """The recorded environment variables that are set."""
    return {name: clean(os.environ[name]) for name in VARIABLES if name in os.environ}


def source_digest(function: Callable[..., object]) -> str:
    """SHA-256 of the file that a function stands in; of a fresh random text where it has no file."""
    try:
        return hashlib.sha256(Path(inspect.getfile(function)).read_bytes()).hexdigest()
    except (OSError, TypeError):
        return uuid.uuid4().hex


SHOWING = (
    "badges",
    "cli",
    "console",
    "diagnosis",
    "figures",
    "github",
    "report",
    "runs",
    "summaries",
    "text",
)
"""Modules that show a verdict, and have no part in it."""


def gate_digest() -> str:
    """SHA-256 over the source of all modules but those that only show what the others found."""
    return _digest_without(SHOWING)


ONLY_SHOWING = tuple(name for name in SHOWING if name not in ("runs", "text"))
"""Those of them that nothing imports which computes: it reads what it made through `runs`."""


def computing_digest() -> str:
    """SHA-256 over the source of all modules that can have a part in what is computed."""
    return _digest_without(ONLY_SHOWING)


def _digest_without(left_out: Collection[str]) -> str:
    folder = Path(__file__).parent
    names = [path.relative_to(folder).with_suffix("").as_posix() for path in sorted(folder.rglob("*.py"))]
    return code_digest(*(name for name in names if name.split("/")[0] not in left_out))


def code_digest(*modules: str) -> str:
    """SHA-256 over the source of these modules of the harness (`package/module` where they are in one).

    Of all modules if none is named.
    """
    folder = Path(__file__).parent
    paths = [folder / f"{module}.py" for module in modules] or sorted(folder.rglob("*.py"))
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
