"""Methods of captum as methods of the harness: seeded image by image, on a copy that captum may hook.

Captum is an extra, and is imported where one of its methods is asked.
"""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from harness import environment
from harness.attributions import integrity
from harness.attributions.method import register, uninstalled
from harness.attributions.rescale import gaps_of
from harness.environment import state
from harness.environment.state import clean
from harness.errors import ConfigurationError, InputError
from harness.subjects.frozen import SAME, Frozen, hidden, is_frozen
from harness.subjects.sparse.structure import some_of

PACKAGE = "captum"

COMPLETE = 1e-3
"""The largest gap of a complete map, in parts of the larger logit of the image and the baseline."""


def captum() -> ModuleType:
    """`captum.attr`.

    Raises:
        ConfigurationError: captum is not installed.
    """
    try:
        import captum.attr
    except ModuleNotFoundError as error:
        if str(error.name).split(".")[0] != PACKAGE:
            raise
        raise uninstalled("methods through captum", PACKAGE) from error
    found: ModuleType = captum.attr
    return found


class DrawnOnCpu(TorchFunctionMode):
    """While it lasts, what torch draws it draws on the CPU: a seed then means one noise on every device."""

    DRAWS = frozenset(
        {
            *(torch.normal, torch.randn, torch.rand, torch.randn_like, torch.rand_like),
            *(torch.randint, torch.randperm, torch.bernoulli, torch.multinomial),
        }
    )

    def __torch_function__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """The draw, moved to where it was asked for."""
        kwargs = dict(kwargs or {})
        given = [one for one in (*args, *kwargs.values()) if isinstance(one, Tensor)]
        place = kwargs.get("device") or next((one.device for one in given), None)
        if func not in self.DRAWS or place is None or torch.device(place).type == "cpu":
            return func(*args, **kwargs)
        moved = [one.cpu() if isinstance(one, Tensor) else one for one in args]
        named = {key: one.cpu() if isinstance(one, Tensor) else one for key, one in kwargs.items()}
        return func(*moved, **(named | ({"device": "cpu"} if "device" in named else {}))).to(place)


@dataclass(frozen=True, eq=False)
class ThroughCaptum:
    """A class of captum as a map function for `register`; made by `from_captum`."""

    kind: str | Callable[[nn.Module], Any]
    complete: bool
    fixed: Mapping[str, Any]

    @clean()
    def __call__(
        self,
        model: nn.Module,
        images: Tensor,
        targets: Tensor,
        *,
        shape: Sequence[int] = (),
        noise_seed: int = 0,
    ) -> Tensor:
        """Maps as captum gives them, float [n, features].

        Args:
            model: Flat rows to logits; it is left as it is.
            images: float [n, features], less the baseline.
            targets: int64 [n], the classes explained.
            shape: Of one input as captum is to see it; flat where left out.
            noise_seed: What torch's, numpy's and Python's generators start from at each image; torch draws
                on the CPU, wherever images are.

        Raises:
            ConfigurationError: captum is not there, or its class does not take what was fixed.
            InputError: captum explains such a model wrongly, or gives no number a feature.
        """
        attr, maps = captum(), torch.empty_like(images)
        with state.evaluation(model):
            # its hooks and what they leave on modules are the copy's
            inner = copy.deepcopy(model).requires_grad_(requires_grad=False)
        for part in filter(is_frozen, inner.modules()):
            # with its input a tensor of its own, captum's hooks on two that follow one another do not meet
            part.register_forward_pre_hook(lambda _, inputs: (inputs[0].clone(), *inputs[1:]))
        asked = nn.Sequential(nn.Flatten(), inner).eval()  # takes inputs in their own shape
        found = getattr(attr, self.kind)(asked) if isinstance(self.kind, str) else self.kind(asked)
        based = self._takes_baselines(found)
        for one in range(len(images)):
            image = images[one : one + 1].detach().clone().unflatten(1, tuple(shape) or (-1,))
            with environment.seeded(noise_seed), DrawnOnCpu(), warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                settings: dict[str, Any] = {"baselines": torch.zeros_like(image)} if based else {}
                settings.update(self.fixed)
                own = self._asked(found, image, targets[one : one + 1], settings)
            if not isinstance(own, Tensor) or own.numel() != image.numel():
                got = list(own.shape) if isinstance(own, Tensor) else type(own).__name__
                raise InputError(
                    f"{self.name}: captum must give one number a feature, {list(image.shape)} (got {got}); "
                    "ask a class that attributes to the input"
                )
            maps[one] = own.detach().flatten()
        if self.complete:
            self._refuse_incomplete(model, images, targets, maps)
        return maps

    @property
    def name(self) -> str:
        """Captum's class, as messages call it."""
        return self.kind if isinstance(self.kind, str) else getattr(self.kind, "__name__", "captum")

    def _takes_baselines(self, found: Any) -> bool:
        """Whether captum's object knows a baseline; refused where it does not know what was fixed."""
        try:
            inspect.signature(found.attribute).bind_partial(None, target=0, **self.fixed)
        except TypeError as error:
            raise ConfigurationError(
                f"{self.name}: captum must take what is given to it by name (got {error}); look at its "
                "`attribute`"
            ) from error
        while hasattr(found, "attribution_method"):  # inside a NoiseTunnel
            found = found.attribution_method
        return "baselines" in inspect.signature(found.attribute).parameters

    def _asked(self, found: Any, image: Tensor, target: Tensor, settings: Mapping[str, Any]) -> Any:
        try:
            return found.attribute(image, target=target, **settings)
        except RuntimeError as error:
            if "used more than once" not in str(error):
                raise
            raise _refused(self.name, "a module is used more than once") from error

    def _refuse_incomplete(self, model: nn.Module, images: Tensor, targets: Tensor, maps: Tensor) -> None:
        """Hold maps to f_y(x) - f_y(x0), and tell what captum did not see where they are not that."""
        with state.evaluation(model), torch.no_grad():
            gaps, logits, blank = gaps_of(model, images, targets, maps)
            size = torch.maximum(logits.abs().amax(dim=1), blank.abs().max())
            if bool((gaps <= COMPLETE * size).all()):
                return
            raise _refused(
                self.name,
                hidden(model, some_of(images)) or "something is not linear beside its modules",
                ", and maps must sum to the logit less that of the baseline "
                f"(off by {float(gaps.max()):.3g})",
            )


def _refused(name: str, reason: str, proof: str = "") -> InputError:
    return InputError(
        f"{name}: captum takes what is not linear from modules that are used once, and would explain another "
        f"model (got {reason}){proof}; make it such a module, or name other methods"
        f"{', such as deeplift_code' if 'topk' in reason else ''}"
    )


def from_captum(
    kind: str | Callable[[nn.Module], Any], *, complete: bool = False, **fixed: Any
) -> ThroughCaptum:
    """A map function for `register` out of an attribution class of captum.

    It is asked image by image, each from the same seed, so that neither batch nor order changes a map, from
    the baseline 0, on a copy of the model in evaluation mode.

    Args:
        kind: A class by its name in `captum.attr`, or a function that makes its object of a model, such as
            `lambda model: NoiseTunnel(DeepLift(model))`.
        complete: Whether its maps must sum to f_y(x) - f_y(x0); a model of which they do not is refused.
        fixed: What its `attribute` is given beside inputs, target and baselines.
    """
    return ThroughCaptum(kind, complete, fixed)


def of_deep_lift(model: nn.Module, images: Tensor, targets: Tensor, directions: Tensor) -> Tensor:
    """Of how far the frozen network moves on when each feature's step is the direction times itself."""
    frozen, steps = Frozen(model, images), directions[:, None] * images
    moved = frozen(torch.cat([images[None], images + steps]).flatten(0, 1))
    chosen = moved.gather(1, targets.repeat(1 + len(directions))[:, None])
    logits: Tensor = chosen[:, 0].unflatten(0, (-1, len(images)))
    return (logits[1:] - logits[0]).T


@register(
    "deep_lift",
    space="contribution",
    identity=of_deep_lift,
    needs=["gradient", "modules"],
    package=PACKAGE,
)
def deep_lift(model: nn.Module, images: Tensor, targets: Tensor, *, shape: Sequence[int] = ()) -> Tensor:
    """DeepLift's rescale rule (Shrikumar et al. 2017) by captum, from the baseline 0, float32 [n, features].

    Raises:
        ConfigurationError: captum is not installed.
        InputError: something is not linear that captum does not see; its maps would be of another model.
    """
    with clean(), state.evaluation(model):
        if reason := hidden(model, some_of(images)):
            raise _refused("deep_lift", reason)

    def DeepLift(inner: nn.Module) -> Any:  # noqa: N802
        return captum().DeepLift(inner, eps=SAME[torch.float32])

    return from_captum(DeepLift, complete=True)(model, images, targets, shape=shape)


@integrity.along_features
def of_smoothgrad_squared(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    directions: Tensor,
    *,
    smoothgrad_samples: int = 25,
    smoothgrad_sigma: float = 0.1,
    noise_seed: int = 0,
) -> Tensor:
    """Of the mean square of the slope along a feature, over the copies that the seed declares."""
    _, squares = _moments(
        model, images, targets, directions, smoothgrad_samples, smoothgrad_sigma, noise_seed
    )
    return squares


@integrity.along_features
def of_vargrad(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    directions: Tensor,
    *,
    smoothgrad_samples: int = 25,
    smoothgrad_sigma: float = 0.1,
    noise_seed: int = 0,
) -> Tensor:
    """Of the variance of the slope along a feature, over the same copies."""
    means, squares = _moments(
        model, images, targets, directions, smoothgrad_samples, smoothgrad_sigma, noise_seed
    )
    length = directions.sum(dim=1)
    return squares - means**2 / torch.where(length == 0, 1.0, length)


def _moments(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    directions: Tensor,
    samples: int,
    sigma: float,
    seed: int,
) -> tuple[Tensor, Tensor]:
    """The mean slope along each direction, one feature long, and the mean square over the length.

    A direction of length 0 has squares of 0.
    """
    with environment.seeded(seed):
        noise = torch.normal(0.0, torch.full((samples, images.shape[1]), sigma))
    copies = [(1.0, one.to(images)) for one in noise]
    found = torch.stack([*integrity.slopes_at(model, images, targets, directions[:, None], copies)])
    length = directions.sum(dim=1)
    return found.mean(dim=0), (found**2).mean(dim=0) / torch.where(length == 0, 1.0, length)


@register(
    "smoothgrad_squared",
    space="sensitivity",
    identity=of_smoothgrad_squared,
    needs=["gradient"],
    package=PACKAGE,
)
def smoothgrad_squared(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    *,
    smoothgrad_samples: int = 25,
    smoothgrad_sigma: float = 0.1,
    noise_seed: int = 0,
) -> Tensor:
    """SmoothGrad squared (Hooker et al. 2019) by captum: the mean of (df_y/dx)^2 over noisy copies.

    float32 [n, features], without a sign. The copies are those of SmoothGrad.
    """
    return _noisy("smoothgrad_sq", smoothgrad_samples, smoothgrad_sigma)(
        model, images, targets, noise_seed=noise_seed
    )


@register("vargrad", space="sensitivity", identity=of_vargrad, needs=["gradient"], package=PACKAGE)
def vargrad(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    *,
    smoothgrad_samples: int = 25,
    smoothgrad_sigma: float = 0.1,
    noise_seed: int = 0,
) -> Tensor:
    """VarGrad (Adebayo et al. 2018) by captum: the variance of df_y/dx over noisy copies.

    float32 [n, features], without a sign. The copies are those of SmoothGrad.
    """
    return _noisy("vargrad", smoothgrad_samples, smoothgrad_sigma)(
        model, images, targets, noise_seed=noise_seed
    )


def _noisy(kind: str, samples: int, sigma: float) -> ThroughCaptum:
    def NoiseTunnel(inner: nn.Module) -> Any:  # noqa: N802
        return captum().NoiseTunnel(captum().Saliency(inner))

    return from_captum(NoiseTunnel, nt_type=kind, nt_samples=samples, stdevs=float(sigma), abs=False)
