"""What is measured, and that each figure stands beside its own ceiling; never how fast."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vidar_det.detector.checkpoint import load_network
from vidar_det.detector.network import SpikingDetector
from vidar_det.detector.operations import count_macs
from vidar_det.evaluation.counting_speed import measure_counting
from vidar_det.evaluation.endless import repeat, write_tiled_demo
from vidar_det.evaluation.network_speed import PEERS, measure_inference
from vidar_det.evaluation.speed import SpeedFigure, SpeedSpec, executions, median_laps
from vidar_det.evaluation.stream_speed import measure_stream
from vidar_det.spikes.demo import RECORDING_FILE, find_demo
from vidar_det.spikes.recording import open_recording

QUICK = SpeedSpec(seconds=0.0, threads=1, height=64, width=64)


@pytest.fixture(scope="module")
def network(fresh_weights: Path) -> SpikingDetector:
    return load_network(fresh_weights)


@pytest.fixture(scope="module")
def inference(network: SpikingDetector) -> list[SpeedFigure]:
    return measure_inference("fresh", network, QUICK)


def test_works_take_turns_and_each_has_its_laps() -> None:
    order: list[str] = []
    laps = median_laps({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 0.0)
    assert set(laps) == {"a", "b"}
    assert order == ["a", "b"] * (len(order) // 2)
    assert len(order) >= 2 * 6


def test_runtimes_and_precisions_are_those_asked_for() -> None:
    everything = executions(QUICK)
    for runtime in ("torch", "openvino"):
        only = {name for name in everything if name.startswith(runtime)}
        if only:
            assert set(executions(replace(QUICK, runtimes=(runtime,)))) == only
    f32 = {name for name in everything if name.endswith("f32")}
    assert set(executions(replace(QUICK, precisions=("f32",)))) == f32
    assert {way.threads for way in everything.values()} == {1}


def test_counts_stand_beside_memcpy_on_as_many_threads() -> None:
    found = measure_counting(replace(QUICK, threads=2), packed_bytes=1 << 20)
    assert {figure.group for figure in found} == {"decode, plain"}
    copied = {figure.name: figure.value for figure in found if figure.unit == "GB/s"}
    assert set(copied) == {"memcpy, 1 thread", "memcpy, 2 threads"}
    counted = [figure for figure in found if figure.unit == "planes/s"]
    assert len(counted) == 2 * 3
    for figure in counted:
        assert figure.beside.split(", ")[1] == figure.name.split(", ")[1]
        bytes_counted = figure.value * 64 * 64 / 8 / 1e9
        assert figure.ratio == pytest.approx(bytes_counted / copied[figure.beside])


def test_the_large_cameras_own_layout_is_counted_too() -> None:
    found = measure_counting(replace(QUICK, width=1000, height=1000), packed_bytes=1)
    assert {figure.group for figure in found} == {"decode, plain", "decode, m1k40"}


def test_a_runtime_stands_beside_the_product_in_its_own_precision(
    inference: list[SpeedFigure], network: SpikingDetector
) -> None:
    speeds = {figure.name: figure for figure in inference if figure.unit == "GFLOP/s"}
    laps = {figure.name: figure for figure in inference if figure.unit == "ms"}
    products = {f"matrix product {precision}" for precision in ("f32", "bf16")}
    runtimes = {name for name in executions(QUICK) if not name.endswith("int8")}
    assert set(speeds) == products | runtimes
    for name in runtimes:
        product = f"matrix product {name.split(' ')[1]}"
        assert speeds[name].beside == product
        assert speeds[name].ratio == pytest.approx(speeds[name].value / speeds[product].value)
        macs = speeds[name].value * 1e9 * laps[name].value / 1e3 / 2
        per_step = count_macs(network, 64, 64)
        assert per_step < macs < 2 * per_step  # two steps, but read-outs run once


def test_the_peer_that_is_quoted_is_the_fastest(inference: list[SpeedFigure]) -> None:
    laps = {figure.name: figure for figure in inference if figure.unit == "ms"}
    assert set(laps) == set(PEERS) | set(executions(QUICK))
    best = min(PEERS, key=lambda peer: laps[peer].value)
    assert {figure.beside for figure in laps.values()} == {best}
    for figure in laps.values():
        assert figure.ratio == pytest.approx(laps[best].value / figure.value)


def test_there_are_boxes_in_the_stream_that_is_measured(network: SpikingDetector) -> None:
    spec = replace(QUICK, runtimes=("torch",), height=160, width=256)
    found = measure_stream("fresh", network, spec)
    assert [figure.unit for figure in found] == ["x real time", "boxes a window"]
    assert found[1].value > 0


@pytest.mark.parametrize("layout", ["plain", "row-padded"])
def test_a_tiled_demo_fills_the_picture_and_goes_on(layout: str, tmp_path: Path) -> None:
    demo = open_recording(find_demo() / RECORDING_FILE)
    tiled = write_tiled_demo(tmp_path / "street.dat", 300, 200, planes=400, layout=layout)
    assert tiled.shape == (2 * len(demo), 200, 300)
    assert tiled.layout == layout
    assert np.array_equal(tiled[5][:160, :256], demo[5])
    assert np.array_equal(tiled[5][160:, 256:], demo[5][:40, :44])
    assert np.array_equal(tiled[len(demo) + 5], tiled[5])


def test_a_repeated_recording_begins_anew_after_whole_windows() -> None:
    demo = open_recording(find_demo() / RECORDING_FILE)
    endless = repeat(demo, window=256, windows=3)
    assert endless.shape == (768, 160, 256)
    counts = [window.counts(4) for window in endless.windows(256)]
    assert np.array_equal(counts[2], counts[0])
    assert np.array_equal(counts[0], demo.counts(0, 256, 4))
    assert np.array_equal(endless[256:260], demo[0:4])
