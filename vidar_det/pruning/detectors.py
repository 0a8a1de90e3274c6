"""A detector and the groups to keep come in; an ordinary detector of narrower spec goes out."""

import copy
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidar_det.detector.inputs import padded_size
from vidar_det.detector.network import SpikingDetector, build_detector
from vidar_det.detector.spec import CspSpec, DetectorSpec, HeadSpec
from vidar_det.errors import PruningError
from vidar_det.pruning.groups import ChannelGroups, find_groups
from vidar_det.pruning.importance import spine_layers
from vidar_det.pruning.surgery import cut_state, mask


def detector_groups(network: SpikingDetector, height: int = 250, width: int = 400) -> ChannelGroups:
    """Find the groups of a detector; places are counted for one window of a picture.

    Args:
        network: the detector.
        height: of the picture, pixels.
        width: of the picture, pixels.

    Returns:
        Its groups.

    Example:
        >>> from vidar_det.detector.spec import size_spec
        >>> detector_groups(build_detector(size_spec("nano"))).families[0].layers
        ('backbone.stem.0', 'backbone.stages.0.csp.join.0')
    """
    encoding = network.spec.encoding
    size = padded_size(height, width)
    return find_groups(network, torch.zeros(encoding.steps, encoding.parts, *size))


def initial_gammas(network: SpikingDetector, groups: ChannelGroups) -> dict[str, float]:
    """Return what the scale of each batch normalisation starts from in a fresh network."""
    fresh = build_detector(network.spec)
    return {
        name: fresh.get_parameter(f"{name}.weight")[0].item()
        for name in spine_layers(network, groups)
    }


def cut_detector(
    network: SpikingDetector, groups: ChannelGroups, kept: NDArray[np.bool_]
) -> SpikingDetector:
    """Remove groups of channels from a detector.

    Args:
        network: the detector; it stays as it is.
        groups: its groups.
        kept: ``(G,) bool``.

    Returns:
        A detector like any other, in the mode of the given one.

    Raises:
        PruningError: ``kept`` does not fit the groups, or a layer would lose all its channels.

    Example:
        >>> from vidar_det.detector.spec import size_spec
        >>> network = build_detector(size_spec("nano"))
        >>> groups = detector_groups(network)
        >>> kept = np.ones(groups.count, bool)
        >>> kept[groups.families[0].groups[0]] = False
        >>> cut_detector(network, groups, kept).spec.stem
        31
    """
    state = cut_state(network.state_dict(), groups, kept)
    narrow = build_detector(narrow_spec(network.spec, state))
    narrow.load_state_dict(state)
    return narrow.to(next(iter(state.values())).device).train(network.training)


@torch.no_grad()
def check_cut(
    network: SpikingDetector,
    groups: ChannelGroups,
    kept: NDArray[np.bool_],
    narrow: SpikingDetector,
) -> None:
    """Prove on random windows that a cut detector says what the masked one says.

    Args:
        network: the detector before.
        groups: its groups.
        kept: ``(G,) bool``.
        narrow: the detector after.

    Raises:
        PruningError: they differ by more than the order of sums explains.
    """
    encoding = network.spec.encoding
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(encoding.steps, encoding.parts, 128, 160, generator=generator).double()
    masked = mask(network, groups, kept).double().eval()
    small = copy.deepcopy(narrow).double().eval()
    apart = max(
        float((one - other).abs().max()) for one, other in zip(masked(x), small(x), strict=True)
    )
    if apart > 1e-9:
        raise PruningError(f"cut: the outputs moved by {apart:g}, wanted none")


def narrow_spec(spec: DetectorSpec, state: Mapping[str, Tensor]) -> DetectorSpec:
    """Read the widths of a detector off its weights.

    Args:
        spec: of the network before anything was cut.
        state: by name, as its ``state_dict``.

    Returns:
        The spec with the widths that the weights have.
    """

    def width(name: str) -> int:
        return len(state[f"{name}.0.weight"])

    def csp(name: str, before: CspSpec) -> CspSpec:
        hidden = (width(f"{name}.blocks.{block}.conv_in") for block in range(len(before.hidden)))
        return CspSpec(
            main=width(f"{name}.main"),
            bypass=width(f"{name}.bypass"),
            hidden=tuple(hidden),
            out=width(f"{name}.join"),
        )

    down, up = ("neck.down16", "neck.down8"), ("neck.up16", "neck.up32")
    return replace(
        spec,
        stem=width("backbone.stem"),
        stages=tuple(
            csp(f"backbone.stages.{stage}.csp", before) for stage, before in enumerate(spec.stages)
        ),
        pool=width("backbone.pooling.squeeze"),
        pool_out=width("backbone.pooling.join"),
        top_down=tuple(csp(name, one) for name, one in zip(down, spec.top_down, strict=True)),
        lateral=(width("neck.stride16"), width("neck.stride32")),
        bottom_up=tuple(csp(name, one) for name, one in zip(up, spec.bottom_up, strict=True)),
        heads=tuple(
            HeadSpec(width(f"head.boxes.{level}.conv"), width(f"head.scores.{level}.conv"))
            for level in range(len(spec.heads))
        ),
    )
