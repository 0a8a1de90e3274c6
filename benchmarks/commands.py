"""How long do the commands take that a user meets first?

    python benchmarks/commands.py [--repeats 5]

Each figure is the median, fastest and slowest of several whole processes: ``vidar-det --help``, and
``vidar-det demo`` (reading, counting, detection, scoring, the video) with warm kernel caches.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

VIDAR_DET = str(Path(sys.executable).with_name("vidar-det"))


def time_command(arguments: list[str], repeats: int) -> list[float]:
    """Seconds of each run, sorted."""
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        subprocess.run([VIDAR_DET, *arguments], check=True, capture_output=True)  # noqa: S603  # our own command
        seconds.append(time.perf_counter() - begin)
    return sorted(seconds)


def main() -> None:
    """Time both commands and print a line for each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory() as home:
        demo = ["demo", "--out", str(Path(home) / "demo"), "--overwrite"]
        time_command(demo, 1)
        for name, arguments in (("--help", ["--help"]), ("demo", demo)):
            seconds = time_command(arguments, repeats)
            spread = f"{seconds[0]:.2f} to {seconds[-1]:.2f}"
            print(f"vidar-det {name:8} {statistics.median(seconds):6.2f} s   ({spread})")


if __name__ == "__main__":
    main()
