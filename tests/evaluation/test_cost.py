import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from numpy.typing import NDArray

from vidar_det.detector.execution import Execution, build_runtime
from vidar_det.detector.network import build_detector
from vidar_det.detector.predictor import Detector, load_detector
from vidar_det.detector.spec import size_spec
from vidar_det.errors import ConfigError, RangeError, ShapeError
from vidar_det.evaluation.cost import Cost, measure_cost


@pytest.fixture(scope="module")
def detector(fresh_weights: Path) -> Detector:
    return load_detector(str(fresh_weights), execution=Execution("torch"))


@pytest.fixture(scope="module")
def windows() -> list[NDArray[np.uint16]]:
    generator = np.random.default_rng(3)
    return [generator.integers(0, 33, (4, 50, 70), np.uint16) for _ in range(2)]


@pytest.fixture(scope="module")
def cost(detector: Detector, windows: list[NDArray[np.uint16]]) -> Cost:
    return measure_cost(detector, windows, runs=3)


def test_weights_are_counted_as_they_are_stored(cost: Cost, fresh_weights: Path) -> None:
    stored = safetensors.torch.load_file(fresh_weights)
    assert cost.weight_bytes == sum(tensor.nbytes for tensor in stored.values())
    learned = {name: t for name, t in stored.items() if "running" not in name}
    kernels = [t for name, t in learned.items() if t.ndim == 4 or name.endswith("read.bias")]
    assert cost.params == sum(tensor.numel() for tensor in learned.values())
    assert cost.conv_params == sum(tensor.numel() for tensor in kernels) < cost.params


def test_a_window_takes_the_convolutions_every_step_and_the_read_outs_once(cost: Cost) -> None:
    assert (cost.steps, cost.size, cost.windows) == (2, (64, 96), 2)
    read = [c.macs for c in cost.operations.convolutions if c.name.endswith(".read")]
    assert len(read) == 6
    assert cost.macs_per_window == 2 * cost.macs_per_step - sum(read)


def test_energy_is_what_its_constants_say(cost: Cost) -> None:
    first = cost.operations.convolutions[0]
    assert cost.analogue_macs_per_window == first.macs
    assert cost.synops_per_window > 0
    assert cost.energy.spiking_mj == pytest.approx(
        (4.6 * first.macs + 0.9 * cost.synops_per_window) * 1e-12 * 1e3
    )
    assert cost.energy.dense_mj == pytest.approx(4.6e-9 * cost.macs_per_window)
    assert cost.energy.dense_step_mj == pytest.approx(4.6e-9 * cost.macs_per_step)


def test_firing_over_the_network_weighs_layers_by_their_neurons(cost: Cost) -> None:
    layers = cost.operations.neurons
    neurons = sum(layer.neurons for layer in layers)
    spikes = sum(layer.firing_rate * layer.neurons for layer in layers)
    silent = sum(layer.silent * layer.neurons for layer in layers)
    assert cost.firing_rate == pytest.approx(spikes / neurons)
    assert cost.silent == pytest.approx(silent / neurons)
    assert 0 < cost.silent < 1


def test_latency_says_what_it_was_measured_with(cost: Cost) -> None:
    latency = cost.latency
    assert 0 < latency.p50_ms <= latency.p95_ms <= latency.p99_ms
    assert (latency.runs, latency.threads) == (3, torch.get_num_threads())
    assert latency.runtime == f"PyTorch {torch.__version__}"
    assert latency.precision == "float32"
    assert latency.device.startswith("CPU")


def test_the_mapping_is_plain_json(cost: Cost) -> None:
    mapping = cost.to_mapping()
    assert json.loads(json.dumps(mapping, allow_nan=False)) == mapping
    assert mapping["synops_per_window"] == cost.synops_per_window
    assert mapping["energy"]["mac_pj"] == 4.6
    assert mapping["energy"]["add_pj"] == 0.9
    assert "Horowitz" in mapping["energy"]["source"]
    assert len(mapping["neurons"]) == len(cost.operations.neurons)
    assert mapping["convolutions"][0]["spikes_in"] is None


def test_all_but_time_repeats(
    cost: Cost, detector: Detector, windows: list[NDArray[np.uint16]]
) -> None:
    before = [window.copy() for window in windows]
    again = measure_cost(detector, windows, runs=1)
    assert (again.operations, again.params) == (cost.operations, cost.params)
    assert all(np.array_equal(a, b) for a, b in zip(before, windows, strict=True))


def test_a_network_alone_will_do(
    cost: Cost, detector: Detector, windows: list[NDArray[np.uint16]]
) -> None:
    assert (
        measure_cost(detector.runtime.source.network, windows, runs=1).operations == cost.operations
    )


def test_what_is_seen_decides_synops_but_not_macs(cost: Cost, detector: Detector) -> None:
    dark = measure_cost(detector, [np.zeros((4, 50, 70), np.uint16)], runs=1)
    assert dark.macs_per_window == cost.macs_per_window
    assert dark.synops_per_window != cost.synops_per_window


def test_nothing_to_measure_on_is_refused(
    detector: Detector, windows: list[NDArray[np.uint16]]
) -> None:
    with pytest.raises(RangeError, match="0 windows"):
        measure_cost(detector, [])
    with pytest.raises(RangeError, match="0 runs"):
        measure_cost(detector, windows, runs=0)


def test_windows_of_several_sizes_are_refused(detector: Detector) -> None:
    sizes = [np.zeros((4, height, 64), np.uint16) for height in (32, 64)]
    with pytest.raises(ShapeError, match=r"\(4, 32, 64\), \(4, 64, 64\)"):
        measure_cost(detector, sizes)


def test_another_number_of_bins_is_refused(detector: Detector) -> None:
    with pytest.raises(ShapeError, match=r"wanted \(B, 4, H, W\)"):
        measure_cost(detector, [np.zeros((3, 32, 32), np.uint16)])


def test_a_network_in_training_is_refused(windows: list[NDArray[np.uint16]]) -> None:
    with pytest.raises(ConfigError, match="training"):
        measure_cost(build_detector(size_spec("nano")), windows)


def test_latency_is_that_of_the_runtime_and_all_else_that_of_the_network(
    cost: Cost, detector: Detector, windows: list[NDArray[np.uint16]]
) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    runtime = build_runtime(
        detector.runtime.source.network, Execution("openvino", "int8", threads=1)
    )
    quick = Detector(runtime, detector.spec, "quick", "", 0)
    measured = measure_cost(quick, windows, runs=1)
    assert measured.operations == cost.operations
    latency = measured.latency
    assert latency.runtime.startswith("OpenVINO 20")
    assert (latency.precision, latency.threads) == ("int8", 1)
