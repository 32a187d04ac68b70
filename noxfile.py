"""The sessions: `validate` is the main job, `tests` passes the tests; arguments go after `--`."""

from __future__ import annotations

import os

import nox

nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["lint", "tests"]
nox.needs_version = ">=2024.10.9"


def suite(session: nox.Session, *which: str) -> None:
    """Run those tests, on every core."""
    session.install("-e", ".[test]")
    session.run("python", "-m", "pytest", "-n", "auto", "--dist", "worksteal", *which, *session.posargs)


@nox.session
def validate(session: nox.Session) -> None:
    """Train, explain, measure, judge and report: the main job; its exit code is the verdict."""
    session.install("-e", ".")
    session.run("python", "-m", "harness", "validate", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """The test suite: what is told in minutes, without `tests-thorough` and the full-size work."""
    suite(session, "-m", "not slow and not thorough")


@nox.session(name="tests-thorough")
def tests_thorough(session: nox.Session) -> None:
    """The rest of the suite that decides whether work lands: whole runs, browsers, processes beside."""
    suite(session, "-m", "thorough and not slow")


@nox.session
def store(session: nox.Session) -> None:
    """The history's store under the older SQLAlchemy that it knows, 2.0; `tests` has the newest."""
    session.install("-e", ".[test]", "sqlalchemy<2.1")
    session.run("python", "-m", "pytest", "tests/test_history_store.py", "tests/test_history_damage.py")


@nox.session
def adapters(session: nox.Session) -> None:
    """Sparse autoencoders of the packages that people have, at a layer; red where one is not installed.

    overcomplete asks matplotlib for what 3.11 has no more.
    """
    session.install("-e", ".[test]", "sae-lens", "dictionary-learning", "overcomplete", "matplotlib<3.11")
    session.run("python", "-m", "pytest", "tests/test_subjects_spliced.py", env={"HARNESS_CODES": "required"})


@nox.session
def tour(session: nox.Session) -> None:
    """The tutorial from top to bottom: its cells must still say what it ships."""
    session.install("-e", ".[test]")
    session.run("python", "-m", "pytest", "tests/test_tour.py", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Format, style and types."""
    session.install("-e", ".[test,lint]", "nox")
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    session.run("mypy")


@nox.session
def bench(session: nox.Session) -> None:
    """Benchmarks: the hot parts, both sides alternating, the page, the studio; into `artifacts/bench.json`.

    `-- --studio` for the latter alone.
    """
    session.install("-e", ".[test]")
    threads = {"OMP_NUM_THREADS": str(os.cpu_count() or 1)}
    if "--studio" in session.posargs:
        rest = [one for one in session.posargs if one != "--studio"]
        session.run("python", "-m", "tests.benchmarks.studio", *rest, env=threads)
        return
    session.run("python", "-m", "pytest", "--benchmark-only", "tests/benchmarks", env=threads)
    session.run("python", "-m", "tests.benchmarks.ratios", *session.posargs, env=threads)
    if not {"--growth", "--metrics", "--general", "--groups"} & set(session.posargs):
        session.run("python", "-m", "tests.benchmarks.page", *session.posargs, env=threads)
        quick = ["--quick"] if "--quick" in session.posargs else []
        session.run("python", "-m", "tests.benchmarks.studio", *quick, env=threads)


@nox.session
def gpu(session: nox.Session) -> None:
    """Every test that needs a GPU, then the main job on one, into `artifacts/gpu.json`.

    Without a GPU it skips, with the reason; where the environment says HARNESS_GPU=required it is red.
    """
    session.install("-e", ".[test]")
    reason = str(session.run("python", "-m", "tests.gpu", silent=True)).strip()
    if reason and os.environ.get("HARNESS_GPU") != "required":
        session.skip(reason)
    session.run("python", "-m", "pytest", "-m", "gpu")
    session.run("python", "-m", "tests.benchmarks.gpu", *session.posargs)


@nox.session(name="gate-quality")
def gate_quality(session: nox.Session) -> None:
    """Judge the gate itself: coverage, false alarms, planted faults, mutants; `-- --quick` for a sample."""
    session.install("-e", ".[test]")
    session.run("python", "-m", "tests.gate_quality", *session.posargs)


@nox.session
def nightly(session: nox.Session) -> None:
    """A night: fresh seeds and the canary, held against the nights before; its exit code is the verdict."""
    session.install("-e", ".")
    session.run("python", "-m", "harness", "nightly", *session.posargs)


@nox.session(name="tests-slow")
def tests_slow(session: nox.Session) -> None:
    """Every test, the full-size ones too."""
    suite(session)


@nox.session
def release(session: nox.Session) -> None:
    """Build twice, compare to the byte, check, and run on the oldest and the newest Python that can be had.

    The files are left in `dist/`; `-- --quick` runs on one Python alone.
    """
    session.install("build>=1.2", "hatchling>=1.26", "twine>=6.1", "uv")
    session.run("python", "-m", "tools.release", *session.posargs)
