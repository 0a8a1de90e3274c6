import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.multipart import ClipPart
from service.problems import Problem

TYPE = "multipart/form-data; boundary=xyz"


def form(*parts: tuple[str, bytes]) -> bytes:
    bodies = b"".join(
        b'--xyz\r\nContent-Disposition: form-data; name="%s"; filename="a"\r\n'
        b"Content-Type: application/octet-stream\r\n\r\n%s\r\n" % (name.encode(), content)
        for name, content in parts
    )
    return bodies + b"--xyz--\r\n"


def read(body: bytes, step: int = 1 << 20) -> bytes:
    part = ClipPart(TYPE)
    found = [
        piece
        for start in range(0, len(body), step)
        for piece in part.feed(body[start : start + step])
    ]
    part.finish()
    return b"".join(found)


@given(
    content=st.binary(max_size=200) | st.sampled_from([b"\r\n--xy", b"--xyz", b"\r\n\r\n"]),
    step=st.integers(1, 60),
)
def test_the_clip_comes_back_however_the_form_is_cut(content: bytes, step: int) -> None:
    if b"\r\n--xyz" in b"\r\n" + content:
        return
    assert read(form(("clip", content)), step) == content


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"", 400, "stops before"),
        (form(("clip", b"x"))[:-9], 400, "stops before"),
        (b"nothing like it", 400, "no multipart"),
        (b"--xyz--\r\n", 422, "no part"),
        (form(("video", b"x")), 422, "'video'"),
        (form(("clip", b"x"), ("clip", b"y")), 422, "second"),
        (form(("clip", b"x"), ("conf", b"0.1")), 422, "'conf'"),
        (b"--xyz\r\nA: b\r\n\r\nx\r\n--xyz--\r\n", 422, "''"),
        (b"--xyz\r\n" + b"A: b\r\n" * 99 + b"\r\nx\r\n--xyz--\r\n", 400, "no multipart"),
        (b"--xyz\r\nA: " + b"b" * 9999 + b"\r\n\r\nx\r\n--xyz--\r\n", 400, "no multipart"),
    ],
)
def test_a_form_that_does_not_fit_is_refused(body: bytes, status: int, words: str) -> None:
    with pytest.raises(Problem, match=words) as caught:
        read(body)
    assert caught.value.status == status


@pytest.mark.parametrize("kind", ["", "boundary=", "boundary=" + "x" * 71])
def test_a_form_without_a_boundary_of_its_size_is_refused(kind: str) -> None:
    with pytest.raises(Problem, match="boundary"):
        ClipPart(f"multipart/form-data; {kind}")
