"""A spec comes in, the whole spiking network comes out: backbone, neck and head."""

from torch import Tensor, nn

from vidar_det.detector.backbone import Backbone, Neck
from vidar_det.detector.head import Head, RawPredictions
from vidar_det.detector.spec import DetectorSpec


class SpikingDetector(nn.Module):
    """Channel-prunable spiking detector: folded input to raw predictions.

    Attributes:
        spec: what it was built from.

    Example:
        >>> import torch
        >>> from vidar_det.detector.spec import size_spec
        >>> network = build_detector(size_spec("nano")).eval()
        >>> network(torch.zeros(2, 2, 256, 416)).scores.shape
        torch.Size([1, 2184, 3])
    """

    def __init__(self, spec: DetectorSpec) -> None:
        super().__init__()
        self.spec = spec
        self.backbone = Backbone(spec)
        self.neck = Neck(spec)
        self.head = Head(spec)

    def forward(self, x: Tensor) -> RawPredictions:
        """Predict.

        Args:
            x: ``[S*B, parts, H, W] float32`` as ``encode`` gives it, H and W multiples of 32.

        Returns:
            Logits for every cell, time already averaged.
        """
        predictions: RawPredictions = self.head(self.neck(self.backbone(x)))
        return predictions


def build_detector(spec: DetectorSpec) -> SpikingDetector:
    """Build the network of a spec, freshly initialised from torch's global seed.

    Args:
        spec: widths, neuron, encoding and classes.

    Returns:
        The network, in training mode.

    Example:
        >>> from vidar_det.detector.spec import size_spec
        >>> count_params(build_detector(size_spec("nano")))
        472889
    """
    return SpikingDetector(spec)


def count_params(network: nn.Module) -> int:
    """Count learnable numbers.

    Example:
        >>> count_params(nn.Linear(3, 2))
        8
    """
    return sum(parameter.numel() for parameter in network.parameters())
