"""Every value comes from where it should, and none that cannot be meant goes through."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydantic
import pytest
import tomli_w
import torch

from harness import config
from harness.config import Config, parameters
from harness.config.parameters import Criterion
from harness.errors import ConfigurationError

Load = Callable[..., Config]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Loads from the text of a `harness.toml` and flags, in a folder that holds nothing else."""

    def from_text(toml: str = "", **flags: Any) -> Config:
        (tmp_path / "harness.toml").write_text(toml, encoding="utf-8")
        return config.load(flags=flags, folder=tmp_path)

    return from_text


def criterion(settings: Config, name: str) -> Criterion:
    (found,) = (one for one in settings.criteria if one.id == name)
    return found


# where values come from


def test_without_a_file_every_key_has_its_default(tmp_path: Path) -> None:
    """An empty folder gives the defaults, which are a valid configuration."""
    settings = config.load(folder=tmp_path)
    assert settings == Config()
    assert (settings.model.k, settings.model.code_width, settings.seeds) == (50, 1024, (0,))
    assert settings.attribution.methods == parameters.ATTRIBUTION_METHODS


def test_harness_toml_comes_before_pyproject(tmp_path: Path) -> None:
    """`[tool.harness]` is read where there is no `harness.toml`, and not at all where there is one."""
    (tmp_path / "pyproject.toml").write_text("[tool.harness.model]\nk = 7\ncode_width = 70\n")
    assert config.load(folder=tmp_path).model == parameters.Model(k=7, code_width=70)
    (tmp_path / "harness.toml").write_text("[model]\nk = 8\n")
    assert config.load(folder=tmp_path).model == parameters.Model(k=8)


def test_the_named_file_comes_before_those_found(tmp_path: Path) -> None:
    """`--config` takes the place of `harness.toml` and of `[tool.harness]`; nothing is mixed in from them."""
    (tmp_path / "pyproject.toml").write_text("[tool.harness.model]\nk = 7\n")
    (tmp_path / "harness.toml").write_text("[model]\nk = 8\n")
    (tmp_path / "mine.toml").write_text("[model]\ncode_width = 90\n")
    assert config.load(tmp_path / "mine.toml", folder=tmp_path).model == parameters.Model(code_width=90)
    assert config.load(tmp_path / "pyproject.toml", folder=tmp_path).model == parameters.Model(k=7)


def test_a_pyproject_without_our_table_changes_nothing(tmp_path: Path) -> None:
    """Another project's pyproject.toml gives the defaults."""
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "other"\n[tool.other]\nk = 3\n')
    assert config.load(folder=tmp_path) == Config()


def test_flags_win_over_the_file(load: Load) -> None:
    """A flag replaces its key alone, at top level and in a table; its neighbours keep the file's values."""
    settings = load("seeds = [4]\nstrict = true\n[model]\nk = 8\ncode_width = 90\n", k=9, seeds=(1, 2, 3))
    assert settings.model == parameters.Model(k=9, code_width=90)
    assert settings.seeds == (1, 2, 3)
    assert settings.strict


def test_a_flag_that_was_not_given_leaves_the_files_value(load: Load) -> None:
    """None stands for an absent flag; False is a value and wins."""
    assert load("strict = true\n[model]\nk = 8\n", k=None, strict=None).model.k == 8
    assert load("strict = true\n", strict=None).strict
    assert not load("strict = true\n", strict=False).strict


def test_a_flags_text_means_the_same_as_a_files_value(load: Load) -> None:
    """A command line can only give text: numbers, and lists with commas, are understood from it."""
    written = load(
        "seeds = [0, 1, 2]\ndevice = 'cpu'\n[model]\nk = 9\n[training]\nlearning_rate = 2e-4\n"
        "[data]\ndata_dir = 'here'\n[attribution]\nmethods = ['gradients', 'smoothgrad']\n"
    )
    given = load(
        seeds="0,1, 2",
        device="cpu",
        k="9",
        learning_rate="2e-4",
        data_dir="here",
        methods="gradients, smoothgrad",
    )
    assert given == written


def test_a_lone_seed_is_a_list_of_one(load: Load) -> None:
    """`seeds = 5` and `--seeds 5` both ask for one network."""
    assert load("seeds = 5\n").seeds == load(seeds="5").seeds == (5,)


DEFAULTS = {key: field.default for key, _, field in config.settings() if field.default not in (None, ())}


@pytest.mark.parametrize("key", DEFAULTS)
def test_a_defaults_text_is_that_default(key: str, load: Load) -> None:
    """Giving any flag the text of its own default changes nothing."""
    default = DEFAULTS[key]
    text = ",".join(map(str, default)) if isinstance(default, tuple) else str(default)
    assert load(**{key: text}) == Config()


# files that cannot be read


def test_a_named_file_that_is_missing_is_refused(tmp_path: Path) -> None:
    """`--config` never falls back on another file, and names the one that was asked for."""
    (tmp_path / "harness.toml").write_text("[model]\nk = 8\n")
    with pytest.raises(ConfigurationError, match=r"nowhere\.toml: there is no such file"):
        config.load(tmp_path / "nowhere.toml", folder=tmp_path)


def test_a_value_in_a_tables_place_is_refused(load: Load) -> None:
    """With or without a flag for a key of that table."""
    for flags in ({}, {"k": "3"}):
        with pytest.raises(ConfigurationError, match=r"^model.*\(got 5\)"):
            load("model = 5", **flags)


# unknown keys


@pytest.mark.parametrize(
    ("toml", "named", "suggested"),
    [
        ("sedes = [1]", "'sedes'", "did you mean 'seeds'?"),
        ("[modl]\nk = 3", "'modl'", "did you mean 'model'?"),
        ("[model]\ncodewidth = 3", "'model.codewidth'", "did you mean 'code_width'?"),
        ("[[criteria]]\nid = 'accuracy'\ntreshold = 0.5", "treshold'", "did you mean 'threshold'?"),
        ("epoch = 3", "'epoch'", "did you mean 'training.epochs'?"),
        ("[model]\nepoch = 3", "'model.epoch'", "did you mean 'training.epochs'?"),
        ("[training]\nseed = 3", "'training.seed'", "did you mean 'seeds'?"),
        ("[model]\nheads = 3", "'model.heads'", "known are: code, code_width, k,"),
    ],
)
def test_an_unknown_key_is_refused_with_a_suggestion(
    toml: str, named: str, suggested: str, load: Load, tmp_path: Path
) -> None:
    """A misspelt key or table is named with its file and the key that was probably meant."""
    with pytest.raises(ConfigurationError) as caught:
        load(toml)
    message = str(caught.value)
    assert "unknown key" in message
    assert named in message
    assert suggested in message
    assert str(tmp_path / "harness.toml") in message
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("toml", "home"),
    [
        ("k = 3", "model.k"),
        ("[training]\ncode_width = 3", "model.code_width"),
        ("[model]\nepochs = 3", "training.epochs"),
        ("[model]\nseeds = [1]", "the top"),
        ("[statistics]\nconfidence = 0.5", "selection.confidence"),
    ],
)
def test_a_key_in_the_wrong_table_is_told_where_it_belongs(toml: str, home: str, load: Load) -> None:
    """A known key that stands at the wrong place is refused with its own table's name."""
    with pytest.raises(ConfigurationError, match=f"it belongs to {home}"):
        load(toml)


def test_a_key_at_the_top_is_told_how_it_is_written_below_its_table(load: Load, tmp_path: Path) -> None:
    """With the table's heading in that file, for whoever knows the key as a flag."""
    with pytest.raises(ConfigurationError, match=r"data.dataset; write 'dataset = …' below \[data\]$"):
        load("dataset = 'digits'")
    (tmp_path / "harness.toml").unlink()
    (tmp_path / "pyproject.toml").write_text("[tool.harness]\ndataset = 'digits'\n")
    with pytest.raises(ConfigurationError, match=r"below \[tool\.harness\.data\]$"):
        config.load(folder=tmp_path)


def test_a_wrong_key_of_pyproject_is_told_with_its_table(tmp_path: Path) -> None:
    """The message names `[tool.harness]`, since the file holds other tools' keys too."""
    (tmp_path / "pyproject.toml").write_text("[tool.harness]\nsedes = [1]\n")
    with pytest.raises(ConfigurationError, match=r"'sedes' in \[tool\.harness\] of .*pyproject\.toml"):
        config.load(folder=tmp_path)


def test_all_mistakes_are_told_at_once_in_one_line(load: Load) -> None:
    """Two wrong values and an unknown key are mended in one go."""
    with pytest.raises(ConfigurationError) as caught:
        load("sedes = [1]\n[model]\nk = 0\n[training]\nbatch_size = 0\n")
    message = str(caught.value)
    assert "\n" not in message
    assert all(key in message for key in ("'sedes'", "model.k", "training.batch_size"))


# from Python


@pytest.mark.parametrize(
    ("flag", "suggested"),
    [
        ("epoch", "did you mean 'epochs'?"),
        ("sample-per-class", "did you mean 'samples_per_class'?"),
        ("training.epochs", "did you mean 'epochs'?"),
        ("report", "name its keys: title, figure_samples"),
        ("xyz", "known are: attribution_steps, "),
        (3, "known are: "),
        (None, "known are: "),
    ],
)
def test_an_unknown_flag_is_refused_with_a_suggestion(flag: Any, suggested: str) -> None:
    """A notebook's misspelt flag is answered like a file's misspelt key."""
    with pytest.raises(ConfigurationError, match=f"unknown flag {flag!r}: {re.escape(suggested)}"):
        config.load(flags={flag: 5})


@pytest.mark.parametrize("flag", ["samples_per_class", "samples-per-class", "--samples-per-class"])
def test_a_flag_may_be_written_as_on_the_command_line(flag: str, tmp_path: Path) -> None:
    """Hyphens mean what they mean there; but not twice in two ways."""
    assert config.load(flags={flag: 7}, folder=tmp_path).selection.samples_per_class == 7
    with pytest.raises(ConfigurationError, match="'samples_per_class' stands twice"):
        config.load(flags={flag: 7, "samples_per-class": 8}, folder=tmp_path)


@pytest.mark.parametrize("flags", [[("k", 3)], "k=3", 3, {"k"}, ("k", 3)])
def test_flags_that_are_no_mapping_are_refused(flags: Any) -> None:
    """In a sentence that shows one."""
    with pytest.raises(ConfigurationError, match="flags must be a mapping such as"):
        config.load(flags=flags)


def test_flags_in_the_files_place_are_told_how() -> None:
    """The first argument is a file: whoever gives a mapping there meant flags."""
    with pytest.raises(ConfigurationError, match=r"must be a path \(got \{'k': 3\}\).*flags="):
        config.load({"k": 3})  # type: ignore[arg-type]


def test_the_folder_may_be_named_by_a_text(tmp_path: Path) -> None:
    """As everywhere in Python."""
    (tmp_path / "harness.toml").write_text("[model]\nk = 8\n")
    assert config.load(folder=str(tmp_path)).model.k == 8


FOREIGN: list[tuple[str, Any, Any]] = [
    ("seeds", np.arange(3), (0, 1, 2)),
    ("seeds", range(3), (0, 1, 2)),
    ("seeds", {10, 9, 0}, (0, 9, 10)),
    ("seeds", (one for one in (2, 1)), (2, 1)),
    ("seeds", torch.arange(2), (0, 1)),
    ("seeds", np.array(5), (5,)),
    ("seeds", np.uint8(5), (5,)),
    ("seeds", 5.0, (5,)),
    ("epochs", np.int64(5), 5),
    ("epochs", torch.tensor(5), 5),
    ("epochs", np.float64(5), 5),
    ("strict", np.bool_(True), True),
    ("learning_rate", np.float64(0.25), 0.25),
    ("methods", np.array(["gradients"]), ("gradients",)),
    ("methods", {"smoothgrad", "gradients"}, ("gradients", "smoothgrad")),
    ("dataset", np.str_("own"), "own"),
    ("output", Path("there"), Path("there")),
    ("checks", Path("/there"), (Path("/there"),)),
    ("checks", {Path("/there")}, (Path("/there"),)),
]


def all_plain(value: object) -> bool:
    if isinstance(value, dict | list | tuple):
        return all(map(all_plain, value.values() if isinstance(value, dict) else value))
    return value is None or isinstance(value, Path) or type(value) in (bool, int, float, str)


@pytest.mark.parametrize(("key", "value", "meant"), FOREIGN)
def test_foreign_values_mean_what_they_say(key: str, value: Any, meant: Any, tmp_path: Path) -> None:
    """Numbers and sequences of any library; the configuration holds plain Python, and can be written."""
    settings = config.load(flags={key: value}, folder=tmp_path)
    places = {name: table for name, table, _ in config.settings()}
    dumped = settings.model_dump()
    assert (dumped if places[key] is None else dumped[str(places[key])])[key] == meant
    assert all_plain(settings.model_dump())
    assert isinstance(hash(settings), int)
    (tmp_path / "written.toml").write_text(tomli_w.dumps(settings.as_toml_values()))
    assert config.load(tmp_path / "written.toml") == settings


def test_a_table_built_directly_takes_the_same() -> None:
    """`Training(...)` and `Config(...)` go through the same door as files and flags."""
    assert parameters.Training(epochs=np.int64(5)) == parameters.Training(epochs=5)
    assert Config(seeds=np.arange(3), training={"epochs": torch.tensor(5)}) == Config(
        seeds=(0, 1, 2), training=parameters.Training(epochs=5)
    )
    assert all_plain(Config(model=parameters.Model(k=np.int64(5))).model_dump())


@pytest.mark.parametrize("truth", [True, False, np.True_, np.False_, np.array(True), torch.tensor(True)])
@pytest.mark.parametrize("key", ["k", "epochs", "seeds", "learning_rate", "confidence", "smoothgrad_sigma"])
def test_a_truth_is_no_number(key: str, truth: Any, tmp_path: Path) -> None:
    """Whoever gives True where a number is wanted meant something else, whoever's True it is."""
    with pytest.raises(ConfigurationError, match=rf"{key}(\.0)?: input should be a number"):
        config.load(flags={key: truth}, folder=tmp_path)


@pytest.mark.parametrize(
    "tables",
    [
        [{"id": "accuracy", "threshold": 0.9}],
        ({"id": "accuracy", "threshold": np.float64(0.9)},),
        np.array([{"id": "accuracy", "threshold": 0.9}]),
    ],
)
def test_criteria_are_a_flag_too(tables: Any, load: Load) -> None:
    """They come on top of the file's, as those do on top of the shipped ones."""
    settings = load("[[criteria]]\nid = 'agreement'\nthreshold = 0.7\n", criteria=tables)
    assert criterion(settings, "accuracy").threshold == 0.9
    assert criterion(settings, "agreement").threshold == 0.7
    same = load("[[criteria]]\nid = 'accuracy'\nthreshold = 0.8\ngate = false\n", criteria=tables)
    assert (criterion(same, "accuracy").threshold, criterion(same, "accuracy").gate) == (0.9, False)


@pytest.mark.parametrize("tables", [5, ["accuracy"], {"id": "accuracy"}, [{"threshold": 0.9}]])
def test_criteria_that_are_no_tables_are_refused_as_a_flag(tables: Any, load: Load) -> None:
    """With the sentence of the file's."""
    with pytest.raises(ConfigurationError, match=r"^criteria"):
        load(criteria=tables)


# values out of their bounds


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_a_threshold_that_is_not_finite_is_refused(value: str, load: Load) -> None:
    """NaN compares false with everything and infinity holds for everything: neither can judge."""
    with pytest.raises(ConfigurationError, match="threshold: input should be a finite number") as caught:
        load(f"[[criteria]]\nid = 'accuracy'\nthreshold = {value}\n")
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("bounds", ["[nan, 5.0]", "[1.0, nan]", "[-inf, 5.0]"])
def test_a_band_with_an_end_that_is_not_finite_is_refused(bounds: str, load: Load) -> None:
    """Both ends of a `within` threshold are finite numbers."""
    with pytest.raises(ConfigurationError, match="input should be a finite number"):
        load(f"[[criteria]]\nid = 'sparsity'\nthreshold = {bounds}\n")


def test_k_larger_than_the_code_is_refused(load: Load) -> None:
    """No more units can be active than the code has; the message tells both numbers."""
    with pytest.raises(ConfigurationError, match=r"model\.k must be in 1\.\.64.*\(got 65\)") as caught:
        load("[model]\nk = 65\ncode_width = 64\n")
    assert caught.value.exit_code == 2
    assert load("[model]\nk = 64\ncode_width = 64\n").model.k == 64


@pytest.mark.parametrize("seeds", [{"toml": "seeds = []"}, {"seeds": ""}, {"seeds": ","}, {"seeds": ()}])
def test_no_seeds_are_refused(seeds: dict[str, Any], load: Load) -> None:
    """An empty list of seeds trains nothing and is no run."""
    with pytest.raises(ConfigurationError, match=r"^seeds: .*(at least 1 item|names nothing)") as caught:
        load(**seeds)
    assert caught.value.exit_code == 2


def test_no_samples_are_refused(load: Load) -> None:
    """No explained image in a class leaves nothing to judge."""
    with pytest.raises(ConfigurationError, match=r"selection\.samples_per_class: .*\(got 0\)") as caught:
        load("[selection]\nsamples_per_class = 0\n")
    assert caught.value.exit_code == 2


def test_fewer_samples_than_can_be_judged_are_refused(load: Load) -> None:
    """Asking for fewer images a class than the least that is judged is refused with both numbers."""
    with pytest.raises(ConfigurationError, match=r"samples_per_class must be at least .* = 5 \(got 4\)"):
        load("[selection]\nsamples_per_class = 4\nminimum_per_class = 5\n")


@pytest.mark.parametrize(
    ("seeds", "twice"),
    [
        ({"toml": "seeds = [3, 4, 3]"}, "3"),
        ({"seeds": "3,4,3"}, "3"),
        ({"seeds": "0,00"}, "0"),
    ],
)
def test_a_seed_given_twice_is_refused(seeds: dict[str, Any], twice: str, load: Load) -> None:
    """The same network counted twice would narrow the intervals falsely; the seed is named."""
    with pytest.raises(ConfigurationError, match=f"^seeds: .*twice there: {twice}$") as caught:
        load(**seeds)
    assert caught.value.exit_code == 2


def test_a_method_given_twice_is_refused(load: Load) -> None:
    """A method agrees with itself, which would raise the agreement falsely."""
    with pytest.raises(ConfigurationError, match=r"attribution\.methods: .*twice there: gradients"):
        load(methods="gradients,smoothgrad,gradients")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("k", 0),
        ("code_width", 0),
        ("epochs", -1),
        ("classifier_epochs", -1),
        ("batch_size", 0),
        ("learning_rate", 0.0),
        ("learning_rate", math.nan),
        ("learning_rate", math.inf),
        ("methods", ()),
        ("attribution_steps", 0),
        ("smoothgrad_samples", 0),
        ("smoothgrad_sigma", 0.0),
        ("chunk_size", 0),
        ("samples_per_class", -1),
        ("confidence", 1.0),
        ("confidence", math.nan),
        ("minimum_per_class", 1),
        ("interval_confidence", 1.0),
        ("interval_confidence", 0.0),
        ("resamples", 99),
        ("seeds", (-1,)),
        ("seeds", (2**32,)),
        ("k", "many"),
        ("device", "gpu"),
    ],
)
def test_a_value_out_of_its_bounds_is_refused(key: str, value: object, load: Load) -> None:
    """The message names the key with its table, and the value that was got."""
    table = {key: table for key, table, _ in config.settings()}[key]
    got = value[0] if isinstance(value, tuple) and value else value
    with pytest.raises(ConfigurationError) as caught:
        load(**{key: value})
    message = str(caught.value)
    assert message.startswith(f"{table}.{key}" if table else key)
    assert f"(got {got!r})" in message


# criteria


def test_the_shipped_criteria_judge_where_none_is_named(load: Load) -> None:
    """The gates bear the ids that users hold on to, and the users' thresholds."""
    gates = {one.id: one.threshold for one in load().criteria if one.gate}
    assert gates == {
        "accuracy": 0.75,
        "sparsity": pytest.approx((45.0, 55.0)),
        "agreement": 0.6,
        "reconstruction": 0.1,
        "fraction_unexplained": 0.25,
        "selection": 1.0,
        "attribution_integrity": 0.95,
        "attribution_copies": 0.999,
        "attribution_faithfulness": 1e-6,
        "test_overlap": 0.01,
    }


@pytest.mark.parametrize(("methods", "watched"), [("gradients,lime", True), ("gradients,occlusion", False)])
def test_the_fit_of_methods_that_are_a_model_of_the_model_is_watched(
    load: Load, methods: str, watched: bool
) -> None:
    """By file and by flag; a table of its id changes it, and says nothing where no such method is."""
    for settings in (
        load(f"[attribution]\nmethods = {methods.split(',')}\n"),
        load(methods=methods),
    ):
        ids = {one.id: one.gate for one in settings.criteria}
        assert ids.get("surrogate_fit") is (False if watched else None)
    changed = load("[[criteria]]\nid = 'surrogate_fit'\ngate = true\n", methods="gradients,lime")
    assert {one.id: one.gate for one in changed.criteria}["surrogate_fit"]


def test_maps_that_see_jumps_have_to_add_up_where_they_are_asked(load: Load) -> None:
    """A gate with the method, and nothing without; the plain method's gap is judged by nobody."""
    name = "completeness.switch_aware_integrated_gradients"
    asked = load(methods="gradients,switch_aware_integrated_gradients")
    (gate,) = (one for one in asked.criteria if one.measurement.startswith("completeness"))
    assert (gate.id, gate.relation, gate.threshold, gate.gate) == (name, "<=", 0.01, True)
    plain = load(methods="gradients,integrated_gradients")
    assert not [one for one in plain.criteria if one.measurement.startswith("completeness")]


def test_a_criterion_of_a_shipped_id_changes_only_the_keys_it_names(load: Load) -> None:
    """The rest of that criterion, all others, and their order stay as shipped."""
    settings = load("[[criteria]]\nid = 'agreement'\nthreshold = 0.7\n")
    for changed, shipped in zip(settings.criteria, Config().criteria, strict=True):
        wanted = shipped.model_copy(update={"threshold": 0.7}) if shipped.id == "agreement" else shipped
        assert changed == wanted


def test_a_gate_can_be_watched_only(load: Load) -> None:
    """`gate = false` takes a shipped criterion's say in the verdict, and nothing else of it."""
    settings = load("[[criteria]]\nid = 'accuracy'\ngate = false\n")
    assert not criterion(settings, "accuracy").gate
    assert criterion(settings, "accuracy").threshold == 0.75


def test_a_new_criterion_comes_after_the_shipped_ones(load: Load) -> None:
    """A new id is added at the end; its measurement is the one of the same name unless another is named."""
    settings = load(
        "[[criteria]]\nid = 'dead_units'\nrelation = '<='\nthreshold = 0.1\n"
        "[[criteria]]\nid = 'top'\nmeasurement = 'accuracy'\nrelation = '>='\nthreshold = 0.9\n"
    )
    assert [one.id for one in settings.criteria[-2:]] == ["dead_units", "top"]
    assert settings.criteria[:-2] == Config().criteria
    assert criterion(settings, "dead_units").measurement == "dead_units"
    assert criterion(settings, "top").measurement == "accuracy"


@pytest.mark.parametrize(
    "toml",
    [
        "criteria = 5",
        "criteria = ['accuracy']",
        "[criteria]\nid = 'accuracy'",
        "criteria = {id = 'accuracy'}",
    ],
)
def test_criteria_that_are_no_list_of_tables_are_refused(toml: str, load: Load) -> None:
    """A single bracket, or names alone, is answered with the heading that is needed."""
    with pytest.raises(ConfigurationError, match=r"criteria must be tables, each headed \[\[criteria\]\]"):
        load(toml)


@pytest.mark.parametrize(
    "toml", ["[[criteria]]\nthreshold = 1.0", "[[criteria]]\nid = [1]", "[[criteria]]\nid = 5"]
)
def test_a_criterion_without_an_id_is_refused(toml: str, load: Load) -> None:
    """Without a name a table can neither change a criterion nor add one."""
    with pytest.raises(ConfigurationError, match="criteria: each table needs an id"):
        load(toml)


def test_two_criteria_of_one_id_are_refused(load: Load) -> None:
    """The later table never replaces the earlier one in silence."""
    table = "[[criteria]]\nid = 'accuracy'\nthreshold = 0.9\n"
    with pytest.raises(ConfigurationError, match="two tables bear the id 'accuracy'"):
        load(table + table)


@pytest.mark.parametrize(
    ("relation", "threshold", "reason"),
    [
        ("within", "0.5", r"must be \[low, high\] for 'within'"),
        (">=", "[0.1, 0.5]", "one number for '>=' and '<='"),
        ("within", "[0.5, 0.1]", r"must be in order \(got \[0\.5, 0\.1\]\)"),
        ("=>", "0.5", r"relation: input should be .*\(got '=>'\)"),
    ],
)
def test_a_threshold_that_does_not_fit_its_relation_is_refused(
    relation: str, threshold: str, reason: str, load: Load
) -> None:
    """`within` takes two numbers in order, the other relations take one, and there are no others."""
    with pytest.raises(ConfigurationError, match=reason):
        load(f"[[criteria]]\nid = 'x'\nrelation = '{relation}'\nthreshold = {threshold}\n")


def test_the_sparsity_band_follows_k(load: Load) -> None:
    """Unless the user sets it, the band is a tenth of k to either side, wherever k was set."""
    for settings in (load("[model]\nk = 20\n"), load(k=20), load(k="20"), load("[model]\nk = 30\n", k=20)):
        assert criterion(settings, "sparsity").threshold == pytest.approx((18.0, 22.0))
    own = load("[model]\nk = 20\n[[criteria]]\nid = 'sparsity'\nthreshold = [1.0, 2.0]\n")
    assert criterion(own, "sparsity").threshold == (1.0, 2.0)


# tests of one's own


def test_folders_of_tests_are_kept_absolute(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Named relative to where the command runs, in a file or as a flag; none by default."""
    monkeypatch.chdir(tmp_path)
    assert load().checks == ()
    wanted = (tmp_path / "a", tmp_path / "b/c")
    assert load("checks = ['a', 'b/c']\n").checks == wanted
    assert load(checks=f"a, {tmp_path}/b/c").checks == wanted
    with pytest.raises(ConfigurationError, match=r"checks: .*twice there"):
        load(checks="a,a")


@pytest.mark.parametrize("key", ["data_dir", "weights", "model_dir", "baseline"])
def test_places_of_what_is_read_are_kept_absolute(
    load: Load, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a run's own configuration means the same wherever it is read."""
    monkeypatch.chdir(tmp_path)
    table = "data" if key in ("data_dir", "baseline") else "model"
    for settings in (load(**{key: "x/y.npy"}), load(f"[{table}]\n{key} = 'x/y.npy'\n")):
        assert str(getattr(getattr(settings, table), key)) == str(tmp_path / "x/y.npy")


def test_a_folder_of_tests_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """A missing folder is named with the mend; a file is no folder; those that are there pass."""
    config.refuse_absent((tmp_path,))
    (tmp_path / "file.py").write_text("")
    for path in (tmp_path / "none", tmp_path / "file.py"):
        with pytest.raises(
            ConfigurationError, match="there is no such folder; name one that holds tests"
        ) as caught:
            config.refuse_absent((tmp_path, path))
        assert str(path) in str(caught.value)
        assert caught.value.exit_code == 2


# the frozen whole


def test_a_written_configuration_loads_as_the_same(load: Load, tmp_path: Path) -> None:
    """What a run stores as TOML gives back the configuration it ran with, defaults spelled out."""
    settings = load(
        "seeds = [0, 7, 9]\noutput = 'out'\nstrict = true\n[data]\ndata_dir = 'some/where'\n[model]\nk = 33\n"
        "[training]\nlearning_rate = 3e-4\n[report]\ntitle = 'Größe \"x\"'\n"
        "[[criteria]]\nid = 'agreement'\nthreshold = 0.7\n"
        "[[criteria]]\nid = 'band'\nmeasurement = 'accuracy'\nrelation = 'within'\nthreshold = [0.1, 0.9]\n"
    )
    stored = tmp_path / "stored.toml"
    stored.write_text(tomli_w.dumps(settings.as_toml_values()), encoding="utf-8")
    assert config.load(stored) == settings
    assert "epochs = 30" in stored.read_text(encoding="utf-8")


def test_the_default_configuration_can_be_written(tmp_path: Path) -> None:
    """TOML has no null: a key without a value is left out, and comes back as none."""
    stored = tmp_path / "stored.toml"
    stored.write_text(tomli_w.dumps(Config().as_toml_values()), encoding="utf-8")
    assert config.load(stored) == Config()


def test_a_configuration_cannot_be_changed() -> None:
    """Neither the whole nor a table of it takes an assignment."""
    settings: Any = Config()
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        settings.strict = True
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        settings.model.k = 3


def test_every_flag_belongs_to_one_key() -> None:
    """No two tables hold a key of the same name, so a flag cannot mean two things."""
    keys = [key for key, _, _ in config.settings()]
    assert len(keys) == len(set(keys))
    # --model names the model, whose table bears the name too; a mapping in its place is refused
    assert set(keys) & {table for _, table, _ in config.settings()} == {"model"}
    with pytest.raises(ConfigurationError, match="unknown flag 'model': name its keys: model, k, code_width"):
        config.load(flags={"model": {"k": 3}})


def test_every_flag_says_what_it_means() -> None:
    """Each key has a description, which is its help on the command line, and a default."""
    for key, _, field in config.settings():
        assert field.description, key
        assert not field.is_required(), key


def test_the_published_flags_and_tables_are_there() -> None:
    """Keys that users, CI and other tools hold on to stay in the tables where they set them."""
    published = {
        None: "recipe output device seeds strict fresh quiet",
        "data": "dataset data_dir baseline",
        "model": "k code_width",
        "training": "epochs classifier_epochs batch_size learning_rate",
        "attribution": "methods attribution_steps smoothgrad_samples smoothgrad_sigma chunk_size",
        "selection": "samples_per_class confidence",
    }
    settings = {(table, key) for key, table, _ in config.settings()}
    assert settings >= {(table, key) for table, keys in published.items() for key in keys.split()}
    assert {table for table, _ in settings} >= {"statistics", "report"}


@pytest.mark.parametrize("kind", ["percentile", "bca"])
def test_the_kind_of_interval_is_a_key_and_a_flag(load: Load, kind: str) -> None:
    """`[statistics] interval` is one of the two kinds, from a flag too."""
    assert load(interval=kind).statistics.interval == kind


def test_an_unknown_kind_of_interval_is_refused(load: Load) -> None:
    """A third kind is a mistake of the configuration, and the two that there are are named."""
    with pytest.raises(ConfigurationError, match=r"interval.*'percentile' or 'bca'"):
        load(interval="studentized")
