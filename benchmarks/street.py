"""A size comes in; a recording of a simulated street, as the Vidar camera sees it, goes out."""

import subprocess
import sys
from pathlib import Path

STREET_PLANES = 4000


def make_street(path: Path, size_bytes: int) -> None:
    """Simulate a street of 400x250 pixels, and repeat it up to a size."""
    street = path.with_name("street.dat")
    command = [sys.executable, "-m", "vidar_det", "simulate", "street", "-o", str(street)]
    command += ["--planes", str(STREET_PLANES)]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - our own command
    block = street.read_bytes()
    with path.open("wb") as file:
        while file.tell() < size_bytes:
            file.write(block)
    path.with_suffix(".toml").write_bytes(street.with_suffix(".toml").read_bytes())
