"""The recipes under `docs/ci`, done line by line in a fresh clone, by nights that are written by hand.

What needs a network or another machine is replaced: actions (`uses:`), `pip` and the environment that it
fills, the remote, which is a bare repository here, and the container's build.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.history.kept import seeds_of
from harness.history.records import Night, night_of
from harness.history.store import History
from tests.postgresql import PASSWORD, Server
from tests.test_history import a_night

ROOT = Path(__file__).parents[1]
CI = ROOT / "docs" / "ci"
YAML = sorted(CI.glob("*.yml"))
HARNESS = f"""#!/bin/sh
export PYTHONPATH="{ROOT}"
if [ "$1" = nightly ]; then exec "{sys.executable}" -m tests.by_hand "$@"; fi
if [ "$2$UNDRAWN" = page1 ]; then exit 2; fi
exec "{sys.executable}" -m harness "$@"
"""
NOTHING = "#!/bin/sh\nexit 0\n"
PYTHON = """#!/bin/sh
# an environment that `pip` has filled already
if [ "$1 $2" != "-m venv" ]; then exec "$REAL_PYTHON" "$@"; fi
mkdir -p "$3" && cp -R "$(dirname "$0")" "$3/"
"""


def parsed(path: Path) -> Any:
    """A YAML file; `on`, which YAML 1.1 takes for true, is GitHub's word."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


@dataclass
class Place:
    """A bare repository, programs that stand for those of a network, and clones.

    Attributes:
        folder: What holds them.
        env: The environment of what runs there.
    """

    folder: Path
    env: dict[str, str]

    @property
    def bare(self) -> Path:
        return self.folder / "bare.git"

    def clone(self, name: str) -> Path:
        git(self.folder, "clone", "--quiet", f"file://{self.bare}", name)
        return self.folder / name

    def run(self, script: str, clone: Path, **env: str) -> subprocess.CompletedProcess[str]:
        """A script as a CI's shell runs it."""
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
            cwd=clone,
            env=self.env | env,
            capture_output=True,
            text=True,
            check=False,
        )

    def published(self, branch: str = "harness-history") -> dict[str, str]:
        """The files of the branch, by name."""
        names = git(self.bare, "ls-tree", "-r", "--name-only", branch).splitlines()
        return {name: git(self.bare, "show", f"{branch}:{name}") for name in names}

    def nights(self) -> list[Night]:
        """The nights on the branch."""
        return [
            night_of(text + "\n", name)
            for name, text in self.published().items()
            if name.startswith("nights/night-")
        ]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A repository that has the recipes, and refuses whatever is forced."""
    programs, home, start = tmp_path / "bin", tmp_path / "home", tmp_path / "start"
    for folder in (programs, home, start):
        folder.mkdir()
    for name, text in (("harness", HARNESS), ("pip", NOTHING), ("python3", PYTHON)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    env = {
        "PATH": f"{programs}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(home),
        "REAL_PYTHON": sys.executable,
        "OMP_NUM_THREADS": "1",
    } | {name: value for name, value in os.environ.items() if name == "PYTHONPYCACHEPREFIX"}
    git(tmp_path, "init", "--quiet", "--bare", "bare.git")
    git(tmp_path / "bare.git", "config", "receive.denyNonFastForwards", "true")
    git(tmp_path / "bare.git", "config", "receive.denyDeletes", "true")
    git(start, "init", "--quiet", "-b", "main")
    shutil.copytree(CI, start / "docs" / "ci")
    (start / ".gitignore").write_text("artifacts/\n.venv/\npublic/\n")
    git(start, "add", "--all")
    who = ("-c", "user.name=a", "-c", "user.email=a@b")
    git(start, *who, "commit", "--quiet", "-m", "start")
    git(start, "push", "--quiet", str(tmp_path / "bare.git"), "main")
    git(tmp_path / "bare.git", "symbolic-ref", "HEAD", "refs/heads/main")
    return Place(tmp_path, env)


@dataclass
class Job:
    """How a job ended: its exit code, by the first step that failed, each step's output, and the summary."""

    code: int
    said: str
    summary: str
    used: list[str]


def github(place: Place, job: Mapping[str, Any], clone: Path, **env: str) -> Job:
    """A job's steps in their order, those after a failed one only where they ask for it."""
    code, said, used = 0, "", []
    files = {name: place.folder / name for name in ("GITHUB_PATH", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    for file in files.values():
        file.write_text("")
    for step in job["steps"]:
        if code and step.get("if") != "always()":
            continue
        if "uses" in step:
            used.append(step["uses"].partition("@")[0])
            continue
        assert "${{" not in step["run"], "an expression in a script is whoever's text run as code"
        added = files["GITHUB_PATH"].read_text().split()
        path = ":".join([*reversed(added), place.env["PATH"]])
        done = place.run(
            step["run"], clone, **env, PATH=path, **{key: str(value) for key, value in files.items()}
        )
        said += done.stdout + done.stderr
        code = code or done.returncode
    return Job(code, said, files["GITHUB_STEP_SUMMARY"].read_text(), used)


@pytest.mark.parametrize("path", YAML, ids=lambda path: path.stem)
def test_every_recipe_is_yaml_that_its_ci_knows(path: Path) -> None:
    """GitHub's by its schedule and jobs, GitLab's by its stages; each is named in the documentation."""
    told = parsed(path)
    if path.stem.startswith("github"):
        assert [set(one) for one in told[True]["schedule"]] == [{"cron"}] * len(told[True]["schedule"])
        for job in told["jobs"].values():
            assert all(("uses" in step) != ("run" in step) for step in job["steps"])
    else:
        assert {job["stage"] for job in (told["night"], told["pages"])} == set(told["stages"])
    for page in ("docs/how-to/nightly-on-a-gpu-runner.md", "docs/nightly.md"):
        assert f"ci/{path.name}" in (ROOT / page).read_text(encoding="utf-8")


@pytest.mark.thorough
def test_a_night_in_github_actions(place: Place) -> None:
    """Its exit code is the job's; history, page and summary are there whatever it was; the next goes on."""
    jobs = parsed(CI / "github-actions.yml")["jobs"]
    job = github(place, jobs["night"], place.clone("first"), NIGHT="red")
    assert job.code == 1, job.said
    assert [one.verdict for one in place.nights()] == ["fail"]
    assert place.published()["index.html"].startswith("<!doctype html>")
    assert job.summary.startswith("## ❌ FAIL on blobs")
    assert job.used == ["actions/checkout", "actions/upload-artifact"]
    job = github(place, jobs["night"], place.clone("second"))
    assert job.code == 0, job.said
    assert [(one.sequence, one.verdict) for one in place.nights()] == [(1, "fail"), (2, "pass")]
    beat = github(place, jobs["heartbeat"], place.clone("third"))
    assert beat.code == 3, "these nights are of 2025"
    assert "has the job stopped?" in beat.said


@pytest.mark.thorough
def test_a_night_by_the_how_to(place: Place) -> None:
    """The recipe that stands there does the same."""
    page = ROOT / "docs" / "how-to" / "nightly-on-a-gpu-runner.md"
    blocks = re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    (job,) = [told["jobs"]["night"] for told in map(yaml.safe_load, blocks) if "night" in told["jobs"]]
    done = github(place, job, place.clone("first"), NIGHT="red", UNDRAWN="1")
    assert done.code == 1, done.said
    assert [one.verdict for one in place.nights()] == ["fail"]


@pytest.mark.thorough
def test_a_night_on_postgresql(place: Place, server: Server) -> None:
    """The password comes by the environment, and stands in nothing that is published."""
    url = server.new()
    job = parsed(CI / "github-actions-postgresql.yml")["jobs"]["night"]
    assert set(job["env"]) == {"PGPASSWORD", "HARNESS_HISTORY"}
    clone = place.clone("first")
    env = {"PGPASSWORD": PASSWORD, "HARNESS_HISTORY": url.replace(f":{PASSWORD}", "")}
    done = github(place, job, clone, **env)
    assert done.code == 0, done.said
    assert len(History.open(url).nights()) == 1
    assert len(list((clone / "artifacts/nights").glob("night-*.json"))) == 1
    assert (clone / "artifacts/trends.html").is_file()
    assert not [
        path
        for path in clone.rglob("*")
        if path.is_file() and path.suffix in (".json", ".toml", ".html") and PASSWORD in path.read_text()
    ]


@pytest.mark.thorough
@pytest.mark.parametrize(("night", "code"), [pytest.param("green", 0, marks=pytest.mark.slow), ("red", 1)])
def test_a_night_in_gitlab_ci(place: Place, night: str, code: int) -> None:
    """The same: one shell for all lines of a script."""
    told = parsed(CI / "gitlab-ci.yml")
    clone, job = place.clone("first"), told["night"]
    done = place.run("\n".join(job["script"]), clone, NIGHT=night, HARNESS_HISTORY_REMOTE=str(place.bare))
    assert done.returncode == code, done.stdout + done.stderr
    assert len(place.nights()) == 1
    for kept in [*job["artifacts"]["paths"], job["artifacts"]["reports"]["junit"]]:
        assert (clone / kept).exists()
        assert not (clone / kept).is_symlink()
    assert job["artifacts"]["when"] == told["pages"]["rules"][0]["when"] == "always"
    assert place.run("\n".join(told["pages"]["script"]), clone).returncode == 0


@pytest.mark.thorough
def test_cron_is_silent_while_all_is_well(place: Place) -> None:
    """A mail is sent of what is printed: a red night, and one that is missing."""
    home = Path(place.env["HOME"])
    (home / "nights/.venv").mkdir(parents=True)
    shutil.copytree(place.folder / "bin", home / "nights/.venv/bin")
    lines = [line for line in (CI / "crontab").read_text().splitlines() if re.match(r"[0-9*]", line)]
    night, beat, prune = (line.split(maxsplit=5)[5].replace("\\%", "%") for line in lines)
    assert not any("%" in line.replace("\\%", "") for line in lines), "cron ends a command there"

    def mailed(command: str, **env: str) -> str:
        done = subprocess.run(
            ["/bin/sh", "-c", command], env=place.env | env, capture_output=True, text=True, check=False
        )
        return done.stdout + done.stderr

    assert "there is no history" in mailed(beat)
    assert mailed(night) == ""
    assert "FAIL on blobs" in mailed(night, NIGHT="red")
    assert "has the job stopped?" in mailed(beat)
    now = datetime.now(timezone.utc)
    history = History.open(home / "nights/artifacts/history.db")
    history.record(a_night(3, created=(now - timedelta(hours=2)).isoformat(timespec="seconds")))
    assert mailed(beat) == ""
    assert mailed(prune) == ""


def test_the_container_is_built_of_what_the_project_has() -> None:
    """Its steps are a shell's, its extra is the project's, and its lines call commands that there are."""
    text = (CI / "Containerfile").read_text(encoding="utf-8")
    steps = re.sub(r"\\\n", "", re.sub(r"(?m)^#.*\n", "", text)).splitlines()
    assert {step.split()[0] for step in steps} <= {"FROM", "RUN", "COPY", "ENV", "WORKDIR", "ENTRYPOINT"}
    for step in steps:
        if step.startswith("RUN "):
            subprocess.run(["/bin/sh", "-n", "-c", step.removeprefix("RUN ")], check=True)
    assert json.loads(steps[-1].removeprefix("ENTRYPOINT ")) == ["harness"]
    (extra,) = re.findall(r"/harness\[(.+)\]", text)
    assert f"\n{extra} = [" in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    called = re.findall(r'-v "\$PWD:/work" harness (\S+)', text)
    assert called == ["nightly", "history"]


@pytest.mark.thorough
def test_the_branch_is_taken_up_again_by_whoever_has_nothing(place: Place) -> None:
    """A damaged file costs one night, a remote that is away none where the nights so far are known."""
    place.env["UNDRAWN"] = "1"
    first, second = place.clone("first"), place.clone("second")
    git(first, "remote", "set-url", "origin", os.path.relpath(place.bare, first))  # as a folder may name it
    script = "docs/ci/history-branch.sh"
    away = {"HARNESS_HISTORY_REMOTE": "/nowhere", "HARNESS_HISTORY_ATTEMPTS": "1"}
    assert place.run(f"{script} fetch", second, **away).returncode != 0, "it would count from 1 again"
    assert place.run(f"{script} fetch", first).returncode == 0
    for number in (1, 2, 3):
        opened(first).record(a_night(number, created="2025-01-01T00:00:00+00:00"))
    assert place.run(f"{script} push", first).returncode == 0
    assert place.run(f"{script} push", first).returncode == 0  # nothing new
    done = place.run(f"harness exclude 2 --reason broken && {script} push", first)
    assert done.returncode == 0, done.stderr
    names = [name for name in place.published() if name.startswith("nights/night-")]
    assert len(names) == 3
    tree = place.clone("editor")
    git(tree, "checkout", "--quiet", "harness-history")
    (tree / names[1]).write_text("{")
    git(tree, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-am", "broken")
    git(tree, "push", "--quiet")
    done = place.run(f"{script} fetch", second)
    assert done.returncode == 0, done.stderr
    assert f"{names[1].removeprefix('nights/')}: damaged" in done.stdout
    assert [one.sequence for one in opened(second).nights()] == [1, 3]
    assert [(act.kind, act.reason) for act in opened(second).acts()] == [("exclude", "broken")]
    assert place.run(f"{script} push", first).returncode == 0  # who has it, mends it
    assert [one.sequence for one in place.nights()] == [1, 2, 3]
    done = place.run(f"{script} fetch", first, **away)
    assert done.returncode == 0, done.stderr
    done = place.run(f"{script} push", first, **away)
    assert "not pushed" in done.stderr
    assert done.returncode == 1
    assert place.run("docs/ci/history-branch.sh sideways", first).returncode == 2


def opened(clone: Path) -> History:
    (clone / "artifacts").mkdir(exist_ok=True)
    return History.open(clone / "artifacts/history.db")


@pytest.mark.thorough
@pytest.mark.parametrize("nights", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_clones_that_push_at_once_lose_no_night(place: Place, nights: int) -> None:
    """Two clones, each night fetched before and pushed after; no page is drawn, which is the slow part."""
    problems: list[str] = []
    both = threading.Barrier(2)
    place.env["UNDRAWN"] = "1"

    def work(clone: Path) -> None:
        for _ in range(nights):
            both.wait()
            steps = [place.run("docs/ci/history-branch.sh fetch", clone)]
            opened(clone).reserve(lambda name: named(name))
            steps.append(place.run("docs/ci/history-branch.sh push", clone))
            problems.extend(step.stderr for step in steps if step.returncode)

    threads = [threading.Thread(target=work, args=(place.clone(name),)) for name in ("first", "second")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    found = place.nights()
    assert len(found) == len({one.id for one in found}) == 2 * nights
    assert len({seed for one in found for seed in one.seeds}) == 2 * nights
    assert max(one.sequence for one in found) <= 2 * nights
    commits = git(place.bare, "rev-list", "--count", "--first-parent", "harness-history")
    assert int(commits) <= 1 + 2 * nights  # no merge, and nothing that took another's place


def named(name: str) -> Night:
    return a_night(id=name, seeds=list(seeds_of(name, 1)))


def test_the_script_can_be_run() -> None:
    """As it is checked out."""
    assert (CI / "history-branch.sh").stat().st_mode & stat.S_IXUSR
