import errno
from pathlib import Path

import pytest

from vidar_det.commands.staging import staged_folder
from vidar_det.errors import OutputError, RangeError


def write_half_and_fail(path: Path, failure: BaseException) -> None:
    with staged_folder(path) as folder:
        (folder / "half.txt").write_text("1")
        raise failure


def test_files_and_folders_arrive_when_the_block_succeeds(tmp_path: Path) -> None:
    with staged_folder(tmp_path / "a" / "run") as folder:
        (folder / "one.txt").write_text("1")
        (folder / "deep").mkdir()
        (folder / "deep" / "two.txt").write_text("2")
        assert [file.name[0] for file in (tmp_path / "a" / "run").iterdir()] == ["."]
    assert sorted(file.name for file in (tmp_path / "a" / "run").iterdir()) == ["deep", "one.txt"]
    assert (tmp_path / "a" / "run" / "deep" / "two.txt").read_text() == "2"


@pytest.mark.parametrize("failure", [RangeError("no"), KeyboardInterrupt(), ZeroDivisionError()])
def test_a_failing_block_leaves_no_trace(tmp_path: Path, failure: BaseException) -> None:
    with pytest.raises(type(failure)):
        write_half_and_fail(tmp_path / "a" / "run", failure)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_that_was_there_stays(tmp_path: Path) -> None:
    with pytest.raises(RangeError):
        write_half_and_fail(tmp_path, RangeError("no"))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_is_refused(tmp_path: Path) -> None:
    (tmp_path / "old.txt").write_text("old")
    with pytest.raises(OutputError, match="holds files already"), staged_folder(tmp_path):
        pass
    assert (tmp_path / "old.txt").read_text() == "old"


def test_overwriting_replaces_files_of_the_same_name_only(tmp_path: Path) -> None:
    (tmp_path / "old.txt").write_text("old")
    (tmp_path / "other.txt").write_text("other")
    with staged_folder(tmp_path, overwrite=True) as folder:
        (folder / "old.txt").write_text("new")
        assert (tmp_path / "old.txt").read_text() == "old"
    assert (tmp_path / "old.txt").read_text() == "new"
    assert (tmp_path / "other.txt").read_text() == "other"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_full_disk_is_an_output_error_and_leaves_nothing(tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(OutputError, match="cannot be written: No space left"):
        write_half_and_fail(tmp_path / "run", full)
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file")
    with pytest.raises(OutputError, match="found a file"), staged_folder(tmp_path / "run"):
        pass
    assert (tmp_path / "run").read_text() == "a file"
