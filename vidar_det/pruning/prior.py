"""Steps done come in; what Grad R's prior asks of the spines goes out."""

import math
from dataclasses import dataclass

from vidar_det.errors import ConfigError


@dataclass(frozen=True)
class Prior:
    """Laplace prior on the size of spines: what makes them vanish.

    Each step lowers every spine by ``alpha * lr / (1 - beta1^n)``. With the published alpha =
    1e-3 and p = 0.95 the mean mu is -2303, which no spine comes near: alpha and the sum of the
    learning rates set the sparsity, p does not. The published runs (CIFAR-10, 2048 epochs of 3125
    steps at 1e-4) lower every spine by 0.64 in all: to do so in fewer steps, alpha has to be
    ``0.64 / sum of rates``.

    To get a sparsity that you name, set ``reach``. The prior is still one common step of all
    spines beside Adam, but its length is found anew in each step:

    - as long as fewer are pruned than asked, it is alpha's;
    - it is longer where ``reach * (1 - (1 - n / reach_steps)^3)`` of them would not be pruned
      otherwise: so the share is reached in time. With alpha = 0 this alone is at work;
    - once the asked share is pruned it is held: the prior rests, or lifts the spines, as far as
      it takes. Which spines are pruned still changes.

    Attributes:
        alpha: scale; at ``eps`` of the optimiser or below, there is no prior.
        p: nominal sparsity, 0.5 or more and below 1; it sets mu alone.
        reach: asked share of zeros over all rewired weights, above 0 and below 1, or None.
        reach_steps: steps in which ``reach`` is reached, 1 or more; from then on it is held. None
            where nothing is to be reached.

    Raises:
        ConfigError: a setting lies outside its range.

    Example:
        >>> f"{Prior(alpha=1e-3, p=0.95).mean:.1f}"
        '-2302.6'
    """

    alpha: float = 1e-3
    p: float = 0.95
    reach: float | None = None
    reach_steps: int | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.alpha) and self.alpha >= 0):
            raise ConfigError(f"alpha: found {self.alpha}, wanted a finite number, 0 or more")
        if not 0.5 <= self.p < 1:
            raise ConfigError(f"p: found {self.p}, wanted 0.5 or more and below 1")
        if self.reach is not None and not 0 < self.reach < 1:
            raise ConfigError(f"reach: found {self.reach}, wanted above 0 and below 1")
        if self.reach is None and self.reach_steps is not None:
            raise ConfigError(f"reach_steps: found {self.reach_steps}, wanted None without reach")
        if self.reach is not None and (self.reach_steps is None or self.reach_steps < 1):
            raise ConfigError(f"reach_steps: found {self.reach_steps}, wanted 1 or more with reach")

    @property
    def mean(self) -> float:
        """Mu, ``ln(2 (1 - p)) / alpha``; minus infinity where alpha is 0 and p above 0.5."""
        logarithm = math.log(2 * (1 - self.p))
        if logarithm == 0:
            return 0.0
        return logarithm / self.alpha if self.alpha else -math.inf

    def share(self, steps: int) -> float:
        """Share of zeros that is due after ``steps``."""
        if self.reach is None or self.reach_steps is None:
            return 0.0
        left = max(0.0, 1 - steps / self.reach_steps)
        return self.reach * (1 - left**3)
