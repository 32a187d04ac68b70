"""Whether shipped models can be built as points ask, found out beside: torch takes more than 10,000 points.

Usage: python -m harness.sweeps.factories < models.json
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable

from harness.config.parameters import Model
from harness.errors import ConfigurationError

REFUSED = 2
"""What the process ends with where a model is refused; what it printed says why."""


def refuse_unbuildable(models: Iterable[Model]) -> None:
    """Refuse an unknown model, and keywords that a shipped one's factory does not take; nothing is built.

    This process never loads torch for it: where it has not, another one is asked, and where all are the
    default model without keywords, nobody.

    Raises:
        ConfigurationError: as `harness.subjects.catalogue.refuse_unbuildable`.
        RuntimeError: the process did not end as it should.
    """
    default = Model().model
    asked = {
        one.model_dump_json(): one
        for one in models
        if ":" not in one.model and (one.model != default or one.settings)
    }
    if "torch" in sys.modules:
        _refuse_here(asked.values())
    elif asked:
        done = subprocess.run(
            [sys.executable, "-m", "harness.sweeps.factories"],
            input=f"[{','.join(asked)}]",
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        if done.returncode == REFUSED and done.stdout:
            raise ConfigurationError(json.loads(done.stdout))
        if done.returncode:
            raise RuntimeError(f"asking models' factories ended with {done.returncode}: {done.stderr}")


def _refuse_here(models: Iterable[Model]) -> None:
    from harness.subjects import catalogue  # with torch

    catalogue.refuse_unbuildable(models)


if __name__ == "__main__":
    try:
        _refuse_here(map(Model.model_validate, json.load(sys.stdin)))
    except ConfigurationError as error:
        sys.stdout.write(json.dumps(str(error)))
        sys.exit(REFUSED)
