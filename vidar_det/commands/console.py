"""Messages and tables for a person come in; stderr shows them, stdout stays clean."""

from collections.abc import Sequence
from typing import Literal

from rich.console import Console
from rich.table import Table

console = Console(stderr=True, highlight=False)


def show_error(message: str) -> None:
    """Say why a command failed, on one line."""
    line = " ".join(message.split())
    console.print(f"error: {line}", style="red", markup=False, soft_wrap=True)


def show_note(message: str) -> None:
    """Say something beside the result."""
    console.print(message, markup=False, soft_wrap=True)


def show_warnings(warnings: Sequence[str]) -> None:
    """Say what the user should know about the result."""
    for warning in warnings:
        console.print(f"warning: {warning}", style="yellow", markup=False, soft_wrap=True)


def show_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; columns after the first are figures where their header says so with a ``>``.

    Example:
        >>> show_table("found", ["class", ">objects"], [["person", "3"]])
    """
    table = Table(title=title, title_justify="left", show_header=any(header))
    for name in header:
        justify: Literal["left", "right"] = "right" if name[:1] == ">" else "left"
        table.add_column(name.removeprefix(">"), justify=justify, overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print(table)
