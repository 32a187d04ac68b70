"""The door of what is explained: a model is asked of two inputs, before any work, whether it can be judged.

Each refusal is one line with the mend. What a model merely lacks is no refusal: it is found out, and whoever
needs it is declared away.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from harness import environment
from harness.artifacts.files import digest_of
from harness.artifacts.model import ModelRecord
from harness.config import Config
from harness.datasets import Dataset
from harness.environment.state import clean
from harness.errors import ConfigurationError
from harness.subjects import catalogue
from harness.subjects.frozen import hidden
from harness.subjects.precision import SAME, is_exact
from harness.subjects.sparse.structure import is_k_sparse
from harness.subjects.spliced import Spliced

COMPANY = 30
"""Test inputs beside which two are asked: a choice over a whole batch may leave a pair as it is by luck."""


FAR = 1e3
"""By what inputs are multiplied to see whether a model's answers are bounded."""


def look(config: Config, dataset: Dataset, device: torch.device) -> ModelRecord:
    """What a configuration's model is, and what it can be asked for.

    Raises:
        ConfigurationError: as `capabilities`; or the weights are not the model's, or would be trained.
    """
    settings, form, classes = config.model, dataset.form, len(dataset.classes)
    _refuse_lone(config)
    model, twin = (catalogue.build(settings, form, classes, seed) for seed in (0, 1))
    if settings.weights is not None:
        _refuse_trained(config)
    _refuse_other(config, model)
    catalogue.fill(model, settings)
    weights: dict[str, str] = {}
    if settings.weights is not None:
        weights = {"file": settings.weights.name, "sha256": digest_of(settings.weights)}
    inputs = two_of(dataset).to(device)
    company = torch.from_numpy(dataset.inputs(dataset.test_images[:COMPANY])).to(device)
    if not weights and config.recipe != "none" and not any(one.requires_grad for one in model.parameters()):
        raise ConfigurationError(
            f"model {settings.model!r}: must have something to train (got no parameter that requires a "
            "gradient); let the factory freeze fewer, or name --recipe none"
        )
    there = capabilities(settings.model, model.to(device), twin.to(device), inputs, classes, company)
    if "gradient" not in there and isinstance(model, Spliced):
        _refuse_detached(settings.code, model, inputs)
    if form.axes[-2:] == ("row", "column"):
        there |= {"rows"}
    if dataset.truth is not None:
        there |= {"truth"}
    return ModelRecord(
        model=settings.model,
        recipe="none" if weights else config.recipe,
        capabilities=tuple(sorted(there)),
        parameters=sum(one.numel() for one in model.parameters()),
        weights=weights,
        code_width=catalogue.code_width_of(model, inputs),
        minimised=catalogue.minimised_by(model),
        layer=settings.layer,
        code=settings.code,
        layers=tuple(catalogue.own_layers_of(model)),
        shape=form.input_shape,
    )


def _refuse_lone(config: Config) -> None:
    """Refuse a code without a layer, a layer without a code, and a code of weights that are yet to be.

    Raises:
        ConfigurationError: one of these.
    """
    settings = config.model
    if bool(settings.code) != bool(settings.layer):
        there, absent = ("code", "layer") if settings.code else ("layer", "code")
        raise ConfigurationError(
            f"model.{there}: a code stands at a layer (got no {absent}); name it by --{absent}"
        )
    if settings.code and settings.weights is None and config.recipe != "none":
        raise ConfigurationError(
            "model.code: was learned from the layer of a trained model (got no weights); name them by "
            "--weights"
        )


def _refuse_trained(config: Config) -> None:
    """Refuse weights that would be trained, or would be several networks.

    Raises:
        ConfigurationError: a recipe was named, or several seeds.
    """
    if config.recipe not in ("reference", "none"):
        raise ConfigurationError(
            f"model.weights: are frozen, and nothing is trained (got recipe {config.recipe!r}); leave one out"
        )
    if len(config.seeds) > 1:
        raise ConfigurationError(
            f"model.weights: are one network, and so one seed (got {', '.join(map(str, config.seeds))}); "
            "name one"
        )


def _refuse_other(config: Config, model: nn.Module) -> None:
    """Refuse a model that the recipe `interpretable` does not train.

    Raises:
        ConfigurationError: it is no k-sparse autoencoder with a classifier on its codes.
    """
    if config.recipe == "interpretable" and not is_k_sparse(model):
        parts = ", ".join(type(one).__name__ for one in model.children())
        raise ConfigurationError(
            "recipe 'interpretable': trains a k-sparse autoencoder and a classifier on its codes, as the "
            f"harness writes them, from a baseline of 0 (got model {config.model.model!r} of {parts}); name "
            "--model k-sparse, or --recipe reference"
        )


def _refuse_detached(name: str, model: Spliced, inputs: Tensor) -> None:
    """Refuse a code that stops the gradient which its layer has.

    Raises:
        ConfigurationError: what it gives has no gradient, though what it takes has one.
    """
    frozen = copy.deepcopy(model).requires_grad_(requires_grad=False)
    if at := frozen.detached(inputs):
        raise ConfigurationError(
            f"code {name!r}: its {at} must let a gradient pass (got none, of an input that has one); detach "
            "nothing in it, and use no torch.no_grad"
        )


def two_of(dataset: Dataset) -> Tensor:
    """Two test inputs that differ: float32 [2, features]."""
    first = dataset.test_images[:1]
    others = np.flatnonzero((dataset.test_images != first).any(axis=1))
    place = int(others[0]) if len(others) else 0
    return torch.from_numpy(dataset.inputs(dataset.test_images[[0, place]]))


@clean()
def capabilities(
    name: str, model: nn.Module, twin: nn.Module, inputs: Tensor, classes: int, company: Tensor
) -> frozenset[str]:
    """What a model can be asked for; refused where it cannot be judged at all.

    Args:
        name: The model's, for messages.
        model: Flat rows to logits, evaluating, on its device.
        twin: The same with weights of its own, which the model's untrained control is.
        inputs: float32 [2, features], two different inputs, there too.
        classes: How many there are.
        company: float32 [n, features], others that stand in one batch with them.

    Returns:
        Of `harness.capabilities`.

    Raises:
        ConfigurationError: it gives no finite logits, rows touch one another, it does not repeat itself, it
            has no deterministic way on the device, gives probabilities or their logarithms, or its untrained
            control is trained.
    """

    def refused(must: str, got: str, mend: str) -> ConfigurationError:
        return ConfigurationError(f"model {name!r}: {must} (got {got}); {mend}")

    with environment.deterministic():
        logits = _asked(name, model, inputs)
        if not isinstance(logits, Tensor):
            raise refused(
                "must give logits alone",
                type(logits).__name__,
                "return the one tensor that is to be explained",
            )
        if logits.shape != (len(inputs), classes):
            mend = f"give one logit for each of the {classes} classes"
            if logits.numel() == len(inputs) and classes == 2:
                mend = "of one logit z make two: torch.stack([-z / 2, z / 2], 1)"
            raise refused(f"must give logits [n, {classes}]", f"{list(logits.shape)} of 2 inputs", mend)
        if not logits.is_floating_point():
            raise refused(
                "must give logits as floats", str(logits.dtype).removeprefix("torch."), "give scores"
            )
        if not bool(logits.isfinite().all()):
            raise refused(
                "must give finite logits",
                "NaN or infinite ones",
                "look at what it does with inputs as the data set gives them",
            )
        if bool((logits >= 0).all()) and torch.allclose(logits.sum(dim=1), logits.new_ones(len(logits))):
            raise refused("must give logits", "probabilities", "leave the softmax out: the harness takes it")
        if torch.allclose(logits.logsumexp(dim=1), logits.new_zeros(len(logits)), atol=1e-5):
            mend = "leave the log-softmax out: the harness takes it"
            raise refused("must give logits", "logarithms of probabilities", mend)
        if _is_squashed(model, inputs, logits):
            mend = "leave the sigmoid out: the harness takes the softmax of what it is given"
            raise refused("must give logits", "numbers in [0, 1], however large the inputs are", mend)
        if not torch.equal(logits, _asked(name, model, inputs)):
            raise refused(
                "must give the same logits twice",
                "others",
                "look for noise that is drawn in evaluation mode too",
            )
        if not _is_by_row(name, model, inputs, company, logits):
            raise refused(
                "must treat each input by itself",
                "other logits of an input alone than of it beside others",
                "look for batch norm that is kept in training mode, or a choice over the whole batch",
            )
        if not any(True for _ in model.parameters()):
            raise refused("must have weights", "none", "a model that learns nothing has no untrained control")
        if _same(_asked(name, twin, inputs), logits):
            raise refused(
                "must start with weights that are drawn",
                "the same logits from two seeds",
                "its untrained control would be trained: let the factory load no weights, and name them by "
                "--weights",
            )
        found = set(catalogue.capabilities_of(model))
        if _gradient_passes(name, model, inputs):
            found.add("gradient")
        if is_exact(model, inputs):
            found.add("float64")
        if _is_of_modules(model, inputs):
            found.add("modules")
    return frozenset(found)


def _is_by_row(name: str, model: nn.Module, inputs: Tensor, company: Tensor, logits: Tensor) -> bool:
    """Whether each input has the same logits alone, beside another, and beside many."""
    try:
        alone = torch.cat([_asked(name, model, one[None]) for one in inputs])
    except ConfigurationError as error:
        if "more than 1 value per channel" in str(error):  # of batch norm
            return False
        raise
    crowd = _asked(name, model, torch.cat([inputs, company]))[: len(inputs)]
    return _same(alone, logits) and _same(crowd, logits)


def _same(one: Tensor, other: Tensor) -> bool:
    return bool((one - other).abs().max() <= SAME * other.abs().max().clamp_min(1e-12))


@torch.no_grad()
def _is_squashed(model: nn.Module, inputs: Tensor, logits: Tensor) -> bool:
    """Whether what a model gives lies in [0, 1], for inputs far from any of the data set's too."""
    if not bool(((logits >= 0) & (logits <= 1)).all()):
        return False
    try:
        far = model(FAR * inputs)
    except Exception:  # of a model of one's own, which may look at its inputs: nobody can tell
        return False
    return bool(((far >= 0) & (far <= 1)).all())


@torch.no_grad()
def _asked(name: str, model: nn.Module, inputs: Tensor) -> Any:
    try:
        return model(inputs)
    except (torch.OutOfMemoryError, NotImplementedError):
        raise
    except (Exception, SystemExit) as error:  # of a model of one's own, whatever it raises
        raise _unfit(name, "the inputs", inputs, error) from error


def _gradient_passes(name: str, model: nn.Module, inputs: Tensor) -> bool:
    points = inputs.clone().requires_grad_()
    try:
        frozen = copy.deepcopy(model).requires_grad_(requires_grad=False)
        logits = frozen(points)
        if not logits.requires_grad:
            return False
        (gradient,) = torch.autograd.grad(logits.sum(), points, allow_unused=True)
    except RuntimeError as error:
        raise _unfit(name, "a gradient", inputs, error) from error
    try:
        copy.deepcopy(frozen)
    except RuntimeError as error:  # what torch says of a graph that is kept
        raise ConfigurationError(
            f"model {name!r}: must be one that can be copied when it was asked (got {_line(error)}); let "
            "forward keep nothing as an attribute, or detach it"
        ) from error
    return gradient is not None and bool(gradient.any())


def _is_of_modules(model: nn.Module, inputs: Tensor) -> bool:
    """Whether all that is not linear is in modules that are used once each."""
    try:
        return not hidden(model, inputs)
    except (torch.OutOfMemoryError, MemoryError):
        raise
    except Exception:  # of a model of one's own, whatever it raises: of its modules nothing can be told
        return False


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]


def _unfit(name: str, what: str, inputs: Tensor, error: BaseException) -> ConfigurationError:
    told = _line(error)
    if "deterministic" in told:
        return ConfigurationError(
            f"model {name!r}: has no deterministic way on {inputs.device.type}: {told}; name --device cpu, "
            "or use another operation"
        )
    return ConfigurationError(
        f"model {name!r}: does not take {what}: {type(error).__name__}: {told}; inputs come as float32 "
        "[n, *shape], with the shape that the factory is given"
    )
