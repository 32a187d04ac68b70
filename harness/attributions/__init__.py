"""Explain a model's logit down to pixels: one function a method, registered by name."""

from __future__ import annotations

from harness.attributions.decoder import decoder_reconstruction, decoder_sensitivity, decoder_weighted
from harness.attributions.explaining import (
    Maps,
    are_same,
    attribute,
    explain,
    groups_of,
    identity_errors,
    passes,
)
from harness.attributions.layer import grad_cam
from harness.attributions.method import (
    CHUNK_SIZE,
    MapFunction,
    Method,
    Space,
    methods,
    refuse_twins,
    register,
)
from harness.attributions.perturbation import kernel_shap, lime, occlusion, shapley_sampling
from harness.attributions.points import (
    gradients,
    input_x_gradient,
    integrated_gradients,
    midpoints,
    noise_images,
    path_gradients,
    smoothgrad,
)
from harness.attributions.rescale import deeplift_code

__all__ = [
    "CHUNK_SIZE",
    "MapFunction",
    "Maps",
    "Method",
    "Space",
    "are_same",
    "attribute",
    "decoder_reconstruction",
    "decoder_sensitivity",
    "decoder_weighted",
    "deeplift_code",
    "explain",
    "grad_cam",
    "gradients",
    "groups_of",
    "identity_errors",
    "input_x_gradient",
    "integrated_gradients",
    "kernel_shap",
    "lime",
    "methods",
    "midpoints",
    "noise_images",
    "occlusion",
    "passes",
    "path_gradients",
    "refuse_twins",
    "register",
    "shapley_sampling",
    "smoothgrad",
]
