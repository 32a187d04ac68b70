"""The forms of a run's JSON documents: what they are checked by when read, and what their schemas tell."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pydantic

from harness.forms import BYTE
from harness.records import Estimate, Verdict


class Estimates(pydantic.BaseModel):
    """`estimates.json`: every measurement as one number with its interval.

    Attributes:
        estimates: Of all seeds together, then of each; of one seed alone where there is but one.
    """

    estimates: list[Estimate]


class Failure(pydantic.BaseModel):
    """`failure.json`, and a part of a verdict: where a run broke off, and why.

    Attributes:
        stage: The stage in which it did.
        kind: The error's class; `interrupted` where somebody ended it.
        message: Why, in a sentence.
        trace: Python's trace, where nobody foresaw it; else null.
    """

    stage: str
    kind: str
    message: str
    trace: str | None = None


class Stages(pydantic.BaseModel):
    """`stages.json`: what a run cost.

    Attributes:
        duration_s: Seconds by stage.
        memory_mb: Largest memory in MB, `resident` and on a `gpu`.
        taken_from: The run that computed all of it; null where this one did.
        cache: Entries of the cache that it uses.
    """

    duration_s: dict[str, float]
    memory_mb: dict[str, float] = {}
    taken_from: str | None = None
    cache: list[str] = []


class DataRecord(pydantic.BaseModel):
    """What a run was computed on.

    Attributes:
        name: The data set's name.
        asked: What was asked for: a name, `auto`, or a path.
        source: Where it was found.
        sha256: SHA-256 of each file that was read, by its name; of the arrays where there is no file.
        digest: SHA-256 of the arrays.
        train: How many training inputs there are.
        test: How many test inputs there are.
        classes: The classes' names, by their numbers from 0.
        shape: The sides of an input; their product is the number of features.
        kind: What the inputs are.
        axes: The sides' names, the outermost first.
        scale: What a stored number is multiplied with to be in `unit`.
        unit: Of the scaled values; empty for brightness in [0, 1], or where none is known.
        baseline: Where attributions start from: `zero`, `mean` (of the training inputs), a number, in `unit`,
            or `array`, which `baseline.npz` holds as it does the mean.
        names: Of a table's features, or of the channels; none where nobody names them.
        notice: That this is not the data asked for, in a sentence; else null.
    """

    name: str
    asked: str
    source: str
    sha256: dict[str, str]
    digest: str = ""
    train: int
    test: int
    classes: list[str]
    shape: Annotated[list[int], pydantic.Field(min_length=1, max_length=4)]
    # a run of before there was anything but images has none of these
    kind: Literal["image", "series", "clip", "table"] = "image"
    axes: list[str] = []
    scale: Annotated[float, pydantic.Field(gt=0)] = BYTE
    unit: str = ""
    baseline: float | Literal["zero", "mean", "array"] = "zero"
    names: list[str] = []
    notice: str | None


class DeviceRecord(pydantic.BaseModel):
    """What computed.

    Attributes:
        kind: `cpu` or `cuda`.
        name: The device in words.
        threads: How many the CPU's part was computed on.
    """

    kind: str
    name: str
    threads: int


class Names(pydantic.BaseModel):
    """`unrepeatable.json`: what of the user's own gave other results when asked again.

    Attributes:
        names: In words.
    """

    names: list[str]


class Judged(pydantic.BaseModel, extra="allow"):
    """`verdict.json`: the verdict on a run, and on each criterion.

    Attributes:
        run_id: The run's name.
        verdict: `pass`: every gate holds; `fail`: one does not; `error`: something could not be evaluated;
            `interrupted`: the run was ended, or goes on.
        strict: Whether the interval's bound decided, and not the point estimate.
        dataset: What it was computed on.
        notice: That this is not the data asked for, in a sentence; else null.
        seeds: The networks' seeds.
        duration_s: Seconds by stage.
        failure: Where the run broke off, and why; null where it did not.
        criteria: Each criterion judged, and each test of one's own.
        announcements: Every rule that is looser than the shipped one, and what the model is not judged by.
        remarks: What else a reader should know: files that are not as they were computed, among others.
        checks: Folders of tests of one's own that judged it, by their whole paths.
        unrepeatable: What of the user's own gave other results when asked again.
        published: SHA-256 by name of the files that say the verdict again, of a night of `history.json` too.
        manifest: SHA-256 of the `manifest.json` of what was judged; null where there was none.
        sha256: Of this document without `schema` and `sha256`: of its JSON with sorted keys.
    """

    run_id: str
    verdict: Literal["pass", "fail", "error", "interrupted"]
    strict: bool
    dataset: dict[str, Any]
    notice: str | None
    seeds: list[int]
    duration_s: dict[str, float]
    failure: Failure | None
    criteria: list[Verdict]
    announcements: list[str] = []
    remarks: list[str] = []
    checks: list[str] = []
    unrepeatable: list[str] = []
    published: dict[str, str] = {}
    manifest: str | None = None
    sha256: str = ""


class Looks(pydantic.BaseModel):
    """How often samples were added until every gate was decided.

    Attributes:
        planned: Samples of each class at each look that there may be; one where nothing is added.
        taken: How many looks there were.
    """

    planned: list[int]
    taken: int


class ClassYield(pydantic.BaseModel):
    """How many inputs of a class met each condition, in every seed.

    Attributes:
        label: The class's number, from 0.
        images: Test inputs of the class.
        right: Those named rightly.
        sure: Those named rightly, with a confidence over the bound.
        wanted: How many were to be chosen.
        chosen: How many were.
        class_: The class's name.
    """

    label: int
    images: int
    right: int
    sure: int
    wanted: int
    chosen: int
    class_: str = pydantic.Field(alias="class")


class Samples(pydantic.BaseModel):
    """`samples.json`: how the explained samples were chosen.

    Attributes:
        surest: The highest confidence of a rightly named test input, in its least sure seed; 0 without any.
        confidence: The bound that a chosen one's confidence exceeds, a share.
        looks: How often samples were added until every gate was decided.
        yields: Of each class, how many met each condition.
    """

    surest: float
    confidence: float
    looks: Looks
    yields: list[ClassYield]
