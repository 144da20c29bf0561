"""What the person at the terminal sees: each step with its result, a bar for the transfer, a table at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn, TransferSpeedColumn
from rich.table import Table

Row = tuple[str, str]


class Step:
    """A step under way; `result` is shown when it is done."""

    def __init__(self) -> None:
        self.result = ""


class Screen:
    """On a terminal it moves; elsewhere each step is a line. With `quiet` nothing is shown (for --json)."""

    def __init__(self, *, quiet: bool) -> None:
        self._console = Console(quiet=quiet, highlight=False)

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        step = Step()
        with self._console.status(f"{title} …"):
            yield step
        self._console.print(f"  [green]✓[/] {title}" + (f": [bold]{step.result}[/]" if step.result else ""))

    @contextmanager
    def transfer(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        """Gives a function that is told how many bytes have come."""
        columns = (
            TextColumn("  {task.description}"),
            BarColumn(),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self._console, transient=True) as progress:
            task = progress.add_task(title, total=total)
            yield lambda received: progress.update(task, completed=received)

    def note(self, text: str) -> None:
        self._console.print(f"  [yellow]![/] {text}")

    def heading(self, text: str) -> None:
        self._console.print(f"\n[bold]{text}[/]")

    def table(self, title: str, rows: list[Row]) -> None:
        table = Table(title=title, title_justify="left", show_header=False)
        table.add_column()
        table.add_column(justify="right")
        for row in rows:
            table.add_row(*row)
        self._console.print()
        self._console.print(table)
