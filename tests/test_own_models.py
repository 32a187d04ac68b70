"""A user's own network: trained, or frozen with a file's weights; judged where its module is not there."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from harness import config
from harness.artifacts.files import Folder
from harness.errors import ConfigurationError
from harness.subjects import catalogue
from tests.commands import alone, called
from tests.conftest import Only
from tests.small import SMALL

pytestmark = pytest.mark.thorough

NETS = """
from pathlib import Path
from torch import nn

with Path(__file__).with_name("imported").open("a") as stream:
    stream.write("once\\n")

def build(*, shape, classes, width=8):
    channels, rows, columns = shape
    return nn.Sequential(nn.Conv2d(channels, width, 5, stride=2, padding=2), nn.BatchNorm2d(width), nn.ReLU(),
                         nn.MaxPool2d(2), nn.Flatten(), nn.Linear(width * 49, classes))
"""
CODES = """
import torch
from torch import nn

class Turned(nn.Module):
    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.turn = nn.Parameter(torch.linalg.qr(torch.randn(8, 8, generator=generator))[0])

    def encode(self, rows):
        turned = rows @ self.turn
        return torch.relu(torch.cat([turned, -turned], dim=1))

    def decode(self, codes):
        ahead, behind = codes.chunk(2, dim=1)
        return (ahead - behind) @ self.turn.T

def load():
    return Turned()
"""
ROUNDED = """
class Rounded(nn.Module):
    def forward(self, images):
        return images.float().to(images.dtype)
"""
BY_WORDS = ("model", "failures", "provenance")
"""Sections that depend on how a model came to be; the first run draws the whole page."""

FLAGS = SMALL | {"model": "nets:build", "classifier_epochs": 6, "samples_per_class": 3}


def flags(**changed: object) -> list[str]:
    return [f"--{name.replace('_', '-')}={value}" for name, value in (FLAGS | changed).items()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder after one run of their own network, in a process of its own."""
    place = tmp_path_factory.mktemp("user")
    (place / "nets.py").write_text(NETS)
    (place / "codes.py").write_text(CODES)
    done = alone(place, "validate", *flags())
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return place


def test_what_the_model_lacks_is_told_by_name_and_nothing_else_is(folder: Path) -> None:
    """In the verdict, with the reason; all other gates are judged, the maps' definitions among them."""
    verdict = json.loads((folder / "artifacts/latest/verdict.json").read_text())
    (away,) = [one for one in verdict["announcements"] if one.startswith("judged without")]
    names = "methods.decoder_weighted, sparsity, reconstruction, fraction_unexplained"
    assert away == f"judged without {names}: the model has no code"
    outcomes = {one["id"]: one["verdict"] for one in verdict["criteria"] if one["gate"]}
    assert not {"sparsity", "reconstruction", "fraction_unexplained"} & set(outcomes)
    assert "error" not in outcomes.values()
    assert outcomes["attribution_integrity"] == "pass"
    assert (folder / "artifacts/latest/report.html").is_file()


def test_a_float32_inside_is_told_and_maps_are_judged_all_the_same(tmp_path: Path) -> None:
    """In the announced line, `model.json`, the verdict and the measurement's title."""
    (tmp_path / "nets.py").write_text(NETS.replace("nn.Sequential(", "nn.Sequential(Rounded(), ") + ROUNDED)
    done = called(tmp_path, "validate", *flags())
    assert done.returncode in (0, 1), done.stdout + done.stderr
    run = tmp_path / "artifacts/latest"
    assert "float64" not in json.loads((run / "model.json").read_text())["capabilities"]
    verdict = json.loads((run / "verdict.json").read_text())
    (away,) = [one for one in verdict["announcements"] if one.startswith("judged without float64: ")]
    assert away.endswith("held to their definitions in float32, to 2 %")
    outcomes = {one["id"]: one["verdict"] for one in verdict["criteria"]}
    assert outcomes["attribution_integrity"] == "pass"
    assert "satisfy their definitions (asked in float32, to 1.9 %)" in (run / "report.html").read_text()


def test_judging_and_rendering_import_nothing_of_the_users(folder: Path) -> None:
    """They work where the module is not there any more."""
    run = (folder / "artifacts/latest").resolve()
    before = (folder / "imported").read_text()
    hidden = (folder / "nets.py").rename(folder / "hidden.txt")
    try:
        for command in ("judge", "report"):  # each draws the whole page
            done = called(folder, command, str(run))
            assert done.returncode in (0, 1), done.stdout + done.stderr
    finally:
        hidden.rename(folder / "nets.py")
    assert (folder / "imported").read_text() == before


def test_a_night_asks_a_model_for_nothing_that_it_has_not(folder: Path, only: Only) -> None:
    """What is declared away is no missing number; the canary is of the same model."""
    only(*BY_WORDS, "changes", "trends")
    (folder / "nights.toml").write_text("[nightly]\nseeds = 1\n")
    done = called(folder, "nightly", "--config", "nights.toml", *flags(output="nights"))
    assert done.returncode in (0, 1), done.stdout + done.stderr
    verdict = json.loads((folder / "nights/latest/verdict.json").read_text())
    assert not [one["id"] for one in verdict["criteria"] if one["id"].endswith(".missing")]
    assert json.loads((folder / "nights/latest/canary/model.json").read_text())["model"] == "nets:build"


def test_weights_of_a_file_are_judged_as_they_are(folder: Path, only: Only) -> None:
    """Nothing is trained, and the predictions are those of the run that they come from."""
    only(*BY_WORDS)
    first = (folder / "artifacts/latest").resolve()
    weights = os.path.relpath(first / "seed-0/weights/model.pth", folder)
    done = called(folder, "validate", *flags(output="frozen"), "--weights", weights)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    assert "epoch" not in done.stdout
    run = folder / "frozen/latest"
    one, other = (np.load(each / "seed-0/predictions.npz")["logits"] for each in (first, run))
    assert np.array_equal(one, other)
    assert json.loads((run / "model.json").read_text())["weights"]["file"] == "model.pth"


def test_a_code_at_a_layer_is_judged_as_far_as_it_goes(folder: Path) -> None:
    """How sparse it is and how much it leaves unexplained is measured; it gives no inputs back."""
    weights = (folder / "artifacts/latest").resolve() / "seed-0/weights/model.pth"
    place = ["--weights", str(weights), "--layer", "0", "--code", "codes:load"]
    done = called(folder, "validate", *flags(output="spliced"), *place)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    run = folder / "spliced/latest"
    verdict = json.loads((run / "verdict.json").read_text())
    assert [one for one in verdict["announcements"] if one.startswith("judged without")] == [
        "judged without methods.decoder_weighted, reconstruction: "
        "the model has no code that gives the inputs back",
        "judged without sparsity: the model has no code of k active units",
    ]
    outcomes = {one["id"]: one["verdict"] for one in verdict["criteria"] if one["gate"]}
    assert outcomes["attribution_integrity"] == "pass"
    assert outcomes["fraction_unexplained"] == "pass"
    with np.load(run / "seed-0/codes.npz") as codes:
        np.testing.assert_allclose(codes["l0"], 8, atol=0.05)  # of 16, but where a channel is 0
        assert codes["firing_frequency"].shape == (16,)
    stored = [each / "seed-0/predictions.npz" for each in (run, folder / "artifacts/latest")]
    first, second = (Folder(each.parent).read_arrays(each.name)["logits"] for each in stored)
    np.testing.assert_allclose(first, second, rtol=1e-3, atol=1e-4)
    record = json.loads((run / "model.json").read_text())
    assert (record["layer"], record["code"], record["code_width"]) == ("0", "codes:load", 16)
    assert "no linear decoder leads from them to the inputs" in (run / "report.html").read_text()
    hidden = [(folder / name).rename(folder / f"{name}.txt") for name in ("nets.py", "codes.py")]
    try:
        done = called(folder, "judge", str(run))
        assert done.returncode in (0, 1), done.stdout + done.stderr
    finally:
        for one in hidden:
            one.rename(one.with_suffix(""))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--code", "codes:load"], "a code stands at a layer (got no layer)"),
        (["--model", "nets:bild"], "nets has no 'bild': did you mean 'build'"),
        (["--weights", "nowhere.pth"], "there is no such file"),
        (["--weights", "nets.py", "--seeds", "0,1"], "are one network, and so one seed"),
        (["--weights", "nets.py", "--recipe", "supervised"], "nothing is trained"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_any_work(
    folder: Path, arguments: list[str], said: str
) -> None:
    """With exit code 2, one line, and no run directory."""
    done = called(folder, "validate", *flags(output="refused"), *arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert said in done.stderr
    assert not (folder / "refused/runs").exists()


def test_the_configurations_folder_is_where_its_module_is(tmp_path: Path) -> None:
    """Also where a run's own file is read later, from anywhere; a module that is nowhere tells the places."""
    there = tmp_path / "elsewhere"
    there.mkdir()
    file, run = there / "harness.toml", tmp_path / "config.toml"
    file.write_text('recipe = "nets:train"\n[model]\nmodel = "nets:build"\n')
    found = config.load(file)
    assert found.model.model_dir == there
    run.write_text(f'[model]\nmodel = "nets:build"\nmodel_dir = "{there}"\n')
    assert config.load(run).model.model_dir == there
    assert config.load(file, {"model_dir": str(tmp_path)}).model.model_dir == tmp_path
    with pytest.raises(ConfigurationError, match=f"no module 'nets'; looked in {there}, {Path.cwd()}"):
        catalogue.factory_of(found.model)
    file.write_text('[model]\nmodel = "k-sparse"\n')
    assert config.load(file).model.model_dir is None


def test_the_working_folder_is_kept_where_the_module_lies_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the model, the recipe or the code; of what is installed or nobody's own no folder is kept."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_nets").mkdir()
    (tmp_path / "own_nets/__init__.py").write_text("raise ImportError('imported')")
    (tmp_path / "own_steps.py").write_text("raise ImportError('imported')")
    for flags_ in ({"model": "own_nets.deep:build"}, {"recipe": "own_steps:train"}, {"code": "own_steps:f"}):
        assert config.load(flags=flags_).model.model_dir == tmp_path
    for flags_ in ({"model": "json:loads"}, {"model": "mlp"}, {"model": "nowhere_at_all:build"}):
        assert config.load(flags=flags_).model.model_dir is None
    (tmp_path / "run").mkdir()
    (tmp_path / "run/config.toml").write_text('[model]\nmodel = "json:loads"\n')
    assert config.load("run/config.toml").model.model_dir is None
    assert (
        config.load(flags={"model": "own_nets:build", "model_dir": "run"}).model.model_dir == tmp_path / "run"
    )


def test_a_runs_own_configuration_finds_the_module_from_anywhere(
    folder: Path, tmp_path: Path, only: Only
) -> None:
    """By a whole command, which gives the same predictions in another working folder."""
    only("provenance")
    run = (folder / "artifacts/latest").resolve()
    done = called(tmp_path, "validate", "--config", str(run / "config.toml"))
    assert done.returncode in (0, 1), done.stdout + done.stderr
    again = tmp_path / "artifacts/latest"
    assert (again / "config.toml").read_text() == (run / "config.toml").read_text()
    one, other = (np.load(each / "seed-0/predictions.npz")["logits"] for each in (run, again))
    assert np.array_equal(one, other)
