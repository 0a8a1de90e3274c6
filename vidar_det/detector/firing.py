"""Currents come in, spike counts go out and gradients go back: the inner loops of ``neurons``.

Training on a CPU is bound by memory, and a neuron written as tensor operations walks the maps a
dozen times. These loops read each number once and write each result once. They compute in float32
in the order of the tensor form, so in float32 both agree bit for bit; bfloat16 maps (as ``uint16``
bit patterns) are rounded once, when they are stored.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload
from numpy.typing import NDArray

from vidar_det.compilation import compiled

Map = NDArray[np.float32] | NDArray[np.uint16]

BLOCK = 1024
"""Numbers treated together: their membranes stay in the first-level cache."""
_ZERO = np.float32(0.0)
_ONE = np.float32(1.0)


@compiled
def fire(
    currents: Map, fired: Map, inside: NDArray[np.bool_], neuron: tuple[np.float32, ...]
) -> None:
    """Run a neuron over its steps.

    Args:
        currents: ``(S, N)`` input, float32 or bfloat16 bits.
        fired: ``(S, N)`` like ``currents``, written: spike counts.
        inside: ``(S, N)``, written: where the gradient passes.
        neuron: levels D, decay and threshold.
    """
    levels, decay, v_threshold = neuron
    membrane = np.empty(BLOCK, np.float32)
    for start in range(0, currents.shape[1], BLOCK):
        size = min(BLOCK, currents.shape[1] - start)
        membrane[:] = _ZERO
        for step in range(currents.shape[0]):
            here = currents[step, start : start + size]
            counts, passes = fired[step, start : start + size], inside[step, start : start + size]
            for place in range(size):
                charged = decay * membrane[place] + load(here, place)
                scaled = charged / v_threshold
                clipped = _ZERO if scaled < _ZERO else scaled  # a NaN stays one
                clipped = levels if clipped > levels else clipped
                count = np.rint(clipped)
                membrane[place] = charged - count * v_threshold
                passes[place] = clipped == scaled
                store(counts, place, count)


@compiled
def send_back(
    grad_fired: Map, inside: NDArray[np.bool_], grad_currents: Map, neuron: tuple[np.float32, ...]
) -> None:
    """Send the gradient back through the steps, straight through the rounding.

    Args:
        grad_fired: ``(S, N)`` gradient of the counts, float32 or bfloat16 bits.
        inside: ``(S, N)`` as ``fire`` wrote it.
        grad_currents: ``(S, N)`` like ``grad_fired``, written.
        neuron: levels D, decay and threshold.
    """
    _, decay, v_threshold = neuron
    grad_membrane = np.empty(BLOCK, np.float32)
    for start in range(0, grad_fired.shape[1], BLOCK):
        size = min(BLOCK, grad_fired.shape[1] - start)
        grad_membrane[:] = _ZERO
        for step in range(grad_fired.shape[0] - 1, -1, -1):
            here = grad_fired[step, start : start + size]
            passes = inside[step, start : start + size]
            out = grad_currents[step, start : start + size]
            for place in range(size):
                later = grad_membrane[place]
                # c feeds the output and, through v = h - c * v_threshold, the next step
                flowing = load(here, place) - v_threshold * later
                passed = _ONE if passes[place] else _ZERO
                gradient = flowing / v_threshold * passed + later
                grad_membrane[place] = decay * gradient
                store(out, place, gradient)


def load(values: Any, place: int) -> np.float32:
    """Read a number; only within compiled loops."""
    raise NotImplementedError


def store(values: Any, place: int, value: np.float32) -> None:
    """Write a number; only within compiled loops."""
    raise NotImplementedError


def _load(values, place):  # type: ignore[no-untyped-def]  # Numba compares bare signatures
    if values.dtype == types.float32:
        return lambda values, place: values[place]
    return lambda values, place: _float_of(np.uint32(values[place]) << np.uint32(16))


def _store(values, place, value):  # type: ignore[no-untyped-def]
    def store_float(values, place, value):  # type: ignore[no-untyped-def]
        values[place] = value

    def store_rounded(values, place, value):  # type: ignore[no-untyped-def]
        bits = _bits_of(value)
        to_even = np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
        values[place] = np.uint16((bits + to_even) >> np.uint32(16))

    return store_float if values.dtype == types.float32 else store_rounded


def _bitcast(to: Any, of: Any, kind: ir.Type) -> Any:
    def build(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], kind)

    return to(of), build


overload(load, inline="always")(_load)
overload(store, inline="always")(_store)
_float_of: Any = intrinsic(
    lambda _context, bits: _bitcast(types.float32, types.uint32, ir.FloatType())
)
_bits_of: Any = intrinsic(
    lambda _context, value: _bitcast(types.uint32, types.float32, ir.IntType(32))
)
