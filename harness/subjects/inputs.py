"""The door for what a caller hands over: made what the networks compute on, or refused in a sentence.

A notebook has labels as its data set gives them, bytes for pixels, one image without a batch, a tensor on
another device or with a graph behind it. Where the meaning is clear it is taken; nothing is computed on
anything else.
"""

from __future__ import annotations

import copy
import math
import operator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from harness.errors import InputError

SLACK = 1e-6
"""By how much a pixel may lie outside [0, 1]: what rounding does to an image that was scaled."""

NOISE = 1.0
"""By how much where an image may be perturbed: more than noise does, less than bytes that were not scaled."""


def images_of(values: Any, model: nn.Module) -> Tensor:
    """Images as the model takes them, in its own type and on its device, without a graph.

    Args:
        values: Floats, or bytes of 0..255, as a tensor, array or list. A network with an encoder takes
            [n, pixels]; images with rows, columns or one channel are flattened, and one image is a batch of
            one. Any other model gets the shape it was given.
        model: Images to logits, or an autoencoder.

    Returns:
        float [n, pixels], or [n, ...] of any other model.

    Raises:
        InputError: no floats or bytes, or of another number of pixels.
    """
    if not isinstance(model, nn.Module):
        raise InputError(f"the model must be a torch.nn.Module (got {type(model).__name__})")
    images = _tensor(values, "images")
    if images.dtype == torch.uint8:
        images = images.to(torch.get_default_dtype()) / 255
    elif not images.is_floating_point():
        raise InputError(
            f"images must be floats in [0, 1], or bytes of 0..255 as uint8 (got {_named(images)}); "
            "scale them to [0, 1]"
        )
    return _batch(_like(images, model), "images", _width(model))


def refuse_unscaled(images: Tensor, model: nn.Module | None = None, beyond: float = SLACK) -> None:
    """Refuse images (float [n, ...]) that are not in [0, 1].

    Args:
        images: float [n, ...].
        model: What takes them; of one that is `any_scale` they are in any unit.
        beyond: By how much a pixel may lie outside all the same.

    Raises:
        InputError: a pixel is NaN, or lies further outside.
    """
    if not images.numel() or getattr(model, "any_scale", False):
        return
    low, high = images.min().item(), images.max().item()
    if math.isnan(low):
        raise InputError("images must be numbers in [0, 1] (got nan among them); leave these images out")
    if not (low >= -beyond and high <= 1 + beyond):
        raise InputError(
            f"images must be in [0, 1] (got {low:.4g} to {high:.4g}); divide bytes by 255, and put any other "
            "normalisation into the model"
        )


def refuse_unscaled_to_train(images: Tensor) -> None:
    """The same of images to train on, but for those that are no numbers: their loss tells at which step."""
    if bool(images.sum().isfinite()):
        refuse_unscaled(images)


def recipe_of(epochs: Any, batch_size: Any, learning_rate: Any, generator: Any) -> tuple[int, int, float]:
    """A training's epochs, batch size and learning rate, as plain numbers.

    Raises:
        InputError: they are none, or out of range; the generator is none of torch's on the CPU.
    """
    try:
        found = operator.index(epochs), operator.index(batch_size), float(learning_rate)
    except (TypeError, ValueError):
        found = (-1, -1, -1.0)
    if isinstance(learning_rate, str) or not (found[0] >= 0 and found[1] >= 1 and 0 <= found[2] < math.inf):
        raise InputError(
            "epochs must be a whole number from 0, batch_size one from 1, and learning_rate a number from 0 "
            f"(got {epochs!r:.40}, {batch_size!r:.40}, {learning_rate!r:.40})"
        )
    if not isinstance(generator, torch.Generator) or generator.device.type != "cpu":
        raise InputError(
            f"generator must be a torch.Generator on the CPU (got {generator!r:.60}); "
            "such as torch.Generator().manual_seed(0)"
        )
    return found


def codes_of(values: Any, model: nn.Module) -> Tensor:
    """Codes (float [n, code_width]) as the classifier takes them; one code is a batch of one.

    Raises:
        InputError: no floats.
    """
    codes = _tensor(values, "codes")
    if not codes.is_floating_point():
        raise InputError(
            f"codes must be floats [n, code_width] (got {_named(codes)}); "
            "autoencoder.encode(images) makes them of images"
        )
    return _batch(_like(codes, model), "codes", None)


def classes_of(values: Any, inputs: Tensor, classes: int, what: str = "targets") -> Tensor:
    """One class for each input, as whole numbers beside them: int64 [n].

    Args:
        values: Whole numbers of any width, as a tensor, array or list; one number alone is every input's.
        inputs: What they belong to, [n, ...].
        classes: How many classes there are.
        what: What they are called in messages.

    Raises:
        InputError: no whole numbers, not one an input, or a class that there is not.
    """
    found = _tensor(values, what)
    if found.is_floating_point() or found.is_complex() or found.dtype == torch.bool:
        raise InputError(f"{what} must be whole numbers, one class an image (got {_named(found)})")
    if found.ndim == 0 and what == "targets":
        found = found.expand(len(inputs))
    if found.shape != (len(inputs),):
        raise InputError(
            f"{what} must be one class an image, shape ({len(inputs)},) (got {tuple(found.shape)})"
        )
    found = found.to(inputs.device, torch.int64)
    if len(found) and not (int(found.min()) >= 0 and int(found.max()) < classes):
        raise InputError(
            f"{what} must be classes in 0..{classes - 1} (got {int(found.min())} to {int(found.max())})"
        )
    return found


def count_classes(model: nn.Module, inputs: Tensor) -> int:
    """How many logits the model gives, asked of the first input; 0 where there is none.

    Args:
        model: In evaluation mode.
        inputs: float [n, ...].

    Raises:
        InputError: the model does not take such inputs, or gives something else than logits [n, classes].
    """
    if not len(inputs):
        return 0
    with torch.no_grad():
        logits = _asked(model, inputs[:1])
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != 1:
        got = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise InputError(f"the model must give logits [n, classes] (got {got} for one input)")
    return int(logits.shape[1])


def outside_inference(model: nn.Module) -> nn.Module:
    """The model, or a copy of one that was made in inference mode, for gradients to pass through."""
    if any(one.is_inference() for one in (*model.parameters(), *model.buffers())):
        return copy.deepcopy(model)
    return model


def maps_of(values: Any, images: Tensor, name: str) -> Tensor:
    """A method's maps as it gave them, in the images' shape, type and place, without a graph.

    Raises:
        InputError: no numbers, or not one a pixel.
    """
    maps = _tensor(values, f"the maps of {name!r}")
    if maps.shape != images.shape or maps.is_complex() or maps.dtype == torch.bool:
        raise InputError(
            f"attribution {name!r} must give one number a pixel, float {list(images.shape)} "
            f"(got {_named(maps)})"
        )
    return maps.to(images)


def refuse_untrainable(model: nn.Module) -> None:
    """Refuse a model that no step can change.

    Raises:
        InputError: all its parameters are frozen, or made in inference mode.
    """
    parameters = list(model.parameters())
    if not any(one.requires_grad for one in parameters):
        raise InputError("the model has nothing to train: every parameter is frozen (requires_grad=False)")
    if any(one.is_inference() for one in parameters):
        raise InputError(
            "the model was made in inference mode, and torch does not train such parameters; "
            "make it outside of torch.inference_mode()"
        )


def _tensor(values: Any, what: str) -> Tensor:
    """A plain dense tensor without a graph, of what holds numbers.

    Raises:
        InputError: it holds none.
    """
    if not isinstance(values, Tensor):
        try:
            values = _of_array(values)
        except (TypeError, ValueError, RuntimeError, OverflowError):
            raise InputError(f"{what} must be numbers of one shape (got {type(values).__name__})") from None
    values = values.detach()
    if values.layout != torch.strided:
        values = values.to_dense()
    # what was made in inference mode has no place in a gradient
    values = values.clone() if values.is_inference() else values
    # how numbers lie in memory decides in which order they are added up
    return values.contiguous()  # type: ignore[no-any-return]


def _of_array(values: Any) -> Tensor:
    """A tensor of what numpy makes of the values, in numpy's own order of bytes."""
    if np.ma.is_masked(values):
        raise ValueError("masked")
    if isinstance(values, list | tuple) and values and all(isinstance(one, Tensor) for one in values):
        return torch.stack([one.detach().cpu() for one in values])
    array = np.array(values)  # a copy: arrays may be read-only, or run backwards
    if array.dtype == object:
        array = np.array(array.tolist())
    if array.dtype == np.longdouble:
        array = array.astype(np.float64)
    return torch.from_numpy(array.astype(array.dtype.newbyteorder("=")))


def _like(inputs: Tensor, model: nn.Module) -> Tensor:
    """The inputs in the type and place of the model's parameters; as they are where it has none."""
    for parameter in model.parameters():
        if parameter.is_floating_point():
            return inputs.to(parameter.device, parameter.dtype)
    return inputs


def _width(model: nn.Module) -> int | None:
    """How many pixels the model's encoder takes; None where it has no linear one."""
    part = getattr(model, "autoencoder", model)
    width = getattr(getattr(part, "encoder", None), "in_features", None)
    return width if isinstance(width, int) else None


def _batch(inputs: Tensor, what: str, width: int | None) -> Tensor:
    """A batch of rows: [n, width] where the width is known, else [n, ...]."""
    if width is None:
        return inputs[None] if inputs.ndim == 1 else inputs
    if inputs.ndim > 1 and int(np.prod(inputs.shape[1:])) == width:
        return inputs.flatten(1)
    if inputs.numel() == width:
        return inputs.reshape(1, width)
    raise InputError(f"{what} must be of shape [n, {width}], or one of them (got {list(inputs.shape)})")


def _asked(model: nn.Module, inputs: Tensor) -> Any:
    """What the model gives; an error inside it names the shape that it was given."""
    try:
        return model(inputs)
    except (torch.OutOfMemoryError, NotImplementedError):
        raise
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        message = " ".join(str(error).split())
        raise InputError(
            f"the model does not take inputs of shape {list(inputs.shape)}, {_kind(inputs)}: {message}"
        ) from error


def _kind(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _named(tensor: Tensor) -> str:
    return f"{_kind(tensor)} {list(tensor.shape)}"
