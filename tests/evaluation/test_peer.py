import torch

from tests.detector.exact import exact_network
from vidar_det.detector.spec import EncodingSpec, size_spec
from vidar_det.evaluation.peer import to_multi_step


def test_the_twin_of_spikingjellys_modules_says_the_same() -> None:
    network = exact_network(size_spec("nano", encoding=EncodingSpec(steps=3)))
    x = torch.randint(0, 3, (3 * 2, 2, 64, 64), generator=torch.Generator().manual_seed(0)) / 4
    for is_channels_last in (False, True):
        with torch.no_grad():
            ours, theirs = network(x), to_multi_step(network, is_channels_last)(x)
        assert ours.scores.std() > 0.1
        torch.testing.assert_close(theirs.scores, ours.scores, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(theirs.distances, ours.distances, rtol=1e-5, atol=1e-5)
