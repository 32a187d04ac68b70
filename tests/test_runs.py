"""A run directory as an object, for reports and notebooks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.artifacts.directories import RunDirectory
from harness.errors import ConfigurationError, RunError
from harness.runs import Run
from tests.written import sealed_anew


def test_a_run_shows_its_verdict_in_a_notebook(finished: RunDirectory) -> None:
    """`_repr_html_` names verdict, data and criteria; a run without a verdict says so."""
    html = Run(finished)._repr_html_()
    assert "<strong>PASS</strong> on fashion-mnist-mini" in html
    assert html.count("<tr>") == 1 + len(finished.read_config().criteria)
    (finished / "verdict.json").unlink()
    assert "not judged yet" in Run(finished)._repr_html_()


def test_foreign_text_is_inert_in_a_notebook(finished: RunDirectory) -> None:
    """A title with markup stays text (fault 44)."""
    text = (finished / "verdict.json").read_text()
    (finished / "verdict.json").write_text(text.replace("Test accuracy", "<img src=x onerror=alert(1)>"))
    sealed_anew(finished)
    assert "<img" not in Run(finished)._repr_html_()


def test_a_run_opens_by_its_path(finished: RunDirectory, tmp_path: Path) -> None:
    """A path or a link opens a run, and a folder that is none is refused."""
    assert Run.open(str(finished.path)).provenance.run_id == Run(finished).provenance.run_id
    with pytest.raises(ConfigurationError, match="is no run directory"):
        Run.open(tmp_path)


def test_tables_have_their_columns(finished: RunDirectory) -> None:
    """The tables of samples, training and metrics are there."""
    run = Run(finished)
    assert len(run.samples) == 40
    assert set(run.training["stage"]) == {"autoencoder", "classifier"}
    assert len(run.metrics) == len(run.estimates)


def test_the_typical_sample_has_the_median_agreement(finished: RunDirectory) -> None:
    """One sample a class is its median; four are all, from the worst to the best."""
    run = Run(finished)
    labels = run.evidence().labels
    values = run.per_sample("agreement")[0]
    for place in run.typical(1):
        rivals = np.sort(values[labels == labels[place]])
        assert values[place] == rivals[len(rivals) // 2]
    four = run.typical(4)
    assert sorted(four) == list(range(40))
    assert (np.diff(values[four][:4]) >= 0).all()


def test_more_samples_than_there_are_give_each_once(finished: RunDirectory) -> None:
    """No sample is drawn twice."""
    assert sorted(Run(finished).typical(50)) == list(range(40))


@pytest.mark.thorough
def test_three_row_figures_come_by_class(finished: RunDirectory) -> None:
    """Two samples of each of ten classes are twenty figures."""
    assert len(Run(finished).explanations(samples_per_class=2)) == 20


def test_a_missing_file_is_named(finished: RunDirectory) -> None:
    """What a damaged run lacks is said by name."""
    (finished / "seed-0/codes.npz").unlink()
    with pytest.raises(RunError, match=r"codes\.npz: missing"):
        Run(finished).evidence()


@pytest.mark.parametrize("told", [True, False])
def test_a_maps_file_says_whether_its_method_is_a_control(finished: RunDirectory, told: bool) -> None:
    """Any method's; of a file of before it did, the name of the one control there was says it."""
    methods = Run(finished).config.attribution.methods
    folder = finished.seed(0)
    arrays = folder.read_arrays(f"attributions/{methods[1]}.npz")
    del arrays["control"]
    assert Run(finished).compared == methods
    folder.write_arrays(
        f"attributions/{methods[1]}.npz", arrays | ({"control": np.array(True)} if told else {})
    )
    sealed_anew(finished)
    run = Run(finished)
    left = tuple(name for name in methods if name != methods[1] or not told)
    assert run.compared == run.evidence().methods == left
    old = folder.read_arrays("attributions/decoder_reconstruction.npz")
    folder.write_arrays(
        "attributions/decoder_reconstruction.npz", {key: old[key] for key in old if key != "control"}
    )
    sealed_anew(finished)
    assert Run(finished).evidence().methods == left
