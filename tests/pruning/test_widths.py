"""What every layer keeps, and with which others it is tied."""

import numpy as np
import torch
from torch import Tensor, nn

from vidar_det.pruning.groups import Family, find_groups
from vidar_det.pruning.widths import LayerWidth, layer_widths, tie_letters


class PartlyTied(nn.Module):
    """Half of the first layer's channels meet the second's, half meet the third's."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 4, 1)
        self.second, self.third = nn.Conv2d(1, 2, 1), nn.Conv2d(1, 2, 1)
        self.free, self.read = nn.Conv2d(4, 3, 1), nn.Conv2d(3, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        both = torch.cat((self.second(x), self.third(x)), 1)
        return self.read(self.free(self.first(x) + both))


def test_a_layer_of_several_families_has_one_width_and_the_letters_of_all_its_ties() -> None:
    groups = find_groups(PartlyTied(), torch.zeros(1, 1, 4, 4))
    kept = np.array([True, True, True, False, True, False, False])
    found = {layer.name: layer for layer in layer_widths(groups, kept)}
    assert found == {
        "second": LayerWidth("second", 2, 2, ("A",), False),
        "third": LayerWidth("third", 2, 1, ("B",), False),
        "first": LayerWidth("first", 4, 3, ("A", "B"), False),
        "free": LayerWidth("free", 3, 1, (), False),
        "read": LayerWidth("read", 2, 2, (), True),
    }


def test_layers_that_repeat_channels_count_each() -> None:
    network = nn.Sequential(nn.Conv2d(1, 3, 1), nn.Conv2d(3, 6, 1, groups=3), nn.Conv2d(6, 1, 1))
    groups = find_groups(network, torch.zeros(1, 1, 4, 4))
    widths = layer_widths(groups, np.array([True, False, False]))
    assert [(layer.before, layer.after) for layer in widths] == [(3, 1), (6, 2), (1, 1)]


def test_letters_go_on_after_z() -> None:
    families = [Family((f"a{number}", f"b{number}"), np.array([number])) for number in range(28)]
    letters = list(tie_letters(families).values())
    assert letters[:2] == ["A", "B"]
    assert letters[25:] == ["Z", "AA", "BB"]
