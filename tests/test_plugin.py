"""A package of somebody's own, built and installed, adds its parts by name; the how-to is that package."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.commands import alone

pytestmark = pytest.mark.thorough

PLUGIN = Path(__file__).parent / "plugin"
HOW_TO = PLUGIN.parents[1] / "docs" / "how-to" / "write-a-plug-in-package.md"
FILES = sorted(
    path for path in PLUGIN.rglob("*") if path.suffix in (".py", ".toml", ".j2") and path.is_file()
)
LANGUAGES = {".py": ("python", "# {}"), ".toml": ("toml", "# {}"), ".j2": ("jinja", "{{# {} #}}")}

SMALL = (
    *("--classifier-epochs", "8", "--batch-size", "64", "--samples-per-class", "4", "--confidence", "0.5"),
    *("--attribution-steps", "20", "--resamples", "300", "--device", "cpu", "--quiet"),
)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path that holds the plug-in as an installer lays it: its wheel, unpacked."""
    wheels, site = tmp_path / "wheels", tmp_path / "site"
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(wheels)]
    subprocess.run(build, cwd=PLUGIN, check=True, capture_output=True)
    (wheel,) = wheels.iterdir()
    zipfile.ZipFile(wheel).extractall(site)
    monkeypatch.setenv("PYTHONPATH", str(site), prepend=os.pathsep)
    return site


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_how_to_quotes_the_package(path: Path) -> None:
    """Each of its files stands there to the letter, below its path."""
    language, named = LANGUAGES[path.suffix]
    head = named.format(path.relative_to(PLUGIN).as_posix())
    text = path.read_text(encoding="utf-8")
    assert f"```{language}\n{head}\n{text}```\n" in HOW_TO.read_text(encoding="utf-8")


def test_each_part_of_a_package_reaches_a_run(installed: Path, tmp_path: Path) -> None:
    """Its data by name, its model and recipe, method, measurement, criterion, check and section."""
    work = tmp_path / "work"
    work.mkdir()
    shutil.copy(PLUGIN / "harness.toml", work)
    shutil.copytree(PLUGIN / "checks", work / "checks", ignore=shutil.ignore_patterns("__pycache__"))
    done = alone(work, "validate", *SMALL)
    assert done.returncode == 0, done.stdout + done.stderr
    run = work / "artifacts" / "latest"
    verdict = json.loads((run / "verdict.json").read_bytes())
    assert verdict["dataset"]["name"] == "footwear"
    rows = {row["id"]: row for row in verdict["criteria"]}
    assert {rows[name]["verdict"] for name in ("lead", "footwear.every_kind_of_shoe_leads")} == {"pass"}
    metrics = (run / "metrics.csv").read_text(encoding="utf-8").splitlines()
    (lead,) = [line.split(",") for line in metrics if line.startswith("lead,")]
    with np.load(run / "measurements" / "lead.npz") as measured:
        assert float(lead[2]) == pytest.approx(measured["lead"].mean())
    with np.load(run / "seed-0" / "attributions" / "centred_gradients.npz") as maps:
        assert maps["maps"].shape == (12, 784)
        assert np.abs(maps["maps"]).max(axis=1).min() > 0
    model = json.loads((run / "model.json").read_bytes())
    assert (model["model"], model["recipe"]) == ("smooth", "noise")
    page = (run / "report.html").read_text(encoding="utf-8")
    section = page.partition('id="close-decisions"')[2].partition("</section>")[0]
    assert "The closest decisions" in section
    assert section.count("<tr>") == 1 + 5


def test_a_name_is_known_where_its_package_is_installed(installed: Path, tmp_path: Path) -> None:
    """Misspelt there, it is suggested; elsewhere it is unknown, in a sentence and with 2."""
    asked = ("validate", "--dataset", "fashion-mnist-mini", "--methods")
    done = alone(tmp_path, *asked, "centered_gradients,gradients")
    assert done.returncode == 2
    assert "unknown attribution 'centered_gradients': did you mean 'centred_gradients'?" in done.stderr
    shutil.rmtree(installed)
    done = alone(tmp_path, *asked, "centred_gradients,gradients")
    assert done.returncode == 2
    assert "unknown attribution 'centred_gradients'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_package_that_breaks_when_it_is_imported_is_named(installed: Path, tmp_path: Path) -> None:
    """With its error, its version and what to do, whatever the error is; nothing is computed."""
    (installed / "harness_plugin_example" / "measurements.py").write_text("1 / 0\n", encoding="utf-8")
    done = alone(tmp_path, "validate", "--dataset", "fashion-mnist-mini")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        "error: entry point 'harness_plugin_example.measurements' of group harness.measurements cannot be "
        "loaded: ZeroDivisionError: division by zero; mend or uninstall harness-plugin-example 1.0.0"
    )
    assert not (tmp_path / "artifacts" / "runs").exists()
