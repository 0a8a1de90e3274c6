"""A plan comes in; a table and a picture that a person can read go out."""

from pathlib import Path

from matplotlib.figure import Figure

from vidar_det.outputs import atomic_path
from vidar_det.pruning.groups import short_name
from vidar_det.pruning.plan import PruningPlan
from vidar_det.pruning.widths import LayerWidth

DENSE, KEPT = "#d5d8dc", "#1f6f8b"


def plan_rows(plan: PruningPlan) -> list[list[str]]:
    """Return a row for each family: its layers, channels before and after, and their share."""
    return [
        [
            " + ".join(short_name(name) for name in family.layers),
            str(len(family.groups)),
            str(plan.width(family)),
            f"{plan.width(family) / len(family.groups):.0%}",
        ]
        for family in plan.families
    ]


def layer_rows(plan: PruningPlan) -> list[list[str]]:
    """Return a row for each layer: its name, channels before and after, and its ties."""
    return [
        [
            short_name(layer.name),
            str(layer.before),
            str(layer.after),
            _tied(layer),
        ]
        for layer in plan.layers
    ]


def plan_markdown(plan: PruningPlan) -> str:
    """Say a plan as a Markdown page: a table by what can only shrink together, one by layer."""
    unit = plan.target.unit
    return "\n".join(
        [
            "# Pruning plan",
            "",
            f"Asked: {unit} = {plan.target.amount:g}. Before: {plan.dense:,.0f} {unit}; after: "
            f"{plan.cost:,.0f} ({plan.cost / plan.dense:.4f}).",
            "",
            "| layers (tied where joined by +) | channels | kept | share |",
            "|---|---:|---:|---:|",
            *_lines(plan_rows(plan)),
            "",
            "## By layer",
            "",
            "Layers with the same letter are tied through a skip connection: they lose the same "
            "channels. What makes the output stays.",
            "",
            "| layer | before | after | tied |",
            "|---|---:|---:|---|",
            *_lines(layer_rows(plan)),
            "",
        ]
    )


def draw_plan(plan: PruningPlan, path: Path) -> None:
    """Draw the channels of every layer before and after, with the letters of their ties.

    Args:
        plan: the plan.
        path: the picture, ``.png``; replaced if it exists.

    Raises:
        OutputError: it cannot be written.
    """
    layers = plan.layers
    rows = range(len(layers))
    figure = Figure(figsize=(10, 1.5 + 0.2 * len(layers)), layout="constrained")
    axes = figure.subplots()
    axes.barh(rows, [layer.before for layer in layers], color=DENSE, label="before")
    axes.barh(rows, [layer.after for layer in layers], color=KEPT, label="kept")
    axes.set_yticks(rows, [short_name(layer.name) for layer in layers], fontsize=7)
    for row, layer in enumerate(layers):
        axes.text(layer.before, row, f"  {_tied(layer)}", va="center", fontsize=7)
    axes.invert_yaxis()
    axes.margins(y=0.01)
    axes.legend(loc="lower right", frameon=False)
    axes.set(
        xlabel="channels; layers with the same letter are tied through a skip connection",
        title=f"{plan.target.unit}: {plan.cost / plan.dense:.3f} of {plan.dense:,.0f} left",
    )
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    with atomic_path(path, overwrite=True) as partial:
        figure.savefig(partial, dpi=110, format="png")


def _tied(layer: LayerWidth) -> str:
    return "stays" if layer.stays else ", ".join(layer.ties)


def _lines(rows: list[list[str]]) -> list[str]:
    return ["| " + " | ".join(row) + " |" for row in rows]
