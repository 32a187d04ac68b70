"""How many times faster the harness is than its peers: both sides in one process, alternating.

`python -m tests.benchmarks.ratios` writes `artifacts/bench.json`. Ratios of paired rounds are told, never
asserted: their median, lowest and highest, beside the machine's own measured rates.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from harness import attributions, datasets, environment
from harness.attributions import groups, sanity
from harness.measurements import correlations
from harness.measurements.location import gini
from harness.subjects import interpretable, training
from harness.subjects.models import Classifier, Convolutional, Flat, KSparseAutoencoder, PixelClassifier
from tests.benchmarks import peers

RECIPE: dict[str, Any] = dict(batch_size=peers.BATCH, learning_rate=peers.RATE)


def seconds(call: Callable[[], object]) -> float:
    """Wall clock of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def paired(ours: list[float], theirs: list[float]) -> dict[str, float]:
    """Theirs over ours, round by round."""
    ratios = [other / own for own, other in zip(ours, theirs, strict=True)]
    return {
        "median": statistics.median(ratios),
        "low": min(ratios),
        "high": max(ratios),
        "rounds": len(ratios),
        "ours_s": statistics.median(ours),
        "theirs_s": statistics.median(theirs),
        "whole": sum(theirs) / sum(ours),
    }


def machine() -> dict[str, Any]:
    """What computes, and the rates it reaches at what everything here is made of."""

    def rate(rows: int, inner: int, columns: int, kind: torch.dtype) -> float:
        a, b = torch.rand(rows, inner).to(kind), torch.rand(inner, columns).to(kind)
        return 2 * rows * inner * columns / min(seconds(lambda: a @ b) for _ in range(20)) / 1e9

    shapes = ((2048, 2048, 2048), (peers.BATCH, 784, 1024), (peers.BATCH, 512, 256))
    block, there = torch.rand(64 * 2**18), torch.zeros(64 * 2**18)
    copy = min(seconds(lambda: there.copy_(block)) for _ in range(20))
    return {
        "processor": platform.machine(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "capability": torch.backends.cpu.get_cpu_capability(),
        "matrix_product_gflops": max(rate(*shape, torch.float32) for shape in shapes),
        "matrix_product_bfloat16_gflops": max(rate(*shape, torch.bfloat16) for shape in shapes),
        "copy_gb_s": 2 * 4 * len(block) / copy / 1e9,
    }


# training


def our_loop(
    images: Tensor, labels: Tensor, network: PixelClassifier, epochs: tuple[int, int]
) -> tuple[Iterator[Any], Callable[[], Iterator[Any]]]:
    """The harness's training, in the same two parts."""
    first, second = (torch.Generator().manual_seed(seed) for seed in (0, 1))
    autoencoder = training.train_autoencoder(
        network.autoencoder, images, epochs=epochs[0], generator=first, **RECIPE
    )

    def classifier() -> Iterator[Any]:
        codes = training.encode(network.autoencoder, images)
        yield from training.train_classifier(
            network.classifier, codes, labels, epochs=epochs[1], generator=second, **RECIPE
        )

    return autoencoder, classifier


def race(
    name: str,
    loops: dict[str, tuple[Iterator[Any], Callable[[], Iterator[Any]]]],
    rounds: int,
    each: tuple[int, int],
) -> dict[str, list[float]]:
    """The seconds of loops of two parts, round by round, each round so many epochs of a part."""
    spent: dict[str, list[float]] = {loop: [0.0] * rounds for loop in loops}
    for part in (0, 1):
        parts: dict[str, Iterator[Any]] = {
            loop: both[0] if part == 0 else both[1]() for loop, both in loops.items()
        }
        for number in range(rounds):
            for loop, epochs in parts.items():
                start = time.perf_counter()
                for _ in range(each[part]):
                    next(epochs)
                spent[loop][number] += time.perf_counter() - start
            done = {loop: round(times[number], 1) for loop, times in spent.items()}
            print(f"{name} part {part + 1}, round {number + 1}/{rounds}: {done} s", flush=True)
    return spent


def train_interpretable(images: Tensor, labels: Tensor, rounds: int, each: tuple[int, int]) -> dict[str, Any]:
    """The recipe `interpretable` against a plain loop of the same equations."""
    network = PixelClassifier(KSparseAutoencoder(), Classifier())
    epochs, orders = (rounds * each[0], rounds * each[1]), [torch.Generator().manual_seed(0)]
    autoencoder = interpretable.train_autoencoders(
        [network.autoencoder], images, orders, epochs=epochs[0], **RECIPE
    )

    def classifier() -> Iterator[Any]:
        return interpretable.train_classifiers(
            [network.classifier], [network.autoencoder], images, labels, orders, epochs=epochs[1], **RECIPE
        )

    loops = {"ours": (autoencoder, classifier), "plain": peers.interpretable_loop(images, labels, epochs)}
    spent = race("interpretable", loops, rounds, each)
    return {"interpretable_vs_plain_loop": paired(spent["ours"], spent["plain"])}


def train(
    images: Tensor, labels: Tensor, folder: Path, rounds: int, each: tuple[int, int]
) -> tuple[dict[str, Any], PixelClassifier]:
    """All three loops through the recipe, round by round; the network that ours trained."""
    network = PixelClassifier(KSparseAutoencoder(), Classifier())
    loops = {
        "ours": our_loop(images, labels, network, (rounds * each[0], rounds * each[1])),
        "in_memory": peers.in_memory_loop(images, labels),
        "tutorial": peers.tutorial_loop(folder),
    }
    spent = race("training", loops, rounds, each)
    ratios = {
        f"training_vs_{name}_loop": paired(spent["ours"], spent[name]) for name in ("in_memory", "tutorial")
    }
    return ratios, network.eval()


def trained(images: Tensor, labels: Tensor, epochs: tuple[int, int]) -> PixelClassifier:
    """A network that ours trained, without a race."""
    with environment.seeded(0):
        network = PixelClassifier(KSparseAutoencoder(), Classifier())
        autoencoder, classifier = our_loop(images, labels, network, epochs)
        list(autoencoder), list(classifier())
    return network.eval()


# attribution


def explain(network: PixelClassifier, images: Tensor, rounds: int) -> dict[str, Any]:
    """Each gradient method against captum's, alternating."""
    with torch.no_grad():
        targets = network(images).argmax(dim=1)
    ratios = {}
    for method, calls in peers.captum_methods(network, images, targets).items():

        def ours(method: str = method) -> object:
            return attributions.attribute(network, images, targets, method)

        for setting, theirs in calls.items():
            name = f"{method}_vs_captum" + ("" if setting == "default" else f"_{setting}")
            ratios[name] = alternating(name, ours, theirs, rounds) | {"images": len(images)}
    return ratios


def alternating(
    name: str, ours: Callable[[], object], theirs: Callable[[], object], rounds: int
) -> dict[str, float]:
    """Both sides once to warm up, then by turns."""
    seconds(ours), seconds(theirs)
    times = [(seconds(ours), seconds(theirs)) for _ in range(rounds)]
    own, other = (list(side) for side in zip(*times, strict=True))
    found = paired(own, other)
    print(f"{name}: {found['median']:.2f}", flush=True)
    return found


def explain_generally(images: Tensor, rounds: int) -> dict[str, Any]:
    """The path of any model, on the small convolutional network: captum with as many rows in memory.

    Of all images, and of one, where what a call costs by itself counts most.
    """
    network, ratios = convolutional(), {}
    for some, called in ((images, ""), (images[:1], "_one_image")):
        with torch.no_grad():
            targets = network(some).argmax(dim=1)
        calls = peers.captum_at_equal_memory(network, some, targets, attributions.CHUNK_SIZE)
        for method, theirs in calls.items():

            def ours(method: str = method, some: Tensor = some, targets: Tensor = targets) -> object:
                return attributions.attribute(network, some, targets, method)

            name = f"general_{method}_vs_captum{called}"
            ratios[name] = alternating(name, ours, theirs, rounds) | {"images": len(some)}
    return ratios


def see_jumps(network: torch.nn.Module, images: Tensor, rounds: int) -> dict[str, Any]:
    """What it costs to see jumps: plain integrated gradients, of 50 steps, are so many times faster."""
    with torch.no_grad():
        targets = network(images).argmax(dim=1)

    def asked(name: str) -> Callable[[], object]:
        return lambda: attributions.attribute(network, images, targets, name)

    plain, seeing = "integrated_gradients", "switch_aware_integrated_gradients"
    found = alternating(f"{plain}_vs_{seeing}", asked(plain), asked(seeing), rounds)
    return {f"{plain}_vs_{seeing}": found | {"images": len(images)}}


# methods that take groups away


EVALUATIONS = {"kernel_shap": 2050, "lime": 1000}
"""Of the model by image, at the harness's settings: 2048 coalitions and both ends, 1000 masks."""

FITTED = 4
"""Images of methods that captum fits one image after another, for most of a second each."""


def take_away(network: torch.nn.Module, images: Tensor, rounds: int, called: str = "") -> dict[str, Any]:
    """KernelSHAP, LIME and occlusion against captum's at equal designs, alternating."""
    with torch.no_grad():
        targets = network(images).argmax(dim=1)
    ratios = {}
    for method in ("kernel_shap", "lime", "occlusion"):
        n = FITTED if method in EVALUATIONS else len(images)
        some, classes = images[:n], targets[:n]
        theirs = peers.captum_without_groups(
            network, some, classes, groups.blocks(images.shape[1]), EVALUATIONS, attributions.CHUNK_SIZE
        )

        def ours(method: str = method, some: Tensor = some, classes: Tensor = classes) -> object:
            return attributions.attribute(network, some, classes, method)

        name = f"{called}{method}_vs_captum"
        ratios[name] = alternating(name, ours, theirs[method], rounds) | {"images": n}
    return ratios


def convolutional() -> torch.nn.Module:
    """The small convolutional network, as it is before training."""
    with environment.seeded(0):
        return Flat(Convolutional((1, 28, 28), 10), (1, 28, 28)).eval()


# metrics of explanations


def judge_explanations(network: PixelClassifier, images: Tensor, rounds: int) -> dict[str, Any]:
    """Deletion, concentration, max-sensitivity and cascading randomisation against Quantus, alternating.

    Both sides have the same integrated gradients to begin with. Ours makes insertion along with deletion.
    """
    with torch.no_grad():
        targets = network(images).argmax(dim=1)

    def explained(model: torch.nn.Module, points: Tensor, classes: Tensor) -> Tensor:
        return attributions.attribute(model, points, classes, "integrated_gradients").own

    maps = explained(network, images, targets)
    draws, new = 10, 0

    def randomisation() -> list[Any]:
        models = [cascading for _, cascading, _ in sanity.randomised(network, new)]
        return [correlations(maps.numpy(), explained(one, images, targets).numpy()) for one in models]

    ours: dict[str, Callable[[], Any]] = {
        "deletion": lambda: sanity.curves(network, images, targets, {"maps": maps}),
        "concentration": lambda: gini(maps.numpy()),
        "max_sensitivity": lambda: sanity.max_sensitivity(
            lambda points, classes: explained(network, points, classes),
            images,
            targets,
            draws=draws,
            generator=torch.Generator().manual_seed(new),
        ),
        "randomisation": randomisation,
    }
    noise = 0.02 * (2 * torch.rand(draws, images.shape[1], generator=torch.Generator().manual_seed(new)) - 1)
    plain = peers.PlainNetwork(network.autoencoder.encoder, network.classifier).eval()
    theirs = peers.quantus_metrics(plain, images, targets, maps, noise)
    ratios: dict[str, Any] = {}
    spent: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in ours}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Quantus warns of every image that a step leaves as it was
        for name in ours:
            seconds(ours[name]), seconds(theirs[name])
        for number in range(rounds):
            for name, (own, other) in spent.items():
                own.append(seconds(ours[name]))
                other.append(seconds(theirs[name]))
            told = {name: f"{other[-1] / own[-1]:.1f}" for name, (own, other) in spent.items()}
            print(f"metrics, round {number + 1}/{rounds}: {told}", flush=True)
    for name, (own, other) in spent.items():
        ratios[f"{name}_vs_quantus"] = paired(own, other) | {"images": len(images)}
    together = [
        [sum(times) for times in zip(*(both[side] for both in spent.values()), strict=True)]
        for side in (0, 1)
    ]
    ratios["metrics_vs_quantus"] = paired(*together) | {"images": len(images)}
    return ratios


# the hot steps


def rooflines(images: Tensor, network: PixelClassifier, rates: dict[str, Any]) -> dict[str, Any]:
    """Each hot step of training: operations, bytes (each array once), shares of the limits reached."""
    size, k, pixels = peers.BATCH, peers.K, images.shape[1]
    with torch.no_grad():
        live = (training.encode(network.autoencoder, images[:4096]) > 0).any(dim=0).nonzero()[:, 0]
        encoder, bias = network.autoencoder.encoder.weight[live], network.autoencoder.encoder.bias[live]
        atoms, x = network.autoencoder.atoms[live].contiguous(), images[:size]
        h = F.relu(F.linear(x, encoder, bias))
        values, units = h.topk(k, dim=1, sorted=False)
        used = units.unique()
        slope = torch.rand(size, pixels)
        hidden, inner = torch.rand(size, 512), torch.rand(512, 256)
    n, s = len(live), len(used)
    calls: dict[str, tuple[Callable[[], object], float, float]] = {
        "encoder product": (
            lambda: F.linear(x, encoder, bias),
            2.0 * size * n * pixels,
            4.0 * (size * pixels + n * pixels + size * n),
        ),
        "top-k": (lambda: h.topk(k, dim=1, sorted=False), 0.0, 4.0 * size * n + 12.0 * size * k),
        "decoder sum": (
            lambda: F.embedding_bag(units, atoms, per_sample_weights=values, mode="sum"),
            2.0 * size * k * pixels,
            4.0 * (n * pixels + size * pixels + 3 * size * k),
        ),
        "slope to code": (
            lambda: slope @ atoms[used].T,
            2.0 * size * s * pixels,
            4.0 * (size * pixels + 2 * s * pixels + size * s),
        ),
        "classifier product": (
            lambda: hidden @ inner,
            2.0 * size * 512 * 256,
            4.0 * (size * 512 + 512 * 256 + size * 256),
        ),
    }
    lines = {}
    with torch.no_grad():
        for name, (call, operations, moved) in calls.items():
            call()
            took = statistics.median(seconds(call) for _ in range(50))
            limits = (
                operations / rates["matrix_product_gflops"] / 1e9,
                moved / rates["copy_gb_s"] / 1e9,
            )
            lines[name] = {
                "ms": took * 1e3,
                "operations": operations,
                "bytes": moved,
                "gflops": operations / took / 1e9,
                "share_of_matrix_rate": limits[0] / took,
                "share_of_copy_rate": limits[1] / took,
            }
    return lines


# growth


CURVES: dict[str, list[int]] = {
    "samples": [100, 1000, 5000, 20_000],
    "steps": [10, 50, 200],
    "k": [10, 50, 200],
    "code_width": [1024, 4096, 16_384],
    "seeds": [1, 2, 4],
}


def grow(curve: str, value: int) -> dict[str, float]:
    """One point of a growth curve, in a process of its own: seconds and peak memory."""
    data = datasets.load("auto", None)
    images = torch.from_numpy(data.train_images[:20_000].copy()).float().div_(255)
    start_memory = peak_memory()
    settings = {"k": 50, "code_width": 1024, "steps": 50, "samples": 400, "seeds": 1} | {curve: value}
    if curve in ("k", "code_width", "seeds"):
        took = 0.0
        for seed in range(settings["seeds"]):
            with environment.seeded(seed):
                model = KSparseAutoencoder(settings["k"], 784, settings["code_width"])
            epochs = training.train_autoencoder(
                model, images[:4096], epochs=3, generator=torch.Generator().manual_seed(seed), **RECIPE
            )
            took += seconds(lambda e=epochs: list(e))  # type: ignore[misc]
    else:
        network = PixelClassifier(KSparseAutoencoder(), Classifier()).eval()
        many = images.repeat(1 + settings["samples"] // len(images), 1)[: settings["samples"]]

        def stream() -> None:
            for part in many.split(512):
                attributions.explain(network, part, attribution_steps=settings["steps"])

        took = seconds(stream)
    peak = peak_memory()
    return {"value": value, "seconds": took, "peak_mb": peak, "grown_mb": peak - start_memory}


def peak_memory() -> float:
    """The process's largest resident memory so far, in MB; `getrusage` may tell its parent's."""
    status = Path("/proc/self/status")
    if status.is_file():
        (line,) = (one for one in status.read_text().splitlines() if one.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def growth() -> dict[str, list[dict[str, float]]]:
    """Every curve, each point in a fresh process so that its peak memory is its own."""
    found: dict[str, list[dict[str, float]]] = {}
    for curve, values in CURVES.items():
        for value in values:
            command = [sys.executable, "-m", "tests.benchmarks.ratios", "--point", curve, str(value)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            found.setdefault(curve, []).append(json.loads(done.stdout.splitlines()[-1]))
            print(f"{curve} {found[curve][-1]}", flush=True)
    return found


def write(path: Path, result: dict[str, Any]) -> None:
    """Write the results as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    print(f"written: {path}")


def table(ratios: dict[str, Any]) -> None:
    """Print the ratios."""
    print(f"{'':42s} median   low  high   ours s  theirs s")
    for name, one in ratios.items():
        print(
            f"{name:42s} {one['median']:6.2f} {one['low']:5.2f} {one['high']:5.2f}"
            f" {one['ours_s']:8.3f} {one['theirs_s']:9.3f}"
        )


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("artifacts/bench.json"))
    parser.add_argument("--dataset", default="auto")
    parser.add_argument("--quick", action="store_true", help="a few epochs, no growth curves")
    parser.add_argument("--growth", action="store_true", help="the growth curves alone, into the same file")
    parser.add_argument("--metrics", action="store_true", help="Quantus alone, into the same file")
    parser.add_argument(
        "--general", action="store_true", help="the path of any model alone, into the same file"
    )
    parser.add_argument(
        "--groups", action="store_true", help="the methods that take groups away alone, into the same file"
    )
    parser.add_argument(
        "--interpretable", action="store_true", help="that recipe's training alone, into the same file"
    )
    parser.add_argument(
        "--switches", action="store_true", help="the price of jumps alone, into the same file"
    )
    parser.add_argument("--point", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    warnings.filterwarnings("ignore", module="captum")
    if asked.point:
        print(json.dumps(grow(asked.point[0], int(asked.point[1]))))
        return
    known = json.loads(asked.output.read_text()) if asked.output.is_file() else {}
    if asked.growth:
        write(asked.output, known | {"growth": growth()})
        return
    data = datasets.load(asked.dataset, None)
    images = torch.from_numpy(data.train_images.copy()).float().div_(255)
    labels = torch.from_numpy(data.train_labels.copy()).long()
    some, rounds = images[:200], 3 if asked.quick else 15
    epochs, each = (3, (1, 1)) if asked.quick else (10, (3, 5))
    if asked.metrics or asked.general or asked.groups or asked.interpretable or asked.switches:
        ratios: dict[str, Any] = {}
        if asked.metrics or asked.groups or asked.switches:
            network = trained(images, labels, epochs=(2, 2) if asked.quick else (30, 50))
        with environment.deterministic():
            if asked.interpretable:
                ratios |= train_interpretable(images, labels, epochs, each)
            if asked.metrics:
                ratios |= judge_explanations(network, some, 3 if asked.quick else 10)
            if asked.general:
                ratios |= explain_generally(some, rounds)
            if asked.switches:
                ratios |= see_jumps(network, some, rounds)
            if asked.groups:
                ratios |= take_away(network, some, rounds)
                ratios |= take_away(convolutional(), some, rounds, "general_")
        write(asked.output, known | {"ratios": known.get("ratios", {}) | ratios})
        table(ratios)
        return
    rates = machine()
    print(json.dumps(rates), flush=True)
    with tempfile.TemporaryDirectory() as folder, environment.deterministic():
        peers.write_as_torchvision_wants(data.train_images, data.train_labels, Path(folder))
        ratios, network = train(images, labels, Path(folder), epochs, each)
        ratios |= train_interpretable(images, labels, epochs, each)
    ratios |= explain(network, some, rounds)
    ratios |= explain_generally(some, rounds)
    ratios |= see_jumps(network, some, rounds)
    ratios |= take_away(network, some, rounds)
    ratios |= take_away(convolutional(), some, rounds, "general_")
    ratios |= judge_explanations(network, some, 3 if asked.quick else 10)
    # a shared machine's rates come and go: the limit is the best that was seen
    after = machine()
    best = {name: max(rates[name], after[name]) for name in rates if isinstance(rates[name], float)}
    result = {
        "dataset": data.name,
        "quick": asked.quick,
        "machine": rates | best,
        "ratios": ratios,
        "rooflines": rooflines(images, network, best),
        "growth": {} if asked.quick else growth(),
    }
    write(asked.output, result)
    table(ratios)
    for name, line in result["rooflines"].items():
        print(
            f"{name:20s} {line['ms']:.3f} ms, {line['operations'] / 1e6:.0f} M operations, "
            f"{line['bytes'] / 1e6:.1f} MB: {line['share_of_matrix_rate']:.0%} of the matrix rate, "
            f"{line['share_of_copy_rate']:.0%} of the copy rate"
        )


if __name__ == "__main__":
    main()
