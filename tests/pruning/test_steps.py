"""How fast an optimiser's last step was."""

import pytest
import torch
from torch import nn

from vidar_det.errors import ConfigError
from vidar_det.pruning.steps import rate_and_drag, was_skipped


def test_only_the_groups_of_the_parameters_count() -> None:
    one, two = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([{"params": [one]}, {"params": [two], "lr": 0.5}], lr=0.25)
    assert rate_and_drag(optimizer, [one], "one") == (0.25, 1.0)
    with pytest.raises(ConfigError, match=r"of both: found .*0\.25.*0\.5.*, wanted the same"):
        rate_and_drag(optimizer, [one, two], "both")


def test_dampening_that_leaves_nothing_of_a_gradient_is_refused() -> None:
    weight = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=0.25, momentum=0.5, dampening=1.0)
    with pytest.raises(ConfigError, match=r"dampening: found 1\.0"):
        rate_and_drag(optimizer, [weight], "the weight")


@pytest.mark.parametrize(("found", "skipped"), [(None, False), (0.0, False), (1.0, True)])
def test_a_step_is_skipped_where_infinity_was_found(found: float | None, skipped: bool) -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.25)
    if found is not None:
        optimizer.found_inf = torch.tensor(found)
    assert was_skipped(optimizer) is skipped
