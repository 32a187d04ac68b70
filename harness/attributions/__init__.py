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
    refuse_unfit,
)
from harness.attributions.guided import guided_backprop
from harness.attributions.layer import grad_cam
from harness.attributions.method import (
    CHUNK_SIZE,
    MapFunction,
    Method,
    Space,
    methods,
    refuse_twins,
    refuse_uninstalled,
    register,
)
from harness.attributions.perturbation import kernel_shap, lime, occlusion, shapley_sampling
from harness.attributions.points import (
    expected_gradients,
    gradients,
    input_x_gradient,
    integrated_gradients,
    midpoints,
    noise_images,
    path_gradients,
    smoothgrad,
)
from harness.attributions.rescale import deeplift_code
from harness.attributions.switched import switch_aware_integrated_gradients
from harness.attributions.through_captum import deep_lift, from_captum, smoothgrad_squared, vargrad

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
    "deep_lift",
    "deeplift_code",
    "expected_gradients",
    "explain",
    "from_captum",
    "grad_cam",
    "gradients",
    "groups_of",
    "guided_backprop",
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
    "refuse_unfit",
    "refuse_uninstalled",
    "register",
    "shapley_sampling",
    "smoothgrad",
    "smoothgrad_squared",
    "switch_aware_integrated_gradients",
    "vargrad",
]
