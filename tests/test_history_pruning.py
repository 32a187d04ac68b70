"""Room is made of runs that nobody goes back to: what text holds stays, and what is gone is no damage."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from harness import report
from harness.artifacts import cleaning
from harness.artifacts.directories import RunDirectory
from harness.config import Config
from harness.errors import Pruned, RunError, StorageError
from harness.history import documents, listing, pruning
from harness.history.records import Human, Night
from harness.judging import verdicts
from harness.report import comparison
from tests.test_history import a_night
from tests.test_history_alarms import LEVEL, nights_of
from tests.test_history_listing import BROKEN
from tests.written import a_run, sealed_anew

pytestmark = pytest.mark.usefixtures("judged_here")


def stay(nights: list[Night], *acts: Human, keep: int = 1) -> dict[int, str]:
    """Why nights stay whole, by number."""
    found = pruning.wanted(nights, acts, listing.every_series(nights, acts, Config()), keep)
    return {int(name[:6]): why for name, why in found.items()}


def test_the_newest_and_the_last_green_stay() -> None:
    """The others go, once they are recorded."""
    nights = nights_of(LEVEL[:12])
    nights[10:] = [replace(one, verdict="fail") for one in nights[10:]]
    nights[3] = replace(nights[3], status="begun")
    assert stay(nights, keep=1) == {
        4: "has not ended, or is not recorded yet",
        10: "is the last green one of its series",
        12: "is among the newest",
    }
    assert set(stay(nights, keep=3)) == {4, 10, 11, 12}
    assert set(stay(nights, keep=99)) == set(range(1, 13))


def test_what_an_open_alarm_rests_on_stays() -> None:
    """Its last good night, its first bad one and the one that found it; not when it has ended."""
    found = stay(BROKEN)
    (series,) = listing.every_series(BROKEN, [], Config())
    (alarm,) = series.alarms
    assert {int(name[:6]) for name in (alarm.last_good, *alarm.began, alarm.first, alarm.found)} <= set(found)
    assert found[30] == "is the last green one of its series" or "open alarm" in found[30]
    act = Human("accept-00000001", "accept", "", BROKEN[-1].id, "known", alarm=alarm.id)
    assert set(stay(BROKEN, act)) == {30, 34}  # the last green one, and the newest
    assert set(stay([*BROKEN, a_night(35)], act)) == {35}


def test_pinned_nights_stay_and_so_does_a_second_measurement_of_one_that_does() -> None:
    """What was pinned is what everything is held against."""
    nights = nights_of(LEVEL[:12])
    nights.append(a_night(13, kind="confirmation", of=nights[4].id))
    nights.append(a_night(14))
    pin = Human("pin-00000001", "pin", "", nights[-1].id, "good", night=nights[4].id, pinned={"night": {}})
    found = stay(nights, pin)
    assert found[5] == "is pinned"
    assert found[13] == "measures night 000005-abc123 again, which is pinned"
    assert 13 not in stay(nights)


def a_nights_run(output: Path, number: int = 1) -> RunDirectory:
    """The run of a night, judged, with its page and a file of each kind."""
    run = a_run(output)
    documents.write_night(run, Night(f"{number:06d}-abc123", "night", "begun"))
    for name in (
        "seed-0/weights.pth",
        "canary/seed-0/codes.npz",
        "canary/estimates.json",
        "seed-0/training.csv",
    ):
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_text("x" * 1000)
    (run / "measurements").mkdir(exist_ok=True)
    (run / "measurements/accuracy.npz").write_text("x")
    sealed_anew(run)
    verdicts.judge(run)
    (run / "report.html").write_text("page")
    (run / "figures").mkdir(exist_ok=True)
    (run / "figures/a.svg").write_text("<svg/>")
    return RunDirectory.open(run.path)


def names(run: Path) -> set[str]:
    """Every file of a run."""
    return {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}


def pruned(output: Path) -> RunDirectory:
    """A night's run without what can go of it."""
    run = a_nights_run(output)
    (one,) = pruning.prunable(output, [a_night(1)], {})
    pruning.prune(one)
    return RunDirectory.open(run.path)


def test_numbers_verdict_and_page_stay(tmp_path: Path) -> None:
    """All that text holds; and what is gone is told, and no damage."""
    run = a_nights_run(tmp_path)
    before = names(run.path)
    (one,) = pruning.prunable(tmp_path, [a_night(1)], {})
    pruning.prune(one)
    after = names(run.path)
    assert before - after == set(one.files)
    assert after - before == {"pruned.json"}
    assert {path.rpartition(".")[2] for path in one.files} == {"npz", "pth", "svg"}
    assert "badge.svg" in after
    assert {
        "report.html",
        "verdict.json",
        "junit.xml",
        "canary/estimates.json",
        "seed-0/training.csv",
    } <= after
    assert not (run / "measurements").exists()
    assert one.size >= 2000
    opened = RunDirectory.open(run.path)
    assert opened.damage() == []
    assert opened.amiss() == []
    assert documents.night_of_run(opened).value("accuracy") is not None


def test_damage_is_damage_also_in_a_pruned_run(tmp_path: Path) -> None:
    """What text holds is still sealed, and a file that came back is what it was."""
    run = pruned(tmp_path)
    (run / "estimates.json").write_text("{}")
    (run / "seed-0").mkdir(exist_ok=True)
    (run / "seed-0/weights.pth").write_text("other")
    assert {one.name for one in run.damage()} == {"estimates.json", "seed-0/weights.pth"}
    (run / "pruned.json").write_text("[]")
    with pytest.raises(RunError, match=r"pruned\.json: damaged"):
        RunDirectory.open(run.path).damage()


def test_a_pruned_run_is_neither_judged_nor_drawn(tmp_path: Path) -> None:
    """It is refused in a sentence, and nothing of it changes."""
    run = pruned(tmp_path)
    before = {name: (run / name).read_bytes() for name in names(run.path)}
    for refused in (verdicts.judge, report.render):
        with pytest.raises(Pruned, match=r"was pruned, \d+ files are gone") as told:
            refused(run)
        assert told.value.exit_code == 2
    assert {name: (run / name).read_bytes() for name in names(run.path)} == before


def test_a_pruned_file_says_so(tmp_path: Path) -> None:
    """Whoever reads it."""
    run = pruned(tmp_path)
    with pytest.raises(RunError, match=r"samples\.npz: was pruned to save room"):
        run.read_arrays("samples.npz")


def test_a_comparison_says_so(tmp_path: Path) -> None:
    """The numbers are compared, and the gap is told."""
    run, other = pruned(tmp_path), a_run(tmp_path)
    verdicts.judge(other)
    path, _ = comparison.compare(run, RunDirectory.open(other.path), tmp_path / "page.html")
    assert "it was pruned:" in path.read_text()


def test_pruning_that_broke_off_is_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is named is no damage, whether it is gone yet or not."""
    run = a_nights_run(tmp_path)
    (one,) = pruning.prunable(tmp_path, [a_night(1)], {})
    real, removed = Path.unlink, list[Path]()

    def unlink(path: Path, missing_ok: bool = False) -> None:
        if path.suffix in (".npz", ".pth") and len(removed) == 2:
            raise PermissionError(13, "Permission denied")
        removed.append(path)
        real(path, missing_ok)

    with monkeypatch.context() as patched, pytest.raises(StorageError, match="Permission denied"):
        patched.setattr(Path, "unlink", unlink)
        pruning.prune(one)
    assert RunDirectory.open(run.path).damage() == []
    (rest,) = pruning.prunable(tmp_path, [a_night(1)], {})
    assert 0 < len(rest.files) < len(one.files)
    pruning.prune(rest)
    assert set(json.loads((run / "pruned.json").read_text())["files"]) == set(one.files)
    assert pruning.prunable(tmp_path, [a_night(1)], {})[0].files == ()


def test_only_runs_of_recorded_nights_are_pruned(tmp_path: Path) -> None:
    """A run of no night is somebody's own; the history does not know of another one's; one may be no run."""
    a_run(tmp_path)
    run, unknown = a_nights_run(tmp_path, 1), a_nights_run(tmp_path, 2)
    (tmp_path / "runs/night").mkdir()
    (tmp_path / "runs/night/night.json").write_text("{")
    (one,) = pruning.prunable(tmp_path, [a_night(1)], {"000001-abc123": "is pinned"})
    assert (one.run.path, one.why) == (run.path, "is pinned")
    assert unknown.path != run.path


def test_a_link_is_removed_and_not_what_it_names(tmp_path: Path) -> None:
    """Nor is a folder entered that lies elsewhere."""
    run = a_nights_run(tmp_path)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "mine.npz").write_text("x")
    (run / "folder").symlink_to(outside)
    (run / "link.npz").symlink_to(outside / "mine.npz")
    (one,) = pruning.prunable(tmp_path, [a_night(1)], {})
    pruning.prune(one)
    assert (outside / "mine.npz").is_file()
    assert not (run / "link.npz").is_symlink()


def test_a_pruned_run_needs_no_cache(tmp_path: Path) -> None:
    """What the cache held for it can be cleaned."""
    run = pruned(tmp_path)
    run.write_json("stages.json", {"duration_s": {}, "taken_from": None, "cache": ["stage/used"]})
    assert list(cleaning._used(tmp_path / "runs")) == []
