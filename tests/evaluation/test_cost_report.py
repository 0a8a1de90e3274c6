from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from vidar_det.detector.operations import Operations
from vidar_det.detector.predictor import load_detector
from vidar_det.evaluation.cost import Cost, measure_cost
from vidar_det.evaluation.cost_report import cost_sections


@pytest.fixture(scope="module")
def cost(fresh_weights: Path) -> Cost:
    windows = np.random.default_rng(3).integers(0, 33, (2, 4, 50, 70), np.uint16)
    return measure_cost(load_detector(str(fresh_weights)), list(windows), runs=2)


def test_the_summary_says_each_figure_and_what_the_estimate_rests_on(cost: Cost) -> None:
    summary = cost_sections(cost)[0]
    assert summary.table is not None
    values = {str(row[0]): row[1] for row in summary.table.rows}
    assert values["parameters"] == "472,889"
    assert values["SynOps per window"] == f"{cost.synops_per_window / 1e6:.1f} M"
    energies = [row[1] for row in summary.table.rows if str(row[0]).startswith("energy of")]
    energy = cost.energy
    wanted = (energy.dense_step_mj, energy.dense_mj, energy.spiking_mj)
    assert energies == [f"{energy_mj:.3f} mJ" for energy_mj in wanted]
    assert values["latency, p99"] == f"{cost.latency.p99_ms:.1f} ms"
    notes = " ".join(str(row[2]) for row in summary.table.rows)
    for said in ("4.6 pJ", "0.9 pJ", "estimate", "2 runs", cost.latency.runtime, "float32"):
        assert said in notes
    for said in ("2 windows", "Horowitz", "ISSCC 2014", "45 nm", "left out"):
        assert said in summary.text


def test_each_layer_has_its_row(cost: Cost) -> None:
    _, firing, arithmetic = cost_sections(cost)
    assert firing.table is not None
    assert arithmetic.table is not None
    assert [row[0] for row in firing.table.rows] == [n.name for n in cost.operations.neurons]
    first, second, *_ = arithmetic.table.rows
    convolutions = cost.operations.convolutions
    assert len(arithmetic.table.rows) == len(convolutions)
    assert first == ("backbone.stem.0", 2304, convolutions[0].macs, None, None)
    assert second[3] == round(convolutions[1].synops)


def test_the_picture_has_a_bar_for_each_layer(cost: Cost) -> None:
    (picture,) = cost_sections(cost)[0].pictures
    pixels = cv2.imdecode(np.frombuffer(picture.png, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    blue = (pixels == (178, 114, 0)).all(2)
    # down the left edge of the bars: one run of blue a layer
    column = blue[:, np.flatnonzero(blue.any(0))[2]]
    starts = np.flatnonzero(np.diff(column.astype(int)) == 1)
    assert len(starts) == sum(layer.firing_rate > 0.01 for layer in cost.operations.neurons)


def test_a_network_without_spikes_is_told_too(cost: Cost) -> None:
    layers = tuple(
        replace(layer, is_spiking=False, synops=0.0, spikes_in=None)
        for layer in cost.operations.convolutions
    )
    summary, arithmetic = cost_sections(replace(cost, operations=Operations(layers, ())))
    assert summary.table is not None
    said = " ".join(str(cell) for row in summary.table.rows for cell in row)
    assert "SynOp" not in said + summary.text
    assert "MACs per window" in said
    assert "estimate" in said + summary.text
    assert summary.pictures == []
    assert arithmetic.table is not None
    assert {row[3] for row in arithmetic.table.rows} == {None}
