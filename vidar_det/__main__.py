"""``python -m vidar_det``, which ``torchrun -m vidar_det`` starts too, is the command line."""

from vidar_det.cli import main

if __name__ == "__main__":
    main()
