"""How long the studio takes to answer: median and 95th percentile, of one page and of eight at once.

Usage: python -m tests.benchmarks.studio [RUN] [--questions 100]

Serves the run as `harness studio` does - without one, a small run is made - and asks it over HTTP about test
images, each a little other than the last, as a finger changes them. Times are the asker's, from the first
byte sent to the last one read. Medians and 95th percentiles are printed, and written into
`artifacts/bench.json` with how far the server's memory grew. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from tests.benchmarks.page import keep, make

CLIENTS = (1, 8)

WANTED = {
    "prediction": "",
    "maps": "maps",
    "maps and integrity": "maps,integrity",
    "maps, integrity and agreement": "maps,integrity,agreement",
    "deletion": "deletion",
    "units": "units",
    "path": "path",
    "all": "maps,integrity,agreement,deletion,units,path",
}


def served(run: str) -> tuple[subprocess.Popen[str], int, str]:
    """The studio's process, its port and its token."""
    command = [sys.executable, "-m", "harness", "studio", run]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "COLUMNS": "200"}
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("studio: "):
            address, _, token = line.removeprefix("studio: ").strip().partition("/#token=")
            return process, int(address.rpartition(":")[2]), token
    sys.exit("the studio did not begin")


def memory(process: subprocess.Popen[str]) -> float:
    """What a process holds, in MB."""
    pages = int(Path(f"/proc/{process.pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def asked(port: int, token: str, page: int, parts: str, questions: int, seconds: list[float]) -> None:
    """Ask so many questions, one after another; each page of inputs of its own."""
    headers = {"X-Harness-Token": token, "X-Harness-Page": f"page-{page}"}
    link = http.client.HTTPConnection("127.0.0.1", port)
    drawn = np.random.default_rng(page)
    link.request("GET", "/api/about", headers=headers)
    (about, *_) = json.loads(link.getresponse().read())["runs"]
    seed, indices = about["seed"], [one["index"] for one in about["samples"]]
    for number in range(questions):
        index = indices[number % len(indices)]
        link.request("GET", f"/api/input?run=0&index={index}", headers=headers)
        inputs = np.frombuffer(link.getresponse().read(), dtype="<f4").copy()
        low, high = about["range"]
        inputs[drawn.integers(inputs.size, size=5)] = low + (high - low) * drawn.random(5)
        start = time.perf_counter()
        query = f"/api/answer?run=0&seed={seed}&index={index}&parts={parts}"
        link.request("POST", query, body=inputs.astype("<f4").tobytes(), headers=headers)
        answer = link.getresponse()
        told = answer.read()
        seconds.append(time.perf_counter() - start)
        assert answer.status == 200, told[:200]


def measured(run: Path, questions: int) -> dict[str, float]:
    """Milliseconds by what was asked and by how many at once, printed as they come."""
    found: dict[str, float] = {}
    process, port, token = served(str(run))
    try:
        asked(port, token, 0, WANTED["all"], 3, [])
        before = memory(process)
        for clients in CLIENTS:
            for title, parts in WANTED.items():
                seconds: list[float] = []
                threads = [
                    threading.Thread(target=asked, args=(port, token, one, parts, each, seconds))
                    for one, each in enumerate([max(1, questions // clients)] * clients, start=1)
                ]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                middle, far = 1e3 * statistics.median(seconds), 1e3 * float(np.quantile(seconds, 0.95))
                found |= {f"{clients} {title} ms": middle, f"{clients} {title} 95 % ms": far}
                print(f"{clients} at once, {title}: median {middle:.0f} ms, 95 % {far:.0f} ms", flush=True)
        found |= {"memory_mb": memory(process), "grown_mb": memory(process) - before}
        print(f"memory {found['memory_mb']:.0f} MB, {found['grown_mb']:+.0f} MB since the first questions")
    finally:
        process.terminate()
        process.wait()
    return found


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", type=Path, nargs="?")
    parser.add_argument("--questions", type=int, default=100)
    parser.add_argument("--output", type=Path, default=Path("artifacts/bench.json"))
    parser.add_argument("--quick", action="store_true", help="few questions")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = wanted.run or make(Path(folder) / "artifacts", 100, "fashion-mnist-mini")
        told = measured(run, 16 if wanted.quick else wanted.questions)
    keep(wanted.output, studio=told)


if __name__ == "__main__":
    main()
