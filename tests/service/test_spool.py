import errno
from pathlib import Path
from typing import Any

import pytest

from service.problems import Problem
from service.spool import LOOK_BYTES, Spool
from vidar_det.errors import OutputError


@pytest.fixture
def spool(tmp_path: Path) -> Any:
    spool = Spool(tmp_path / "spool", quota_bytes=1000)
    spool.open()
    yield spool
    spool.close()


def test_bytes_are_counted_until_their_draft_is_discarded(spool: Spool) -> None:
    draft = spool.draft()
    with (draft.folder / "a").open("wb") as file:
        draft.append(file, b"x" * 600)
        with pytest.raises(Problem) as caught:
            draft.append(file, b"x" * 401)
    assert (caught.value.status, caught.value.members["limit_bytes"]) == (507, 1000)
    assert spool.used_bytes == 600
    draft.discard()
    draft.discard()
    assert spool.used_bytes == 0
    assert list(spool.incoming.iterdir()) == []


def test_a_draft_that_is_kept_moves_whole_and_stays_counted(spool: Spool, tmp_path: Path) -> None:
    draft = spool.draft()
    with (draft.folder / "a").open("wb") as file:
        draft.append(file, b"abc")
    draft.keep(tmp_path / "kept")
    assert (tmp_path / "kept" / "a").read_bytes() == b"abc"
    assert spool.used_bytes == 3


def test_names_are_made_by_chance(spool: Spool) -> None:
    names = {spool.draft().name for _ in range(9)}
    assert len(names) == 9
    assert all(len(name) == 32 and set(name) <= set("0123456789abcdef") for name in names)


def test_what_a_crash_left_is_gone_at_the_next_start(spool: Spool) -> None:
    (spool.draft().folder / "half").write_bytes(b"x" * 9)
    spool.close()
    again = Spool(spool.folder, quota_bytes=1000)
    again.open()
    assert (list(again.incoming.iterdir()), again.used_bytes) == ([], 0)
    again.close()


def test_two_services_do_not_share_a_folder(spool: Spool) -> None:
    with pytest.raises(OutputError, match="another service runs here"):
        Spool(spool.folder, quota_bytes=1).open()


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be made"):
        Spool(tmp_path / "file" / "spool", quota_bytes=1).open()


def test_a_full_disk_is_a_full_spool_and_other_failures_are_not(spool: Spool) -> None:
    draft = spool.draft()
    with pytest.raises(Problem) as caught, draft.writing():
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.status == 507
    with pytest.raises(OSError, match="broken"), draft.writing():
        raise OSError(errno.EIO, "broken")


def test_a_disk_that_fills_while_a_folder_is_moved_is_a_full_spool(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("service.spool.os.fsync", fail)
    draft = spool.draft()
    file = draft.write("a", b"abc")
    for move in (lambda: draft.keep(tmp_path / "kept"), lambda: draft.hand_over(file, tmp_path)):
        with pytest.raises(Problem) as caught:
            move()
        assert caught.value.status == 507
    draft.discard()
    assert spool.used_bytes == 0


def test_the_disk_is_looked_at_while_it_fills(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path, quota_bytes=1 << 40)
    monkeypatch.setattr("service.spool.KEPT_FREE_BYTES", 0)
    spool.reserve(3 * LOOK_BYTES)
    monkeypatch.setattr("service.spool.KEPT_FREE_BYTES", 1 << 60)
    spool.reserve(LOOK_BYTES - 1)
    for count in (1, 1, LOOK_BYTES):
        with pytest.raises(Problem) as caught:
            spool.reserve(count)
        assert caught.value.status == 507
    monkeypatch.setattr("service.spool.KEPT_FREE_BYTES", 0)
    spool.reserve(1)
    assert spool.used_bytes == 4 * LOOK_BYTES


def test_without_room_no_draft_begins(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    spool.reserve(1000)
    assert not spool.has_room
    with pytest.raises(Problem):
        spool.draft()
    spool.release(1000)
    assert spool.has_room
    monkeypatch.setattr("service.spool.KEPT_FREE_BYTES", 1 << 60)
    assert not spool.has_room
