"""Wishes and a clock come in; when pictures are due, and the plane under the head, go out."""

from dataclasses import dataclass, replace

LATE_S = 0.05
"""A picture that is late by no more than this is still shown, a little later: a page has room for
it. What is later is left out."""


@dataclass
class Pace:
    """When pictures are due, evenly, by a steady clock.

    Attributes:
        due: when the next one is.

    Example:
        >>> pace = Pace(due=5.0)
        >>> [pace.take(now, fps=50.0) for now in (5.0, 5.01, 5.03)]
        [5.0, None, 5.02]
    """

    due: float

    def take(self, now: float, fps: float) -> float | None:
        """Give the moment that is due, if one is."""
        if now < self.due:
            return None
        taken = max(self.due, now - LATE_S)
        self.due = taken + 1 / fps
        return taken


@dataclass(frozen=True)
class Player:
    """A play head that runs through a recording at a fixed speed.

    Where it stands is computed from when it started: a picture that comes late is left out, and
    never delays those after it.

    Attributes:
        planes: of the recording.
        planes_per_s: how fast the head runs by the wall clock; 0 stands still.
        plane: where it started.
        since: when, in seconds of a steady clock.
        loop: first plane and one past the last, run through again and again.

    Example:
        >>> player = Player(planes=1000, planes_per_s=60.0, plane=10, since=5.0)
        >>> player.at(6.0), player.at(99.0), player.has_ended(99.0)
        (70, 999, True)
        >>> Player(1000, 60.0, 10, 5.0, loop=(0, 20)).at(6.0)
        10
    """

    planes: int
    planes_per_s: float = 0.0
    plane: int = 0
    since: float = 0.0
    loop: tuple[int, int] | None = None

    def at(self, now: float) -> int:
        """Tell the plane under the head."""
        run = self.plane + int(max(0.0, now - self.since) * self.planes_per_s + 1e-6)
        first, last = self.span
        if self.loop is not None and run >= last and self.planes_per_s:
            run = first + (run - first) % (last - first)
        return min(max(run, 0), self.planes - 1)

    def has_ended(self, now: float) -> bool:
        """Whether the head ran into the end of the recording, and stopped there."""
        return self.loop is None and self.planes_per_s > 0 and self.at(now) == self.planes - 1

    def grown(self, planes: int, now: float) -> "Player":
        """Go on in a recording of another length."""
        return replace(self, planes=planes, plane=min(self.at(now), planes - 1), since=now)

    @property
    def span(self) -> tuple[int, int]:
        """First plane and one past the last that the head runs through."""
        if self.loop is None:
            return 0, self.planes
        first = min(self.loop[0], self.planes - 1)
        return first, max(first + 1, min(self.loop[1], self.planes))
