"""Devices are never swapped in silence, global state is given back, and no secret is written down."""

from __future__ import annotations

import platform
import random
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness import environment
from harness.errors import DeviceError, Refused


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without a CUDA device, and without a driver for one."""

    def init() -> None:
        raise RuntimeError("Found no NVIDIA driver on your system")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "init", init)


class Product:
    """A tensor whose product with another sums to what a function tells, or raises."""

    def __init__(self, told: Callable[[], float]) -> None:
        self.told = told

    def __matmul__(self, other: Product) -> Product:
        return self

    def sum(self) -> float:
        return self.told()


Machine = Callable[..., None]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Makes a machine of what torch tells of it: whether a GPU is there, how it begins, and its product."""

    def make(
        *, available: bool, begins: str = "", warns: str = "", product: Callable[[], float] = lambda: 64.0**3
    ) -> None:
        def is_available() -> bool:
            if warns:
                warnings.warn(warns, stacklevel=1)
            return available

        def init() -> None:
            if begins:
                raise RuntimeError(begins)

        def ones(*size: int, device: torch.device) -> Product:
            assert device.type == "cuda"
            assert torch.are_deterministic_algorithms_enabled()
            return Product(product)

        monkeypatch.setattr(torch.cuda, "is_available", is_available)
        monkeypatch.setattr(torch.cuda, "init", init)
        monkeypatch.setattr(torch.version, "cuda", "13.2")
        monkeypatch.setattr(torch, "ones", ones)

    return make


@pytest.fixture
def global_state(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Settings unlike both torch's defaults and those of `deterministic`; what was set comes back after."""
    before = torch.get_deterministic_debug_mode(), torch.get_float32_matmul_precision()
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "to be forgotten")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    torch.set_deterministic_debug_mode("warn")
    torch.set_float32_matmul_precision("medium")
    yield
    torch.set_deterministic_debug_mode(before[0])
    torch.set_float32_matmul_precision(before[1])


# devices


@pytest.mark.parametrize(("cuda", "words"), [(None, "built without CUDA"), ("12.8", r"CUDA 12\.8")])
def test_cuda_is_refused_where_there_is_none(
    no_gpu: None, monkeypatch: pytest.MonkeyPatch, cuda: str | None, words: str
) -> None:
    """A CUDA device that is absent is refused before any work, with torch's build and the mend."""
    monkeypatch.setattr(torch.version, "cuda", cuda)
    with pytest.raises(DeviceError, match=f"--device cuda.*{words}.*--device cpu") as caught:
        environment.choose_device("cuda")
    assert isinstance(caught.value, Refused)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)


def test_auto_is_the_cpu_where_there_is_no_gpu(no_gpu: None) -> None:
    """`auto` without a CUDA device computes on the CPU."""
    assert environment.choose_device("auto") == torch.device("cpu")


@pytest.mark.parametrize(("name", "kind"), [("auto", "cuda"), ("cuda", "cuda"), ("cpu", "cpu")])
def test_the_gpu_is_taken_where_there_is_one_unless_the_cpu_is_asked_for(
    machine: Machine, name: str, kind: str
) -> None:
    """`auto` takes a CUDA device that is there and computes; `cpu` stays the CPU."""
    machine(available=True)
    assert environment.choose_device(name).type == kind


FAULTS = {
    "unsupported": (
        "CUDA error: no kernel image is available for execution on the device\n"
        "Search for `cudaErrorNoKernelImageForDevice' in https://docs.nvidia.com for more information.\n"
        "CUDA kernel errors might be asynchronously reported at some other API call\n"
    ),
    "busy": "CUDA error: CUDA-capable device(s) is/are busy or unavailable\nCUDA kernel errors might be",
    "full": "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has 1.00 MiB free.",
    "no handle": "CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`",
}
"""What torch says of a GPU that is there and does not compute."""


@pytest.mark.parametrize("name", ["auto", "cuda"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_gpu_that_does_not_compute_is_refused(machine: Machine, fault: str, name: str) -> None:
    """One line before any work: what torch says is wrong with it, and how to go on without it."""

    def fails() -> float:
        raise RuntimeError(FAULTS[fault])

    machine(available=True, product=fails)
    with pytest.raises(DeviceError) as caught:
        environment.choose_device(name)
    text = str(caught.value)
    assert caught.value.exit_code == 2
    for part in (f"--device {name}", FAULTS[fault].splitlines()[0].rstrip("."), "use --device cpu"):
        assert part in text
    for part in ("\n", "Search for", "asynchronously"):
        assert part not in text


def test_a_gpu_that_computes_wrongly_is_refused(machine: Machine) -> None:
    """What gives another product than the product is nothing to compute on."""
    machine(available=True, product=lambda: 0.0)
    with pytest.raises(DeviceError, match="summed to 0, not 262144"):
        environment.choose_device("auto")


OLD = "The NVIDIA driver on your system is too old (found version 11040). Please update your GPU driver."


@pytest.mark.parametrize("action", ["error", "ignore", "once"])
def test_a_driver_too_old_is_said(machine: Machine, action: Any) -> None:
    """`cuda` is refused with torch's reason, `auto` tells it and takes the CPU, whatever filters warnings."""
    machine(available=False, begins=OLD, warns=f"CUDA initialization: {OLD}")
    told: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter(action)
        assert environment.choose_device("auto", told.append) == torch.device("cpu")
        with pytest.raises(DeviceError, match=r"too old \(found version 11040"):
            environment.choose_device("cuda")
    (line,) = told
    assert line.startswith("--device auto: the CPU computes")
    assert line.count("too old (found version 11040)") == 1
    assert "\n" not in line


def test_without_anybody_to_tell_it_is_a_warning(machine: Machine) -> None:
    """Called by itself, `auto` warns where it takes the CPU though there may be a GPU."""
    machine(available=False, begins=OLD)
    with pytest.warns(UserWarning, match="too old"):
        environment.choose_device("auto")


@pytest.mark.parametrize(
    "reason", ["Found no NVIDIA driver on your system. Please check", "No CUDA GPUs are available"]
)
def test_nothing_is_told_where_there_is_no_gpu(machine: Machine, reason: str) -> None:
    """`auto` takes the CPU without a word where there is nothing else to take."""
    machine(available=False, begins=reason)
    told: list[str] = []
    assert environment.choose_device("auto", told.append) == torch.device("cpu")
    assert told == []


def test_what_torch_says_of_a_gpu_that_computes_is_told(machine: Machine) -> None:
    """A warning of torch's about a GPU that is taken reaches the user as one line."""
    machine(available=True, warns="Found GPU0 which is\nof an old kind.")
    told: list[str] = []
    assert environment.choose_device("auto", told.append).type == "cuda"
    assert told == ["--device auto: the GPU is taken, and torch says: Found GPU0 which is of an old kind"]


@pytest.mark.gpu
def test_the_gpu_of_this_machine_computes() -> None:
    """Where there is one, `auto` and `cuda` are it."""
    assert environment.choose_device("auto").type == environment.choose_device("cuda").type == "cuda"


def test_threads_are_no_part_of_a_gpus_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers depend on a CPU's threads, and of a GPU on its name alone; both are written down."""
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "a GPU")
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert environment.device_key(cpu) == environment.describe_device(cpu)
    assert environment.device_key(gpu) == {"kind": "cuda", "name": "a GPU"}
    assert environment.describe_device(gpu)["threads"] == torch.get_num_threads()


@pytest.mark.parametrize("name", ["auto", "cpu", "cuda"])
def test_torch_is_asked_for_the_device_where_it_is_loaded(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """In a process that has torch, the device is certainly the CPU where torch chooses it."""
    for present in (False, True):
        chosen = torch.device("cuda" if present else "cpu")
        monkeypatch.setattr(
            environment, "choose_device", lambda _name, tell, chosen=chosen: chosen if tell else None
        )
        assert environment.is_cpu(name) is (name != "cuda" and not present)


@pytest.mark.parametrize("sign", [None, "dev/nvidia0", "dev/nvidiactl", "dev/dxg", "dev/kfd", "dev/nvmap"])
@pytest.mark.parametrize(
    "build", [{"cuda": "12.8", "hip": None}, {"cuda": None, "hip": "6.4"}, {"cuda": None}]
)
def test_without_torch_a_sign_of_a_gpu_leaves_the_device_open(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sign: str | None, build: dict[str, str | None]
) -> None:
    """`auto` is certainly the CPU where torch is built for no GPU, or no driver left a sign of one."""
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setattr(environment, "torch_build", lambda: build)
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/nvme0").touch()
    if sign is not None:
        (tmp_path / sign).touch()
    assert environment.is_cpu("auto", tmp_path) is (sign is None or set(build.values()) == {None})
    assert environment.is_cpu("cpu", tmp_path)
    assert not environment.is_cpu("cuda", tmp_path)


def test_torchs_build_is_known_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its version with the build, and what it was built for, are what torch itself says."""
    with monkeypatch.context() as without:
        without.delitem(sys.modules, "torch")
        found, versions = environment.torch_build(), environment.versions()
        assert "torch" not in sys.modules
    assert (found["__version__"], found["cuda"]) == (torch.__version__, torch.version.cuda)
    assert versions == environment.versions()
    assert versions["torch"] == torch.__version__


def test_the_cpu_is_described_by_kind_name_and_threads() -> None:
    """What is written down of the CPU is its kind, its architecture and the threads torch uses."""
    described = environment.describe_device(torch.device("cpu"))
    assert set(described) == {"kind", "name", "threads"}
    assert described["kind"] == "cpu"
    assert described["threads"] == torch.get_num_threads()


@pytest.mark.gpu
def test_the_gpu_is_described_by_its_name() -> None:
    """What is written down of a GPU is its kind and the name its driver gives."""
    described = environment.describe_device(environment.choose_device("cuda"))
    assert described["kind"] == "cuda"
    assert described["name"] == torch.cuda.get_device_properties(0).name


# seeds and determinism


GENERATORS: dict[str, tuple[Callable[[], float], Callable[[], object]]] = {
    "torch": (lambda: float(torch.rand(())), lambda: torch.get_rng_state().tolist()),
    "numpy": (
        lambda: float(np.random.rand()),  # noqa: NPY002
        lambda: [np.asarray(one).tolist() for one in np.random.get_state()],  # noqa: NPY002
    ),
    "random": (random.random, random.getstate),
}
"""The global generators: a draw, and the state."""


@pytest.mark.parametrize("name", GENERATORS)
def test_draws_inside_seeded_come_from_the_seed(name: str) -> None:
    """The same seed gives the same draws, whatever was drawn before, and another seed gives others."""
    draw, _ = GENERATORS[name]

    def draws(seed: int) -> list[float]:
        with environment.seeded(seed):
            return [draw() for _ in range(5)]

    first = draws(2**55)
    draw()
    assert draws(2**55) == first
    assert draws(2) != first


@pytest.mark.parametrize("name", GENERATORS)
def test_seeded_gives_the_global_generator_back(name: str) -> None:
    """Draws after the block go on as if it had not been there, also where an error left it."""
    draw, state = GENERATORS[name]
    before = state()
    with environment.seeded(7):
        draw()
        assert state() != before
    assert state() == before
    with pytest.raises(KeyError), environment.seeded(7):
        raise KeyError("any")
    assert state() == before


@pytest.mark.thorough
def test_seeded_leaves_a_gpu_asleep() -> None:
    """Where torch has not begun to use CUDA, it is neither begun nor is a seed kept for when it will be."""
    code = (
        "import torch; from harness import environment\n"
        "torch.cuda.is_available = lambda: True\n"
        "with environment.seeded(3): torch.rand(2)\n"
        "kept = [one for one in torch.cuda._lazy_seed_tracker.get_calls() if one]\n"
        "print(torch.cuda.is_initialized(), kept)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False []"


@pytest.mark.gpu
def test_seeded_gives_the_gpus_generator_back() -> None:
    """The generator of the GPU is seeded inside and given back after, too."""
    before = torch.cuda.get_rng_state()
    with environment.seeded(7):
        first = torch.rand(5, device="cuda")
    with environment.seeded(7):
        assert torch.equal(torch.rand(5, device="cuda"), first)
    assert torch.equal(torch.cuda.get_rng_state(), before)


def test_deterministic_sets_what_it_says(global_state: None) -> None:
    """Inside, torch refuses algorithms that are not deterministic and keeps full float32 precision."""
    with environment.deterministic() as flags:
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.is_deterministic_algorithms_warn_only_enabled()
        assert flags == {
            "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
            "float32_matmul_precision": torch.get_float32_matmul_precision(),
        }
        assert flags["float32_matmul_precision"] == "highest"


def test_deterministic_gives_the_settings_back(global_state: None) -> None:
    """After the block torch's settings are those from before it, whatever they were."""
    with environment.deterministic():
        pass
    assert (torch.get_deterministic_debug_mode(), torch.get_float32_matmul_precision()) == (1, "medium")


def test_deterministic_gives_the_settings_back_after_an_error(global_state: None) -> None:
    """An error that leaves the block leaves no settings behind."""
    with pytest.raises(KeyError), environment.deterministic():
        raise KeyError("any")
    assert (torch.get_deterministic_debug_mode(), torch.get_float32_matmul_precision()) == (1, "medium")


def test_deterministic_fills_no_memory(global_state: None) -> None:
    """Memory that was not written is not filled inside; whether it was before comes back."""
    settings: Any = torch.utils.deterministic
    before = settings.fill_uninitialized_memory
    with environment.deterministic():
        assert not settings.fill_uninitialized_memory
    assert settings.fill_uninitialized_memory == before


# what is written down


def test_only_variables_of_the_allowlist_are_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all that stands in the environment, nothing but the listed names is recorded."""
    for name in environment.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("API_TOKEN", "a secret")
    monkeypatch.setenv("CI_TOKEN", "a secret whose name begins like a listed one")
    monkeypatch.setenv("GITHUB_SHA", "0123abc")
    assert environment.variables() == {"GITHUB_SHA": "0123abc"}


def test_no_listed_variable_is_named_like_a_secret() -> None:
    """The allowlist holds no token, key, password or secret."""
    words = ("TOKEN", "KEY", "PASS", "SECRET", "CREDENTIAL", "AUTH")
    assert not [name for name in environment.VARIABLES if any(word in name for word in words)]


def test_recorded_variables_are_safe_to_print(monkeypatch: pytest.MonkeyPatch) -> None:
    """Terminal sequences and bidirectional marks in a variable are not written down."""
    monkeypatch.setenv("GITHUB_SHA", "\x1b[31mred\u202eder\x07")
    assert environment.variables()["GITHUB_SHA"] == "redder"


def test_the_command_has_no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line is written down with the program's name alone, and its arguments."""
    monkeypatch.setattr("sys.argv", [str(Path("some") / "folder" / "harness"), "run", "--seeds", "1"])
    assert environment.command() == "harness run --seeds 1"


def test_the_command_has_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run directory is published; who may read a history's server is nobody's business."""
    monkeypatch.setattr("sys.argv", ["harness", "nightly", "--history=postgresql+psycopg://me:word@there/db"])
    assert environment.command() == "harness nightly --history=postgresql+psycopg://me:***@there/db"


def test_versions_name_python_and_each_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each listed package has its version, and one that is absent is said to be."""
    monkeypatch.setattr(environment, "PACKAGES", ("torch", "numpy", "no-such-package-at-all"))
    found = environment.versions()
    assert list(found) == ["python", "torch", "numpy", "no-such-package-at-all"]
    assert found["python"] == platform.python_version()
    assert found["numpy"] == np.__version__
    assert torch.__version__.startswith(found["torch"])
    assert "not installed" in found["no-such-package-at-all"]


def test_what_last_digits_rest_on_is_told() -> None:
    """The CPU's model and the instruction set that torch uses; no GPU's where none computes."""
    found = environment.hardware(torch.device("cpu"))
    assert set(found) == {"cpu", "instructions"}
    assert all(found.values())
    assert found["instructions"] == torch.backends.cpu.get_cpu_capability()


def test_the_largest_memory_of_the_process_grows_with_it() -> None:
    """In MB, by what the system counts."""
    before = environment.memory()["resident"]
    kept = torch.ones(50_000_000)  # 200 MB, written to
    assert environment.memory()["resident"] >= before
    assert environment.memory()["resident"] > kept.nbytes / 1e6
