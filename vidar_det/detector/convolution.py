"""Spikes come in, normalised membrane input goes out: the pair that every layer is built of."""

from torch import nn


class ConvNorm(nn.Sequential):
    """Convolution without bias, then batch normalisation.

    Args:
        channels_in: channels of the input.
        channels_out: channels of the output.
        kernel: side of the kernel, pixels.
        stride: step of the kernel, pixels.
        gamma: initial BN scale.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel: int = 1,
        stride: int = 1,
        gamma: float = 1.0,
    ) -> None:
        padding = (kernel - 1) // 2 if kernel % 2 else (kernel - stride) // 2
        norm = nn.BatchNorm2d(channels_out)
        nn.init.constant_(norm.weight, gamma)
        super().__init__(
            nn.Conv2d(channels_in, channels_out, kernel, stride, padding, bias=False), norm
        )
