"""What was seen in the studio as a test: the input frozen beside it, asked again of each run judged."""

from __future__ import annotations

import hashlib
import io
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.artifacts.sealing import lies_in_data
from harness.errors import InputError, OutputError, RunError
from harness.records import Floats
from harness.studio.asked import About, Question
from harness.text import clean

if TYPE_CHECKING:
    from harness.runs import Run

FROZEN = "frozen"
"""The folder, in that of the checks, of the inputs that they ask about."""

MARGIN = 0.1
"""What agreement may lose before a check is red."""

PARTS = frozenset({"integrity", "agreement"})
"""What a check asks beside the prediction."""

LONGEST = 60
"""At most so many characters has a check's name."""

_NAME = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")


@dataclass(frozen=True)
class Pinned:
    """A question that a check asks of every run.

    Attributes:
        inputs: The file of the input: float32 [features] in the data's own scale, as numpy writes it.
        sha256: Of that file.
        target: The name of the class explained.
        against: Of the class whose logit is taken away from it; None where there is none.
        methods: Those asked.
        seed: The network asked, where the run has one of that seed; else its first one.
    """

    inputs: Path
    sha256: str
    target: str
    against: str | None
    methods: tuple[str, ...]
    seed: int

    def answer(self, run: Run) -> dict[str, Any]:
        """What the run's network says, the parts as one, and under `named` the predicted class by its name.

        Raises:
            RunError: the file is gone or another, or the run cannot be asked this.
        """
        live = _live(run)
        found: dict[str, Any] = {}
        for part in live.answer(self.question(live.about)):
            found |= part
        return found | {"named": live.about["classes"][found["prediction"]["class"]]}

    def question(self, about: About) -> Question:
        """The question, of a run that tells this of itself.

        Raises:
            RunError: as `answer`.
        """
        inputs = self._read()
        if len(inputs) != about["features"]:
            raise RunError(
                f"{self.inputs.name}: has {len(inputs)} features, and the run's inputs {about['features']}"
            )
        there = [one["name"] for one in about["methods"]]
        if lost := [name for name in self.methods if name not in there]:
            raise RunError(f"the run has no maps by {', '.join(lost)}; it has {', '.join(there)}")
        return Question(
            run=0,
            seed=self.seed if self.seed in about["seeds"] else about["seed"],
            target=_place(self.target, about),
            against=None if self.against is None else _place(self.against, about),
            methods=self.methods,
            units=(),
            parts=PARTS,
            index=None,
            inputs=inputs,
        )

    def _read(self) -> Floats:
        try:
            content = self.inputs.read_bytes()
        except OSError as error:
            raise RunError(f"{self.inputs.name}: cannot be read ({error.strerror})") from None
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise RunError(f"{self.inputs.name}: is not the input that was pinned; take it from a copy")
        inputs: Floats = np.load(io.BytesIO(content), allow_pickle=False)
        inputs.setflags(write=False)
        return inputs


@lru_cache(maxsize=1)
def _live(run: Run) -> Any:
    """The run's networks, read once for all checks of it."""
    from harness.studio.live import Live  # torch with it

    return Live(run)


def _place(name: str, about: About) -> int:
    classes = [*about["classes"]]
    if name not in classes:
        raise RunError(f"the run has no class {name!r}; it has {', '.join(classes)}")
    return classes.index(name)


def refuse_name(name: str) -> None:
    """Refuse what is no name of a check.

    Raises:
        InputError: it is anything but small letters, digits and single underscores between them.
    """
    if len(name) > LONGEST or not _NAME.fullmatch(name):
        raise InputError(
            f"a check's name has 1 to {LONGEST} small letters, digits and single _, a letter first "
            f"(got {clean(name, 80)!r})"
        )


def to_pin(question: Question) -> Question:
    """The question of which the answer can be pinned.

    Raises:
        InputError: units are switched: those of another network are others.
    """
    if question.units:
        raise InputError("units are of this one network: reset them, and make it a check then")
    return replace(question, parts=PARTS)


def pin(
    folder: Path, name: str, question: Question, about: About, answer: Mapping[str, Any]
) -> dict[str, str]:
    """Write `test_<name>.py` and `frozen/<name>.npy` into the folder of checks, and replace nothing.

    Args:
        folder: Of the checks; made where it is not there.
        name: Of the check, as `refuse_name` has it.
        question: Of `to_pin`.
        about: What the run tells of itself.
        answer: What it answered.

    Returns:
        `file` and `frozen`: both places as seen from where the folder lies.

    Raises:
        InputError: the name is none, or there is nothing that a test could hold.
        OutputError: the folder lies in a run, one of the files is there or leads elsewhere, or the disk
            refuses.
    """
    refuse_name(name)
    if lies_in_data(folder):
        raise OutputError("the folder of checks lies in a run or the cache, which are data: name another")
    content = _as_npy(question.inputs)
    digest = hashlib.sha256(content).hexdigest()
    text = source(name, question, about, answer, digest)
    file, frozen = folder / f"test_{name}.py", folder / FROZEN / f"{name}.npy"
    try:
        try:
            frozen.parent.mkdir(parents=True, exist_ok=True)
        except FileExistsError as error:
            there = Path(str(error.filename)).name
            raise OutputError(f"{there} is there, and is no folder; nothing was written") from None
        if os.path.realpath(frozen.parent) != os.path.join(os.path.realpath(folder), FROZEN):  # noqa: PTH118
            raise OutputError(f"{FROZEN} leads out of the folder of checks; nothing was written")
        taken = next((one for one in (file, frozen) if os.path.lexists(one)), None)
        if taken is not None:
            raise OutputError(f"{_seen(folder, taken)} is there already; choose another name")
        _write_new(frozen, content)
        try:
            _write_new(file, text.encode("utf-8"))
        except BaseException:
            frozen.unlink(missing_ok=True)
            raise
    except FileExistsError as error:
        there = Path(str(error.filename)).name
        raise OutputError(f"{there} is there already; choose another name") from None
    except OSError as error:
        there = Path(str(error.filename or name)).name
        raise OutputError(f"{there} cannot be written ({error.strerror}); nothing was") from None
    return {"file": _seen(folder, file), "frozen": _seen(folder, frozen)}


def _seen(folder: Path, path: Path) -> str:
    """A path below the folder, as seen from where the folder lies."""
    return (Path(folder.absolute().name) / path.relative_to(folder)).as_posix()


def _write_new(path: Path, content: bytes) -> None:
    """Write a file that is not there; one that cannot be written whole is taken away again."""
    with path.open("xb") as stream:
        try:
            stream.write(content)
            stream.flush()
        except BaseException:
            with suppress(OSError):
                path.unlink()
            raise


def _as_npy(inputs: Floats) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.asarray(inputs, dtype="<f4"), allow_pickle=False)
    return stream.getvalue()


HEAD = '''"""Pinned in the studio: {of}, asked again of every run that is judged.

Seen in run {run}.
"""

from pathlib import Path

import pytest

from harness.studio.pinning import Pinned

PINNED = Pinned(
    inputs=Path(__file__).parent / "{frozen}" / "{name}.npy",
    sha256="{digest}",
    target={target},
    against={against},
    methods={methods},
    seed={seed},
)


@pytest.fixture(scope="module")
def answer(run):
    """What the run's network says of the input."""
    return PINNED.answer(run)


def test_the_class_stays(answer):
    """{title}: the network still names the class that it named."""
    assert answer["named"] == {named}, f"is named {{answer['named']!r}} now"
'''

AGREEMENT = '''

AGREEMENT, MARGIN = {value}, {margin}


def test_the_methods_agree_as_they_did(answer):
    """{title}: the methods agree as they did when it was pinned, less the margin."""
    value = answer["agreement"]["value"]
    assert value is not None, "no two maps have a correlation now"
    assert value >= AGREEMENT - MARGIN, f"agreement is {{value:.4f}} now, and was {{AGREEMENT:.4f}}"
'''

INTEGRITY = '''

CLAIMS = {claims}


def test_the_maps_are_what_they_claim(answer):
    """{title}: every map satisfies its method's own definition."""
    holds = {{one["method"]: one["holds"] for one in answer["integrity"]}}
    broken = [method for method in CLAIMS if holds.get(method) is not True]
    assert not broken, f"not what they claim: {{', '.join(broken)}}"
'''


def source(name: str, question: Question, about: About, answer: Mapping[str, Any], digest: str) -> str:
    """The text of a check. Foreign text stands in it as an ASCII literal, and nowhere else.

    Args:
        name: Of the check.
        question: What was asked.
        about: What the run tells of itself.
        answer: What it answered.
        digest: SHA-256 of the frozen file.
    """
    classes, title = about["classes"], name.replace("_", " ")
    against, asked = answer["against"], question.methods
    if asked is None:
        asked = tuple(str(one["name"]) for one in about["methods"] if not one.get("control"))
    text = HEAD.format(
        of="an input of one's own" if question.index is None else f"test input {question.index:d}, as edited",
        run=re.sub(r"[^A-Za-z0-9-]+", "-", str(about["id"]))[:80],
        frozen=FROZEN,
        name=name,
        digest=digest,
        target=ascii(str(classes[int(answer["target"])])),
        against=None if against is None else ascii(str(classes[against])),
        methods=_tuple(asked),
        seed=int(question.seed),
        title=title,
        named=ascii(str(classes[int(answer["prediction"]["class"])])),
    )
    value = (answer.get("agreement") or {}).get("value")
    if value is not None:
        text += AGREEMENT.format(value=repr(float(value)), margin=MARGIN, title=title)
    claims = [one["method"] for one in answer.get("integrity") or () if one["holds"] is not None]
    if claims:
        text += INTEGRITY.format(claims=_tuple(claims), title=title)
    return text


def _tuple(names: Sequence[str]) -> str:
    return f"({', '.join(ascii(str(name)) for name in names)}{',' if len(names) == 1 else ''})"
