import json
import os
from pathlib import Path

import numpy as np
import pytest

from vidar_det.errors import OutputError
from vidar_det.outputs import atomic_path, prepare_output_folder, write_json


def test_a_document_survives_the_file(tmp_path: Path) -> None:
    document = {"name": "Fußgänger", "box": [0.1, 2.0], "none": None}
    write_json(tmp_path / "a.json", document)
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == document
    assert list(tmp_path.iterdir()) == [tmp_path / "a.json"]


def test_an_existing_file_is_refused_without_overwrite(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, 1)
    with pytest.raises(OutputError, match=r"a\.json: exists already"):
        write_json(path, 2)
    assert path.read_text() == "1\n"
    write_json(path, 2, overwrite=True)
    assert path.read_text() == "2\n"


@pytest.mark.parametrize("document", [float("nan"), [float("inf")], {"a": np.zeros(2)}])
def test_what_json_cannot_hold_leaves_nothing_behind(tmp_path: Path, document: object) -> None:
    with pytest.raises(OutputError, match="JSON cannot hold"):
        write_json(tmp_path / "a.json", document)
    assert not list(tmp_path.iterdir())


def test_a_failing_block_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail() -> None:
        with atomic_path(path, overwrite=True) as partial:
            partial.write_text("half")
            raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match=r"a\.txt: cannot be written: No space left on device"):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"none/a\.json: cannot be written: No such file"):
        write_json(tmp_path / "none" / "a.json", 1)


def test_a_folder_in_the_place_of_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="found a folder, wanted a file"):
        write_json(tmp_path, 1, overwrite=True)


def test_a_folder_is_made_with_its_parents(tmp_path: Path) -> None:
    folder = prepare_output_folder(tmp_path / "a" / "b")
    assert folder == tmp_path / "a" / "b"
    assert folder.is_dir()
    assert prepare_output_folder(folder) == folder  # still empty


def test_an_occupied_folder_is_refused_and_never_emptied(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match="holds files already"):
        prepare_output_folder(tmp_path)
    prepare_output_folder(tmp_path, overwrite=True)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("")
    with pytest.raises(OutputError, match="found a file, wanted a folder"):
        prepare_output_folder(path)
    with pytest.raises(OutputError, match="cannot be made"):
        prepare_output_folder(path / "b")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_without_permission_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="permission denied"):
        prepare_output_folder(tmp_path)
