"""A plan comes in; a table and a picture that a person can read go out."""

from pathlib import Path

from matplotlib.figure import Figure

from vidar_det.outputs import atomic_path
from vidar_det.pruning.groups import Family
from vidar_det.pruning.plan import PruningPlan

DENSE, KEPT = "#d5d8dc", "#1f6f8b"


def plan_rows(plan: PruningPlan) -> list[list[str]]:
    """Return a row for each family: its layers, channels before and after, and their share."""
    return [
        [
            " + ".join(_short(name) for name in family.layers),
            str(len(family.groups)),
            str(plan.width(family)),
            f"{plan.width(family) / len(family.groups):.0%}",
        ]
        for family in plan.families
    ]


def plan_markdown(plan: PruningPlan) -> str:
    """Say a plan as a Markdown page.

    Layers in one row are tied through a skip connection: they lose the same channels.
    """
    unit = plan.target.unit
    rows = [
        "| layers (tied where joined by +) | channels | kept | share |",
        "|---|---:|---:|---:|",
        *("| " + " | ".join(row) + " |" for row in plan_rows(plan)),
    ]
    return "\n".join(
        [
            "# Pruning plan",
            "",
            f"Asked: {unit} = {plan.target.amount:g}. Before: {plan.dense:,.0f} {unit}; after: "
            f"{plan.cost:,.0f} ({plan.cost / plan.dense:.4f}).",
            "",
            *rows,
            "",
        ]
    )


def draw_plan(plan: PruningPlan, path: Path) -> None:
    """Draw the channels of every family before and after.

    Args:
        plan: the plan.
        path: the picture, ``.png``; replaced if it exists.

    Raises:
        OutputError: it cannot be written.
    """
    count = len(plan.families)
    figure = Figure(figsize=(10, 1.2 + 0.24 * count), layout="constrained")
    axes = figure.subplots()
    rows = range(count)
    axes.barh(rows, [len(family.groups) for family in plan.families], color=DENSE, label="before")
    axes.barh(rows, [plan.width(family) for family in plan.families], color=KEPT, label="kept")
    axes.set_yticks(rows, [_label(family) for family in plan.families], fontsize=7)
    axes.invert_yaxis()
    axes.margins(y=0.01)
    axes.legend(loc="lower right", frameon=False)
    axes.set(
        xlabel="channels",
        title=f"{plan.target.unit}: {plan.cost / plan.dense:.3f} of {plan.dense:,.0f} left",
    )
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    with atomic_path(path, overwrite=True) as partial:
        figure.savefig(partial, dpi=110, format="png")


def _label(family: Family) -> str:
    tied = len(family.layers) - 1
    return _short(family.name) + (f"  (+ {tied} tied)" if tied else "")


def _short(name: str) -> str:
    """Leave out the number that a convolution has within its pair with the normalisation."""
    return name.removesuffix(".0")
