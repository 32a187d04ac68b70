"""`model.json`: what was explained, as far as those need it who never load it."""

from __future__ import annotations

import pydantic

from harness.artifacts.files import Folder
from harness.capabilities import FIRST

MODEL = "model.json"


class ModelRecord(pydantic.BaseModel):
    """What a run explained.

    Attributes:
        model: Its name, or its factory's.
        recipe: What trained it; `none` where nothing did.
        capabilities: What it could be asked for (`harness.capabilities`).
        parameters: How many numbers its weights are; 0 where nobody counted.
        weights: The file that they were loaded from, and its SHA-256; empty where they were trained.
        code_width: Units of its code; 0 where it has none, or nobody counted.
        minimised: What its autoencoder's training minimises.
        layer: Where a code was put in.
        code: The code that was put in there.
        layers: Its parts that hold parameters, from the input on.
        shape: Of one input as it took it, channels first.
    """

    model: str = "k-sparse"
    recipe: str = "reference"
    capabilities: tuple[str, ...] = FIRST
    parameters: int = 0
    weights: dict[str, str] = {}
    code_width: int = 0
    minimised: str = "squared error a pixel"
    layer: str = ""
    code: str = ""
    layers: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()


def model_of(run: Folder) -> ModelRecord:
    """What a run's `model.json` tells; of a run of before there was one, what every run explained then.

    Raises:
        RunError: it is damaged.
    """
    if not (run / MODEL).is_file():
        return ModelRecord()
    return run.read_record(MODEL, ModelRecord)
