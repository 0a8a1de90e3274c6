import numpy as np
import pytest
from numpy.typing import NDArray

from vidar_det.detections.boxes import Detections, GroundTruth
from vidar_det.detections.drawing import PALETTE, draw_detections
from vidar_det.errors import LabelError, RangeError, ShapeError

NAMES = ("person", "vehicle", "cycle")
DARK = np.full((120, 200), 40, np.uint8)


def found(*rows: tuple[float, float, float, float, float, int]) -> Detections:
    table = np.array(rows, np.float64).reshape(-1, 6)
    return Detections(
        table[:, :4].astype(np.float32),
        table[:, 4].astype(np.float32),
        table[:, 5].astype(np.int64),
    )


def painted(picture: NDArray[np.uint8], colour: tuple[int, int, int]) -> NDArray[np.bool_]:
    return np.all(picture == np.array(colour, np.uint8), axis=2)


@pytest.mark.parametrize("shape", [(120, 200), (120, 200, 3)])
@pytest.mark.parametrize("scale", [1, 2, 3])
def test_the_picture_keeps_its_size_times_the_scale(shape: tuple[int, ...], scale: int) -> None:
    drawn = draw_detections(np.full(shape, 40, np.uint8), found(), NAMES, scale=scale)
    assert drawn.shape == (120 * scale, 200 * scale, 3)
    assert drawn.dtype == np.uint8
    assert (drawn == 40).all()


def test_a_box_is_drawn_on_its_own_edge_pixels_in_the_colour_of_its_class() -> None:
    drawn = draw_detections(DARK, found((30, 50, 90, 100, 0.9, 1)), NAMES)
    box = painted(drawn, PALETTE[1])
    assert box[50:100, 30].all()
    assert box[50:100, 89].all()
    assert box[50, 30:90].all()
    assert box[99, 30:90].all()
    assert not box[52:98, 32:88].any()  # hollow
    assert not painted(drawn, PALETTE[0]).any()


def test_the_lines_of_an_enlarged_box_stay_inside_its_edges() -> None:
    box = painted(
        draw_detections(DARK, found((30, 50, 90, 100, 0.9, 1)), NAMES, scale=2), PALETTE[1]
    )
    assert box[100:200, 60:62].all()
    assert box[100:200, 178:180].all()
    assert not box[120:, :60].any()
    assert not box[:, 180:].any()


def test_a_label_stands_above_its_box() -> None:
    drawn = draw_detections(DARK, found((30, 50, 90, 100, 0.9, 0)), NAMES)
    chip = painted(drawn, PALETTE[0])[:50]
    assert chip[40:49, 30:33].all()
    assert not chip[:30].any()
    assert (drawn[38:50, 30:90] < 60).all(axis=2).any()  # dark text


@pytest.mark.parametrize(
    "edges", [(0, 0, 30, 30), (170, 0, 200, 20), (170, 90, 200, 120), (-9, -9, 500, 500)]
)
def test_labels_stay_inside_the_picture(edges: tuple[float, ...]) -> None:
    drawn = draw_detections(DARK, found((*edges, 0.5, 0)), NAMES)
    widest = int(painted(drawn, PALETTE[0]).sum(axis=1).max())
    inside = draw_detections(DARK, found((60, 60, 61, 61, 0.5, 0)), NAMES)
    assert widest >= int(painted(inside, PALETTE[0]).sum(axis=1).max())  # a whole chip is there


def test_two_labels_of_one_place_do_not_hide_each_other() -> None:
    one = draw_detections(DARK, found((60, 60, 140, 110, 0.9, 0)), NAMES)
    two = draw_detections(
        DARK, found((60, 60, 140, 110, 0.4, 1), (60, 60, 140, 110, 0.9, 0)), NAMES
    )
    np.testing.assert_array_equal(two[44:59], one[44:59])  # the surer label stands where it stood
    assert painted(two, PALETTE[1])[62:70, 61:110].sum() > 100  # the other moved inside


def test_the_surest_box_is_on_top() -> None:
    pair = found((60, 60, 140, 110, 0.4, 1), (60, 60, 140, 110, 0.9, 0))
    drawn = draw_detections(DARK, pair, NAMES)
    assert painted(drawn, PALETTE[0])[100, 60]


def test_truth_is_dashed_white_and_grey_where_ignored() -> None:
    boxes = np.array([[10, 10, 60, 60], [100, 10, 150, 60]], np.float32)
    truth = GroundTruth(boxes, np.array([0, 9]), np.array([False, True]))
    drawn = draw_detections(DARK, found(), NAMES, ground_truth=truth)
    row = drawn[10]
    assert row[10:14].tolist() == [[255] * 3] * 4
    assert row[14:18].tolist() == [[0] * 3] * 4
    assert row[100].tolist() == [150] * 3


def test_a_caption_stands_under_the_picture_and_hides_nothing() -> None:
    detections = found((0, 80, 100, 120, 0.5, 0))
    plain = draw_detections(DARK, detections, NAMES)
    drawn = draw_detections(DARK, detections, NAMES, caption="t = 12.80 ms")
    assert drawn.shape[0] > 120
    np.testing.assert_array_equal(drawn[:120], plain)
    assert drawn[120:].max() > 200


def test_many_boxes_and_points_can_be_drawn() -> None:
    generator = np.random.default_rng(2)
    corners = np.sort(generator.uniform(-20, 220, (300, 2, 2)), axis=1).reshape(300, 4)
    corners[:20, 2:] = corners[:20, :2]
    rows = np.column_stack([corners, generator.random(300), generator.integers(0, 3, 300)])
    assert draw_detections(DARK, found(*rows.tolist()), NAMES).shape == (120, 200, 3)


@pytest.mark.parametrize("scale", [1, 2])
def test_the_arguments_stay_unchanged(scale: int) -> None:
    picture = np.full((40, 50, 3), 9, np.uint8)
    detections = found((5, 5, 40, 30, 0.5, 0))
    draw_detections(picture, detections, NAMES, caption="x", scale=scale)
    assert (picture == 9).all()
    assert detections.xyxy.tolist() == [[5, 5, 40, 30]]


@pytest.mark.parametrize(
    "picture",
    [np.zeros((8, 8), np.float32), np.zeros((8, 8, 4), np.uint8), np.zeros((0, 8), np.uint8)],
)
def test_what_is_no_picture_is_refused(picture: NDArray[np.uint8]) -> None:
    with pytest.raises(ShapeError, match="picture: found"):
        draw_detections(picture, found(), NAMES)


def test_a_class_without_a_name_and_a_scale_of_nothing_are_refused() -> None:
    with pytest.raises(LabelError, match="found class id 3, wanted below 3"):
        draw_detections(DARK, found((1, 1, 9, 9, 0.5, 3)), NAMES)
    with pytest.raises(RangeError, match="scale: found 0"):
        draw_detections(DARK, found(), NAMES, scale=0)
