"""How long the studio takes to answer: median and 95th percentile, of one page and of eight at once.

Usage: python -m tests.benchmarks.studio RUN [--questions 100]

Serves the run as `harness studio` does, and asks it over HTTP about test images, each a little other than the
last, as a finger changes them. Times are the asker's, from the first byte sent to the last one read.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np

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


def asked(port: int, token: str, page: str, parts: str, questions: int, seconds: list[float]) -> None:
    """Ask so many questions, one after another."""
    headers = {"X-Harness-Token": token, "X-Harness-Page": page}
    link = http.client.HTTPConnection("127.0.0.1", port)
    drawn = np.random.default_rng(0)
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


def main() -> None:
    """Print a row for each wanted set of parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--questions", type=int, default=100)
    wanted = parser.parse_args()
    process, port, token = served(str(wanted.run))
    try:
        asked(port, token, "warm", WANTED["all"], 3, [])
        for clients in (1, 8):
            for title, parts in WANTED.items():
                seconds: list[float] = []
                each = max(1, wanted.questions // clients)
                threads = [
                    threading.Thread(target=asked, args=(port, token, f"page-{one}", parts, each, seconds))
                    for one in range(clients)
                ]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                middle, far = 1e3 * statistics.median(seconds), 1e3 * float(np.quantile(seconds, 0.95))
                print(f"{clients} at once, {title}: median {middle:.0f} ms, 95 % {far:.0f} ms", flush=True)
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
