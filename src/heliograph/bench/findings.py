"""What a measurement of the whole product has shown: tables for people, JSON for programs."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from heliograph.bench.report import circumstances, markdown_table, plain_table


@dataclass(frozen=True, slots=True)
class Table:
    """Figures, as words."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def records(self) -> list[dict[str, float | str]]:
        """Its lines, by the names of the columns; what looks like a number is one."""
        rows = [map(_read, row) for row in self.rows]
        return [dict(zip(self.columns, row, strict=True)) for row in rows]


@dataclass(frozen=True, slots=True)
class Findings:
    """Tables under the name of what was measured."""

    name: str
    tables: tuple[Table, ...]

    def show(self, console: Console) -> None:
        """Print them."""
        for each in self.tables:
            table = plain_table(each.title, each.columns, left=0)
            for row in each.rows:
                table.add_row(*row)
            console.print(table, "")
        console.print(circumstances(1), highlight=False)

    def write(self, folder: Path) -> None:
        """Write them as Markdown and as JSON into a folder, which is made if it is not there."""
        folder.mkdir(parents=True, exist_ok=True)
        parts = [circumstances(1)]
        for each in self.tables:
            parts += [f"**{each.title}**", markdown_table(each.columns, each.rows)]
        (folder / f"{self.name}.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
        told = {"circumstances": parts[0]} | {each.title: each.records() for each in self.tables}
        text = json.dumps(told, indent=2, ensure_ascii=False)
        (folder / f"{self.name}.json").write_text(f"{text}\n", encoding="utf-8")


def _read(cell: str) -> float | str:
    try:
        return float(cell.replace(",", ""))
    except ValueError:
        return cell


@contextmanager
def waiting(console: Console, what: str, total: int) -> Iterator[Callable[[int], object]]:
    """A bar while something long goes on; yields what moves it."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done: progress.update(task, completed=done)
