"""A network comes in, its OpenVINO graph goes out."""

import warnings
from typing import Any

import openvino  # type: ignore[import-untyped]  # it ships no types
import torch
from torch import nn

from vidar_det.detector.deployment import DeployedNetwork
from vidar_det.detector.inputs import rate_table
from vidar_det.detector.network import SpikingDetector
from vidar_det.detector.spec import EncodingSpec
from vidar_det.errors import ConfigError


def translate(network: SpikingDetector, has_bytes: bool = False) -> Any:
    """Translate a network into an ``openvino.Model``, for pictures of any size.

    Args:
        network: the network; it stays as it is.
        has_bytes: round its weights to 8 bits.

    Raises:
        ConfigError: the network cannot be translated, or 8 bits do not fit it.
    """
    return convert(DeployedNetwork(network, has_bytes), network.spec.encoding)


def convert(module: nn.Module, encoding: EncodingSpec) -> Any:
    """Translate what takes the inputs of ``DeployedNetwork`` into an ``openvino.Model``.

    Raises:
        ConfigError: OpenVINO does not know an operation of it.
    """
    example = (
        torch.zeros(encoding.bins, 64, 64, dtype=torch.int32),
        torch.from_numpy(rate_table(encoding, encoding.planes_per_count)),
    )
    try:
        with warnings.catch_warnings():
            # the neuron checks the number of its rows, fixed here; and tracing is deprecated
            warnings.simplefilter("ignore")
            traced = torch.jit.trace(module, example, check_trace=False)  # type: ignore[no-untyped-call]  # untyped in torch
            return openvino.convert_model(traced, example_input=example)
    except Exception as error:  # its failures have no class in common
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"openvino: cannot translate this network ({reason})") from error
