"""The run directory: the only module that knows its paths, formats and records."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pydantic

from harness import config as configuration
from harness.artifacts import latest
from harness.artifacts.documents import DataRecord, DeviceRecord, Estimates, Failure, Judged, Names, Stages
from harness.artifacts.files import Folder, adapter, digest_of, digest_of_values, plain_json, what_is_wrong
from harness.artifacts.sealing import MANIFEST, PUBLISHED, Damage, Manifest, seal
from harness.config import Config
from harness.config.parameters import STANDS_FOR
from harness.config.tables import parse
from harness.config.values import named_place
from harness.errors import ConfigurationError, DamageError, OutputError, RunError
from harness.records import Estimate, Provenance
from harness.text import without_password

UNREPEATABLE = "unrepeatable.json"
GATE_QUALITY = "gate-quality.json"


class RunDirectory(Folder):
    """One run's folder; docs/reference/run-directory.md lists its files.

    Attributes:
        seal: What its computed files were; read where the run was opened, not by the run that makes them.
    """

    @classmethod
    def create(cls, output: Path, commit: str, now: datetime | None = None) -> RunDirectory:
        """A new folder `runs/<UTC time>-<commit>`, made exclusively: two runs never share one.

        Raises:
            OutputError: the folder cannot be written to.
        """
        now = now or datetime.now(timezone.utc)
        name = f"{now:%Y%m%dT%H%M%SZ}-{commit}"
        try:
            (output / "runs").mkdir(parents=True, exist_ok=True)
            latest.withdraw(output)
            for number in range(1, 1000):
                path = output / "runs" / (name if number == 1 else f"{name}-{number}")
                with suppress(FileExistsError):
                    path.mkdir()
                    return cls(path)
        except OSError as error:
            raise OutputError(
                f"--output {output}: cannot be written to ({error.strerror}); name another folder"
            ) from None
        raise OutputError(f"--output {output}: a thousand runs bear the name {name}; try again in a second")

    @classmethod
    def open(cls, path: str | Path) -> RunDirectory:
        """An existing run directory, or what names one, such as `artifacts/latest`.

        Raises:
            ConfigurationError: there is none.
        """
        path = named_place("RUN", path)
        beside = path.name == latest.LATEST and path.is_symlink() and (path.parent / "runs").is_dir()
        if beside and latest.named(path) is None:
            raise ConfigurationError(f"{path}: names no run in {path.parent / 'runs'}; name the run itself")
        place = Path(os.path.realpath(latest.named(path) or path))
        if not os.path.isfile(place / "environment.json"):  # noqa: PTH113 - a name may be too long for pathlib
            why = "it has no environment.json" if os.path.isdir(place) else "there is no such folder"  # noqa: PTH112
            if path.name == latest.LATEST and not os.path.lexists(path):
                why = latest.why_none(path.parent)
            raise ConfigurationError(f"{path}: is no run directory ({why})")
        return cls(place, Manifest(place))

    @property
    def manifest(self) -> Manifest:
        """What its computed files were."""
        return Manifest(self.path)

    def finish(self) -> None:
        """Seal what was computed; how good the gate is goes with it, as it is known tonight.

        Raises:
            StorageError: it cannot be written.
        """
        quality = self._gate_quality()
        if quality is not None:
            self.write_json(GATE_QUALITY, quality.read_json(GATE_QUALITY))
        seal(self.path)

    def _gate_quality(self) -> Folder | None:
        """Where it stands how good the gate is: beside the runs (`nox -s gate-quality`), or as shipped."""
        places = (self.path.parent.parent, Path(__file__).parents[1] / "data")
        return next((Folder(place) for place in places if (place / GATE_QUALITY).is_file()), None)

    def read_gate_quality(self) -> dict[str, Any] | None:
        """How good the gate is, of the commit it was measured on; None where nobody has measured it."""
        here = self if (self / GATE_QUALITY).is_file() else self._gate_quality()
        return None if here is None else here.read_json(GATE_QUALITY)

    def link_latest(self) -> None:
        """Let `latest`, beside `runs`, name this run, unless another was begun after it."""
        if self.path.parent.name == "runs":
            latest.let_name(self.path)

    def seed(self, seed: int) -> Folder:
        """The folder of one seed's files."""
        return Folder(self / f"seed-{seed}", self.seal)

    def damage(self) -> list[Damage]:
        """What is not as it was computed, or as it was judged.

        Raises:
            RunError: there is no telling: the manifest is missing or damaged.
        """
        found = self.manifest.damage()
        with suppress(RunError):
            published = (self.read_verdict() or {}).get("published", {})
            for name in sorted(PUBLISHED & set(published)):
                path = self / name
                try:
                    # what is no regular file may never end
                    same = path.is_file() and digest_of(path) == published[name]
                except OSError:
                    same = False
                if not same:
                    what = "is not as it was judged" if os.path.lexists(path) else "missing"
                    found.append(Damage(name, what, gated=False))
        return found

    def refuse_damage(self) -> list[Damage]:
        """What is not as it was computed, where no gate rests on it.

        Raises:
            DamageError: a gate rests on it.
            RunError: there is no telling: the manifest is missing, damaged, or not the one of the verdict.
        """
        self.refuse_other_manifest(self.named_manifest())
        if not self.manifest.exists:
            raise RunError(
                f"{self / MANIFEST}: missing; the run did not end, or an older harness made it: "
                "compute it again"
            )
        found = self.damage()
        if gated := [str(one) for one in found if one.gated]:
            raise DamageError(
                f"{self.path}: a gate rests on what is not as it was computed: {'; '.join(gated)}"
            )
        return found

    def amiss(self) -> list[Damage]:
        """What `damage` finds; that there is no telling is a part of it."""
        try:
            if not self.manifest.exists:
                why = "missing: the run did not end, or an older harness made it"
                return [Damage(MANIFEST, why, gated=self.named_manifest() is not None)]
            return self.damage()
        except RunError as error:
            return [Damage(MANIFEST, str(error), gated=True)]

    def write_config(self, config: Config) -> None:
        """`config.toml`: every default spelled out, but for a database's password."""
        nightly = config.nightly.model_copy(update={"history": without_password(config.nightly.history)})
        self.write_toml("config.toml", config.model_copy(update={"nightly": nightly}).as_toml_values())

    def read_config(self) -> Config:
        """The run's own configuration.

        Raises:
            RunError: it is missing, not as it was, or not complete: what it lacks is not made up.
        """
        path = self / "config.toml"
        try:
            values = parse(self.read("config.toml"), str(path))
            config = configuration.of(values, str(path))
        except ConfigurationError as error:
            raise RunError(f"{path}: damaged ({error}); compute the run again") from None
        whole = {key: value for key, value in config.as_toml_values().items() if key != "nightly"}
        # [nightly] plays no part in a run's numbers
        if lacking := [name for name in _lacking(whole, values) if name not in STANDS_FOR]:
            raise RunError(
                f"{path}: is not complete, it lacks {', '.join(lacking)}: a run's own configuration "
                "spells out every key; compute the run again"
            )
        return config

    def write_provenance(self, provenance: Provenance) -> None:
        """`environment.json`."""
        self.write_json("environment.json", asdict(provenance))

    def read_provenance(self) -> Provenance:
        """The run's provenance."""
        found = self.read_record("environment.json", Provenance)
        try:
            adapter(DataRecord).validate_python(dict(found.dataset))
            adapter(DeviceRecord).validate_python(dict(found.device))
        except pydantic.ValidationError as error:
            raise RunError(
                f"{self / 'environment.json'}: damaged ({what_is_wrong(error)}); compute the run again"
            ) from None
        return found

    def write_estimates(self, estimates: Sequence[Estimate]) -> None:
        """`estimates.json`, and `metrics.csv`, its twin for spreadsheets."""
        import pandas as pd

        rows = [estimate.as_json() for estimate in estimates]
        self.write_json("estimates.json", {"estimates": rows})
        table = pd.DataFrame(rows, columns=list(Estimate.__dataclass_fields__))
        table = table.rename(columns={"name": "measurement"})
        table["seed"] = ["all" if row["seed"] is None else row["seed"] for row in rows]
        self.write_table(
            "metrics.csv", table[["measurement", "seed", "estimate", "low", "high", "n", "unit"]]
        )

    def read_estimates(self) -> list[Estimate]:
        """The run's estimates, of each seed and of all together; none where nothing was estimated."""
        if not (self / "estimates.json").is_file():
            return []
        return list(self.read_record("estimates.json", Estimates).estimates)

    def read_failure(self) -> dict[str, Any] | None:
        """Why the run broke off; None where it did not."""
        if not (self / "failure.json").is_file():
            return None
        return dict(self.read_record("failure.json", Failure).model_dump())

    def read_stages(self) -> Stages:
        """How long each stage took; nothing where none ended."""
        if not (self / "stages.json").is_file():
            return Stages(duration_s={})
        return self.read_record("stages.json", Stages)

    def read_unrepeatable(self) -> list[str]:
        """What of the user's own was found to give other results when asked again."""
        if not (self / UNREPEATABLE).is_file():
            return []
        return list(self.read_record(UNREPEATABLE, Names).names)

    def write_verdict(self, values: Mapping[str, Any], into: Folder | None = None) -> None:
        """`verdict.json`, which names the manifest's digest and its own, of this run or in another folder."""
        named = values.get("manifest") or self.manifest.digest()
        rows = {"criteria": [vars(one) for one in values["criteria"]], "manifest": named}
        whole = _without_seal(plain_json(dict(values) | rows))
        (into or self).write_json("verdict.json", whole | {"sha256": digest_of_values(whole)})

    def named_manifest(self) -> str | None:
        """The digest of the manifest that the run had when it was judged; None where that is not known."""
        try:
            named = self._sealed_verdict().get("manifest")
        except RunError:
            return None
        return named if isinstance(named, str) else None

    def refuse_other_manifest(self, named: str | None) -> None:
        """Refuse a run whose manifest is not the one that its verdict names.

        Raises:
            RunError: it is another, or gone.
        """
        if named is not None and self.manifest.digest() != named:
            raise RunError(
                f"{self / MANIFEST}: is not the one that verdict.json names: the run was changed after it "
                "was judged; take it from a copy, or compute it again"
            )

    def _sealed_verdict(self) -> dict[str, Any]:
        """What stands in `verdict.json`.

        Raises:
            RunError: it is missing, damaged, or not as it was judged.
        """
        raw = self.read_json("verdict.json")
        if raw.get("sha256") != digest_of_values(_without_seal(raw)):
            raise RunError(
                f"{self / 'verdict.json'}: is not as it was judged; judge the run again: "
                f"harness judge {self.path}"
            )
        return raw

    def read_verdict(self) -> dict[str, Any] | None:
        """`verdict.json` with its criteria as records; None where the run was not judged.

        Raises:
            RunError: it is damaged, not as it was judged, or of another run or another state of it.
        """
        path = self / "verdict.json"
        if not os.path.lexists(path):
            return None
        judged = self.read_record("verdict.json", Judged)
        mine = self.read_provenance().run_id
        if judged.run_id != mine:
            raise RunError(
                f"{path}: is the verdict of another run: must be of {mine!r} (got {judged.run_id!r}); "
                f"judge the run again: harness judge {self.path}"
            )
        self.refuse_other_manifest(self._sealed_verdict().get("manifest"))
        values = {name: getattr(judged, name) for name in Judged.model_fields} | (judged.model_extra or {})
        return values | {"failure": None if judged.failure is None else judged.failure.model_dump()}


def _without_seal(verdict: Mapping[str, Any]) -> dict[str, Any]:
    """What the digest in a verdict is the digest of."""
    return {key: value for key, value in verdict.items() if key not in ("schema", "sha256")}


def _lacking(whole: Mapping[str, Any], stored: Mapping[str, Any], place: str = "") -> list[str]:
    """The keys by which what was stored is less than what it was read as."""
    found = []
    for key, value in whole.items():
        name = f"{place}{key}"
        if key not in stored:
            found.append(name)
        elif isinstance(value, Mapping) and isinstance(stored[key], Mapping):
            found += _lacking(value, stored[key], f"{name}.")
        elif key == "criteria" and len(stored[key]) != len(value):
            known = {row.get("id") for row in stored[key]}
            found += [f"criteria.{row['id']}" for row in value if row["id"] not in known]
    return found
