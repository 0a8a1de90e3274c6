"""Tracks as a viewer is told of them, over a real socket."""

from tests.service.replay.conftest import Serve, Viewer, watching


def tracks(viewer: Viewer) -> dict[int, int]:
    """The vehicle's track in each window, as it was told last."""
    boxes = [said for said in viewer.heard if said["type"] == "boxes"]
    return {said["start"]: said["boxes"][0][6] for said in boxes}


def test_who_seeks_far_and_then_plays_through_is_told_the_same_tracks(serve: Serve) -> None:
    with watching(serve(), "demo") as viewer:
        viewer.wish(plane=256, models=["half"])
        for start in (256, 320, 192):
            viewer.hear("boxes", start=start)
        assert tracks(viewer)[256] == -1  # for all that is known, it comes into sight here
        viewer.wish(plane=0, models=["half"])
        while tracks(viewer).get(192) != 1:
            viewer.hear("boxes")
    assert tracks(viewer) == {0: -1, 64: 1, 128: 1, 192: 1, 256: 1, 320: 1}
