"""A plain loop comes in, machine code goes out, kept on disk wherever the disk can be written."""

from collections.abc import Callable
from typing import TypeVar

import numba

Kernel = TypeVar("Kernel", bound=Callable[..., None])


def compiled(kernel: Kernel) -> Kernel:
    """Compile a loop with Numba at its first call, and keep the machine code on disk.

    Numba keeps it in ``NUMBA_CACHE_DIR``, else beside the module, else in the user's cache folder.
    Where none of them can be written (a read-only container without a home), Numba refuses at
    import time; the kernel is then compiled afresh in each process instead.

    Args:
        kernel: a function of arrays and numbers that writes its result into its arguments.

    Returns:
        The same function, compiled for the types of each first call.
    """
    try:
        built: Kernel = numba.njit(kernel, cache=True, nogil=True, error_model="numpy")
    except RuntimeError:  # "cannot cache function: no locator available"
        built = numba.njit(kernel, nogil=True, error_model="numpy")
    return built
