"""A disk that fills while a clip or an answer is written; ``/dev/full`` is such a disk."""

import contextlib
import errno
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.intake import Intake
from service.problems import Problem
from service.spool import Spool
from tests.service.conftest import Caller, files_in

FULL_DISK = "/dev/full"  # as a name in a folder it leads out of it


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(tmp_path / "spool", quota_bytes=1 << 30)
    spool.open()
    with contextlib.closing(spool):
        yield spool


def begin(spool: Spool) -> Intake:
    return Intake(spool, "application/octet-stream", "identity", limit_bytes=1 << 30)


@pytest.mark.parametrize("blocks", [[b"small"], [b"small", bytes(1 << 20)]])
def test_a_disk_that_fills_is_a_507_and_the_draft_goes(
    spool: Spool, monkeypatch: pytest.MonkeyPatch, blocks: list[bytes]
) -> None:
    monkeypatch.setattr("service.intake.CLIP_FILE", FULL_DISK)
    intake = begin(spool)
    with pytest.raises(Problem) as caught:  # noqa: PT012 - where it fails depends on the blocks
        for block in blocks:
            intake.feed(block)
        intake.finish()
    assert caught.value.status == 507
    intake.abort()
    assert (list(spool.incoming.iterdir()), spool.used_bytes) == ([], 0)


def test_a_clip_that_cannot_be_begun_leaves_no_draft(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.intake.CLIP_FILE", "no/such/folder")
    with pytest.raises(FileNotFoundError):
        begin(spool)
    assert list(spool.incoming.iterdir()) == []


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/detect", "service.intake.CLIP_FILE"),
        ("/v1/detect", "service.answers.DOCUMENT_FILE"),
        ("/v1/clips", "service.clips.NOTE_FILE"),
    ],
)
def test_a_disk_that_fills_on_the_way_is_told_and_nothing_is_left(
    call: Caller, sent: dict[str, Any], monkeypatch: pytest.MonkeyPatch, path: str, name: str
) -> None:
    monkeypatch.setattr(name, FULL_DISK)
    answer = call.post(path, **sent)
    assert (answer.status_code, answer.json()["type"]) == (507, "urn:vidar-det:problem:spool-full")
    assert (files_in(call.parts.spool.folder), call.parts.spool.used_bytes) == ([], 0)


class Full(io.FileIO):
    """A file that may be sought in, which ``/dev/full`` may not."""

    def write(self, _: Any, /) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_disk_that_fills_while_boxes_wait_is_told(
    call: Caller, sent: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def open_full(mode: str, *, dir: Path, **_: Any) -> io.FileIO:
        return Full(dir / "lines", mode)

    monkeypatch.setattr("vidar_det.detections.envelope.tempfile.TemporaryFile", open_full)
    assert call.post("/v1/detect", **sent).status_code == 507
    assert (files_in(call.parts.spool.folder), call.parts.spool.used_bytes) == ([], 0)
