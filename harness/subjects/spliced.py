"""A code in the place of a layer's output: what a sparse autoencoder of anybody's makes of a frozen model.

f(x) = back(decode(encode(front(x)))): the rest of the model sees what the code gives back, and nothing beside
it. What the code leaves out is not added again: a gradient would not pass it, and no map would then be one of
the function that is judged.

The code is any `torch.nn.Module` with `encode` and `decode`. Those of sae-lens, dictionary-learning and
overcomplete differ in what is told apart here: an `encode` that gives a tuple has the codes last; whatever a
`decode` rescales by is its own affair, as no atom is read from its weights; one that computes in a type that
it remembers is told the type; one whose `decode` needs what `encode` saw last has seen it, and forgets it
after; one that keeps at hand what it made of its weights is told to make it anew.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn

from harness.subjects.models import Coded, hooked

LAST, CHANNELS, WHOLE = "last axis", "channels", "whole"
"""Where a layer's output holds what a code takes: at each place along its last axis, at each place along its
first, or all of it as one row."""


class Unfit(Exception):
    """A code that cannot stand at a layer; the message says what must be, what was got, and the mend."""


class Spliced(Coded):
    """A model with a code at one of its layers.

    Args:
        model: Flat rows to logits; left as it is: the code is put in while it is asked, and taken out again.
        layer: Its layer's dotted name.
        code: With `encode` and `decode` of rows [n, width], evaluating.
        example: float32 [1, features], an input.

    Raises:
        Unfit: no such layer, no one tensor comes out of it, or the code does not take that.
    """

    any_scale = True

    def __init__(self, model: nn.Module, layer: str, code: nn.Module, example: Tensor) -> None:
        super().__init__()
        self.model, self.layer, self.code = model, layer, code.requires_grad_(requires_grad=False)
        self.layout = ""
        with torch.no_grad():
            self.layout = self._fitting(example)

    def forward(self, inputs: Tensor) -> Tensor:
        """The logits (float32 [n, classes]) of flat rows [n, features], through the code."""
        return self._asked(
            inputs, lambda found: self._back(self._decoded(self._coded(self._rows(found))), found)
        )

    def encoded(self, inputs: Tensor) -> Tensor:
        """The layer's output as the code takes it: float32 [n, width] or [n, places, width]."""
        seen: list[Tensor] = []
        # a copy, as what follows the layer may change its output in place
        self._asked(inputs, lambda found: seen.append(self._rows(found).clone()))
        return seen[0]

    def encode(self, inputs: Tensor) -> Tensor:
        """The codes: float32 [n, units] or [n, places, units]."""
        codes = self._coded(self.encoded(inputs))
        self._decoded(codes.detach())  # which forgets what it remembers of them
        return codes

    def decode(self, codes: Tensor) -> Tensor:
        """What the layer gave, given back from codes."""
        return self._decoded(codes)

    def readout(self, codes: Tensor, inputs: Tensor) -> Tensor:
        """The logits of the inputs with these codes in the place of their own."""

        def given(found: Tensor) -> Tensor:
            self._coded(self._rows(found))  # what the decoder may remember
            return self._back(self._decoded(codes), found)

        return self._asked(inputs, given)

    @torch.enable_grad()
    def detached(self, inputs: Tensor) -> str:
        """`encode` or `decode`, whichever of the code stops a gradient that its layer has of the inputs.

        Empty where neither does. No parameter may require one.
        """
        seen: list[Tensor] = []
        self._asked(inputs.clone().requires_grad_(), lambda found: seen.append(self._rows(found)))
        if not seen[0].requires_grad:
            return ""
        codes = self._coded(seen[0])
        if not codes.requires_grad:
            return "encode"
        return "" if self._decoded(codes).requires_grad else "decode"

    def _fitting(self, example: Tensor) -> str:
        """The layout in which the code takes what the layer gives, and gives it back.

        Raises:
            Unfit: there is none.
        """
        seen: list[Any] = []
        self._asked(example, lambda found: seen.append(found))
        if len(seen) != 1:
            raise Unfit(
                f"the layer must be called once a pass (got {len(seen)} calls); name another by --layer"
            )
        (found,) = seen
        if not isinstance(found, Tensor) or found.ndim < 2:
            raise Unfit(
                f"the layer must give one tensor [n, ...] (got {type(found).__name__}); name another by "
                "--layer"
            )
        why, layouts = "", (LAST, CHANNELS, WHOLE) if found.ndim > 2 else (LAST,)
        for layout in layouts:
            self.layout = layout
            rows = self._rows(found)
            try:
                again = self._decoded(self._coded(rows))
            except Exception as error:  # of a code of anybody's, whatever it raises
                why = why or f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
                continue
            if again.shape == rows.shape and again.dtype == rows.dtype:
                return layout
            got = [f"{one.dtype}".removeprefix("torch.") + f" {list(one.shape)}" for one in (again, rows)]
            why = why or f"it gives {got[0]} of {got[1]} back"
        widths = {LAST: found.shape[-1], CHANNELS: found.shape[1], WHOLE: found[0].numel()}
        wanted = {one: widths[one] for one in layouts}
        if (width := self._width()) and width not in wanted.values():
            why = f"got a code of {width:,}"
        told = " or ".join(f"{width:,} ({one})" for one, width in wanted.items())
        raise Unfit(
            f"the code must take what layer {self.layer.removeprefix('model.')!r} gives, "
            f"{list(found.shape)} of one input, in rows of {told}, and give it back ({why}); name another "
            "layer or code"
        )

    def _width(self) -> int:
        """The width of the rows that the code takes and gives back, looked for among its parameters' sides; 0
        where none is.
        """
        for width in dict.fromkeys(side for one in self.code.parameters() for side in one.shape):
            with suppress(Exception):  # of a code of anybody's, whatever it raises
                if self._decoded(self._coded(torch.zeros(1, 1, width))).shape[-1] == width:
                    return width
        return 0

    def _rows(self, found: Tensor) -> Tensor:
        if self.layout == WHOLE:
            return found.flatten(1)
        if self.layout == CHANNELS:
            return found.flatten(2).transpose(1, 2)
        return found.flatten(1, -2) if found.ndim > 3 else found

    def _back(self, rows: Tensor, found: Tensor) -> Tensor:
        """Rows as the layer gives them."""
        if self.layout == CHANNELS:
            rows = rows.transpose(1, 2)
        return rows.reshape(found.shape).clone()  # no view, which what follows could not change in place

    def _coded(self, rows: Tensor) -> Tensor:
        if isinstance(getattr(self.code, "dtype", None), torch.dtype):
            self.code.dtype = rows.dtype  # type: ignore[assignment]
        given = self.code.encode(rows.flatten(0, -2))  # type: ignore[operator]
        codes = _tensor("encode", given[-1] if isinstance(given, tuple) else given)
        return codes.reshape(*rows.shape[:-1], codes.shape[-1])

    def _decoded(self, codes: Tensor) -> Tensor:
        given = _tensor("decode", self.code.decode(codes.flatten(0, -2)))  # type: ignore[operator]
        return given.reshape(*codes.shape[:-1], given.shape[-1])

    def _asked(self, inputs: Tensor, given: Callable[[Tensor], Any]) -> Tensor:
        """The logits with something else in the place of the layer's output; None leaves it."""
        self.code.train().eval()  # whatever mode the model is in; what is kept of changed weights goes
        # found by name each time: a copy of this module has a copy of the layer
        with hooked(self.model.get_submodule(self.layer), given):
            logits: Tensor = self.model(inputs)
            return logits


def _tensor(function: str, given: Any) -> Tensor:
    if not isinstance(given, Tensor):
        raise TypeError(f"{function} must give a tensor (got {type(given).__name__})")
    return given
