"""The `harness` command: what it prints, and what it ends with."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from harness import cli, config
from harness.artifacts.directories import RunDirectory
from harness.config import parameters
from harness.datasets import published
from tests import gpu
from tests.conftest import Only
from tests.written import a_run, sealed_anew

Command = Callable[..., tuple[int, str]]

GATES = sum(criterion.gate for criterion in parameters.shipped_criteria(50))
PASS = f"PASS on fashion-mnist-mini: all {GATES} gates hold (looser than shipped: selection.confidence)"
LOOSER = "selection.confidence: looser than shipped: 0.5, not 0.8"


@pytest.fixture
def small(small_flags: dict[str, Any]) -> list[str]:
    """The flags of a small run, as on a command line."""
    pairs = ((f"--{key.replace('_', '-')}", str(value)) for key, value in small_flags.items())
    return [part for pair in pairs for part in pair]


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """Runs the command in an empty folder; its exit code and what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(signal, "signal", lambda *_: None)

    def command(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["harness", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        code = ended.value.code
        assert code is None or isinstance(code, int)
        captured = capsys.readouterr()
        return code or 0, captured.out + captured.err

    return command


def only_run(output: Path) -> RunDirectory:
    (path,) = (output / "runs").iterdir()
    return RunDirectory.open(path)


def test_help_shows_every_setting(harness: Command) -> None:
    """`harness validate --help` lists a flag for every key of the configuration, with its default."""
    code, printed = harness("validate", "--help")
    assert code == 0
    for key, _, _ in config.settings():
        assert f"--{key.replace('_', '-')}" in printed
    assert "50" in printed
    assert "3: something could not be evaluated" in " ".join(printed.split())


def test_validate_runs_judges_and_reports(harness: Command, small: list[str], tmp_path: Path) -> None:
    """`harness validate` ends with 0 when all gates hold, and names data, report and verdict."""
    code, printed = harness("validate", *small)
    assert code == 0, printed
    run = only_run(tmp_path / "artifacts")
    assert (run / "report.html").is_file()
    assert (tmp_path / "artifacts/latest/report.html").is_file()
    assert "data fashion-mnist-mini (5000 training, 2000 test" in printed
    assert "seed 0: autoencoder: epoch 4/4, loss" in printed
    assert printed.strip().splitlines()[-1] == PASS
    # the small run explains less sure images than the shipped rule asks for: told before any work, and after
    assert printed.splitlines()[0] == f"warning: {LOOSER}"
    assert printed.count(LOOSER) == 2


@pytest.mark.thorough
def test_the_recipe_interpretable_is_judged_by_every_pair(
    harness: Command, small: list[str], tmp_path: Path, only: Only
) -> None:
    """`--recipe interpretable` trains it, and two gates more hold: the worst pair in either space."""
    only("model")
    code, printed = harness("validate", *small, "--recipe", "interpretable", "--epochs", 8)
    assert code == 0, printed
    assert printed.strip().splitlines()[-1] == PASS.replace(f"all {GATES} ", f"all {GATES + 2} ")
    run = only_run(tmp_path / "artifacts")
    verdict = run.read_verdict()
    assert verdict is not None
    gates = {one.id for one in verdict["criteria"] if one.gate}
    assert {"agreement_worst_pair", "agreement_worst_pair_sensitivity"} <= gates
    assert "trained by the recipe interpretable" in (run / "report.html").read_text(encoding="utf-8")
    state = torch.load(run / "seed-0/weights/full_autoencoder.pth", weights_only=True)
    assert torch.equal(state["decoder.weight"], state["encoder.weight"].T)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (
            ["--model", "topk-auxk"],
            "recipe 'interpretable': trains a k-sparse autoencoder .*topk-auxk.*; name",
        ),
        (["--model", "mlp"], "recipe 'interpretable': .*got model 'mlp'"),
        (["--baseline", "mean"], "recipe 'interpretable': .*from a baseline of 0 .*Deviating"),
        (["--engine", "sparse"], "engine: 'sparse' leaves sleeping units out, .*; leave it at 'auto'"),
        (["--encoder-precision", "bfloat16"], "encoder_precision: 'bfloat16' is for the sparse engine"),
    ],
)
def test_what_the_recipe_interpretable_cannot_do_is_refused(
    harness: Command, small: list[str], flags: list[str], said: str, tmp_path: Path
) -> None:
    """In one line, before any work."""
    code, printed = harness("validate", *small, "--recipe", "interpretable", *flags)
    assert code == 2
    assert re.search(f"error: .*{said}", printed), printed
    assert not (tmp_path / "artifacts" / "runs").exists()


@pytest.mark.thorough
def test_an_untrained_network_ends_with_3(harness: Command, small: list[str], tmp_path: Path) -> None:
    """Without epochs the verdict is an error, and console and report say why in words."""
    code, printed = harness("validate", *small, "--epochs", 0, "--classifier-epochs", 0, "--confidence", 0.8)
    assert code == 3
    assert "fail" in printed
    assert "no test image is named rightly and over 80% sure" in printed
    page = (only_run(tmp_path / "artifacts") / "report.html").read_text()
    assert "no test image is named rightly and over 80% sure" in page
    assert "No epoch was trained." in page


def test_a_failed_gate_ends_with_1(harness: Command, small: list[str], tmp_path: Path, only: Only) -> None:
    """A gate under its threshold ends the command with 1; the report is rendered all the same."""
    only("failures")
    (tmp_path / "harness.toml").write_text('[[criteria]]\nid = "accuracy"\nthreshold = 0.999\n')
    code, printed = harness("validate", *small, "--epochs", 1, "--classifier-epochs", 6)
    assert code in (1, 3), printed
    verdict = only_run(tmp_path / "artifacts").read_verdict()
    assert verdict is not None
    assert {one.id: one.verdict for one in verdict["criteria"]}["accuracy"] == "fail"
    assert code == {"fail": 1, "error": 3}[verdict["verdict"]]
    assert (tmp_path / "artifacts/latest/report.html").is_file()


@pytest.mark.thorough
def test_a_diverging_loss_ends_with_3_and_a_report(
    harness: Command, small: list[str], tmp_path: Path
) -> None:
    """A loss that is not finite ends the command with 3, a verdict and a report (fault 17)."""
    code, printed = harness("validate", *small, "--learning-rate", "1e30")
    assert code == 3
    assert "autoencoder: the loss is" in printed
    assert "Traceback" not in printed
    assert "broke off in stage training" in (tmp_path / "artifacts/latest/report.html").read_text()


@pytest.mark.thorough
def test_a_bug_keeps_its_traceback_and_is_no_fail(
    harness: Command, small: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An unforeseen exception ends with 3, never with the 1 of a failed gate, and keeps its trace."""
    from harness import samples

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(samples, "select", broken)
    code, printed = harness("validate", *small, "--epochs", 0, "--classifier-epochs", 0)
    assert code == 3
    assert "Traceback" in printed
    assert "ZeroDivisionError: a bug" in printed
    assert json.loads((tmp_path / "artifacts/latest/verdict.json").read_text())["verdict"] == "error"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--k", "5000"], "model.k must be in 1..1024"),
        (["--k", "many"], "model.k"),
        (["--seeds", ""], "seeds"),
        (["--seeds", "1,1"], "seeds: each may stand only once"),
        (["--samples-per-class", "0"], "samples_per_class"),
        (["--methods", "gradient,smoothgrad"], "did you mean 'gradients'"),
        (["--methods", "gradients"], "needs at least two methods"),
        (["--methods", "gradients,decoder_reconstruction"], "needs at least two methods"),
        (["--methods", "gradients,guided_backprop"], "needs at least two methods"),
        (["--strict", "--seeds", "0,1"], "two seeds give none"),
        (
            ["--checks", "no/such/folder"],
            "no/such/folder: there is no such folder; name one that holds tests",
        ),
        (["--dataset", "fashion-mnst"], "did you mean"),
        (["--device", "tpu"], "device"),
        (["--config", "nowhere.toml"], "there is no such file"),
        (["--nonsense"], "--nonsense"),
    ],
)
def test_a_users_mistake_is_one_line_and_2(
    harness: Command, tmp_path: Path, arguments: list[str], message: str
) -> None:
    """What can be refused before any work ends with 2, no traceback and no run (faults 12-14, 16)."""
    code, printed = harness("validate", "--dataset", "fashion-mnist-mini", *arguments)
    assert code == 2, printed
    assert message in printed
    assert "Traceback" not in printed
    assert not (tmp_path / "artifacts").exists()


def test_a_nan_threshold_ends_with_2(harness: Command, tmp_path: Path) -> None:
    """A threshold that is NaN is refused before any work (fault 13)."""
    (tmp_path / "harness.toml").write_text('[[criteria]]\nid = "accuracy"\nthreshold = nan\n')
    code, printed = harness("validate")
    assert code == 2
    assert "finite" in printed


@pytest.mark.thorough
def test_absent_data_ends_with_2_and_the_ways_to_get_it(
    harness: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Data that is asked for by name and is not there ends with 2, the places and three ways (fault 1)."""
    monkeypatch.setattr(published, "SYSTEM_FOLDER", tmp_path / "none")
    code, printed = harness("validate", "--dataset", "fashion-mnist", "--data-dir", tmp_path / "mine")
    assert code == 2
    assert str(tmp_path / "mine") in printed
    assert "apt-get install dataset-fashion-mnist" in printed
    assert "Three ways to get it" in printed


@pytest.mark.thorough
def test_auto_says_loudly_what_it_took(
    harness: Command, small: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where `auto` takes the small set, start, last lines, verdict and report say so."""
    monkeypatch.setattr(published, "SYSTEM_FOLDER", tmp_path / "none")
    code, printed = harness("validate", *small, "--dataset", "auto", "--epochs", 0, "--classifier-epochs", 0)
    assert code == 3
    assert printed.count("judges the small excerpt") >= 2
    assert "ERROR on fashion-mnist-mini (not the full data)" in printed
    notice = json.loads((tmp_path / "artifacts/latest/verdict.json").read_text())["notice"]
    assert "neither found nor downloaded" in notice
    assert "Not the full data" in (tmp_path / "artifacts/latest/report.html").read_text()


@pytest.mark.thorough
def test_run_judge_and_report_do_its_parts(harness: Command, finished: RunDirectory, only: Only) -> None:
    """`judge` and `report` work on a run directory, and a strict judgement may differ."""
    only("provenance")
    code, printed = harness("judge", finished.path)
    assert (code, printed.strip().splitlines()[-1]) == (0, PASS)
    code, printed = harness("report", finished.path)
    assert code == 0
    assert (finished / "report.html").is_file()
    values = json.loads((finished / "estimates.json").read_text())
    for row in values["estimates"]:
        if row["name"] == "accuracy":
            row |= {"estimate": 0.76, "low": 0.74}
    (finished / "estimates.json").write_text(json.dumps(values))
    sealed_anew(finished)
    assert harness("judge", finished.path)[0] == 0
    assert harness("judge", "--strict", finished.path)[0] == 1


def test_a_strict_judgement_of_two_seeds_is_refused(harness: Command, tmp_path: Path) -> None:
    """`harness judge --strict` of two seeds says in one line why it cannot."""
    run = a_run(tmp_path / "artifacts", config={"seeds": [0, 1]})
    code, printed = harness("judge", "--strict", run.path)
    assert code == 2
    assert len(printed.splitlines()) == 1
    assert "two seeds" in printed


@pytest.mark.thorough
def test_a_red_judgement_ends_with_five_lines(harness: Command, tmp_path: Path) -> None:
    """What failed, by how much, where worst, where to look and how to repeat it; quiet, the first alone."""
    run = a_run(tmp_path / "artifacts", {"agreement": 0.57})
    code, printed = harness("judge", run.path)
    assert code == 1
    starts = (
        "FAIL on blobs: Agreement",
        "by how much: 0.03",
        "worst: ",
        "run: ",
        "repeat: harness validate --config",
    )
    lines = printed.splitlines()[-5:]
    assert [line.startswith(start) for line, start in zip(lines, starts, strict=True)] == [True] * 5
    code, printed = harness("judge", "--quiet", run.path)
    assert code == 1
    assert printed.splitlines() == lines[:1]


@pytest.mark.thorough
def test_tests_of_ones_own_are_kept_by_their_absolute_place(harness: Command, tmp_path: Path) -> None:
    """A stored configuration tells its folders of tests; they run when the user names them."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/test_x.py").write_text("def test_it():\n    assert False, 'no'\n")
    settings = config.load(flags={"checks": "mine"})
    assert settings.checks == (tmp_path / "mine",)
    run = a_run(tmp_path / "elsewhere/artifacts", config=settings.model_dump())
    assert harness("judge", run.path)[0] == 3
    code, printed = harness("judge", run.path, "--checks", "mine")
    assert code == 1
    assert "FAIL on blobs: test_it: no" in printed
    (tmp_path / "mine/test_x.py").write_text("def test_it():\n    pass\n")
    assert harness("judge", run.path)[0] == 1
    (tmp_path / "harness.toml").write_text('checks = ["mine"]\nk = "somebody else\'s concern"\n')
    assert harness("judge", run.path)[0] == 0
    code, printed = harness("judge", run.path, "--checks", "nothing")
    assert (code, len(printed.splitlines())) == (2, 1)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--k", 5000),
        ("--epochz", 3),
        ("--device", "cuda"),
        ("--config", "none.toml"),
        ("--dataset", "nothing", "--output=artifacts"),
        ("--checks", "nothing", "--output", "artifacts"),
    ],
)
@pytest.mark.parametrize("command", ["validate", "run"])
def test_a_run_that_is_refused_leaves_nothing_of_another_night(
    harness: Command, tmp_path: Path, finished: RunDirectory, command: str, arguments: tuple[Any, ...]
) -> None:
    """However it is refused, `latest` is not yesterday's any more (fault 55); help takes nothing."""
    if gpu.missing() == "" and "cuda" in arguments:
        pytest.skip("there is a GPU")
    finished.link_latest()
    assert harness(command, "--help")[0] == 0
    assert (tmp_path / "artifacts/latest").exists()
    assert harness(command, *arguments)[0] == 2
    assert not os.path.lexists(tmp_path / "artifacts/latest")
    assert finished.read_verdict() is not None


def test_the_output_of_a_refused_run_is_found_where_it_was_set(
    harness: Command, tmp_path: Path, finished: RunDirectory
) -> None:
    """In the working folder's configuration too, a mistake in it or not."""
    finished.link_latest()
    (tmp_path / "artifacts").rename(tmp_path / "out")
    (tmp_path / "harness.toml").write_text('output = "out"\nepochz = 3\n')
    assert harness("validate")[0] == 2
    assert not os.path.lexists(tmp_path / "out/latest")


@pytest.mark.thorough
def test_what_is_not_as_it_was_computed_is_told_by_every_command(
    harness: Command, finished: RunDirectory, tmp_path: Path
) -> None:
    """Judge, report and compare name it; compare ends with 3 where a gate rests on it (fault 51)."""
    shutil.copytree(finished.path, tmp_path / "whole")
    (finished / "seed-0/weights/encoder.pth").unlink()
    for arguments in (
        ("judge", finished.path),
        ("report", finished.path),
        ("compare", finished.path, "whole"),
    ):
        code, printed = harness(*arguments)
        assert code == 0
        assert "seed-0/weights/encoder.pth: missing" in printed
    (finished / "estimates.json").write_bytes((finished / "estimates.json").read_bytes()[:400])
    code, printed = harness("compare", "whole", finished.path)
    assert code == 3
    assert "estimates.json: is not as it was computed" in printed
    code, printed = harness("judge", finished.path)
    assert code == 3
    assert "estimates.json: is not as it was computed" in printed


def test_clean_shows_and_removes(harness: Command, finished_output: Path, tmp_path: Path) -> None:
    """What no run names is listed with its size, and gone; with `--dry-run` it is only listed."""
    shutil.copytree(finished_output, tmp_path / "artifacts", symlinks=True)
    unused = tmp_path / "artifacts/cache/probe/unused"
    unused.mkdir()
    (unused / "file").write_bytes(bytes(3_000_000))
    (unused / "seals.json").write_text('{"schema": 1, "key": "unused", "files": {"file": ""}}')
    os.utime(unused, (0, 0))
    code, printed = harness("clean", "--dry-run")
    assert code == 0
    assert "artifacts/cache/probe/unused: 3.0 MB, no run here uses it" in printed
    assert unused.exists()
    code, printed = harness("clean")
    assert code == 0
    assert printed.splitlines()[-1] == "artifacts: 1 removed, 3.0 MB"
    assert not unused.exists()
    assert harness("clean")[1].splitlines() == ["artifacts: 0 removed, 0.0 MB"]


@pytest.mark.thorough
def test_run_computes_only(harness: Command, small: list[str], tmp_path: Path) -> None:
    """`harness run` leaves a run without a verdict, says how to judge it, and is the latest."""
    code, printed = harness("run", *small, "--epochs", 0, "--classifier-epochs", 0)
    assert code == 0
    run = only_run(tmp_path / "artifacts")
    assert f"harness judge {run.path.relative_to(tmp_path)}" in printed
    assert run.read_verdict() is None
    assert (tmp_path / "artifacts/latest").resolve() == run.path


@pytest.mark.parametrize("command", ["judge", "report"])
def test_a_folder_that_is_no_run_ends_with_2(harness: Command, tmp_path: Path, command: str) -> None:
    """A folder that is no run directory is refused."""
    code, printed = harness(command, tmp_path)
    assert code == 2
    assert "is no run directory" in printed


def test_a_run_with_anothers_verdict_ends_with_3(harness: Command, finished: RunDirectory) -> None:
    """A verdict of another run is red, not reported (fault 35)."""
    values = json.loads((finished / "verdict.json").read_text())
    (finished / "verdict.json").write_text(json.dumps(values | {"run_id": "other"}))
    code, printed = harness("report", finished.path)
    assert code == 3
    assert "is the verdict of another run" in printed


def test_datasets_lists_what_is_found(
    harness: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`harness datasets` verifies what is there, and ends with 2 where something is damaged."""
    monkeypatch.setattr(published, "SYSTEM_FOLDER", tmp_path / "none")
    code, printed = harness("datasets")
    assert code == 0
    assert "in made from" not in printed
    assert "verified  fashion-mnist-mini: 5000 training and 2000 test images" in printed
    assert "absent    fashion-mnist\n" in printed
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/train-images-idx3-ubyte").write_bytes(b"not it")
    code, printed = harness("datasets", "--data-dir", tmp_path / "mine")
    assert code == 2
    assert "damaged   fashion-mnist" in printed


@pytest.mark.thorough
def test_judging_again_renews_the_report(harness: Command, finished: RunDirectory, only: Only) -> None:
    """A report never shows another verdict than the newest one of its run."""
    only("failures")
    harness("report", finished.path)
    values = json.loads((finished / "estimates.json").read_text())
    for row in values["estimates"]:
        if row["name"] == "accuracy":
            row |= {"estimate": 0.5}
    (finished / "estimates.json").write_text(json.dumps(values))
    sealed_anew(finished)
    assert harness("judge", finished.path)[0] == 1
    assert "FAIL" in (finished / "report.html").read_text().split("</h1>")[0]


def test_a_judgement_that_is_terminated_ends_with_143(
    harness: Command, finished: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGTERM outside the computing stages ends with 143 too (fault 34)."""
    from harness.judging import verdicts

    handlers: list[Callable[[int, object], None]] = []
    monkeypatch.setattr(signal, "signal", lambda _, handler: handlers.append(handler))
    monkeypatch.setattr(verdicts, "judge", lambda *_, **__: handlers[0](15, None))
    assert harness("judge", finished.path)[0] == 143


def test_foreign_text_reaches_the_terminal_without_its_controls(
    harness: Command, finished: RunDirectory
) -> None:
    """A criterion's title with an escape sequence is printed without it (fault 45)."""
    (finished / "config.toml").write_text(
        (finished / "config.toml").read_text().replace("Test accuracy", "\\u001b[31mred\\u202e [bold]x")
    )
    sealed_anew(finished)
    _, printed = harness("judge", finished.path)
    assert "\x1b" not in printed
    assert "\u202e" not in printed
    assert "red [bold]x" in printed


@pytest.mark.thorough
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_an_interrupted_run_says_so(
    small: list[str], tmp_path: Path, number: signal.Signals, code: int
) -> None:
    """SIGTERM ends with 143, Ctrl-C with 130, and the verdict is `interrupted` (fault 34)."""
    flags = [*small, "--epochs", "500"]
    process = subprocess.Popen(
        [sys.executable, "-m", "harness", "validate", *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "epoch 1/500" in line:
            process.send_signal(number)
            break
    rest = process.stdout.read()
    process.stdout.close()
    assert process.wait() == code, rest
    assert "INTERRUPTED on fashion-mnist-mini" in rest
    assert "Traceback" not in rest
    assert json.loads((tmp_path / "artifacts/latest/verdict.json").read_text())["verdict"] == "interrupted"


def test_a_working_folder_that_cannot_be_written_down_ends_with_2(
    harness: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name stands in the run's files, which are UTF-8."""
    (tmp_path / "\udcff").mkdir()
    monkeypatch.chdir(tmp_path / "\udcff")
    code, printed = harness("validate")
    assert (code, len(printed.splitlines())) == (2, 1)
    assert "error: the working folder: must be text in UTF-8" in printed


@pytest.mark.thorough
def test_a_working_folder_that_is_gone_ends_with_2(finished: RunDirectory, tmp_path: Path) -> None:
    """In one line; the version is told all the same."""
    (tmp_path / "gone").mkdir()
    shell = 'cd "$0" && rmdir "$0" && exec "$@"'
    for arguments, code in ((["--version"], 0), (["validate"], 2), (["judge", str(finished.path)], 2)):
        (tmp_path / "gone").mkdir(exist_ok=True)
        command = ["sh", "-c", shell, str(tmp_path / "gone"), sys.executable, "-m", "harness", *arguments]
        package = str(Path(cli.__file__).parents[2])
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": package}
        )
        assert done.returncode == code, done.stderr
        assert len((done.stdout + done.stderr).splitlines()) == 1


@pytest.mark.thorough
@pytest.mark.parametrize(
    "arguments",
    [
        ["validate", "--output"],
        ["run", "--data-dir"],
        ["run", "--checks"],
        ["run", "--config"],
        ["judge"],
        ["report"],
        ["compare", "--output"],
        ["compare", "artifacts/latest"],
        ["datasets", "--data-dir"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize(
    "place", ["", "~nobody-of-this-name", "\udcff", "x" * 300], ids=["empty", "nobody's", "no text", "long"]
)
def test_a_place_that_nobody_can_mean_ends_with_2(
    harness: Command, finished: RunDirectory, arguments: list[str], place: str, tmp_path: Path
) -> None:
    """Wherever a path comes in: refused in one line before any work, without a traceback."""
    runs = [finished.path, finished.path] if arguments == ["compare", "--output"] else []
    before = set(tmp_path.iterdir())
    code, printed = harness(*arguments, place, *runs)
    assert code == 2, printed
    assert len(printed.splitlines()) == 1 or arguments[0] == "datasets"
    assert "Traceback" not in printed
    assert set(tmp_path.iterdir()) == before


def test_what_is_named_through_latest_is_what_it_named_when_the_command_was_given(tmp_path: Path) -> None:
    """A new run takes `latest` away at once, and its own weights may lie behind it."""
    run = tmp_path / "runs" / "20260101T000000Z-abc"
    run.mkdir(parents=True)
    (tmp_path / "latest").symlink_to("runs/20260101T000000Z-abc")
    weights = tmp_path / "latest" / "seed-0" / "model.pth"
    with cli._latest_withdrawn(["validate", "--output", str(tmp_path)]):
        assert not (tmp_path / "latest").exists()
        found = config.load(flags={"weights": weights, "output": tmp_path}).model.weights
        assert found == run / "seed-0" / "model.pth"
    # the next command of the same process
    assert config.load(flags={"weights": weights, "output": tmp_path}).model.weights == weights
