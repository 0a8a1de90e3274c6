"""Text, tables and pictures come in; report.md and one self-contained report.html go out.

The page needs nothing but itself: pictures and style lie inside, there is no script, and its own
policy forbids the browser to fetch anything. It may be mailed or kept beside the weights.
"""

import base64
import html
import itertools
import re
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from vidar_det.errors import ShapeError
from vidar_det.outputs import atomic_path

MARKDOWN_FILE = "report.md"
HTML_FILE = "report.html"

Cell = str | int | float | None
"""Integers get thousands separators, other numbers three decimals, None and NaN a dash."""


_FIGURE = re.compile(r"[-+±]?\d|—$")
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
{body}
</body>
</html>
"""


@dataclass(frozen=True)
class Table:
    """Figures side by side.

    Attributes:
        columns: their headings.
        rows: the cells, as many a row as there are columns.

    Raises:
        ShapeError: a row is longer or shorter than the headings.

    Example:
        >>> Table(("class", "AP50"), [("person", 0.51), ("cycle", None)]).columns
        ('class', 'AP50')
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ShapeError(f"table: found {len(row)} cells, wanted {len(self.columns)}")


@dataclass(frozen=True)
class Picture:
    """A picture and what it shows.

    Attributes:
        png: the bytes of a PNG file.
        caption: one or two sentences, plain text.
    """

    png: bytes
    caption: str


@dataclass(frozen=True)
class Section:
    """A part of a report; it shows its text, its table and its pictures, in this order.

    Attributes:
        heading: plain text.
        text: plain text; an empty line parts paragraphs.
        table: figures.
        pictures: any number.
    """

    heading: str
    text: str = ""
    table: Table | None = None
    pictures: Sequence[Picture] = ()


def write_report(
    folder: str | Path, title: str, sections: Sequence[Section], overwrite: bool = False
) -> None:
    """Write ``report.md``, its pictures (``report-01.png``, ...) and ``report.html``.

    Args:
        folder: existing folder.
        title: plain text.
        sections: in order.
        overwrite: replace files that exist.

    Raises:
        OutputError: a file exists and ``overwrite`` is False, or the disk is full or refuses. None
            of the files is written then.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as home:
        ...     write_report(home, "nano", [Section("Speed", "Fast.")])
        ...     print((Path(home) / "report.md").read_text())
        # nano
        <BLANKLINE>
        ## Speed
        <BLANKLINE>
        Fast.
        <BLANKLINE>
    """
    pictures = [picture for section in sections for picture in section.pictures]
    files = {_picture_name(number): picture.png for number, picture in enumerate(pictures, 1)}
    files[MARKDOWN_FILE] = _markdown(title, sections).encode()
    files[HTML_FILE] = _html(title, sections).encode()
    with ExitStack() as unfinished:
        for name, content in files.items():
            partial = unfinished.enter_context(atomic_path(Path(folder) / name, overwrite))
            partial.write_bytes(content)


def _picture_name(number: int) -> str:
    return f"report-{number:02}.png"


def _markdown(title: str, sections: Sequence[Section]) -> str:
    blocks = [f"# {_plain(title)}"]
    numbers = itertools.count(1)
    for section in sections:
        blocks += [f"## {_plain(section.heading)}", *map(_plain, _paragraphs(section.text))]
        if section.table:
            blocks.append(_markdown_table(section.table))
        for picture in section.pictures:
            caption = _plain(picture.caption)
            blocks.append(f"![{caption}]({_picture_name(next(numbers))})\n\n*{caption}*")
    return "\n\n".join(blocks) + "\n"


def _markdown_table(table: Table) -> str:
    rules = ["---:" if is_number else "---" for is_number in _number_columns(table)]
    rows = [[_plain(_cell(cell)) for cell in row] for row in (table.columns, *table.rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (rows[0], rules, *rows[1:]))


def _plain(text: str) -> str:
    """Say text in Markdown so that none of it is taken for markup; it stays on one line."""
    return re.sub(r"([\\`*|<>\[\]]|(?<!\w)_|_(?!\w))", r"\\\1", " ".join(text.split()))


def _html(title: str, sections: Sequence[Section]) -> str:
    entries = [
        f'<li><a href="#s{number}">{html.escape(section.heading)}</a></li>'
        for number, section in enumerate(sections, 1)
    ]
    body = [f"<h1>{html.escape(title)}</h1>", f"<nav><ol>{''.join(entries)}</ol></nav>"]
    for number, section in enumerate(sections, 1):
        body += [f'<section id="s{number}">', f"<h2>{html.escape(section.heading)}</h2>"]
        body += [f"<p>{html.escape(text)}</p>" for text in _paragraphs(section.text)]
        if section.table:
            body.append(_html_table(section.table))
        body += [_html_picture(picture) for picture in section.pictures]
        body.append("</section>")
    style = Path(__file__).with_name("report.css").read_text(encoding="utf-8")
    return _PAGE.format(title=html.escape(title), style=style, body="\n".join(body))


def _html_table(table: Table) -> str:
    numbers = _number_columns(table)

    def row(cells: Sequence[Cell], tag: str) -> str:
        return "".join(
            f"<{tag} class=number>{html.escape(_cell(cell))}</{tag}>"
            if is_number
            else f"<{tag}>{html.escape(_cell(cell)).replace('.', '.<wbr>')}</{tag}>"
            for cell, is_number in zip(cells, numbers, strict=True)
        )

    head = f"<thead><tr>{row(table.columns, 'th')}</tr></thead>"
    rows = "\n".join(f"<tr>{row(cells, 'td')}</tr>" for cells in table.rows)
    # a wide table scrolls by itself, also from the keyboard; the page never does
    return f'<div class="scroll" tabindex="0"><table>{head}<tbody>\n{rows}</tbody></table></div>'


def _html_picture(picture: Picture) -> str:
    caption = html.escape(picture.caption)
    data = base64.b64encode(picture.png).decode()
    image = f'<img alt="{caption}" src="data:image/png;base64,{data}">'
    return f"<figure>{image}<figcaption>{caption}</figcaption></figure>"


def _paragraphs(text: str) -> list[str]:
    return [" ".join(part.split()) for part in re.split(r"\n\s*\n", text) if part.strip()]


def _cell(cell: Cell) -> str:
    if cell is None or cell != cell:  # NaN
        return "—"
    if isinstance(cell, float):
        return f"{cell:.3f}"
    return f"{cell:,}" if isinstance(cell, int) else cell


def _number_columns(table: Table) -> list[bool]:
    """Say which columns hold figures: they stand to the right."""
    columns = [[row[index] for row in table.rows] for index in range(len(table.columns))]
    return [
        bool(cells) and all(not isinstance(cell, str) or _FIGURE.match(cell) for cell in cells)
        for cells in columns
    ]
