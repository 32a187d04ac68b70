"""The real command with a fault planted: `python -m tests.gate_quality.planted FAULT validate ...`."""

from __future__ import annotations

import sys

from harness import cli
from tests.gate_quality import runs


def main() -> None:
    """Run the command as it is, spoiled by the fault that the first argument names."""
    name = sys.argv.pop(1)
    with runs.known_faults()[name].plant():
        cli.main()


if __name__ == "__main__":
    main()
