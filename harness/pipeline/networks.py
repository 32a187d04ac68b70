"""Train each seed's network or take it from the cache, and look at what it makes of the test set."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch

from harness import environment
from harness.artifacts.cache import share
from harness.artifacts.files import Folder, key_of, write
from harness.config import Config
from harness.environment import stream
from harness.errors import ConfigurationError
from harness.pipeline.work import (
    Work,
    filled,
    ships,
    touched,
    untrained,
)
from harness.records import Epoch, Training
from harness.subjects import catalogue, interpretable, recipes, stacked, training
from harness.subjects.models import PixelClassifier
from harness.subjects.sparse.structure import is_k_sparse

Networks = Mapping[int, Any]
"""By seed; those of two stages are of a `PixelClassifier`."""
Files = dict[str, torch.nn.Module]


def train(work: Work) -> None:
    """Train each seed's network by the recipe, or take it from the cache; or load its weights."""
    if work.config.model.weights is not None:
        _load_frozen(work)
        return
    seeds = work.config.seeds
    two = is_two_staged(work)
    whole = two and _is_stackable(work, untrained(work.config, work.dataset, seeds[0]))
    for stack in [seeds] if whole else [(one,) for one in seeds]:
        networks = {seed: untrained(work.config, work.dataset, seed).to(work.device) for seed in stack}
        trainings = (_trained_autoencoders, _trained_classifiers) if two else (_trained_whole,)
        stages = [one(work, networks) for one in trainings]
        for seed, network in networks.items():
            entries, folder = [stage[seed] for stage in stages], work.run.seed(seed)
            table = pd.concat([entry.read_table("epochs.csv") for entry in entries])
            folder.write_table("training.csv", table)
            for entry in entries:
                share(Folder(entry / "weights"), folder / "weights")
            work.networks[seed] = network.eval()


def stored(weights: Folder) -> Callable[[Work], None]:
    """A stage in place of `train`, of one seed: the weights of another run's folder `seed-N`.

    Raises:
        RunError: at that stage, they are missing or damaged.
    """

    def train(work: Work) -> None:
        for seed in work.config.seeds:
            folder = work.run.seed(seed)
            for name in catalogue.parts_of(untrained(work.config, work.dataset, seed)):
                write(folder / f"weights/{name}.pth", weights.read(f"weights/{name}.pth"))
            network = filled(work.config, work.dataset, seed, folder)
            work.networks[seed] = network.to(work.device).eval()

    return train


def is_two_staged(work: Work) -> bool:
    """Whether an autoencoder is trained first, and then a classifier on its codes."""
    return "epochs" in work.config.lengths(work.capabilities)


def _is_stackable(work: Work, network: PixelClassifier) -> bool:
    """Whether all seeds are trained as one batched model: it is asked for, and the model is of that kind."""
    return engine(work.config, work.device) == "stacked" and is_k_sparse(network)


def _load_frozen(work: Work) -> None:
    """Take the weights of a file: nothing is trained."""
    for seed in work.config.seeds:
        network = untrained(work.config, work.dataset, seed)
        catalogue.fill(network, work.config.model)
        folder = work.run.seed(seed)
        for name, part in catalogue.parts_of(network).items():
            _store(folder, name, part)
        folder.write_table("training.csv", pd.DataFrame(columns=["seed", *Epoch.__dataclass_fields__]))
        work.networks[seed] = network.to(work.device).eval()


def _store(folder: Folder, name: str, part: torch.nn.Module) -> None:
    with folder.writing(f"weights/{name}.pth") as stream_:
        torch.save({key: value.cpu() for key, value in part.state_dict().items()}, stream_)


def _trained_whole(work: Work, networks: Networks) -> dict[int, Folder]:
    """Each model trained as one, by a recipe of its own."""
    config, settings = work.config, work.config.training
    ((_, model),) = networks.items()
    recipe = recipes.recipe_of(config)
    labels = torch.from_numpy(work.dataset.train_labels.astype(np.int64)).to(work.device)

    def epochs() -> Iterator[tuple[Epoch, ...]]:
        follow = recipe if environment.ships(recipe) else partial(recipes.followed, config.recipe, recipe)
        log = follow(
            model,
            work.train_images,
            labels,
            epochs=settings.classifier_epochs,
            batch_size=settings.batch_size,
            learning_rate=settings.learning_rate,
            generator=_generators(networks, "batches")[0],
        )
        return ((epoch,) for epoch in log)

    depends = {"model": repr(model), "classifier_epochs": settings.classifier_epochs}
    depends |= _own(model) or ({} if environment.ships(recipe) else _unknown())
    return _trained(
        work, "classifier", networks, depends, catalogue.parts_of, epochs, settings.classifier_epochs
    )


def _own(*models: torch.nn.Module) -> dict[str, str]:
    """Part of a training's key: nobody can tell what the code of models of one's own rests on."""
    return {} if all(ships(model) for model in models) else _unknown()


def _unknown() -> dict[str, str]:
    return {"own": uuid.uuid4().hex}


def engine(config: Config, device: torch.device) -> Literal["sparse", "dense", "stacked"]:
    """What trains: all seeds at once on a GPU, one by one on a CPU, unless the configuration says otherwise.

    `sparse` computes the units that matter. Of the recipe `interpretable` nearly all do, for next to none
    sleeps: it is trained `dense` on a CPU.

    Raises:
        ConfigurationError: asked for what the device or the engine cannot do.
    """
    asked, on_cpu = config.training.engine, device.type == "cpu"
    if asked == "sparse" and not on_cpu:
        raise ConfigurationError("training.engine: 'sparse' is for a CPU; name 'stacked', or --device cpu")
    by_seed = asked == "sparse" or (asked == "auto" and on_cpu)
    if config.recipe != "interpretable" and by_seed:
        return "sparse"
    if asked == "sparse":
        raise ConfigurationError(
            "training.engine: 'sparse' leaves sleeping units out, and of the recipe 'interpretable' next to "
            "none sleeps; leave it at 'auto'"
        )
    if config.training.encoder_precision != "float32":
        raise ConfigurationError(
            "training.encoder_precision: 'bfloat16' is for the sparse engine; leave it at 'float32', "
            "or name --engine sparse and --recipe reference on a CPU"
        )
    return "dense" if by_seed else "stacked"


def _dependencies(work: Work, seed: int, stack: list[int]) -> dict[str, Any]:
    """What both trainings of a seed depend on; the others of its stack too, for they change how it rounds."""
    return {
        "seed": seed,
        "touched": touched(),
        "engine": engine(work.config, work.device),
        "stack": stack,
        "model": work.config.model.model_dump(mode="json"),
        "recipe": work.config.recipe,
        "training": work.config.training.model_dump(exclude={"classifier_epochs", "engine"}),
        "data": work.dataset.digest,
        "code": environment.code_digest(
            "subjects",
            "environment",
            "pipeline/work",
            "pipeline/networks",
        ),
        "torch": torch.__version__,
        "device": environment.device_key(work.device),
    }


def _generators(networks: Networks, purpose: str) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(stream(seed, purpose)) for seed in networks]


def _trained_autoencoders(work: Work, networks: Networks) -> dict[int, Folder]:
    settings, images = work.config.training, work.train_images
    recipe: dict[str, Any] = dict(
        epochs=settings.epochs, batch_size=settings.batch_size, learning_rate=settings.learning_rate
    )
    whole, models = [*networks.values()], [network.autoencoder for network in networks.values()]

    def epochs() -> Iterator[tuple[Epoch, ...]]:
        generators = _generators(networks, "autoencoder batches")
        if work.config.recipe == "interpretable":
            return interpretable.train_autoencoders(models, images, generators, **recipe)
        if _is_stackable(work, whole[0]):
            return stacked.train_autoencoders(models, images, generators, **recipe)
        bfloat16 = settings.encoder_precision == "bfloat16"
        lone = training.train_autoencoder(
            models[0], images, generator=generators[0], bfloat16=bfloat16, any_scale=True, **recipe
        )
        return ((epoch,) for epoch in lone)

    def files(network: PixelClassifier) -> Files:
        model = catalogue.parts_of(network)["full_autoencoder"]
        halves = {name: getattr(model, name, None) for name in ("encoder", "decoder")}
        there = {name: one for name, one in halves.items() if isinstance(one, torch.nn.Module)}
        return there | {"full_autoencoder": model}

    return _trained(work, "autoencoder", networks, _own(*models), files, epochs, settings.epochs)


def _trained_classifiers(work: Work, networks: Networks) -> dict[int, Folder]:
    settings = work.config.training
    recipe: dict[str, Any] = dict(
        epochs=settings.classifier_epochs,
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
    )
    labels = torch.from_numpy(work.dataset.train_labels.astype(np.int64)).to(work.device)
    models = [network.classifier for network in networks.values()]

    def epochs() -> Iterator[tuple[Epoch, ...]]:
        generators = _generators(networks, "classifier batches")
        if work.config.recipe == "interpretable":
            encoders = [network.autoencoder for network in networks.values()]
            return interpretable.train_classifiers(
                models, encoders, work.train_images, labels, generators, **recipe
            )
        codes = [training.encode(network.autoencoder, work.train_images) for network in networks.values()]
        if _is_stackable(work, next(iter(networks.values()))):
            return stacked.train_classifiers(models, torch.stack(codes), labels, generators, **recipe)
        lone = training.train_classifier(models[0], codes.pop(), labels, generator=generators[0], **recipe)
        return ((epoch,) for epoch in lone)

    depends = {
        "classifier_epochs": settings.classifier_epochs,
        "hidden": [list(weight.shape) for weight in models[0].parameters()],
        **_own(*networks.values()),
    }
    return _trained(
        work,
        "classifier",
        networks,
        depends,
        lambda network: {"classifier": network.classifier},
        epochs,
        settings.classifier_epochs,
    )


def _trained(
    work: Work,
    stage: Training,
    networks: Networks,
    depends: dict[str, Any],
    files: Callable[[Any], Mapping[str, torch.nn.Module]],
    epochs: Callable[[], Iterator[tuple[Epoch, ...]]],
    total: int,
) -> dict[int, Folder]:
    """The cache entries of one training by seed, the networks filled with the trained weights."""
    keys = {seed: key_of(_dependencies(work, seed, [*networks]) | depends) for seed in networks}
    entries = {seed: work.cache.find(stage, key) for seed, key in keys.items()}
    found = {seed: entry for seed, entry in entries.items() if entry is not None}
    named = f"seed{'s' if len(keys) > 1 else ''} {', '.join(map(str, keys))}"
    if len(found) == len(keys):
        for seed, entry in found.items():
            for name, module in files(networks[seed]).items():
                training.load_weights(module, entry / f"weights/{name}.pth")
        work.progress.say(f"{named}: {stage} taken from an earlier run (--fresh trains anew)")
        return found
    with environment.seeded(stream(next(iter(keys)), f"{stage} dropout")):
        log = list(work.progress.epochs(f"{named}: {stage}", epochs(), total))
    for number, (seed, key) in enumerate(keys.items()):
        rows = [asdict(epoch[number]) for epoch in log]
        table = pd.DataFrame(rows, columns=list(Epoch.__dataclass_fields__))
        table.insert(0, "seed", seed)
        with work.cache.making(stage, key) as made:
            made.write_table("epochs.csv", table)
            for name, module in files(networks[seed]).items():
                _store(made, name, module)
        found[seed] = made
    return found
