"""The decision that is explained: a class's logit at one input, or by how much it exceeds another's."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from harness.attributions.integrity import Identity


@dataclass(frozen=True, eq=False)
class Decision:
    """f_y at one input, or f_y - f_other: as a batch of the same input, once for each class.

    Whatever is linear in the logit is asked of each row, and joined: the first less the second.

    Attributes:
        inputs: float32 [rows, features], one row or two alike, less the baseline.
        targets: int64 [rows], y and the other class.
    """

    inputs: Tensor
    targets: Tensor

    @classmethod
    def of(cls, inputs: Tensor, target: int, against: int | None) -> Decision:
        """For a class at an input (float32 [1, features]), against another where there is one."""
        classes = [target] if against is None else [target, against]
        targets = torch.tensor(classes, device=inputs.device)
        return cls(inputs.repeat(len(classes), 1), targets)

    @property
    def is_contrast(self) -> bool:
        """Whether it is one class against another."""
        return len(self.targets) > 1

    @property
    def alone(self) -> Decision:
        """The same of the explained class alone."""
        return Decision(self.inputs[:1], self.targets[:1])

    def joined(self, rows: Tensor) -> Tensor:
        """What was asked of each row [rows, ...], of the decision: [...]."""
        return rows[0] - rows[1] if self.is_contrast else rows[0]

    def logit(self, logits: Tensor) -> Tensor:
        """The explained number, of logits [..., classes] of one input: [...]."""
        return self.joined(logits.movedim(-1, 0)[self.targets])

    def identity(self, identity: Identity) -> Identity:
        """A method's definition as one of the decision's map, of a method that is linear in the logit."""
        if not self.is_contrast:
            return identity
        classes = self.targets

        @functools.wraps(identity)
        def joined(model: nn.Module, images: Tensor, _: Tensor, directions: Tensor, **known: Any) -> Tensor:
            asked = identity(model, images.expand(len(classes), -1), classes, directions, **known)
            return self.joined(asked)[None]

        return joined
