"""A recipe comes in; the spec of its network and the weights it starts from go out."""

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from vidar_det.detector.checkpoint import Checkpoint, read_checkpoint
from vidar_det.detector.network import build_detector
from vidar_det.detector.spec import DetectorSpec, size_spec
from vidar_det.detector.weights_file import find_weights
from vidar_det.errors import ConfigError
from vidar_det.training.recipe import RecipeSpec

STEM = "backbone.stem."
"""What sees the camera's counts; every other kernel sees spikes."""
SCORES = "head.scores."
READ_OUT = (".read.weight", ".read.bias")


def detector_spec(recipe: RecipeSpec, steps: int | None = None) -> DetectorSpec:
    """Return the spec of the network that a recipe trains, with S steps if given.

    Args:
        recipe: the settings.
        steps: S; None = that of the finished network.

    Returns:
        The spec: widths of the recipe's size, or of the weights it starts from.

    Raises:
        CheckpointError: those weights are missing or unreadable.
        ConfigError: the size is unknown.
    """
    model, encoding = recipe.model, recipe.model.encoding
    if steps is not None:
        encoding = replace(encoding, steps=steps)
    if not model.weights:
        return size_spec(model.size, model.classes, encoding, model.neuron)
    known = read_checkpoint(find_weights(model.weights)).spec
    neuron = model.neuron or known.neuron
    return replace(known, classes=model.classes, encoding=encoding, neuron=neuron)


def start_tensors(recipe: RecipeSpec) -> dict[str, Tensor] | None:
    """Read the weights that a recipe starts from.

    Returns:
        State of the recipe's network by name; None where the recipe starts from nothing.

    Raises:
        CheckpointError: the weights are missing or unreadable.
        ConfigError: they see other parts of a bin than the recipe's network.
    """
    if not recipe.model.weights:
        return None
    return fit_tensors(read_checkpoint(find_weights(recipe.model.weights)), detector_spec(recipe))


def fit_tensors(checkpoint: Checkpoint, spec: DetectorSpec) -> dict[str, Tensor]:
    """Make a checkpoint's weights fit another spec of the same widths.

    A neuron with another threshold counts the same membrane in other quanta, so the kernels behind
    it are rescaled: the network computes what it did, finer or coarser. Classes are matched by
    name; those that the checkpoint does not know are drawn from torch's global seed.

    Args:
        checkpoint: the weights.
        spec: with any neuron, steps and classes.

    Returns:
        State of a network of that spec by name.

    Raises:
        ConfigError: the two see a bin in different numbers of parts.
    """
    known, wanted = checkpoint.spec, spec.classes
    if known.encoding.parts != spec.encoding.parts:
        raise ConfigError(
            f"model.weights: see {known.encoding.parts} parts of a bin, the recipe's network "
            f"{spec.encoding.parts}; wanted the same"
        )
    finer = spec.neuron.quantum / known.neuron.quantum
    state: dict[str, Tensor] = dict(build_detector(spec).state_dict())
    for name, stored in checkpoint.tensors.items():
        is_kernel = stored.ndim == 4 and not name.startswith(STEM)
        tensor = stored * finer if is_kernel else stored
        if name.startswith(SCORES) and name.endswith(READ_OUT):
            tensor = _rows_by_class(tensor, known.classes, wanted, state[name])
        state[name] = tensor
    return state


def _rows_by_class(
    rows: Tensor, known: Sequence[str], wanted: Sequence[str], fresh: Tensor
) -> Tensor:
    """Sort a read-out's rows as the wanted classes stand; unknown ones stay fresh."""
    sorted_rows = fresh.clone()
    for index, name in enumerate(wanted):
        if name in known:
            sorted_rows[index] = rows[known.index(name)]
    return sorted_rows
