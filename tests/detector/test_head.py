import numpy as np
import pytest

from vidar_det.detector.decoding import cell_grid, decode

CLASSES, REG_MAX = 3, 16


def raw(cells: int) -> tuple[np.ndarray, np.ndarray]:
    return np.full((cells, CLASSES), -9.0, np.float32), np.zeros((cells, 4 * REG_MAX), np.float32)


def place(distances: np.ndarray, cell: int, sides: tuple[int, int, int, int]) -> None:
    distances[cell] = -50
    for side, value in enumerate(sides):
        distances[cell, side * REG_MAX + value] = 50


def test_the_grid_holds_all_strides_fine_to_coarse() -> None:
    centres, strides = cell_grid(64, 96)
    assert len(centres) == 8 * 12 + 4 * 6 + 2 * 3
    assert centres[1].tolist() == [12.0, 4.0]
    assert centres[12].tolist() == [4.0, 12.0]
    assert strides[[0, 8 * 12, -1]].tolist() == [8, 16, 32]


def test_one_cell_gives_one_exact_box() -> None:
    centres, _ = cell_grid(64, 96)
    scores, distances = raw(len(centres))
    cell = 2 * 12 + 5  # row 2, column 5 of stride 8: centre (44, 20)
    scores[cell, 1] = 2.0
    place(distances, cell, (1, 2, 3, 4))
    found = decode(scores, distances, (64, 96), (64, 96))
    assert found.xyxy.tolist() == [[36.0, 4.0, 68.0, 52.0]]
    assert found.class_ids.tolist() == [1]
    assert found.scores == pytest.approx([1 / (1 + np.exp(-2))])


def test_boxes_are_clipped_to_the_picture_not_to_the_padding() -> None:
    centres, _ = cell_grid(64, 96)
    scores, distances = raw(len(centres))
    scores[len(centres) - 1, 0] = 4.0  # stride 32, centre (80, 48)
    place(distances, len(centres) - 1, (1, 1, 1, 1))
    found = decode(scores, distances, (50, 90), (64, 96))
    assert found.xyxy.tolist() == [[48.0, 16.0, 90.0, 50.0]]


def test_boxes_that_lie_in_the_padding_are_dropped() -> None:
    scores, distances = raw(len(cell_grid(64, 96)[0]))
    scores[7 * 12, 0] = 4.0  # centre (4, 60)
    place(distances, 7 * 12, (0, 0, 1, 0))
    assert len(decode(scores, distances, (50, 96), (64, 96))) == 0


def test_confidence_bounds_what_is_kept() -> None:
    scores, distances = raw(len(cell_grid(32, 32)[0]))
    scores[:2, 0] = [0.0, -2.0]  # 0.5 and 0.12
    place(distances, 0, (0, 0, 1, 1))
    place(distances, 1, (0, 0, 1, 1))
    counts = [len(decode(scores, distances, (32, 32), (32, 32), conf=c)) for c in (0.6, 0.5, 0.1)]
    assert counts == [0, 1, 2]
    assert len(decode(scores, distances, (32, 32), (32, 32), conf=1.0)) == 0


def test_doubles_of_one_class_are_suppressed_and_other_classes_stay() -> None:
    scores, distances = raw(len(cell_grid(32, 32)[0]))
    scores[0, 0], scores[1, 0], scores[4, 2] = 3.0, 2.0, 1.0
    place(distances, 0, (0, 0, 2, 2))  # (4, 4)-(20, 20)
    place(distances, 1, (1, 0, 1, 2))  # the same from the next cell
    place(distances, 4, (0, 1, 2, 1))  # the same from the cell below, another class
    found = decode(scores, distances, (32, 32), (32, 32))
    assert found.class_ids.tolist() == [0, 2]
    assert found.xyxy.tolist() == [[4, 4, 20, 20]] * 2


def test_the_raw_predictions_stay_unchanged() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(21, CLASSES)).astype(np.float32)
    distances = rng.normal(size=(21, 4 * REG_MAX)).astype(np.float32)
    before = scores.copy(), distances.copy()
    decode(scores, distances, (32, 32), (32, 32), conf=0.01)
    assert np.array_equal(scores, before[0])
    assert np.array_equal(distances, before[1])
