"""What a GPU makes of the main job: its seconds, five seeds to one, equal runs, and memory.

`python -m tests.benchmarks.gpu`, a part of `nox -s gpu`, runs `harness validate` on the full data thrice, in
processes and output folders of their own: one seed, the same again, and five seeds stacked. It prints, and
writes `artifacts/gpu.json`. Targets are told, met or not, and not asserted; that two equal runs differ, or
that one does not end with a verdict, is an error.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests import gpu

SEEDS = {"one seed": "0", "one seed again": "0", "five seeds": "0,1,2,3,4"}
SECONDS, TIMES = 30.0, 2.0
"""The targets on an H100: the whole job's seconds, and five seeds' to one seed's."""

VERDICTS = (0, 1)
"""Exit codes of a run that was judged."""


def job(flags: list[str]) -> dict[str, Any]:
    """One `harness validate` in this process: how it ended, and the most memory that tensors took at once."""
    import torch

    from harness import cli

    sys.argv = ["harness", "validate", *flags]
    try:
        cli.main()
        code: Any = 0
    except SystemExit as end:
        code = end.code or 0
    peak = torch.cuda.max_memory_allocated() if torch.cuda.is_initialized() else 0
    return {"exit_code": code, "peak_bytes": peak}


def timed(output: Path, flags: list[str]) -> dict[str, Any]:
    """The same in a process of its own, with its seconds, start to end, and those of its stages."""
    command = [sys.executable, "-m", "tests.benchmarks.gpu", "--job", "--", "--output", str(output), *flags]
    start = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, encoding="utf-8", check=False)
    seconds = time.perf_counter() - start
    ended = (
        json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else {"exit_code": done.returncode}
    )
    if ended["exit_code"] not in VERDICTS:
        sys.exit(f"{' '.join(command)} ended without a verdict, with {ended['exit_code']}")
    stages = json.loads((output / "latest" / "stages.json").read_text(encoding="utf-8"))["duration_s"]
    return {"seconds": seconds, "stages": stages, **ended}


def told(jobs: dict[str, dict[str, Any]], different: list[str]) -> dict[str, Any]:
    """What follows from the jobs: ratios, whether equal runs were equal, and whether the targets are met."""
    one, five = (min(jobs[name]["seconds"] for name in names) for names in (list(jobs)[:2], list(jobs)[2:]))
    training = [jobs[name]["stages"]["training"] for name in ("one seed", "five seeds")]
    return {
        "jobs": jobs,
        "ratios": {"five_seeds_to_one": five / one, "training_of_five_to_one": training[1] / training[0]},
        "equal_to_the_bit": not different,
        "different": different,
        "targets": {
            "seconds": {"at_most": SECONDS, "got": one, "met": one <= SECONDS},
            "five_seeds_to_one": {"at_most": TIMES, "got": five / one, "met": five / one <= TIMES},
        },
    }


def place(device: str) -> dict[str, Any]:
    """What computed: the device, torch and its CUDA, and the driver."""
    import torch

    from harness import environment

    driver = "unknown"
    if program := shutil.which("nvidia-smi"):
        asked = [program, "--query-gpu=driver_version", "--format=csv,noheader"]
        driver = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.split("\n")[0]
    described = environment.describe_device(torch.device(device))
    return {"device": described, "torch": torch.__version__, "cuda": torch.version.cuda, "driver": driver}


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("artifacts/gpu.json"))
    parser.add_argument("--dataset", default="fashion-mnist")
    parser.add_argument(
        "--device", default="cuda", help="cpu tries the benchmark out, and tells nothing of a GPU"
    )
    parser.add_argument("--job", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("flags", nargs="*", help="further flags of harness validate, after --")
    asked = parser.parse_args()
    if asked.job:
        print(json.dumps(job(asked.flags)))
        return
    if asked.device == "cuda" and gpu.missing():
        sys.exit(gpu.missing())
    flags = ["--dataset", asked.dataset, "--device", asked.device, "--quiet", *asked.flags]
    with tempfile.TemporaryDirectory() as folder:
        outputs = {name: Path(folder) / str(number) for number, name in enumerate(SEEDS)}
        jobs = {name: timed(outputs[name], [*flags, "--seeds", SEEDS[name]]) for name in SEEDS}
        first, second = (gpu.numbers_of(outputs[name] / "latest") for name in list(SEEDS)[:2])
    different = sorted(name for name in first | second if first.get(name) != second.get(name))
    result = place(asked.device) | told(jobs, different)
    for name, one in jobs.items():
        stages = ", ".join(f"{stage} {seconds:.2f}" for stage, seconds in one["stages"].items())
        print(f"{name}: {one['seconds']:.1f} s, {one['peak_bytes'] / 2**20:.0f} MiB ({stages})")
    for name, one in result["targets"].items():
        print(f"{name}: {one['got']:.2f}, target {one['at_most']:g}: {'met' if one['met'] else 'not met'}")
    asked.output.parent.mkdir(parents=True, exist_ok=True)
    asked.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if different:
        sys.exit(f"two equal runs differ in {', '.join(different)}")


if __name__ == "__main__":
    main()
