"""Where a run takes place: device, seeds, determinism, and what is written down of them.

Torch takes seconds to import, so each function that needs it imports it: what is written down of a place
is found without.
"""

from __future__ import annotations

import hashlib
import os
import platform
import random
import runpy
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.environment import gpus
from harness.environment.precision import full_precision
from harness.environment.sources import code_digest as code_digest
from harness.environment.sources import computing_digest as computing_digest
from harness.environment.sources import gate_digest as gate_digest
from harness.environment.sources import ships as ships
from harness.environment.sources import source_digest as source_digest
from harness.errors import DeviceError
from harness.text import clean, without_password

try:
    import resource
except ImportError:  # a system that does not tell
    resource = None  # type: ignore[assignment]

if TYPE_CHECKING:
    import torch

VARIABLES = ("CI", "GITHUB_ACTIONS", "GITHUB_RUN_ID", "GITHUB_SHA", "GITLAB_CI", "HARNESS_DATA_DIR")
"""The environment variables that are recorded: an allowlist, for the others may hold secrets."""

PACKAGES = ("torch", "torchvision", "numpy", "scipy", "pandas", "matplotlib", "interpretability-harness")


def choose_device(name: str, tell: Callable[[str], object] = warnings.warn) -> torch.device:
    """The device of that name; `auto` is the GPU where there is one.

    A GPU is believed to be usable once it has multiplied, under the settings of a run.

    Args:
        name: `auto`, `cpu` or `cuda`.
        tell: Whom to tell what must not be overlooked: why `auto` became the CPU where there may well be a
            GPU, and what torch says against the GPU that is taken.

    Raises:
        DeviceError: `cuda` was asked for and there is none, or there is a GPU and it does not compute. The
            CPU never steps in for it in silence.
    """
    import torch

    if name == "cpu":
        return torch.device("cpu")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        absent = gpus.why_absent()
        broken = "" if absent else _why_broken(torch.device("cuda"))
    reason = absent or broken
    said = [gpus.in_one_line(one.message) for one in caught]
    said = [one for one in dict.fromkeys(said) if not reason or reason not in one]
    build = f"torch {torch.__version__}, built for CUDA {torch.version.cuda}"
    if torch.version.cuda is None:
        build = f"torch {torch.__version__}, built without CUDA"
    found = f"({build}): {'; '.join([reason, *said])}"
    if broken or (absent and name == "cuda"):
        raise DeviceError(
            f"--device {name}: no CUDA device is usable {found}; use --device cpu, free the GPU, "
            "or install a torch build that fits it and its driver (see docs/how-to/gate-a-build.md)"
        )
    if absent:
        if not any(words in absent for words in gpus.NOTHING_THERE):
            tell(f"--device auto: the CPU computes, as no CUDA device is usable {found}")
        return torch.device("cpu")
    for one in said:
        tell(f"--device {name}: the GPU is taken, and torch says: {one}")
    return torch.device("cuda")


def _why_broken(device: torch.device) -> str:
    """Why the device does not multiply under the settings of a run, in torch's words; empty where it does."""
    import torch

    size = 64
    try:
        with deterministic():
            ones = torch.ones(size, size, device=device)
            total = float((ones @ ones).sum())  # waits for it
    except (RuntimeError, AssertionError, torch.cuda.DeferredCudaCallError) as error:
        return gpus.in_one_line(error)
    return "" if total == size**3 else f"a product of ones summed to {total:g}, not {size**3}"


def _nobody(text: str) -> None:
    """Where the run itself will tell it."""


GPUS = ("dev/nvidia*", "dev/nvhost*", "dev/nvmap", "dev/nvgpu*", "dev/dxg", "dev/kfd", "proc/driver/nvidia")
"""What the drivers of GPUs leave under `/`: NVIDIA's, also on a Tegra board and in WSL, and AMD's."""


def is_cpu(name: str, root: Path = Path("/")) -> bool:
    """Whether the device of that name is certainly the CPU; found out without torch where it is not loaded.

    False says only that torch must be asked: a GPU was named, or there is a sign of one.
    """
    if name == "cuda":
        return False
    if "torch" in sys.modules:
        return choose_device(name, tell=_nobody).type == "cpu"
    if name == "cpu":
        return True
    build = torch_build()
    if build.get("cuda") is None and build.get("hip") is None:
        return True
    return sys.platform.startswith("linux") and not any(any(root.glob(sign)) for sign in GPUS)


@contextmanager
def deterministic() -> Iterator[dict[str, Any]]:
    """Deterministic algorithms and full float32 precision inside; what was set is given back after.

    Yields the settings, to be written down. Memory is not filled before it is used: nothing is read that was
    not written, and on a GPU the filling is a kernel for each new tensor.
    """
    import torch

    filling: Any = torch.utils.deterministic
    before = torch.get_deterministic_debug_mode(), filling.fill_uninitialized_memory
    with gpus.workspace(), full_precision():
        try:
            # the debug mode sets the same switch as use_deterministic_algorithms, which imports the compiler
            torch.set_deterministic_debug_mode("error")
            filling.fill_uninitialized_memory = False
            yield {"deterministic_algorithms": True, "float32_matmul_precision": "highest"}
        finally:
            torch.set_deterministic_debug_mode(before[0])
            filling.fill_uninitialized_memory = before[1]


def stream(seed: int, purpose: str) -> int:
    """A seed for one purpose, so that no stage's draws depend on another stage's."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{purpose}".encode()).digest()[:7], "big")


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """The global generators of torch, numpy and `random` start from `seed` inside, and are given back after.

    Those of GPUs where torch has begun to use them: no GPU is woken, and no seed left for one, where it is
    not computed on.
    """
    import numpy as np
    import torch

    on_gpus = torch.cuda.is_initialized()
    before = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    of_gpus = torch.cuda.get_rng_state_all() if on_gpus else []
    try:
        torch.default_generator.manual_seed(seed)
        if on_gpus:
            torch.cuda.manual_seed_all(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        random.seed(seed)
        yield
    finally:
        torch.set_rng_state(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
        random.setstate(before[2])
        if on_gpus:
            torch.cuda.set_rng_state_all(of_gpus)


def describe_device(device: torch.device) -> dict[str, Any]:
    """`kind`, `name` and `threads` of what computes."""
    import torch

    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {"kind": device.type, "name": name, "threads": torch.get_num_threads()}


def device_key(device: torch.device) -> dict[str, Any]:
    """What numbers depend on of what computes: the threads that share a sum count on a CPU alone."""
    described = describe_device(device)
    return described if device.type == "cpu" else {key: described[key] for key in ("kind", "name")}


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that numbers depend on."""
    found = {"python": platform.python_version()} | {package: version_of(package) for package in PACKAGES}
    # the build is part of torch's own version, not of its package's
    return found | {"torch": str(torch_build()["__version__"])}


def version_of(package: str) -> str:
    """A package's version, or that it is not there."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed as a package"


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


def processor() -> dict[str, str]:
    """What the system says of the first CPU, by its own keys; its kind alone where it says no more."""
    try:
        first = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0]
    except OSError:
        return {"model name": platform.processor()}
    rows = [[part.strip() for part in line.split(":", 1)] for line in first.splitlines()]
    return {row[0]: row[-1] for row in rows}


def hardware(device: torch.device) -> dict[str, str]:
    """What last digits may rest on beside versions: the CPU and its instruction set; of a GPU its software.

    `cpu`, `instructions` (the widest that torch uses); on a GPU `driver`, `cuda` and `cudnn`.
    """
    import torch

    told = processor()
    found = {
        "cpu": clean(told.get("model name") or told.get("CPU part") or platform.machine()),
        "instructions": str(torch.backends.cpu.get_cpu_capability()),
    }
    if device.type == "cuda":
        found |= {
            "driver": gpus.driver(),
            "cuda": str(torch.version.cuda or torch.version.hip),
            "cudnn": str(torch.backends.cudnn.version()),
        }
    return found


def memory() -> dict[str, float]:
    """The largest memory of this process so far, in MB (10^6 bytes): `resident`, and on a `gpu` in use."""
    found = {}
    if resource is not None:
        unit = 1 if sys.platform == "darwin" else 1024
        found["resident"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
    loaded = sys.modules.get("torch")
    if loaded is not None and loaded.cuda.is_initialized():
        found["gpu"] = loaded.cuda.max_memory_allocated() / 1e6
    return found


def command() -> str:
    """The command line of this process, with the program's name but not its folder, and no URL's password."""
    return clean(without_password(" ".join([Path(sys.argv[0]).name, *sys.argv[1:]])), longest=2000)


def variables() -> dict[str, str]:
    """The recorded environment variables that are set."""
    return {name: clean(os.environ[name]) for name in VARIABLES if name in os.environ}
