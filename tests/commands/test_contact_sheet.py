import numpy as np

from vidar_det.commands.contact_sheet import draw_windows, lay_out
from vidar_det.spikes.labels import BoxRow, stack_boxes
from vidar_det.training.simulation import LabelledWindow, collate


def window(*rows: BoxRow) -> LabelledWindow:
    counts = np.zeros((4, 50, 100), np.uint16)
    counts[:, 10:30, 20:60] = 9
    return LabelledWindow(counts, stack_boxes(list(rows)), np.ones(2, np.bool_))


def test_a_window_is_seen_with_its_boxes_where_they_are() -> None:
    objects = [
        BoxRow((20, 10, 60, 30), 0, 1, False, 0.0),
        BoxRow((70, 5, 90, 45), 1, 2, True, 0.0),
        BoxRow((60, 10, 20, 30), 1, 3, False, 0.0),  # inside out: cannot be drawn
        BoxRow((float("nan"), 10, 20, 30), 1, 4, False, 0.0),
    ]
    plain, labelled = draw_windows(collate([window(), window(*objects)]), ("a", "b"), "phase 1")
    assert plain.shape[1] == labelled.shape[1] == 400
    assert plain[80, 160].tolist() == [255, 255, 255]
    assert plain[180, 360].tolist() == [0, 0, 0]
    changed = np.argwhere((plain[:200] != labelled[:200]).any(2))
    assert changed[:, 1].min() in range(74, 84)
    assert changed[:, 1].max() in range(355, 365)


def test_tiles_of_several_heights_share_a_sheet() -> None:
    low, high = (np.full((height, 10, 3), 7, np.uint8) for height in (4, 6))
    sheet = lay_out([low, high, low], columns=2)
    assert sheet.shape == (10, 20, 3)
    assert (sheet[4:6, :10] == 0).all()
    assert (sheet[:6, 10:] == 7).all()
    assert (sheet[6:, 10:] == 0).all()
