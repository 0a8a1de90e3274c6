import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from vidar_det.errors import FormatError, GeometryError, ShapeError, VidarError
from vidar_det.spikes.arrays import find_member, is_array_file
from vidar_det.spikes.recording import open_recording
from vidar_det.spikes.stream import SpikeStream

T, H, W = 21, 5, 13


@pytest.fixture
def planes() -> np.ndarray:
    return np.random.default_rng(6).integers(0, 2, (T, H, W), dtype=np.uint8)


def check(stream: SpikeStream, planes: np.ndarray) -> None:
    assert stream.shape == planes.shape
    assert stream.flip == "none"
    assert np.array_equal(stream[:], planes)
    assert np.array_equal(stream.counts(1, 21, 5), planes[1:21].reshape(5, 4, H, W).sum(axis=1))
    assert [window.start for window in stream.windows(length=10)] == [0, 10]
    assert np.array_equal(stream[3:9], planes[3:9])


Arrange = Callable[[np.ndarray], np.ndarray]
ARRANGEMENTS: dict[str, Arrange] = {
    "array-thw": lambda planes: planes,
    "array-hwt": lambda planes: np.ascontiguousarray(planes.transpose(1, 2, 0)),
    "row-packed": lambda planes: np.packbits(planes, axis=2, bitorder="little"),
    "time-packed": lambda planes: np.packbits(planes, axis=0, bitorder="little"),
}


@pytest.mark.parametrize("layout", ARRANGEMENTS)
@pytest.mark.parametrize("container", ["npy", "npz", "compressed", "fortran", "fortran-compressed"])
def test_every_array_layout_reads_from_every_container(
    tmp_path: Path, planes: np.ndarray, layout: str, container: str
) -> None:
    stored = ARRANGEMENTS[layout](planes)
    if container.startswith("fortran"):
        stored = np.asfortranarray(stored)
    path = tmp_path / ("clip.npz" if "z" in container or "comp" in container else "clip.npy")
    extra = {"length": np.int64(T)} if layout == "time-packed" else {}
    if path.suffix == ".npy":
        np.save(path, stored)
        planes = np.concatenate([planes, np.zeros((3 * bool(extra), H, W), np.uint8)])
    elif "comp" in container:
        np.savez_compressed(path, seq=stored, **extra)
    else:
        np.savez(path, seq=stored, **extra)
    check(open_recording(path, layout=layout, width=W, height=H), planes)


def test_one_bit_of_a_time_packed_byte_is_one_plane(tmp_path: Path) -> None:
    seq = np.zeros((2, H, W), np.uint8)
    seq[1, 2, 4] = 1 << 3
    np.savez(tmp_path / "clip.npz", seq=seq, length=13)
    stream = open_recording(tmp_path / "clip.npz")
    assert stream.layout == "time-packed"
    assert np.argwhere(stream[:]).tolist() == [[11, 2, 4]]


def test_labels_beside_the_recording_do_not_disturb(tmp_path: Path, planes: np.ndarray) -> None:
    names = np.array(["cat"], dtype=object)
    np.savez(tmp_path / "a.npz", spk=planes.astype(bool), label=np.int64(3), label_name=names)
    check(open_recording(tmp_path / "a.npz", layout="array-thw"), planes)


def test_bool_and_unpacked_arrays_keep_their_sidecar_flip(
    tmp_path: Path, planes: np.ndarray
) -> None:
    np.save(tmp_path / "a.npy", planes.astype(bool))
    (tmp_path / "a.toml").write_text('layout = "array-thw"\nflip = "ud"\nrate_hz = 40000\n')
    stream = open_recording(tmp_path / "a.npy")
    assert np.array_equal(stream[:], planes[:, ::-1])
    assert stream.sensor.rate_hz == 40_000.0


def test_a_bare_packed_array_needs_its_layout(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.full((4, 250, 400), 170, np.uint8))
    with pytest.raises(GeometryError, match=r"time-packed.*row-packed"):
        open_recording(tmp_path / "a.npy")
    assert open_recording(tmp_path / "a.npy", layout="time-packed").shape == (32, 250, 400)
    assert open_recording(tmp_path / "a.npy", layout="row-packed").shape == (4, 250, 3200)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((4, 5, 6), np.float32),
        np.zeros((4, 5), np.uint8),
        np.zeros((4, 0, 6), np.uint8),
        np.zeros((4, 5, 6), np.int64),
    ],
)
def test_other_shapes_and_dtypes_are_refused(tmp_path: Path, wrong: np.ndarray) -> None:
    np.save(tmp_path / "a.npy", wrong)
    with pytest.raises(ShapeError, match="wanted three axes of uint8 or bool"):
        open_recording(tmp_path / "a.npy", layout="array-thw")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_values_beside_0_and_1_are_refused(
    tmp_path: Path, planes: np.ndarray, save: Callable[..., None]
) -> None:
    planes[-1, -1, -1] = 2
    save(tmp_path / "a.npz", planes)
    with pytest.raises(FormatError, match="found the value 2"):
        open_recording(tmp_path / "a.npz", layout="array-thw")[:]


def test_several_recordings_in_one_file_are_refused(tmp_path: Path, planes: np.ndarray) -> None:
    np.savez(tmp_path / "a.npz", left=planes, right=planes)
    with pytest.raises(FormatError, match=r"left.*right"):
        open_recording(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", left=planes[0])
    with pytest.raises(FormatError, match="wanted one of three axes"):
        open_recording(tmp_path / "b.npz")


@pytest.mark.parametrize("length", [0, -4, 2.5, [1, 2]])
def test_an_impossible_length_is_refused(tmp_path: Path, length: object) -> None:
    np.savez(tmp_path / "a.npz", seq=np.zeros((2, 3, 4), np.uint8), length=length)
    with pytest.raises(FormatError, match="length"):
        open_recording(tmp_path / "a.npz")


@pytest.mark.parametrize("name", ["a.npy", "stored.npz", "deflated.npz"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_a_cut_file_is_refused(tmp_path: Path, name: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 2, (40, 50, 60), dtype=np.uint8)
    path = tmp_path / name
    if name == "a.npy":
        np.save(path, noise)
    elif name == "stored.npz":
        np.savez(path, noise)
    else:
        np.savez_compressed(path, noise)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(VidarError, match=name):
        open_recording(path, layout="array-thw")[:]


@pytest.mark.parametrize(
    ("shape", "kind"),
    [
        ("(True, 2, 2)", ShapeError),
        ("(-1, 2, 2)", ShapeError),
        ("(60, 2, 2", FormatError),
        ("(60, 2, 9**9**9)", FormatError),
        ("(1000000000000, 2, 2)", FormatError),
    ],
)
def test_a_header_of_nonsense_is_refused(tmp_path: Path, shape: str, kind: type[Exception]) -> None:
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(240)
    (tmp_path / "odd.npy").write_bytes(content)
    with pytest.raises(kind):
        open_recording(tmp_path / "odd.npy")


@pytest.mark.parametrize("version", [1, 2, 3])
def test_every_version_of_the_header_is_read(
    tmp_path: Path, planes: np.ndarray, version: int
) -> None:
    with (tmp_path / "a.npy").open("wb") as file:
        np.lib.format.write_array(file, planes, version=(version, 0))
    check(open_recording(tmp_path / "a.npy", layout="array-thw"), planes)


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (b"\x02\x00\x01\x00\x01\x00", "a header of 65537 bytes, wanted at most 65536"),
        (b"\x03\x00\xff\xff\xff\xff", "a header of 4294967295 bytes, wanted at most 65536"),
        (b"\x04\x00\x10\x00\x00\x00", "wanted 1.0, 2.0 or 3.0"),
    ],
)
def test_a_header_too_long_or_of_an_unknown_version_is_refused(
    tmp_path: Path, start: bytes, words: str
) -> None:
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY" + start + b" " * 100_000)
    with pytest.raises(FormatError, match=rf"a\.npy: .*{words}"):
        open_recording(tmp_path / "a.npy")


def test_a_length_of_many_values_is_not_unpacked(tmp_path: Path) -> None:
    header = io.BytesIO()
    wanted = {"descr": "<i8", "fortran_order": False, "shape": (1 << 60,)}
    np.lib.format.write_array_header_1_0(header, wanted)
    np.savez(tmp_path / "a.npz", seq=np.zeros((2, 3, 4), np.uint8))
    with zipfile.ZipFile(tmp_path / "a.npz", "a") as archive:
        archive.writestr("length.npy", header.getvalue())
    with pytest.raises(FormatError, match=r"length.*wanted the count of planes"):
        open_recording(tmp_path / "a.npz")


def test_a_damaged_compressed_member_is_refused(tmp_path: Path, planes: np.ndarray) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, planes)
    data = bytearray(buffer.getvalue())
    data[len(data) // 3] ^= 0xFF
    (tmp_path / "a.npz").write_bytes(data)
    with pytest.raises(FormatError, match=r"a\.npz"):
        open_recording(tmp_path / "a.npz", layout="array-thw")


def test_array_files_are_known_by_their_bytes(tmp_path: Path, planes: np.ndarray) -> None:
    (tmp_path / "fake.npz").write_bytes(b"not a zip at all")
    with pytest.raises(FormatError, match="wanted npy or npz"):
        is_array_file(tmp_path / "fake.npz")
    (tmp_path / "clip.dat").write_bytes(bytes(100))
    assert not is_array_file(tmp_path / "clip.dat")
    np.save(tmp_path / "a.npy", planes)
    assert is_array_file(tmp_path / "a.npy")


def test_an_uncompressed_member_is_mapped_and_a_compressed_one_is_not(
    tmp_path: Path, planes: np.ndarray
) -> None:
    np.savez(tmp_path / "stored.npz", planes)
    np.savez_compressed(tmp_path / "deflated.npz", planes)
    member = find_member(tmp_path / "stored.npz")
    assert np.array_equal(member.map()[0], planes)
    assert find_member(tmp_path / "deflated.npz").offset is None
    with zipfile.ZipFile(tmp_path / "stored.npz") as archive:
        assert archive.getinfo("arr_0.npy").compress_type == zipfile.ZIP_STORED
