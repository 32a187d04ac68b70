"""Several seeds trained at once as one batched model: what keeps a GPU busy that one small network cannot.

Each seed has its own weights, its own order of images and its own moments of Adam; nothing passes between
them. A batched product rounds otherwise than a lone one, so a seed's weights depend on which were stacked
with it, in the last digits at first. On a GPU a step is recorded once as a CUDA graph and replayed, and the
host waits once an epoch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.errors import TrainingDiverged
from harness.records import Epoch, Training
from harness.subjects.adam import Adam
from harness.subjects.models import largest
from harness.subjects.sparse.structure import is_sparse_autoencoder, is_trainable_as_written

Step = Callable[[Tensor], Tensor]
"""Takes a step on the images numbered int64 [models, size]; losses and how many were right, [2, models]."""

Losses = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Of the images numbered int64 [models, size], when this share of all steps, float32 (), was taken: what is
minimised, and how many were right, [models] each."""

WARM_UP = 3
"""Steps that a GPU takes one by one before one is recorded (PyTorch's notes on CUDA graphs)."""


def train_autoencoders(
    models: Sequence[nn.Module], images: Tensor, generators: Sequence[torch.Generator], **recipe: Any
) -> Iterator[tuple[Epoch, ...]]:
    """As `training.train_autoencoder`, of several models of one shape at once, on the images' device.

    Args:
        models: k-sparse autoencoders as they are written.
        images: float32 [n, pixels], in [0, 1]; shared.
        generators: One for each model, on the CPU; draws the orders of its images.
        recipe: `epochs`, `batch_size` and `learning_rate`.

    Returns:
        One tuple an epoch, a record for each model.

    Raises:
        TypeError: a model of another kind.
        ValueError: models that differ in more than their weights.
        TrainingDiverged: as in `training.train_autoencoder`; of that epoch no later step is taken either.
    """
    stack = Stack(models, images.device, form_of_autoencoder)
    k = stack.form

    def losses(batch: Tensor, _: Tensor) -> tuple[Tensor, Tensor]:
        x = images[batch]  # [models, size, pixels]
        activations = stack.linear("encoder", x).relu()
        outputs = stack.linear("decoder", activations * largest(activations, k))
        error = (outputs - x).square().mean(dim=(1, 2))
        return error, torch.zeros_like(error)

    return train("autoencoder", stack, losses, len(images), generators, **recipe)


def train_classifiers(
    models: Sequence[nn.Module],
    codes: Tensor,
    labels: Tensor,
    generators: Sequence[torch.Generator],
    **recipe: Any,
) -> Iterator[tuple[Epoch, ...]]:
    """As `training.train_classifier`, of several models of linear layers, relu and dropout at once.

    Arguments and errors as in `train_autoencoders`; codes are float32 [models, n, code_width], and labels
    int64 [n], on any device.
    """
    stack = Stack(models, codes.device, form_of_classifier)
    numbers = torch.arange(len(models), device=stack.device)[:, None]
    return train_on_codes(stack, lambda batch: codes[numbers, batch], labels, generators, **recipe)


def train_on_codes(
    stack: Stack,
    codes_of: Callable[[Tensor], Tensor],
    labels: Tensor,
    generators: Sequence[torch.Generator],
    **recipe: Any,
) -> Iterator[tuple[Epoch, ...]]:
    """The same, of a stack of classifiers on whatever the codes of a batch are.

    Args:
        stack: Its form is `form_of_classifier`.
        codes_of: The codes [models, size, units] of the images numbered int64 [models, size].
        labels: int64 [n], on any device.
        generators: As in `train_autoencoders`.
        recipe: As in `train`.
    """
    labels = labels.to(stack.device)

    def losses(batch: Tensor, _: Tensor) -> tuple[Tensor, Tensor]:
        values = codes_of(batch)
        for layer, detail in stack.form:
            if layer is nn.Linear:
                values = stack.linear(detail, values)
            else:
                values = values.relu() if layer is nn.ReLU else F.dropout(values, detail)
        wanted = labels[batch]
        entropy = F.cross_entropy(values.flatten(0, 1), wanted.flatten(), reduction="none")
        right = (values.argmax(dim=2) == wanted).sum(dim=1)
        return entropy.view(wanted.shape).mean(dim=1), right

    return train("classifier", stack, losses, len(labels), generators, **recipe)


class Stack:
    """What several models of one form are trained as: their weights, each name's as one tensor on a device.

    Args:
        models: Filled with their weights by `store`.
        device: Where the weights are trained.
        form: What must be the same of all models: their type's layers, sizes and settings.
        tied: Matrices by name that are another's transpose, and so are not trained by themselves.

    Raises:
        TypeError, ValueError: as in `train_autoencoders`.
    """

    def __init__(
        self,
        models: Sequence[nn.Module],
        device: torch.device,
        form: Callable[[nn.Module], Any],
        tied: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.models, self.device, self.form_of, self.tied = models, device, form, tied
        self.form, *others = [form(model) for model in models]
        named = [dict(model.named_parameters()) for model in models]
        shapes = [{name: weight.shape for name, weight in one.items()} for one in named]
        if any(other != self.form for other in others) or any(shape != shapes[0] for shape in shapes):
            raise ValueError("models of a stack must differ in nothing but their weights")
        self.weights: dict[str, Tensor] = {}
        """Matrices are [models, inputs, outputs]: their gradients are then written as they are read."""
        for name in [one for one in named[0] if one not in tied]:
            weights = torch.stack([_turned(one[name].detach().to(device)) for one in named])
            self.weights[name] = weights.requires_grad_()

    def weight(self, name: str) -> Tensor:
        """A weight by its name: a matrix is [models, inputs, outputs]."""
        return self.weights[self.tied[name]].mT if name in self.tied else self.weights[name]

    def linear(
        self, layer: str, inputs: Tensor, *, biased: bool = True, units: Tensor | None = None
    ) -> Tensor:
        """Each model's linear layer of that name on its own inputs.

        Args:
            layer: Its name.
            inputs: [models, size, width].
            biased: Whether the bias is added.
            units: int64 [width], where the inputs are those of some units and all others are 0.
        """
        bias = self.weights.get(f"{layer}.bias") if biased else None
        if (name := f"{layer}.weight") in self.tied:
            # the product's transpose: the matrix has two gradients then that both lie in memory as it does
            weight = self.weights[self.tied[name]]
            weight = weight if units is None else weight.index_select(2, units)
            if bias is None:
                return (weight @ inputs.mT).mT
            return torch.baddbmm(bias[..., None], weight, inputs.mT).mT
        weight = self.weights[name] if units is None else self.weights[name].index_select(1, units)
        return inputs @ weight if bias is None else torch.baddbmm(bias[:, None], inputs, weight)

    def load(self) -> None:
        """Take the models' weights, which somebody may have changed since `store`.

        Raises:
            TypeError, ValueError: they are of another form by now.
        """
        if any(self.form_of(model) != self.form for model in self.models):
            raise ValueError("models of a stack must keep their form while they are trained")
        with torch.no_grad():
            for name, weights in self.weights.items():
                for number, model in enumerate(self.models):
                    weights[number].copy_(_turned(model.get_parameter(name)))

    @torch.no_grad()
    def store(self) -> None:
        """Write the weights into the models."""
        for number, model in enumerate(self.models):
            for name, parameter in model.named_parameters():
                parameter.copy_(_turned(self.weight(name)[number]))


def _turned(weight: Tensor) -> Tensor:
    """A matrix transposed, a vector as it is."""
    return weight.mT if weight.dim() == 2 else weight


def form_of_autoencoder(model: nn.Module) -> Any:
    """K."""
    if not is_sparse_autoencoder(model):
        raise TypeError(f"a stack's autoencoders must be k-sparse ones as written (got {_described(model)})")
    return model.k


def form_of_classifier(model: nn.Module) -> Any:
    """Each layer's type, with a linear one's name and what a dropout drops."""
    kinds = {type(layer) for layer in model.children()}
    if (
        not isinstance(model, nn.Sequential)
        or not is_trainable_as_written(model)
        or not kinds <= {nn.Linear, nn.ReLU, nn.Dropout}
    ):
        raise TypeError(
            "a stack's classifiers must be linear layers, relu and dropout in a row, as written "
            f"(got {_described(model)})"
        )
    return [
        (type(layer), name if isinstance(layer, nn.Linear) else getattr(layer, "p", None))
        for name, layer in model._modules.items()
    ]


def _described(model: nn.Module) -> str:
    parts = ", ".join(type(part).__name__ for part in model.children())
    return f"{type(model).__name__} of {parts or 'no layer'}"


def train(
    stage: Training,
    stack: Stack,
    losses: Losses,
    n: int,
    generators: Sequence[torch.Generator],
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    weight_decay: float = 0.0,
    schedule: Callable[[Tensor], Tensor] | None = None,
) -> Iterator[tuple[Epoch, ...]]:
    """Epochs of steps of Adam; the models hold their weights after each of them, broken off or not.

    Args:
        stage: What is trained.
        stack: The models.
        losses: Of a batch.
        n: Images.
        generators: One for each model, on the CPU; draws the orders of its images.
        epochs: Passes over the images.
        batch_size: Images a step.
        learning_rate: Adam's.
        weight_decay: Of the matrices (`adam.Adam`).
        schedule: The factor of the learning rate, float32 (), when a share of all steps, float32 (), was
            taken; 1 if left out.
    """
    total = epochs * -(-n // batch_size)
    take = recorded(_step(stack, losses, total, learning_rate, weight_decay, schedule), stack.device)
    for model in stack.models:
        model.train()
    for epoch in range(1, epochs + 1):
        if epoch > 1:
            stack.load()
        start = time.perf_counter()
        orders = torch.stack([torch.randperm(n, generator=one, device="cpu") for one in generators])
        batches = orders.to(stack.device).split(batch_size, dim=1)
        try:
            log = torch.stack([take(batch) for batch in batches]).double().cpu()  # [steps, 2, models]
        finally:
            stack.store()
        _refuse_divergence(stage, epoch, log[:, 0])
        sizes = log.new_tensor([batch.shape[1] for batch in batches])
        means = (sizes @ log[:, 0] / n).tolist()
        shares = (log[:, 1].sum(dim=0) / n).tolist()
        seconds = time.perf_counter() - start
        yield tuple(
            Epoch(stage, epoch, mean, share if stage == "classifier" else None, seconds)
            for mean, share in zip(means, shares, strict=True)
        )
    for model in stack.models:
        model.eval()


def _step(
    stack: Stack,
    losses: Losses,
    total: int,
    learning_rate: float,
    weight_decay: float,
    schedule: Callable[[Tensor], Tensor] | None,
) -> Step:
    """A step of Adam on all models; from the first loss that is no number on, none is taken any more.

    The host is not asked whether one was: it learns it from the losses. How many were taken is counted on the
    device, so a step that was recorded goes on along its schedule when it is replayed.
    """
    weights = list(stack.weights.values())
    rate: float | Tensor = learning_rate
    if schedule is not None:
        rate = torch.full((), learning_rate, dtype=torch.float32, device=stack.device)
    decays = [weight_decay if weight.dim() == 3 else 0.0 for weight in weights]
    optimizer = Adam([weight.detach() for weight in weights], rate, decays)
    diverged = torch.zeros((), dtype=torch.float32, device=stack.device)

    @torch.enable_grad()
    def step(batch: Tensor) -> Tensor:
        share = optimizer.counts[0] / total
        if isinstance(rate, Tensor) and schedule is not None:
            rate.copy_(learning_rate * schedule(share))
        loss, right = losses(batch, share)
        diverged.logical_or_(loss.isfinite().logical_not().any())
        gradients = torch.autograd.grad(loss.sum(), weights)
        optimizer.step(gradients, found_inf=diverged)
        return torch.stack([loss.detach(), right])

    return step


def _refuse_divergence(stage: Training, epoch: int, losses: Tensor) -> None:
    """Raise for the first loss that is no number; losses are [steps, models]."""
    bad = (~losses.isfinite()).nonzero().tolist()
    if bad:
        step, number = bad[0]
        which = f"{stage} {number + 1} of {losses.shape[1]}" if losses.shape[1] > 1 else stage
        raise TrainingDiverged.at(which, epoch, step + 1, float(losses[step, number]))


def recorded(step: Step, device: torch.device) -> Step:
    """The step as a device takes it fastest: recorded on a GPU, as it is elsewhere."""
    return Recorded(step, device) if device.type == "cuda" else step


class Recorded:
    """A step on a GPU, recorded once as a CUDA graph and then replayed.

    The first steps are taken one by one on a stream of their own, as recording wants it; so is a batch of
    another size, such as an epoch's last one.

    Args:
        step: Waits for nothing, and copies nothing to or from the host.
        device: Where it computes.
        cuda: What records; `torch.cuda`, or what plays it.
    """

    def __init__(self, step: Step, device: torch.device, cuda: Any = torch.cuda) -> None:
        self.step, self.device, self.cuda, self.taken = step, device, cuda, 0
        self.graph: Any = None
        self.batch, self.result = torch.empty(0), torch.empty(0)
        with cuda.device(device):
            self.side = cuda.Stream()

    def __call__(self, batch: Tensor) -> Tensor:
        """The step on this batch."""
        with self.cuda.device(self.device):  # streams belong to the current device
            if not self.taken:
                self.batch = batch.clone()
            if self.taken < WARM_UP or batch.shape != self.batch.shape:
                return self._alone(batch)
            if self.graph is None:
                self.graph = self.cuda.CUDAGraph()
                with self.cuda.graph(self.graph, stream=self.side):  # records, and computes nothing
                    self.result = self.step(self.batch)
            self.batch.copy_(batch)
            self.graph.replay()
            return self.result.clone()

    def _alone(self, batch: Tensor) -> Tensor:
        self.taken += 1
        self.side.wait_stream(self.cuda.current_stream())
        with self.cuda.stream(self.side):
            result = self.step(batch)
        self.cuda.current_stream().wait_stream(self.side)
        return result
