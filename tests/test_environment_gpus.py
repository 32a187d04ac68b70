"""cuBLAS repeats itself whatever the environment says and whenever a GPU was first used."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import pytest
import torch

from harness.environment import gpus

NAME = "CUBLAS_WORKSPACE_CONFIG"


@pytest.mark.parametrize(
    ("inherited", "inside"),
    [
        (None, ":4096:8"),
        (":4096:8", ":4096:8"),
        (":16:8", ":16:8"),
        (":0:0", ":4096:8"),
        ("", ":4096:8"),
        (":4096:2:16:8", ":4096:8"),
    ],
)
def test_inside_the_variable_is_one_that_is_deterministic(
    monkeypatch: pytest.MonkeyPatch, inherited: str | None, inside: str
) -> None:
    """The user's where it is one of the two, else the larger; what was there comes back, always."""
    monkeypatch.setenv(NAME, "to be forgotten")
    monkeypatch.delenv(NAME)
    if inherited is not None:
        monkeypatch.setenv(NAME, inherited)
    with gpus.workspace():
        assert os.environ[NAME] == inside
    assert os.environ.get(NAME) == inherited
    with pytest.raises(KeyError), gpus.workspace():
        raise KeyError("any")
    assert os.environ.get(NAME) == inherited


class Blas:
    """torch's workspace of cuBLAS: the size in force, settable where torch lets it be."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __call__(self, size: int | None = None) -> int:
        self.size = self.size if size is None else size
        return self.size


@pytest.mark.parametrize("size", [0, 8 * 2**20 + 128 * 2**10, 32 * 2**20])
def test_a_gpu_used_before_gets_the_workspace_all_the_same(
    monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """Where torch has read the variable already, the size is set by itself, and given back."""
    blas = Blas(size)
    monkeypatch.delenv(NAME, raising=False)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.backends.cuda, "cublas_workspace_size", blas, raising=False)
    with gpus.workspace():
        assert blas.size == 32 * 2**20
    assert blas.size == size
    with pytest.raises(KeyError), gpus.workspace():
        raise KeyError("any")
    assert blas.size == size


def test_where_torch_cannot_set_it_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """An older torch's workspaces are made anew, with a warning that names the mend, if one is due."""
    cleared: list[bool] = []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.delattr(torch.backends.cuda, "cublas_workspace_size", raising=False)
    monkeypatch.setattr(torch._C, "_cuda_clearCublasWorkspaces", lambda: cleared.append(True), raising=False)
    monkeypatch.setattr(gpus, "_begun", set())
    monkeypatch.setenv(NAME, ":0:0")
    with pytest.warns(UserWarning, match=f"{NAME}=:4096:8"), gpus.workspace():
        pass
    assert cleared == [True]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        monkeypatch.setenv(NAME, ":16:8")  # stood there from the start
        with gpus.workspace():
            pass
        monkeypatch.delenv(NAME)
        monkeypatch.setattr(gpus, "_begun", {":4096:8"})  # was set before the GPU was used
        with gpus.workspace():
            pass
    assert cleared == [True]


@pytest.mark.gpu
def test_products_are_the_same_whenever_the_gpu_was_first_used() -> None:
    """A product under the workspace of the user's and one under ours differ in nothing, once it is set."""
    one = torch.rand(2048, 4096, generator=torch.Generator().manual_seed(0)).cuda()
    with gpus.workspace():
        first = one @ one.T
    if hasattr(torch.backends.cuda, "cublas_workspace_size"):
        torch.backends.cuda.cublas_workspace_size(0)
    with gpus.workspace():
        assert torch.equal(one @ one.T, first)


@pytest.mark.parametrize(
    ("told", "version"),
    [
        (
            "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue\nGCC 12.2.0",
            "550.54.15",
        ),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65  Release Build", "580.65"),
        ("something else", ""),
        (None, ""),
    ],
)
def test_the_drivers_version_is_what_the_system_tells(tmp_path: Path, told: str | None, version: str) -> None:
    """Of both kinds of kernel module; nothing where there is none."""
    if told is not None:
        (tmp_path / "proc/driver/nvidia").mkdir(parents=True)
        (tmp_path / "proc/driver/nvidia/version").write_text(told)
    assert gpus.driver(tmp_path) == version
