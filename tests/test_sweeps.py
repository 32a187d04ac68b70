"""A sweep runs what is missing, keeps what is there, loses at most what was in flight, and tells it all."""

from __future__ import annotations

import ast
import csv
import io
import json
import math
import re
import shutil
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness import sweeps
from harness.artifacts import latest
from harness.artifacts.directories import RunDirectory
from harness.artifacts.sealing import seal
from harness.artifacts.staging import Staged
from harness.config.tables import parse
from harness.errors import ConfigurationError
from harness.processes import Processes
from harness.sweeps import places, running, table, worker
from harness.sweeps.worker import Answer, Order
from tests.commands import called
from tests.small import SMALL

Fake = Callable[[Order], Answer]


class Workers:
    """In the place of processes: each point has a copy of one finished run, in no time."""

    def __init__(self, run: RunDirectory) -> None:
        self.source = run.path
        self.orders: list[Order] = []
        self.codes: dict[str, list[int]] = {}
        """By point, the exit codes that its processes end with, one after another."""
        self.lock = threading.Lock()

    def __call__(self, order: Order) -> Answer:
        with self.lock:
            self.orders.append(order)
            codes = self.codes.get(order.point, [])
            code = codes.pop(0) if codes else 0
        if code == 130:
            raise KeyboardInterrupt
        if code in (0, 1):
            self.run(Path(order.folder), order.number)
        return Answer(code, 2.0, f"warning: of no matter\nended so: {code}\n")

    def run(self, folder: Path, number: int) -> None:
        """What a process leaves in a point's folder."""
        target = folder / "runs" / f"{self.source.name}-{number}"
        shutil.copytree(self.source, target)
        run = RunDirectory(target)
        verdict, record = run.read_verdict(), target / "environment.json"
        assert verdict is not None
        record.write_text(json.dumps(json.loads(record.read_bytes()) | {"sequence": number}))
        seal(target)  # for what bears the number is sealed
        run.write_verdict(verdict | {"manifest": None})
        latest.let_name(target)

    @property
    def points(self) -> list[str]:
        """The points that were asked for, in order."""
        return [order.point for order in self.orders]


@pytest.fixture
def workers(finished: RunDirectory, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Workers:
    """They stand in the place of real ones."""
    made = Workers(finished)
    monkeypatch.setattr(worker, "compute", made)
    monkeypatch.chdir(tmp_path)
    return made


class Heard:
    """What was told."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.warned: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def warn(self, text: str) -> None:
        self.warned.append(text)

    def epochs(self, title: str, epochs: Any, total: int) -> Iterator[Any]:
        return iter(epochs)


def planned(axes: dict[str, Any], output: str = "sweeping", **asked: Any) -> sweeps.Plan:
    """A sweep of small runs in the working folder."""
    flags = SMALL | {"output": output} | asked.pop("flags", {})
    return sweeps.plan(axes, flags=flags, **{"jobs": 2} | asked)


def swept(axes: dict[str, Any], **asked: Any) -> tuple[sweeps.Sweep, Heard]:
    """The same, run."""
    heard = Heard()
    return sweeps.run(planned(axes, **asked), heard), heard


def rows_of(found: sweeps.Plan) -> list[dict[str, str]]:
    """Its `points.csv`."""
    return list(csv.DictReader(io.StringIO((found.folder / table.CSV).read_text(encoding="utf-8"))))


@pytest.mark.thorough
def test_only_what_is_missing_is_run(workers: Workers) -> None:
    """The same again runs nothing; more values run what they add; `latest` of ordinary runs stays."""
    first, _ = swept({"k": [10, 20]})
    assert [row.verdict for row in first.rows] == [workers_verdict(workers)] * 2
    assert len(workers.orders) == 2
    again, heard = swept({"k": [10, 20]})
    assert len(workers.orders) == 2
    assert again.rows == first.rows
    assert "2 finished already" in heard.said[0]
    more, _ = swept({"k": [10, 20, 30]})
    assert more.id == first.id
    assert len(workers.orders) == 3
    other, _ = swept({"k": [10, 30], "epochs": [SMALL["epochs"], 9]})
    assert other.id != first.id
    assert len(workers.orders) == 5  # two of the four points are of the sweep before
    assert not (Path("sweeping") / latest.LATEST).exists()
    assert not (Path("sweeping") / "runs").exists()


def workers_verdict(workers: Workers) -> str:
    """That of the run which every point has a copy of."""
    found = RunDirectory.open(workers.source).read_verdict()
    assert found is not None
    return str(found["verdict"])


@pytest.mark.thorough
def test_the_table_has_what_the_runs_have(workers: Workers) -> None:
    """A row a point: its axes, verdict, exit code, run, every gate with its interval, seconds and memory."""
    plan = planned({"k": [10, 20], "epochs": [1, 2]})
    found = sweeps.run(plan, Heard())
    run = RunDirectory.open(workers.source)
    known = {one.name: one for one in run.read_estimates()}
    rows = rows_of(plan)
    assert [(row["k"], row["epochs"]) for row in rows] == [("10", "1"), ("10", "2"), ("20", "1"), ("20", "2")]
    for row in rows:
        assert (row["state"], row["exit_code"], row["seconds"]) == ("finished", "0", "2.0")
        assert Path("sweeping", row["run"], "verdict.json").is_file()
        assert float(row["memory_mb"]) == pytest.approx(run.read_stages().memory_mb["resident"], abs=0.5)
        for name in table.gates(found.rows):
            assert float(row[name]) == known[name].estimate
            low = known[name].low
            assert row[f"{name}.low"] == ("" if low is None else repr(low))
    told = json.loads((plan.folder / table.JSON).read_text())
    assert [one["id"] for one in told["points"]] == [row["point"] for row in rows]
    assert told["reference"] == rows[0]["point"]
    assert told["cost"]["ran"] == 4
    assert (plan.folder / table.PAGE).stat().st_size > 1000
    frame = table.tidy(found)
    one = frame[(frame.point == rows[1]["point"]) & (frame.measurement == "agreement")]
    assert (one.k.item(), one.epochs.item(), one.estimate.item()) == (10, 2, known["agreement"].estimate)


@pytest.mark.thorough
def test_a_missing_difference_has_its_reason_beside_it(workers: Workers) -> None:
    """In both tables: a number, or why there is none, and the point that it is compared with."""
    plan = planned({"k": [10, 20, 30]})
    workers.codes[plan.points[2].id] = [137, 137]
    found = sweeps.run(plan, Heard())
    base, second, lost = rows_of(plan)
    assert {row["reference"] for row in (base, second, lost)} == {plan.reference} == {plan.points[0].id}
    for name in table.compared(found.rows):
        assert (base[f"{name}.difference"], base[f"{name}.reason"]) == ("", "it is the reference")
        assert (lost[f"{name}.difference"], lost[f"{name}.reason"]) == ("", "the point is lost")
        told = second[f"{name}.difference"], second[f"{name}.difference_low"]
        assert ("" in told) == bool(second[f"{name}.reason"])
    assert any(second[f"{name}.difference_low"] for name in table.compared(found.rows))
    frame = table.tidy(found)
    assert set(frame.reference) == {plan.reference}
    for row in frame.to_dict("records"):
        key = f"{row['measurement']}.reason"
        csv_row = {base["point"]: base, second["point"]: second, lost["point"]: lost}[row["point"]]
        assert row["reason"] == csv_row.get(key, row["reason"])
        if isinstance(row["difference"], float) and math.isfinite(row["difference"]):
            assert row["point"] == second["point"]
        else:
            assert row["reason"]
    assert set(frame[frame.point == lost["point"]].reason) == {"the point is lost"}
    watched = {name for row in found.rows for name in row.estimates} - set(table.compared(found.rows))
    assert set(frame[(frame.point == second["point"]) & frame.measurement.isin(watched)].reason) <= {
        "points are not compared by it"
    }


@pytest.mark.thorough
def test_before_points_are_compared_the_table_says_so(workers: Workers) -> None:
    """Whoever looks while a sweep runs sees the columns that it will have."""
    plan = planned({"k": [10, 20]})
    found = sweeps.run(plan, Heard())
    after = rows_of(plan)[1]
    table.write_table(plan.folder, plan.output, plan.axes, found.rows, plan.reference)
    before = rows_of(plan)[1]
    assert list(before) == list(after)
    assert before["agreement.reason"] == "points are not compared yet"


@pytest.mark.thorough
def test_a_point_is_given_its_own_configuration(workers: Workers) -> None:
    """In a file with every key, with the cache that all share, its threads before torch loads, no axis."""
    plan = planned({"k": [10, 20]}, threads=3)
    sweeps.run(plan, Heard())
    for order, point in zip(workers.orders, plan.points, strict=True):
        assert set(order.variables.values()) == {"3"}
        values = parse((Path(order.folder) / places.POINT).read_bytes(), "")
        assert parse(order.config.encode(), "") == values
        assert values["model"]["k"] == point.config.model.k
        assert values["cache"] == str(Path("sweeping/cache").absolute())
        assert values["output"] == order.folder
        assert "sweep" not in values


@pytest.mark.thorough
def test_a_point_that_dies_is_tried_again_then_told(workers: Workers) -> None:
    """The others go on; the exit code says that one could not be judged; the next time it is tried anew."""
    plan = planned({"k": [10, 20, 30]})
    once, always = plan.points[0].id, plan.points[1].id
    workers.codes = {once: [-9], always: [-9, 3]}
    found = sweeps.run(plan, Heard())
    assert [row.state for row in found.rows] == ["finished", "lost", "finished"]
    assert "2 times: ended so: 3" in found.rows[1].why
    assert workers.points.count(once) == workers.points.count(always) == 2
    assert table.exit_code(found.rows) == 3
    assert "1 of 3 points have no verdict" in found.remarks[-1]
    again = sweeps.run(plan, Heard())
    assert [row.state for row in again.rows] == ["finished"] * 3
    assert workers.points.count(always) == 3
    assert table.exit_code(again.rows) == {"pass": 0, "fail": 1}[workers_verdict(workers)]


@pytest.mark.thorough
def test_a_point_that_is_refused_is_not_tried_again(workers: Workers) -> None:
    """Its process said why."""
    plan = planned({"k": [10, 20]})
    workers.codes = {plan.points[0].id: [2]}
    found = sweeps.run(plan, Heard())
    assert (found.rows[0].state, found.rows[0].why) == ("refused", "ended so: 2")
    assert workers.points.count(plan.points[0].id) == 1


@pytest.mark.thorough
def test_fail_fast(workers: Workers) -> None:
    """Begins no point after one without a verdict; what was not begun is missing."""
    plan = planned({"k": list(range(10, 30))}, fail_fast=True, jobs=1)
    workers.codes = {plan.points[1].id: [2]}
    found = sweeps.run(plan, Heard())
    assert [row.state for row in found.rows][:2] == ["finished", "refused"]
    assert {row.state for row in found.rows[3:]} == {"missing"}


@pytest.mark.thorough
def test_what_was_computed_and_not_written_down_is_there(workers: Workers) -> None:
    """A sweep that was killed between a point's end and its record loses nothing of it."""
    plan = planned({"k": [10, 20]})
    whole = sweeps.run(plan, Heard())
    (Path(workers.orders[0].folder) / places.OUTCOME).unlink()
    again = sweeps.run(plan, Heard())
    assert len(workers.orders) == 2
    assert [row.estimates for row in again.rows] == [row.estimates for row in whole.rows]
    assert [row.exit_code for row in again.rows] == [
        {"pass": 0, "fail": 1}[row.verdict] for row in whole.rows
    ]


@pytest.mark.thorough
def test_a_run_that_is_judged_anew_is_read_anew(workers: Workers) -> None:
    """Its numbers are what its files say now; one that is damaged is run again."""
    plan = planned({"k": [10, 20]})
    sweeps.run(plan, Heard())
    run = Path(workers.orders[0].folder) / "runs" / f"{workers.source.name}-1"
    (run / "verdict.json").write_text("{}")
    workers.codes = {plan.points[0].id: [2]}
    again = sweeps.run(plan, Heard())
    assert len(workers.orders) == 3
    assert again.rows[0].verdict == ""


@pytest.mark.thorough
def test_points_of_other_data_or_code_are_told(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    """On other data a point is missing; of other code it stays, is said, and --fresh runs it anew."""
    plan = planned({"k": [10, 20]})
    sweeps.run(plan, Heard())
    monkeypatch.setattr(table, "gate_digest", lambda: "another")
    found = sweeps.run(plan, Heard())
    assert "2 of 2 points were computed by other code" in found.remarks[0]
    assert len(workers.orders) == 2
    sweeps.run(planned({"k": [10, 20]}, flags={"fresh": True}), Heard())
    assert [order.fresh for order in workers.orders] == [False, False, True, True]
    monkeypatch.setattr(running.Running, "digest", lambda *_: "another")
    look = plan.running(Heard())
    assert look.look() == list(plan.points)
    assert look.rows[plan.points[0].id].why == "its run was computed on other data"


LOST_ANEW = {
    "killed": ([-9, -9], "was killed by signal 9, 2 times: ended so: -9"),
    "refused": ([2], "anew: ended so: 2"),
    "ended": ([11, 11], "ended with 11, 2 times"),
}


@pytest.mark.thorough
@pytest.mark.parametrize("kind", LOST_ANEW)
def test_a_point_that_is_lost_anew_is_told_by_its_earlier_run(workers: Workers, kind: str) -> None:
    """Row, terminal, page and exit code say so; what is known of that run stays, and so it is finished."""
    codes, told = LOST_ANEW[kind]
    first = sweeps.run(planned({"k": [10, 20]}, threads=1), Heard())
    plan = planned({"k": [10, 20]}, threads=2, flags={"fresh": True})
    place = places.Place(plan.output, plan.points[0].id)
    written = (place.folder / places.OUTCOME).read_bytes()
    (place.folder / latest.LATEST).unlink()  # as whatever is about to begin a run does
    workers.codes = {plan.points[0].id: [*codes]}
    heard = Heard()
    found = sweeps.run(plan, heard)
    assert len(workers.orders) == 2 + len(codes) + 1
    lost, anew = found.rows
    assert (lost.before, anew.before) == (True, False)
    as_before: dict[str, Any] = {
        "point": first.rows[0].point,
        "run": first.rows[0].run,
        "why": first.rows[0].why,
    }
    assert replace(lost, before=False, **as_before) == first.rows[0]
    assert lost.run is not None
    assert first.rows[0].run is not None
    assert lost.run.samefile(first.rows[0].run)
    assert anew.run is not None
    assert anew.run != first.rows[1].run
    assert told in lost.why
    assert lost.why.endswith(first.rows[0].why)
    assert any("k 10" in one and told in one for one in heard.warned)
    assert "1 of 2 points could not be computed anew" in found.remarks[0] + found.remarks[-1]
    assert table.exit_code(found.rows) == 3
    assert told in rows_of(plan)[0]["why"]
    page = (plan.folder / table.PAGE).read_text(encoding="utf-8")
    assert "; 1 could not be computed anew.</h1>" in page
    assert '<header class="verdict error">' in page
    assert table.tidy(found).attrs["remarks"] == list(found.remarks)
    assert (place.folder / places.OUTCOME).read_bytes() == written
    again = sweeps.run(planned({"k": [10, 20]}, threads=1), Heard())
    assert replace(again.rows[0], run=first.rows[0].run) == first.rows[0]
    assert table.exit_code(again.rows) == table.exit_code(first.rows)


def test_a_first_try_that_began_a_run_leaves_none_to_the_second(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that was begun and lost is none, and neither is what the next try did not begin."""
    first = sweeps.run(planned({"k": [10]}), Heard())

    def dying(order: Order) -> Answer:
        folder = Path(order.folder)
        if latest.next_sequence(folder / "runs") == order.number:
            workers.run(folder, order.number)
            (folder / "runs" / f"{workers.source.name}-{order.number}" / "verdict.json").unlink()
        else:
            (folder / latest.LATEST).unlink()
        return Answer(-9, 0.1, "killed")

    monkeypatch.setattr(worker, "compute", dying)
    found = sweeps.run(planned({"k": [10]}, flags={"fresh": True}), Heard())
    assert found.rows[0].before
    assert found.rows[0].estimates == first.rows[0].estimates


@pytest.mark.thorough
def test_what_is_there_of_other_data_tells_no_point(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A point that is lost on new data is lost, whatever it had on the old."""
    plan = planned({"k": [10, 20]})
    sweeps.run(plan, Heard())
    monkeypatch.setattr(running.Running, "digest", lambda *_: "another")
    workers.codes = {plan.points[0].id: [-9, -9], plan.points[1].id: [2]}
    found = sweeps.run(plan, Heard())
    assert [(row.state, row.exit_code, row.verdict) for row in found.rows] == [
        ("lost", -9, ""),
        ("refused", 2, ""),
    ]
    assert plan.running(Heard()).look() == list(plan.points)


@pytest.mark.thorough
def test_who_is_interrupted_leaves_a_table(workers: Workers) -> None:
    """Of what was finished; nothing of it is run again."""
    plan = planned({"k": [10, 20, 30]}, jobs=1)
    stop = threading.Event()
    done = running.Running._ended

    def interrupted(self: Any, point: Any, end: Any) -> Any:
        row = done(self, point, end)
        if len(self.rows) and point.id == plan.points[1].id and not stop.is_set():
            stop.set()
            raise KeyboardInterrupt
        return row

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(running.Running, "_ended", interrupted)
        heard = Heard()
        with pytest.raises(KeyboardInterrupt):
            sweeps.run(plan, heard)
    assert any("of 3 points are finished; the same command goes on" in one for one in heard.warned), (
        heard.warned
    )
    assert next(row["state"] for row in rows_of(plan)) == "finished"
    before = len(workers.orders)
    again = sweeps.run(plan, Heard())
    assert {row.state for row in again.rows} == {"finished"}
    assert len(workers.orders) - before <= 1


@pytest.mark.thorough
def test_one_process_runs_a_sweep_at_a_time(workers: Workers) -> None:
    """A second is refused while the first runs; what one left that was killed is swept."""
    plan = planned({"k": [10, 20]})
    other = Staged(plan.folder, "running")
    with pytest.raises(ConfigurationError, match="is being run by another process"):
        sweeps.run(plan, Heard())
    other.close()
    gone = plan.folder / f".running~{'0' * 8}-999999-{'0' * 12}"
    gone.mkdir()
    import os

    os.utime(gone, (0, 0))
    sweeps.run(plan, Heard())
    assert not gone.exists()
    assert len(workers.orders) == 2


def test_a_worker_elsewhere_hands_its_run_back(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says where it lacks the data, is sent it, and its run stands in the point's folder."""
    asked: list[Order] = []

    def far(order: Order) -> Answer:
        asked.append(order)
        if not order.files:
            return Answer(None, wants_data=True)
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            archive.add(workers.source, arcname=workers.source.name)
        return Answer(0, 1.0, "", workers.source.name, packed.getvalue())

    monkeypatch.setattr(worker, "compute", far)
    monkeypatch.setattr(running, "files_of", lambda *_: {"images.gz": b"images"})
    found, _ = swept({"k": [10]}, jobs=1)
    assert found.rows[0].state == "finished"
    assert found.rows[0].run is not None
    assert RunDirectory.open(found.rows[0].run).amiss() == []
    assert [order.files for order in asked] == [{}, {"images.gz": b"images"}]


def test_data_that_cannot_be_sent_is_told(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, with what to do."""
    monkeypatch.setattr(worker, "compute", lambda order: Answer(None, wants_data=True))  # noqa: ARG005
    found, _ = swept({"k": [10]})
    assert found.rows[0].state == "refused"
    assert "no worker has its data" in found.rows[0].why


@pytest.mark.parametrize("by_path", [False, True])
def test_a_machine_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_path: bool) -> None:
    """Without the asker's files a worker runs in a place of its own, on data whose digest it looked at."""
    from harness import config, datasets, pipeline
    from harness.sweeps.running import Known, files_of

    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    whole = datasets.load("fashion-mnist-mini")
    flags: dict[str, Any] = {"dataset": "fashion-mnist-mini"}
    if by_path:
        import numpy as np

        place = tmp_path / "mine.npz"
        arrays = {name: getattr(whole, name)[:200] for name in ("train_images", "test_images")}
        arrays |= {name: getattr(whole, name)[:200] for name in ("train_labels", "test_labels")}
        np.savez(place, **{n: one.reshape(-1, 28, 28) if one.ndim > 1 else one for n, one in arrays.items()})
        flags = {"dataset": str(place)}
    settings = config.load(flags=flags, folder=tmp_path)
    data = pipeline.loaded(settings)
    (point,) = [sweeps.Point("p", {}, settings)]
    order = Order("p", toml_of(point), "/not/here/p", "mark", "/not/here", data.digest, {})
    ran: list[dict[str, Any]] = []

    def fake(order: Order, folder: Path, working: Path) -> Answer:
        ran.append(parse((folder / places.POINT).read_bytes(), ""))
        return Answer(0, 1.0, "")

    monkeypatch.setattr(worker, "_ran", fake)
    monkeypatch.setattr(worker, "_DIGESTS", {})
    if by_path:
        place.unlink()
        assert worker.compute(order).wants_data
        np.savez(place, **{n: one.reshape(-1, 28, 28) if one.ndim > 1 else one for n, one in arrays.items()})
        files = files_of(Known(data.digest, str(data.source), tuple(data.sha256)), settings)
        place.unlink()
        order = replace(order, files=files)
    assert worker.compute(order).exit_code == 0
    assert worker.compute(replace(order, files={})).exit_code == 0  # it has them now
    assert worker.compute(replace(order, data="another", files={})).wants_data
    assert len(ran) == 2
    assert not ran[0]["output"].startswith("/not/here")


def toml_of(point: sweeps.Point) -> str:
    """Its configuration as a worker is given it."""
    import tomli_w

    return tomli_w.dumps(point.config.as_toml_values())


@pytest.mark.thorough
def test_the_command(workers: Workers, tmp_path: Path) -> None:
    """Flags with several values are axes; it ends as the points did, and tells the page."""
    flags = [text for name, value in SMALL.items() for text in (f"--{name.replace('_', '-')}", str(value))]
    done = called(tmp_path, "sweep", *flags, "--k", "10,20", "--output", "there", "--dry-run", "--jobs", "1")
    assert done.returncode == 0
    assert "2 points, 0 finished, 2 to run; how long is not known" in done.stdout
    assert not workers.orders
    done = called(tmp_path, "sweep", *flags, "--k", "10,20", "--output", "there", "--name", "mine")
    assert done.returncode == {"pass": 0, "fail": 1}[workers_verdict(workers)], done.stderr
    assert "2 points: 2" in done.stdout
    assert (tmp_path / "there/sweeps/mine/points.csv").is_file()
    done = called(tmp_path, "sweep", *flags, "--k", "10,20", "--output", "there", "--dry-run")
    assert "2 points, 2 finished, 0 to run; about 0 seconds" in done.stdout
    done = called(tmp_path, "sweep", *flags, "--k", "10,20", "--reference", "k=20", "--output", "there")
    (found,) = [p for p in (tmp_path / "there/sweeps").glob("*/sweep.json") if p.parent.name != "mine"]
    told = json.loads(found.read_text())
    assert told["reference"] == told["points"][1]["id"]
    for wrong, why in (
        (["--k", "10"], "no axis"),
        (["--k", "10,20", "--name", "points"], "--name must be"),
        (["--k", "10,20", "--reference", "k"], "names no value"),
        (["--k", "10,5000"], "point k 5000"),
        (["--k", "10,20", "--on", "nowhere"], "--on: the engine must be"),
    ):
        done = called(tmp_path, "sweep", *flags, *wrong, "--output", "refused")
        assert done.returncode == 2, wrong
        assert why in done.stderr, wrong


@pytest.mark.thorough
def test_for_notebooks(workers: Workers) -> None:
    """`harness.sweep` gives the tidy table."""
    import harness

    frame = harness.sweep({"k": [10, 20]}, flags=SMALL | {"output": "sweeping"}, jobs=1)
    assert list(frame.columns[:2]) == ["point", "k"]
    assert set(frame.k) == {10, 20}
    assert len(workers.orders) == 2
    assert {"agreement", "accuracy"} <= set(frame.measurement)


@pytest.mark.thorough
def test_what_python_asked_for_can_be_asked_again(workers: Workers) -> None:
    """The page and `sweep.json` have the call, which is one: evaluated it is the same sweep."""
    import numpy as np

    import harness

    flags = SMALL | {"output": Path("sweeping"), "seeds": (0, 1)}
    values: Any = np.array([10, 20])
    harness.sweep({"k": values}, flags=flags, name="mine", jobs=1, reference=None)
    (found,) = Path("sweeping/sweeps").glob("*/sweep.json")
    told = json.loads(found.read_text())
    assert told["command"].startswith("harness.sweep({'k': [10, 20]}, flags={")
    asked = ast.parse(told["command"], mode="eval").body
    assert isinstance(asked, ast.Call)
    how = {str(one.arg): ast.literal_eval(one.value) for one in asked.keywords}
    plan = sweeps.plan(*map(ast.literal_eval, asked.args), **how)
    assert plan.id == "mine"
    assert [point.id for point in plan.points] == [one["id"] for one in told["points"]]


def test_seconds_go_by_measured_stages(finished: RunDirectory) -> None:
    """Training by epochs and seeds, maps by samples and seeds; nothing is known where nothing ran."""
    from harness.sweeps import pacing

    output = finished.path.parent.parent
    stages, own = finished.read_stages().duration_s, finished.read_config()
    seconds, runs = pacing.seconds([own], output, 1)
    assert runs == 1
    assert seconds == pytest.approx(sum(stages.values()))
    double = own.model_copy(update={"seeds": tuple(range(2 * len(own.seeds)))})
    twice, _ = pacing.seconds([double, double], output, 2)
    assert twice == pytest.approx(2 * sum(stages.values()) - stages["data"])
    of_three, _ = pacing.seconds([own] * 3, output, 2)
    assert of_three == pytest.approx(2 * sum(stages.values()))  # the third begins when one of two is through
    none = pacing.seconds([own], output / "elsewhere", 1)
    assert none == (None, 0)


def test_seconds_have_what_a_point_took_beside_its_stages(workers: Workers) -> None:
    """Once a point, however many seeds; of a run that took less than its stages nothing is known."""
    from harness.sweeps import pacing

    plan = planned({"k": [10]})
    sweeps.run(plan, Heard())
    run = RunDirectory(workers.source)
    stages, own = run.read_stages().duration_s, run.read_config()
    whole = sum(stages.values())
    place = places.Place(plan.output, plan.points[0].id)
    double = own.model_copy(update={"seeds": tuple(range(2 * len(own.seeds)))})
    for seconds, beside in ((whole + 7.0, 7.0), (whole / 2, 0.0), (None, 0.0)):
        place.end(0, 1, seconds, "")
        told, runs = pacing.seconds([own], plan.output, 1)
        assert told == pytest.approx(whole + beside)
        assert runs == 1
        twice, _ = pacing.seconds([double], plan.output, 1)
        assert twice == pytest.approx(2 * whole - stages["data"] + beside)


def test_cleaning_keeps_what_points_use(workers: Workers) -> None:
    """The cache's entries that a point's run names are no needless ones."""
    from harness.artifacts import cleaning

    swept({"k": [10]})
    folders = list(cleaning.points_runs(Path("sweeping")))
    assert [one.parent.name for one in folders] == [workers.orders[0].point]
    used = {one for runs in folders for one in cleaning._used(runs)}
    assert used == set(RunDirectory(workers.source).read_stages().cache)
    with suppress(StopIteration):
        next(cleaning.points_runs(Path("nowhere")))
        raise AssertionError


@pytest.mark.thorough
def test_a_point_whose_run_was_removed_is_missing(workers: Workers) -> None:
    """It is computed again; one that lost nothing but `latest`, as a killed process leaves it, stands."""
    plan = planned({"k": [10, 20, 30]})
    sweeps.run(plan, Heard())
    first, second, _ = (places.Place(plan.output, point.id) for point in plan.points)
    shutil.rmtree(first.folder / "runs")
    (second.folder / "latest").unlink()
    running = plan.running(Heard())
    assert [point.id for point in running.look()] == [plan.points[0].id]
    row = running.rows[plan.points[1].id]
    assert row.run is not None
    assert (row.run / "verdict.json").is_file()
    assert [row.state for row in sweeps.run(plan, Heard()).rows] == ["finished"] * 3


def test_what_another_sweep_computed_meanwhile_is_taken(
    workers: Workers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whoever comes second waits for the point, and computes nothing."""
    monkeypatch.setattr(worker, "_run", lambda *_: pytest.fail("it was computed again"))
    plan = planned({"k": [10]})
    order = plan.running(Heard())._order(plan.points[0])
    folder, found = Path(order.folder), list[Answer]()
    second = threading.Thread(target=lambda: found.append(worker._ran(order, folder, tmp_path)))
    with worker._alone(folder, Processes()):
        second.start()
        second.join(0.3)
        assert not found
        workers(order)
    second.join(30)
    (answer,) = found
    assert answer.exit_code == 0
    assert "by another sweep" in answer.said


@pytest.mark.thorough
def test_points_on_other_threads_are_told(workers: Workers) -> None:
    """The last digits depend on them."""
    sweeps.run(planned({"k": [10]}, threads=1), Heard())
    found = sweeps.run(planned({"k": [10, 20]}, threads=2, jobs=1), Heard())
    assert any("1 of 2 points were computed on other numbers of threads" in one for one in found.remarks)


@pytest.mark.parametrize(
    ("axes", "asked", "told"),
    [
        ({"k": [10, 20]}, {"select": "agrement"}, "unknown measurement 'agrement'"),
        ({"k": [10, 20]}, {"select": "agreement"}, "one seed cannot both choose and tell"),
        ({"k": [10, 20]}, {"reference": {"k": "ten"}}, "the reference: "),
        ({"settings.l1": ["none", 0.1]}, {"flags": {"model": "mlp"}}, "unknown keyword 'l1' of 'mlp'"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(
    workers: Workers, axes: dict[str, Any], asked: dict[str, Any], told: str
) -> None:
    """Not after hours."""
    with pytest.raises(ConfigurationError, match=re.escape(told)):
        planned(axes, **asked)
    assert not workers.points


def test_an_axis_of_the_file_and_a_flag_for_all_points_are_not_mixed(
    workers: Workers, tmp_path: Path
) -> None:
    """Which of the two is meant nobody can know."""
    (tmp_path / "harness.toml").write_text("[sweep.axes]\nk = [10, 20]\n")
    with pytest.raises(ConfigurationError, match="'k' is an axis in the file"):
        sweeps.plan(flags={"k": 30})


@pytest.mark.thorough
def test_other_values_of_an_axis_leave_the_earlier_points(workers: Workers) -> None:
    """The table is of what is asked for now, and says so."""
    sweeps.run(planned({"k": [10, 20]}), Heard())
    _, heard = swept({"k": [20, 30]})
    assert any("1 point that was asked for before" in one for one in heard.said)
    found, _ = swept({"k": [10, 20, 30]})
    assert [row.state for row in found.rows] == ["finished"] * 3
    assert len(workers.points) == 3
