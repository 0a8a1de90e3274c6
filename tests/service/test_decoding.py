import gzip
import os
import zlib

import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from service.decoding import FRAME_BYTES, MOST_FRAMES, PIECE_BYTES, build_decoder
from service.problems import Problem

PACK = {"gzip": gzip.compress, "zstd": zstd.compress}


def decode(coding: str, body: bytes, step: int = 1 << 20) -> bytes:
    decoder = build_decoder(coding)
    found = [
        piece
        for start in range(0, len(body), step)
        for piece in decoder.feed(body[start : start + step])
    ]
    decoder.finish()
    assert all(len(piece) <= PIECE_BYTES for piece in found)
    return b"".join(found)


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
@given(parts=st.lists(st.binary(max_size=300), min_size=1, max_size=4), step=st.integers(1, 400))
def test_frames_end_to_end_come_back_however_they_are_cut(
    coding: str, parts: list[bytes], step: int
) -> None:
    body = b"".join(PACK[coding](part) for part in parts)
    assert decode(coding, body, step) == b"".join(parts)


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
@pytest.mark.parametrize("size", [PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES])
@pytest.mark.parametrize("fill", [os.urandom, bytes])
def test_large_frames_come_in_bounded_pieces(coding: str, size: int, fill: type[bytes]) -> None:
    content = fill(size)
    assert decode(coding, PACK[coding](content)) == content


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
@pytest.mark.parametrize("cut", [1, 5, -1])
def test_a_body_that_stops_in_the_middle_is_refused(coding: str, cut: int) -> None:
    body = PACK[coding](b"planes" * 100)[:cut]
    with pytest.raises(Problem, match="stops before") as caught:
        decode(coding, body)
    assert caught.value.status == 400


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
@pytest.mark.parametrize("body", [b"planes" * 9, b""])
def test_a_body_of_no_such_coding_is_refused(coding: str, body: bytes) -> None:
    with pytest.raises(Problem) as caught:
        decode(coding, body)
    assert caught.value.status == 400


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_something_after_the_last_frame_is_refused(coding: str) -> None:
    with pytest.raises(Problem):
        decode(coding, PACK[coding](b"planes") + b"something else")


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_many_frames_with_next_to_nothing_in_them_are_refused(coding: str) -> None:
    for content in (b"", b"x"):
        frame = PACK[coding](content)
        assert decode(coding, frame * MOST_FRAMES) == content * MOST_FRAMES
        with pytest.raises(Problem, match="next to nothing") as caught:
            decode(coding, frame * (MOST_FRAMES + 1))
        assert caught.value.status == 400


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_many_frames_with_something_in_them_are_read(
    coding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.decoding.MOST_FRAMES", 10)
    content = bytes(FRAME_BYTES)
    assert decode(coding, PACK[coding](content) * 99) == content * 99


def test_frames_that_are_to_be_skipped_are_skipped() -> None:
    skipped = b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd"
    assert decode("zstd", skipped + zstd.compress(b"planes") + skipped) == b"planes"


def test_a_broken_checksum_is_refused() -> None:
    body = bytearray(gzip.compress(b"planes"))
    body[-8] ^= 1
    with pytest.raises(Problem, match="no gzip"):
        decode("gzip", bytes(body))


def test_zlib_without_its_gzip_frame_is_refused() -> None:
    with pytest.raises(Problem):
        decode("gzip", zlib.compress(b"planes"))


def test_a_zstd_window_beyond_8_mib_is_refused() -> None:
    options = {zstd.CompressionParameter.window_log: 24}
    packer = zstd.ZstdCompressor(options=options)
    body = packer.compress(bytes(1 << 20)) + packer.flush()
    with pytest.raises(Problem, match="too much memory"):
        decode("zstd", body)


def test_an_identity_body_stays_as_it_is() -> None:
    assert decode("", b"planes") == decode("identity", b"planes") == b"planes"
    assert decode("identity", b"") == b""


@pytest.mark.parametrize("coding", ["br", "deflate", "gzip, zstd", "x" * 999])
def test_another_coding_is_refused_with_those_that_are_known(coding: str) -> None:
    with pytest.raises(Problem, match="identity, gzip, zstd") as caught:
        build_decoder(coding)
    assert (caught.value.status, len(caught.value.detail) < 200) == (415, True)
