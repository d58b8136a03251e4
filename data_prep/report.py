"""What preparation did, step by step, for a person to read."""

from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

from tfrec.schema import DatasetSchema


@dataclass
class Report:
    """Steps in order: what was done, how many events it took away, how many are left."""

    steps: list[tuple[str, int, int]] = field(default_factory=list)

    def add(self, step: str, taken: int, left: int) -> None:
        """Notes a step."""
        self.steps.append((step, taken, left))

    def take(self, step: str, taken: int) -> None:
        """Notes a step that takes events away from those that the one before it has left."""
        self.add(step, taken, self.steps[-1][2] - taken)

    def show(self, schema: DatasetSchema, console: Console) -> None:
        """Prints the steps and what the dataset holds."""
        table = Table(title=f"Cleaning of {schema.source}", title_justify="left")
        table.add_column("step")
        table.add_column("taken away", justify="right")
        table.add_column("events left", justify="right")
        for step, taken, left in self.steps:
            table.add_row(step, f"{taken:,}" if taken else "-", f"{left:,}")
        console.print(table)
        c = schema.counts
        console.print(
            f"{c.users:,} users, {c.items:,} items, {c.sessions:,} sessions; split {schema.split}: "
            f"{c.train_events:,} train, {c.val_events:,} val, {c.test_events:,} test events"
        )
        console.print(
            f"sessions by {'id' if schema.session_from == 'id' else f'gaps of {schema.session_gap_s} s'}, "
            f"{'ordered' if schema.ordered_sessions else 'no order inside'}; "
            f"{'clock times' if schema.has_clock else 'positions for times'}; "
            f"{'items never repeat' if schema.repeats == 'never' else f'items repeat {schema.repeats}'}"
        )
        if shown := schema.impressions:
            console.print(
                f"impressions: {shown.train:,} train, {shown.val:,} val, {shown.test:,} test, of "
                f"{shown.candidates:,} candidates; labels: {', '.join(shown.labels)}",
                markup=False,
            )
        for what, columns in (("context", schema.context), ("item features", schema.item_features)):
            if columns:
                found = ", ".join(f"{column.name} ({column.kind})" for column in columns)
                console.print(f"{what}: {found}", markup=False)
        if schema.split != "none" and not (c.val_events and c.test_events):
            console.print(
                f"[yellow]The split leaves {c.val_events:,} val and {c.test_events:,} test events: "
                "a model cannot be tuned or measured on none. Another --split may fit this log better.[/]"
            )
