"""Windows and their numbers come in, batches that other processes simulated go out."""

import os
from collections.abc import Iterable, Iterator

import torch
from torch.utils.data import DataLoader

from vidar_det.training.simulation import Batch, SimulatedWindows, collate

PREFETCHED = 4
"""Batches that each worker makes ahead."""


def load_batches(
    windows: SimulatedWindows, numbers: Iterable[range], workers: int, pin: bool = False
) -> Iterator[Batch]:
    """Simulate batches in the order they are wanted.

    Args:
        windows: windows by index.
        numbers: the windows of each batch.
        workers: processes that simulate; 0 simulates in this one. They are spawned: a fork of a
            process that computes with threads may hang.
        pin: lay the counts in page-locked memory, from where a GPU fetches them while it computes.

    Yields:
        One batch per entry of ``numbers``.
    """
    loader = DataLoader(
        windows,
        batch_sampler=[list(batch) for batch in numbers],
        num_workers=workers,
        collate_fn=collate,
        prefetch_factor=PREFETCHED if workers else None,
        multiprocessing_context="spawn" if workers else None,
        worker_init_fn=_quieten,
        pin_memory=pin,
    )
    yield from loader


def _quieten(_: int) -> None:
    """Keep a worker to one thread."""
    import cv2

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    os.environ["NUMBA_NUM_THREADS"] = "1"
