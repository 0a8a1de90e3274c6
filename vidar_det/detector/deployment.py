"""A trained network comes in; one graph from counts to raw predictions goes out.

Everything between the camera's counts and the head's logits is inside: the look-up of rates and the
unrolled steps, without batch normalisation. What runs it needs neither PyTorch nor this library.
"""

import torch
from torch import Tensor, nn

from vidar_det.detector.folding import fold
from vidar_det.detector.network import SpikingDetector
from vidar_det.detector.quantisation import quantise


class DeployedNetwork(nn.Module):
    """The whole way of one window, for pictures of any size in whole strides.

    Args:
        network: the network; it is copied, its batch normalisation folded.
        has_bytes: round the weights to 8 bits; see ``vidar_det.detector.quantisation``.

    Example:
        >>> from vidar_det.detector.inputs import rate_table
        >>> from vidar_det.detector.network import build_detector
        >>> from vidar_det.detector.spec import EncodingSpec, size_spec
        >>> deployed = DeployedNetwork(build_detector(size_spec("nano")))
        >>> rates = torch.from_numpy(rate_table(EncodingSpec(), planes_per_count=32))
        >>> scores, distances = deployed(torch.zeros(4, 256, 416, dtype=torch.int32), rates)
        >>> scores.shape, distances.shape
        (torch.Size([2184, 3]), torch.Size([2184, 64]))
    """

    def __init__(self, network: SpikingDetector, has_bytes: bool = False) -> None:
        super().__init__()
        folded = fold(network)
        self.network = quantise(folded) if has_bytes else folded
        self.eval().requires_grad_(requires_grad=False)

    def forward(self, counts: Tensor, rates: Tensor) -> tuple[Tensor, Tensor]:
        """Predict.

        Args:
            counts: ``[S * parts, H, W] int32``, H and W multiples of 32; see ``inputs.pad_counts``.
            rates: ``[K] float32``: what each count stands for; see ``inputs.rate_table``.

        Returns:
            Logits of the scores ``[N, classes]`` and of the distances ``[N, 4 * reg_max]``.
        """
        encoding = self.network.spec.encoding
        raw = self.network(
            torch.unflatten(rates[counts.long()], 0, (encoding.steps, encoding.parts))
        )
        return raw.scores[0], raw.distances[0]
