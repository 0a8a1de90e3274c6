import base64
import errno
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from vidar_det.errors import OutputError, ShapeError
from vidar_det.evaluation.report import Picture, Section, Table, write_report

VOID = {"meta", "img", "wbr"}


def png(shade: int) -> bytes:
    return cv2.imencode(".png", np.full((3, 4), shade, np.uint8))[1].tobytes()


class Page(HTMLParser):
    """What a browser would find on a page; tags must close in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        for tag in self.open:
            self.texts[tag][-1] += data

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]


def written(folder: Path, *sections: Section, title: str = "nano") -> tuple[str, Page]:
    write_report(folder, title, sections)
    page = (folder / "report.html").read_text(encoding="utf-8")
    return (folder / "report.md").read_text(encoding="utf-8"), Page(page)


def test_sections_follow_in_order_and_each_has_its_link(tmp_path: Path) -> None:
    text = "First  line\nsame paragraph.\n\nSecond paragraph."
    markdown, page = written(tmp_path, Section("Accuracy", text), Section("Cost"))
    assert markdown == (
        "# nano\n\n## Accuracy\n\nFirst line same paragraph.\n\nSecond paragraph.\n\n## Cost\n"
    )
    assert page.texts["h1"] == page.texts["title"] == ["nano"]
    assert page.texts["h2"] == ["Accuracy", "Cost"]
    assert page.texts["p"] == ["First line same paragraph.", "Second paragraph."]
    targets = [f"#{attributes['id']}" for attributes in page.all("section")]
    assert [attributes["href"] for attributes in page.all("a")] == targets
    assert page.texts["a"] == ["Accuracy", "Cost"]


def test_figures_stand_to_the_right_and_are_written_one_way(tmp_path: Path) -> None:
    rows = [("person", 1234567, 0.12345, "12.5 ms"), ("cycle", 0, math.nan, None)]
    table = Table(("class", "objects", "AP50", "time"), rows)
    markdown, page = written(tmp_path, Section("Accuracy", table=table))
    assert markdown.splitlines()[4:] == [
        "| class | objects | AP50 | time |",
        "| --- | ---: | ---: | ---: |",
        "| person | 1,234,567 | 0.123 | 12.5 ms |",
        "| cycle | 0 | — | — |",
    ]
    assert page.texts["th"] == ["class", "objects", "AP50", "time"]
    expected = ["person", "1,234,567", "0.123", "12.5 ms", "cycle", "0", "—", "—"]
    assert page.texts["td"] == expected
    assert [a.get("class") for a in page.all("td")] == [None, *["number"] * 3] * 2


def test_a_table_without_rows_keeps_its_headings(tmp_path: Path) -> None:
    markdown, page = written(tmp_path, Section("Misses", table=Table(("scene", "score"), [])))
    assert markdown.endswith("| scene | score |\n| --- | --- |\n")
    assert page.texts["th"] == ["scene", "score"]
    assert "td" not in page.texts


def test_pictures_lie_beside_the_markdown_and_inside_the_page(tmp_path: Path) -> None:
    pictures = [Picture(png(shade), f"shade {shade}") for shade in (0, 100, 200)]
    sections = (Section("Curves", pictures=pictures[:2]), Section("Misses", pictures=pictures[2:]))
    markdown, page = written(tmp_path, *sections)
    shown = re.findall(r"!\[(.*)\]\((.*)\)", markdown)
    assert shown == [(f"shade {n}", f"report-0{i}.png") for i, n in enumerate((0, 100, 200), 1)]
    images = page.all("img")
    for picture, (_, name), image in zip(pictures, shown, images, strict=True):
        assert (tmp_path / name).read_bytes() == picture.png
        source = str(image["src"])
        assert base64.b64decode(source.removeprefix("data:image/png;base64,")) == picture.png
        assert image["alt"] == picture.caption
    assert page.texts["figcaption"] == ["shade 0", "shade 100", "shade 200"]


def test_the_page_needs_nothing_from_outside(tmp_path: Path) -> None:
    _, page = written(tmp_path, Section("Curves", pictures=[Picture(png(9), "grey")]))
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.tags}
    for _, attributes in page.tags:
        assert not any(name.startswith("on") for name in attributes)
        assert str(attributes.get("src", "data:")).startswith("data:")
        assert str(attributes.get("href", "#")).startswith("#")
    style = "".join(page.texts["style"])
    assert "url(" not in style
    assert "@import" not in style
    assert "prefers-color-scheme: dark" in style
    policies = [a["content"] for a in page.all("meta") if "http-equiv" in a]
    assert [str(policy).startswith("default-src 'none'") for policy in policies] == [True]


def test_text_is_never_taken_for_markup(tmp_path: Path) -> None:
    evil = "<script>alert('&amp;')</script> | `a` *b* _c_ [d](e) mAP_small \\ {style} \"quoted\""
    picture = Picture(png(9), evil)
    section = Section(evil, evil, Table((evil,), [(evil,)]), [picture])
    markdown, page = written(tmp_path, section, title=evil)
    for tag in ("title", "h1", "h2", "p", "th", "td", "figcaption", "a"):
        assert page.texts[tag] == [evil], tag
    assert page.all("img")[0]["alt"] == evil
    assert page.all("script") == []
    escaped = (
        r"\<script\>alert('&amp;')\</script\> \| \`a\` \*b\* \_c\_ \[d\](e) mAP_small \\ "
        '{style} "quoted"'
    )
    assert markdown.startswith(f"# {escaped}\n")
    assert f"| {escaped} |\n| --- |\n| {escaped} |\n" in markdown


def test_an_existing_file_is_kept_and_nothing_is_written_beside_it(tmp_path: Path) -> None:
    (tmp_path / "report.md").write_text("kept")
    sections = [Section("Curves", pictures=[Picture(png(9), "grey")])]
    with pytest.raises(OutputError, match=r"report\.md: exists already"):
        write_report(tmp_path, "nano", sections)
    assert [path.name for path in tmp_path.iterdir()] == ["report.md"]
    assert (tmp_path / "report.md").read_text() == "kept"
    write_report(tmp_path, "nano", sections, overwrite=True)
    names = ["report-01.png", "report.html", "report.md"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Path.write_bytes

    def write_until_full(path: Path, content: bytes) -> int:
        if path.suffix == ".html":
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", write_until_full)
    with pytest.raises(OutputError, match=r"report\.html: cannot be written: No space"):
        write_report(tmp_path, "nano", [Section("Curves", pictures=[Picture(png(9), "grey")])])
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        write_report(tmp_path / "missing", "nano", [])


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ShapeError, match="found 1 cells, wanted 2"):
        Table(("class", "AP"), [("person", 0.5), ("cycle",)])
