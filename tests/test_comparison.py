"""Two runs side by side: what moved is told as it is, and what one of them lacks is a line."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from harness import pipeline
from harness.artifacts.directories import RunDirectory
from harness.cli import main
from harness.config import Config
from harness.errors import OutputError
from harness.judging import verdicts
from harness.measurements import correlations
from harness.records import Floats
from harness.report import comparison, differences
from harness.report.sides import Side, common_samples
from harness.runs import Run
from tests.written import CLASSES, a_run, sealed_anew

pytestmark = pytest.mark.usefixtures("judged_here")

METHODS = ("gradients", "smoothgrad")


def with_maps(
    run: RunDirectory, maps: dict[str, Floats], indices: Any = None, images: Any = None
) -> RunDirectory:
    """Give a written run, of 12 samples and 2 by 2 pixels, images and contribution maps."""
    indices = 10 + np.arange(12) if indices is None else np.asarray(indices)
    images = np.full((12, 4), 255, dtype=np.uint8) if images is None else images
    run.write_arrays("samples.npz", {"indices": indices, "labels": np.repeat([0, 1, 2], 4), "images": images})
    for name, rows in maps.items():
        arrays = {"maps": rows.astype(np.float32), "space": np.array("contribution")}
        run.seed(0).write_arrays(f"attributions/{name}.npz", arrays)
    return run


def with_values(run: RunDirectory, name: str, values: Floats, *, by_class: bool = True) -> RunDirectory:
    """Give it a measurement's values by image, and the estimate that is their mean by class, or of all."""
    strata = {"strata": np.repeat([0, 1, 2], 4)} if by_class else {}
    run.write_arrays(f"measurements/{name}.npz", {name: values[None], "seeds": np.zeros(1)} | strata)
    stored = run.read_json("estimates.json")
    for row in stored["estimates"]:
        if row["name"] == name:
            row["estimate"] = float(values.mean())
    run.write_json("estimates.json", stored)
    return run


def some_maps(seed: int) -> dict[str, Floats]:
    generator = np.random.default_rng(seed)
    return {name: generator.normal(size=(12, 4)) for name in METHODS}


def settings(**changed: Any) -> dict[str, Any]:
    return {"attribution": {"methods": METHODS}} | changed


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output folder with two judged runs of the same samples, with other maps; to be read, not written."""
    output = tmp_path_factory.mktemp("judged") / "artifacts"
    for seed in (0, 1):
        verdicts.judge(sealed_anew(with_maps(a_run(output, config=settings()), some_maps(seed))))
    return output


@pytest.fixture
def two(judged: Path, tmp_path: Path) -> tuple[RunDirectory, RunDirectory]:
    """A copy of both, to do with as one likes."""
    copied = Path(shutil.copytree(judged, tmp_path / "artifacts", symlinks=True))
    first, second = sorted((copied / "runs").iterdir(), key=lambda path: (len(path.name), path.name))
    return RunDirectory(first), RunDirectory(second)


def page_of(a: RunDirectory, b: RunDirectory) -> str:
    path, _ = comparison.compare(a, b)
    return path.read_text(encoding="utf-8")


def paired(a: RunDirectory, b: RunDirectory, name: str) -> differences.Paired:
    sides = Side("A", a), Side("B", b)
    return differences.paired(*sides, name, common_samples(*sides))


# the change on the same images


def test_a_paired_change_is_that_of_the_same_images(two: tuple[RunDirectory, RunDirectory]) -> None:
    """Where B's values are A's and a constant, the change is that constant without any doubt."""
    a, b = two
    values = np.random.default_rng(0).normal(0.7, 0.1, 12)
    with_values(a, "agreement", values)
    with_values(b, "agreement", values + 0.05)
    found = paired(a, b, "agreement")
    assert (found.change, found.low, found.high) == pytest.approx((0.05, 0.05, 0.05))
    assert (found.n, found.clear, found.classes) == (12, True, None)


def test_images_are_matched_by_their_place_in_the_test_set(tmp_path: Path) -> None:
    """Other orders and other selections: only images of one index are compared, each with itself."""
    a, b = (a_run(tmp_path / "artifacts", config=settings()) for _ in range(2))
    with_maps(a, some_maps(0), indices=10 + np.arange(12))
    with_maps(b, some_maps(1), indices=[11, 10, 98, 99, 15, 14, 96, 97, 19, 94, 95, 93])
    values = np.arange(12) / 100
    moved = np.zeros(12)
    moved[[1, 0, 5, 4, 8]] = values[[0, 1, 4, 5, 9]] + np.array([0.1, 0.1, 0.2, 0.2, 9])
    with_values(a, "agreement", values)
    with_values(b, "agreement", moved)
    found = paired(a, b, "agreement")
    # the bag has one image in common, and is left out
    assert found.change == pytest.approx(0.15)
    assert (found.n, found.classes) == (4, 2)


def test_a_ratio_is_compared_as_a_ratio(two: tuple[RunDirectory, RunDirectory]) -> None:
    """The change of a ratio of sums is the difference of the ratios, not the mean of differences."""
    a, b = two
    generator = np.random.default_rng(1)
    for run, top in ((a, 1.0), (b, 2.0)):
        bottom = generator.uniform(5, 15, 30)
        values = np.stack([top * generator.uniform(0.5, 1.5, 30), bottom], axis=1)
        run.write_arrays("measurements/fraction_unexplained.npz", {"fraction_unexplained": values[None]})
        stored = run.read_json("estimates.json")
        ratio = values[:, 0].sum() / values[:, 1].sum()
        for row in stored["estimates"]:
            if row["name"] == "fraction_unexplained":
                row["estimate"] = ratio
        run.write_json("estimates.json", stored)
    found = paired(a, b, "fraction_unexplained")
    before, after = (Side("A", one).estimates["fraction_unexplained"].estimate for one in two)
    assert before is not None
    assert after is not None
    assert found.change == pytest.approx(after - before)
    assert found.low is not None
    assert found.high is not None
    assert found.low < after - before < found.high
    assert found.clear


def test_no_paired_change_says_why(two: tuple[RunDirectory, RunDirectory], tmp_path: Path) -> None:
    """Another rule, several seeds, no values, other data: a dash with its reason, and no made-up interval."""
    a, b = two
    assert paired(a, b, "agreement").why == "A has no values by image"
    worst = np.random.default_rng(0).uniform(0, 1, (1, 12, 6))
    for run in two:
        arrays = {"agreement_worst_pair": worst, "strata": np.repeat([0, 1, 2], 4)}
        run.write_arrays("measurements/agreement_worst_pair.npz", arrays)
    assert paired(a, b, "agreement_worst_pair").why == "no mean over images"
    for run in two:
        with_values(run, "agreement", np.linspace(0, 1, 12))
    with_values(b, "agreement", np.linspace(0, 1, 12))
    b.write_arrays("measurements/agreement.npz", {"agreement": np.zeros((2, 12))})
    assert paired(a, b, "agreement").why == "B joins several seeds"
    environment = b.read_json("environment.json")
    b.write_json(
        "environment.json", environment | {"dataset": environment["dataset"] | {"sha256": {"x": "1"}}}
    )
    assert paired(a, b, "agreement").why == "other data"


# what is told


def test_a_changed_verdict_is_told_in_words(tmp_path: Path) -> None:
    """A gate that held and fails is told as such, in the headline and in its row."""
    a, b = a_run(tmp_path / "artifacts"), a_run(tmp_path / "artifacts", {"agreement": 0.5})
    for run in (a, b):
        verdicts.judge(run)
    path, told = comparison.compare(a, b)
    assert told.startswith("PASS became FAIL; Agreement of the attribution methods was pass, is fail; ")
    page = path.read_text(encoding="utf-8")
    assert page.count("was pass, is fail") == 2
    row = page.split("<code>agreement</code>")[1].split("</tr>")[0]
    assert "0.7" in row
    assert "-0.2</td>" in row
    settings = b.read_config()
    stricter = [
        one.model_copy(update={"threshold": 0.9}) if one.id == "agreement" else one
        for one in settings.criteria
    ]
    c = a_run(tmp_path / "artifacts")
    c.write_config(settings.model_copy(update={"criteria": tuple(stricter)}))
    verdicts.judge(sealed_anew(c))
    assert "was pass, is fail, and its threshold changed; " in comparison.compare(a, c)[1]
    back, told = comparison.compare(b, a)
    assert told.startswith("FAIL became PASS; Agreement of the attribution methods was fail, is pass; ")
    assert back != path


def test_which_way_is_better_is_the_measurements(two: tuple[RunDirectory, RunDirectory]) -> None:
    """More agreement is better, more error is worse, and where neither end is better it has moved."""
    a, b = two
    for name in ("agreement", "accuracy", "sparsity"):
        for run, more in ((a, 0.0), (b, 0.1)):
            stored = run.read_json("estimates.json")
            for row in stored["estimates"]:
                if row["name"] == name:
                    row["higher_is_better"] = {"agreement": True, "accuracy": False, "sparsity": None}[name]
            run.write_json("estimates.json", stored)
            with_values(run, name, np.linspace(0.6, 0.7, 12) + more)
    sides = Side("A", a), Side("B", b)
    rows = {one.name: one for one in differences.criteria(*sides, common_samples(*sides))}
    assert [rows[name].judgement for name in ("agreement", "accuracy", "sparsity")] == [
        "better",
        "worse",
        "moved",
    ]
    assert rows["reconstruction"].judgement == ""


def test_only_what_differs_is_listed(tmp_path: Path) -> None:
    """Keys of provenance and settings with both values; of two equal runs there is none."""
    a = a_run(tmp_path / "artifacts")
    b = a_run(tmp_path / "artifacts", config={"model": {"k": 40}})
    b.write_json("environment.json", b.read_json("environment.json") | {"versions": {"torch": "9"}})
    found = differences.provenance(Side("A", a), Side("B", b))
    assert ("model.k", "50", "40") in found
    assert ("versions.torch", "–", "9") in found
    assert ("criteria.sparsity.threshold", "45.0, 55.0", "36.0, 44.0") in found
    assert len(found) == 3
    assert differences.provenance(Side("A", a), Side("B", a_run(tmp_path / "artifacts"))) == []


# the maps


def test_maps_are_ordered_by_how_much_they_changed(two: tuple[RunDirectory, RunDirectory]) -> None:
    """By 1 - correlation, the mean over methods, printed with each; medians are over all images."""
    a, b = two
    kept = {name: correlations(some_maps(0)[name], some_maps(1)[name]) for name in METHODS}
    changes = 1 - np.mean(list(kept.values()), axis=0)
    page = page_of(a, b)
    shown = [int(one) for one in re.findall(r'<li id="s-(\d+)"', page)]
    assert shown == (10 + np.argsort(-changes)).tolist()
    assert f"changed by {np.sort(changes)[-1]:.4g}" in page
    for name in METHODS:
        assert f'<td class="number">{np.median(kept[name]):.4g}</td>' in page
    lowest = min(METHODS, key=lambda name: np.median(kept[name]))
    assert f"correlate least for {lowest}, at a median of {np.median(kept[lowest]):.4g}" in page
    assert "All of them are shown" in page


def test_a_difference_is_drawn_on_the_scale_of_both(tmp_path: Path) -> None:
    """B - A of maps of opposite ends is out of the scale that they share, and equal maps leave it blank."""
    a, b = (a_run(tmp_path / "artifacts", config=settings()) for _ in range(2))
    rows = np.tile([1.0, -1.0, 0.5, 0.0], (12, 1))
    with_maps(a, {"gradients": rows, "smoothgrad": rows})
    with_maps(b, {"gradients": -rows, "smoothgrad": rows})
    page = page_of(a, b)
    sheets = {
        name: np.asarray(Image.open(io.BytesIO(base64.b64decode(code))).convert("RGB"))[:2, :2].astype(int)
        for name, code in re.findall(
            r"\.(m\d[abd]) \{ background-image: url\(data:image/png;base64,(.*?)\)", page
        )
    }
    assert len(sheets) == 6
    red, blue = sheets["m0a"][0, 0], sheets["m0a"][0, 1]
    assert red[0] > red[2] + 50
    assert blue[2] > blue[0] + 50
    assert (sheets["m0b"][0, ::-1] == sheets["m0a"][0]).all()
    assert sheets["m0d"][0, 0, 2] > sheets["m0d"][0, 0, 0] + 50
    assert np.ptp(sheets["m1d"].reshape(-1, 3), axis=0).max() == 0
    assert "±1<" in page
    assert page.count('"m1d">same<') == 12
    assert page.count(">same<") == 12


def test_no_more_than_a_page_takes_are_shown(
    two: tuple[RunDirectory, RunDirectory], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of more images those that changed most are shown, and the page says how many there are."""
    monkeypatch.setattr(comparison, "MOST", 5)
    page = page_of(*two)
    assert page.count('<li id="s-') == 5
    assert "Shown are the 5 of 12 images whose maps changed most" in page


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda run: with_maps(run, {}, indices=100 + np.arange(12)), "No image was explained in both runs."),
        (lambda run: (run / "samples.npz").unlink(), "B explained no image."),
        (lambda run: shutil.rmtree(run / "seed-0/attributions"), "No method has maps of these images"),
        (
            lambda run: (run / "seed-0/attributions/gradients.npz").unlink(),
            "gradients: only A has its maps.",
        ),
        (lambda run: with_maps(run, {"gradients": np.zeros((3, 4))}), "gradients: its maps are of another"),
        (lambda run: (run / "seed-0/attributions/gradients.npz").write_bytes(b"x"), "damaged"),
        (lambda run: (run / "config.toml").write_text("x = ["), "configuration cannot be read"),
        (lambda run: (run / "verdict.json").unlink(), "it was not judged"),
        (lambda run: (run / "verdict.json").write_text("{"), "verdict cannot be read"),
        (lambda run: (run / "estimates.json").unlink(), "nothing was measured, it broke off before"),
        (
            lambda run: run.write_json("estimates.json", {"estimates": [{"name": "x"}]}),
            "estimates cannot be read",
        ),
        (
            lambda run: run.write_text("environment.json", json.dumps({"schema": 99})),
            "schema 99 is newer",
        ),
        (
            lambda run: (run / "config.toml").write_text('seeds = [0]\nfuture = "x"\n'),
            "smoothgrad: only A has its maps.",
        ),
    ],
)
def test_what_a_run_lacks_is_a_line(
    two: tuple[RunDirectory, RunDirectory], change: Callable[[RunDirectory], Any], line: str
) -> None:
    """A run that is broken off, damaged or of another version: the page stands, and says so."""
    a, b = two
    change(b)
    assert line in page_of(a, b)
    assert "</html>" in page_of(b, a)


def test_runs_of_other_data_have_no_maps_in_common(two: tuple[RunDirectory, RunDirectory]) -> None:
    """Test images of one index in other data are other images: the page says whose they are."""
    a, b = two
    environment = b.read_json("environment.json")
    b.write_json("environment.json", environment | {"dataset": environment["dataset"] | {"name": "cubes"}})
    page = page_of(a, b)
    assert "The runs are of different data: blobs and cubes." in page
    assert '<li id="s-' not in page


def test_runs_without_a_seed_in_common_say_whose_maps_are_shown(tmp_path: Path) -> None:
    """The first seed that both have is compared; where there is none, the first of each."""
    a, b = a_run(tmp_path / "artifacts", config=settings()), a_run(tmp_path / "artifacts")
    b.write_config(Config.model_validate(settings(seeds=[7])))
    with_maps(a, some_maps(0))
    with_maps(b, some_maps(1))
    (b / "seed-0").rename(b / "seed-7")
    assert "A's maps are those of seed 0 and B's of seed 7" in page_of(a, b)
    b.write_config(Config.model_validate(settings(seeds=[7, 0])))
    (b / "seed-7").rename(b / "seed-0")
    assert "the maps are those of seed 0" in page_of(a, b)


# the page


def test_the_page_stands_alone(two: tuple[RunDirectory, RunDirectory]) -> None:
    """No script, no request, every tag closed, every id once, every anchor there; the same bytes again."""
    page = page_of(*two)
    assert "<script" not in page
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in page
    addresses = re.findall(r'(?:src|href)="([^"]*)"', page) + re.findall(r"url\(([^)]*)\)", page)
    assert addresses
    assert all(one.startswith(("#", "data:image/png;base64,")) for one in addresses)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)
    assert page_of(*two) == page

    class Checker(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.open: list[str] = []

        def handle_starttag(self, tag: str, attrs: object) -> None:
            if tag not in {"meta", "br", "img"}:
                self.open.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert self.open.pop() == tag

    checker = Checker()
    checker.feed(page)
    assert checker.open == []


def test_foreign_text_is_inert_in_the_page(two: tuple[RunDirectory, RunDirectory]) -> None:
    """Markup, templates and controls in classes, branches and titles are shown as they are (faults 44-46)."""
    nasty = "</style><img src=x onerror=alert(1)>{{7*7}}\u202e\x1b[31m"
    for number, run in enumerate(two):
        environment = run.read_json("environment.json")
        classes = [nasty, *CLASSES[1:]]
        changed = {"branch": nasty + str(number), "dataset": environment["dataset"] | {"classes": classes}}
        run.write_json("environment.json", environment | changed)
        verdict = run.read_json("verdict.json")
        verdict["criteria"][0]["title"] = nasty
        run.write_json("verdict.json", verdict)
        sealed_anew(run)
    page = page_of(*two)
    assert "<img src=x" not in page
    assert "{{7*7}}" in page
    assert not {"\u202e", "\x1b"} & set(page)


def test_the_page_stands_beside_the_folder_of_runs(
    two: tuple[RunDirectory, RunDirectory], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By default in `artifacts`; of a run elsewhere in the working directory; or where it is asked for."""
    a, b = two
    name = f"compare-{a.path.name}-{b.path.name}.html"
    assert comparison.compare(a, b)[0] == a.path.parent.parent / name
    elsewhere = RunDirectory(Path(shutil.copytree(a.path, tmp_path / "elsewhere")))
    monkeypatch.chdir(tmp_path)
    assert comparison.compare(elsewhere, b)[0] == Path(f"compare-elsewhere-{b.path.name}.html")
    assert (tmp_path / f"compare-elsewhere-{b.path.name}.html").is_file()
    assert comparison.compare(a, b, tmp_path / "mine/x.html")[0] == tmp_path / "mine/x.html"
    with pytest.raises(OutputError, match="cannot be written"):
        comparison.compare(a, b, tmp_path / "mine")


def test_the_command_prints_the_page_and_what_moved(
    two: tuple[RunDirectory, RunDirectory],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """`harness compare RUN RUN` ends with 0 and two lines; a path that is no run ends with 2 and one."""

    def harness(*arguments: object) -> tuple[object, str, str]:
        monkeypatch.setattr(sys, "argv", ["harness", "compare", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code, *capsys.readouterr()

    a, b = two
    code, out, _ = harness(a.path, b.path, "--output", tmp_path / "x.html")
    assert code == 0
    assert out.splitlines() == [
        f"comparison: {tmp_path / 'x.html'}",
        "PASS, as before; no change has an interval",
    ]
    assert (tmp_path / "x.html").is_file()
    code, out, error = harness(a.path, tmp_path)
    assert (code, out) == (2, "")
    assert len(error.splitlines()) == 1
    assert "is no run directory" in error


@pytest.mark.thorough
def test_a_real_pair_is_compared(
    finished: RunDirectory, small_config: Callable[..., Config], tmp_path: Path
) -> None:
    """Two computed runs, one with another k: both numbers, the change, and the setting that differs."""
    other = RunDirectory.open(pipeline.run(small_config(k=24)))
    verdicts.judge(other)
    page = page_of(finished, other)
    for run in (finished, other):
        agreement = Run(run).estimate("agreement")
        assert agreement is not None
        assert agreement.estimate is not None
        assert f"{agreement.estimate:.4g}" in page
    assert "<code>model.k</code></th><td>32</td><td>24</td>" in page
    accuracy = paired(finished, other, "accuracy")
    values = [one.read_arrays("measurements/accuracy.npz")["accuracy"][0] for one in (finished, other)]
    change = float(values[1].mean() - values[0].mean())
    assert accuracy.change == pytest.approx(change)
    assert accuracy.n == 2000
    assert accuracy.low is not None
    assert accuracy.high is not None
    assert accuracy.low < change < accuracy.high
