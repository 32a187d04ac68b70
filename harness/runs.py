"""A run directory as an object: what reports, notebooks and measurements read of it, without torch."""

from __future__ import annotations

import warnings
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.artifacts.directories import RunDirectory
from harness.artifacts.files import Array
from harness.artifacts.forms import form_of
from harness.artifacts.model import ModelRecord, model_of
from harness.artifacts.sealing import HISTORY
from harness.config import Config
from harness.criteria import show, show_rule
from harness.environment.state import clean as clean_state
from harness.forms import Form
from harness.measurements import CONTROL_METHOD, Evidence, MethodMaps
from harness.measurements.evidence import CodeEvidence
from harness.records import Estimate, Floats, Ints, Provenance
from harness.samples import confidences
from harness.text import clean, sure

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from harness.history.past import Past


class Run:
    """One run, read as it is asked for.

    Raises:
        ConfigurationError: the folder is no run directory.
        RunError: at reading, a file is missing, damaged, of another run or of a newer schema.
    """

    def __init__(self, directory: RunDirectory) -> None:
        self.directory = directory
        self._evidence: dict[int, Evidence] = {}
        self._measured: dict[str, dict[str, Array]] = {}

    @classmethod
    def open(cls, path: str | Path) -> Run:
        """The run of a run directory, or of a link to one such as `artifacts/latest`.

        What is not as it was computed is warned of by name; to read it is an error.

        Raises:
            ConfigurationError: there is no run directory.
        """
        directory = RunDirectory.open(path)
        for one in directory.amiss():
            warnings.warn(f"{directory.path}: {one}", stacklevel=2)
        return cls(directory)

    @cached_property
    def config(self) -> Config:
        """The run's configuration."""
        return self.directory.read_config()

    @cached_property
    def provenance(self) -> Provenance:
        """Where the numbers come from."""
        return self.directory.read_provenance()

    @cached_property
    def verdict(self) -> dict[str, Any] | None:
        """What stands in `verdict.json`, the criteria as records; None where the run was not judged.

        Raises:
            DamageError: a gate rests on what is not as it was computed.
        """
        found = self.directory.read_verdict()
        if found is not None and found["verdict"] in ("pass", "fail") and self.directory.seal is not None:
            self.directory.refuse_damage()
        return found

    @cached_property
    def estimates(self) -> list[Estimate]:
        """Every estimate, of all seeds together and of each; none where the run broke off before."""
        return self.directory.read_estimates()

    @cached_property
    def past(self) -> Past | None:
        """Tonight beside the nights before; None where no history is kept."""
        from harness.history.past import Past  # what computes reads its runs, and no history

        if not (self.directory / HISTORY).is_file():
            return None
        return self.directory.read_record(HISTORY, Past)

    @cached_property
    def model(self) -> ModelRecord:
        """What was explained, as `model.json` tells; of a run before there was one, the k-sparse network."""
        return model_of(self.directory)

    @property
    def capabilities(self) -> frozenset[str]:
        """What the model could be asked for."""
        return frozenset(self.model.capabilities)

    def estimate(self, name: str) -> Estimate | None:
        """The run's estimate of a measurement: of all seeds together where there are several."""
        found = [one for one in self.estimates if one.name == name]
        return next((one for one in found if one.seed is None), found[0] if found else None)

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """The estimates as a table: measurement, seed, estimate, low, high, n, unit."""
        return self.directory.read_table("metrics.csv")

    @cached_property
    def samples(self) -> pd.DataFrame:
        """The explained images: index, label, class, seed, prediction, confidence (the softmax maximum)."""
        return self.directory.read_table("samples.csv")

    @cached_property
    def training(self) -> pd.DataFrame:
        """Every seed's epochs: seed, stage, epoch, loss, accuracy, seconds (`records.Epoch` says of what)."""
        import pandas as pd

        return pd.concat([self.directory.seed(seed).read_table("training.csv") for seed in self.config.seeds])

    def epochs(self) -> list[dict[str, Any]]:
        """The same as records; `accuracy` is None where none was measured."""
        rows = [
            row for seed in self.config.seeds for row in self.directory.seed(seed).read_rows("training.csv")
        ]
        return [
            {
                "seed": int(row["seed"]),
                "stage": row["stage"],
                "epoch": int(row["epoch"]),
                "loss": float(row["loss"]),
                "accuracy": float(row["accuracy"]) if row["accuracy"] else None,
                "seconds": float(row["seconds"]),
            }
            for row in rows
        ]

    @property
    def place(self) -> Path:
        """The run directory as its own configuration names it, wherever it lies now."""
        return self.config.output / "runs" / self.provenance.run_id

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The classes' names, made safe to print."""
        return tuple(clean(name, 40) for name in self.provenance.dataset["classes"])

    @cached_property
    def form(self) -> Form:
        """How the features of an input lie, and what their numbers stand for."""
        return form_of(self.directory, self.provenance.dataset)

    @property
    def shape(self) -> tuple[int, ...]:
        """The sides of an input; of a grey image its rows and columns."""
        return self.form.shape

    @clean_state()
    def per_sample(self, name: str) -> Floats:
        """A measurement's values, in its unit: float64 [seeds, n]; empty where it could not be measured."""
        base = name.split(".")[0]
        if base not in self._measured:
            self._measured[base] = self.directory.read_arrays(f"measurements/{base}.npz")
        return self._measured[base].get(name, np.empty((len(self.config.seeds), 0)))

    @cached_property
    def compared(self) -> tuple[str, ...]:
        """The methods that are compared: those asked for, but controls. Their maps' files tell."""
        folder, found = self.directory.seed(self.config.seeds[0]), []
        for name in self.config.attribution.methods:
            told = folder.read_arrays(f"attributions/{name}.npz", only=("control",))
            if not told.get("control", name == CONTROL_METHOD):
                found.append(name)
        return tuple(found)

    @clean_state()
    def evidence(self, seed: int | None = None) -> Evidence:
        """What one seed (the first by default) left behind, as arrays; read once."""
        seed = self.config.seeds[0] if seed is None else seed
        if seed not in self._evidence:
            self._evidence[seed] = self._read_evidence(seed)
        return self._evidence[seed]

    def _read_evidence(self, seed: int) -> Evidence:
        folder, settings = self.directory.seed(seed), self.config
        predictions = folder.read_arrays("predictions.npz")
        chosen = self.directory.read_arrays("samples.npz")

        def maps(where: str, names: tuple[str, ...]) -> dict[str, MethodMaps]:
            arrays = {name: folder.read_arrays(f"{where}/{name}.npz") for name in names}
            return {
                name: MethodMaps(
                    one["maps"],
                    str(one["space"]),
                    one.get("sensitivity"),
                    one["targets"],
                    one["indices"],
                    # of runs of before there were other families
                    str(one.get("family", "decoder" if name.startswith("decoder") else "gradient")),
                    one.get("groups"),
                    bool(one.get("missingness", True)),
                    bool(one.get("control", name == CONTROL_METHOD)),
                )
                for name, one in arrays.items()
            }

        methods, code = settings.attribution.methods, None
        controls: tuple[str, ...] = ()
        if "code" in self.capabilities:
            codes = folder.read_arrays("codes.npz")
            controls = (CONTROL_METHOD,) if "reconstruction" in self.capabilities else ()
            code = CodeEvidence(
                l0=codes["l0"],
                k=settings.model.k,
                firing_frequency=codes["firing_frequency"],
                squared_errors=codes.get("squared_errors", np.empty(0)),
                squared_deviations=codes.get("squared_deviations", np.empty(0)),
                reconstructions=codes.get("reconstructions"),
            )
        return Evidence(
            seed=seed,
            logits=predictions["logits"],
            test_labels=predictions["labels"],
            baseline_logits=predictions["baseline_logits"],
            images=self.form.inputs(chosen["images"]),
            shape=self.shape,
            indices=chosen["indices"],
            labels=chosen["labels"],
            maps=maps("attributions", tuple(dict.fromkeys((*methods, *controls)))),
            untrained=maps("untrained", methods),
            classes=self.classes,
            wanted_per_class=settings.selection.samples_per_class,
            minimum_per_class=settings.selection.minimum_per_class,
            confidence=settings.selection.confidence,
            surest=self.directory.read_json("samples.json")["surest"],
            in_training=predictions.get("in_training"),
            sanity={
                path.stem: folder.read_arrays(f"sanity/{path.name}")
                for path in sorted((folder / "sanity").glob("*.npz"))
            },
            code=code,
            kind=self.form.kind,
            truth=chosen.get("truth"),
            lengths=settings.lengths(self.capabilities),
        )

    @clean_state()
    def typical(self, samples_per_class: int = 1) -> Ints:
        """Positions of samples that show each class from its worst agreement to its best.

        One sample a class is the one of median agreement; more are spread evenly over the ranks.
        """
        labels = self.directory.read_arrays("samples.npz")["labels"]
        values = self.per_sample("agreement")
        order = np.zeros(len(labels))
        if values.shape[1] == len(labels):
            # an image whose maps have no correlation counts as the worst
            order = np.nan_to_num(values[0], nan=-2.0)
        taken: list[int] = []
        for label in np.unique(labels):
            ranked = sorted(np.flatnonzero(labels == label).tolist(), key=lambda place: (order[place], place))
            places = (np.arange(samples_per_class) + 0.5) / samples_per_class * len(ranked)
            taken += [ranked[int(place)] for place in np.unique(places.astype(int))]
        return np.array(taken, dtype=np.int64)

    def explanations(self, samples_per_class: int = 1, seed: int | None = None) -> list[Figure]:
        """The three-row figure of a few samples of each class, of one seed."""
        return self.explained(self.typical(samples_per_class), seed)

    @clean_state()
    def explained(self, places: Ints, seed: int | None = None) -> list[Figure]:
        """The three-row figure of each sample at some places among the explained, of one seed."""
        from harness import figures

        evidence = self.evidence(seed)
        maps, sureness = evidence.contributions(), confidences(evidence.logits[evidence.indices])
        layout, one = figures.Layout.of(self.form, evidence.images), self.form.one
        return [
            figures.explanation(
                evidence.images[place],
                {name: rows[place] for name, rows in maps.items()},
                layout=layout,
                title=f"{self.classes[evidence.labels[place]]} · test {one} {evidence.indices[place]} · "
                f"{sure(float(sureness[place]))} sure",
                reconstruction=evidence.reconstructions[place] if evidence.is_rebuilt else None,
                grains=evidence.grains(),
            )
            for place in places
        ]

    def _repr_html_(self) -> str:
        """The verdict and its criteria, for notebooks."""
        from html import escape

        if self.verdict is None:
            return f"<p>Run <code>{escape(self.directory.path.name)}</code>: not judged yet.</p>"
        rows = "".join(
            f"<tr><td>{escape(clean(one.title))}</td><td>{one.verdict}{'' if one.gate else ' (watched)'}</td>"
            f"<td>{show(one.estimate)}</td><td>[{show(one.low)}, {show(one.high)}]</td>"
            f"<td>{escape(show_rule(one.relation, one.threshold))}</td></tr>"
            for one in self.verdict["criteria"]
        )
        head = (
            "<tr><th>criterion</th><th>verdict</th><th>estimate</th><th>interval</th><th>threshold</th></tr>"
        )
        word, data = self.verdict["verdict"].upper(), escape(clean(self.verdict["dataset"]["name"]))
        run_id = escape(clean(self.verdict["run_id"]))
        return (
            f"<p><strong>{word}</strong> on {data}, run <code>{run_id}</code></p><table>{head}{rows}</table>"
        )
