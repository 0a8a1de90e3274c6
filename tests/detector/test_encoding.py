import numpy as np
import pytest
import torch

from vidar_det.detector.encoding import encode
from vidar_det.detector.inputs import padded_size
from vidar_det.detector.spec import EncodingSpec
from vidar_det.errors import ShapeError


def test_counts_become_rates_raised_to_gamma_padded_below_and_right() -> None:
    counts = np.full((4, 5, 7), 8, np.uint16)
    inputs = encode(counts, EncodingSpec(gamma=0.5))
    assert inputs.shape == (2, 2, 32, 32)
    assert torch.all(inputs[..., :5, :7] == 0.5)
    assert inputs.sum() == 4 * 5 * 7 * 0.5


def test_steps_come_first_then_the_batch_and_parts_are_channels() -> None:
    spec = EncodingSpec(steps=3, parts=2, gamma=1.0)
    counts = np.arange(2 * 6, dtype=np.uint16).reshape(2, 6, 1, 1).repeat(32, 2).repeat(32, 3)
    inputs = encode(torch.from_numpy(counts.astype(np.int32)), spec)
    for step in range(3):
        for row in range(2):
            for part in range(2):
                value = inputs[step * 2 + row, part, 0, 0] * spec.planes_per_count
                assert round(float(value)) == row * 6 + step * 2 + part


def test_a_longer_window_gives_the_same_rates() -> None:
    spec = EncodingSpec()
    short = encode(np.full((4, 32, 32), 8, np.uint16), spec)
    long = encode(np.full((4, 32, 32), 32, np.uint16), spec, planes_per_count=128)
    assert torch.equal(short, long)


def test_the_counts_stay_unchanged() -> None:
    counts = np.full((4, 32, 32), 3, np.uint16)
    encode(counts, EncodingSpec())
    assert (counts == 3).all()


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 1, 4, 8, 8), (8, 8)])
def test_another_number_of_bins_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match="wanted"):
        encode(np.zeros(shape, np.uint16), EncodingSpec())


def test_sizes_round_up_to_whole_strides() -> None:
    assert padded_size(250, 400) == (256, 416)
    assert padded_size(32, 32) == (32, 32)
    assert padded_size(1, 33) == (32, 64)
