"""
Thousands of requests that Schemathesis makes of the server's own description.

    PYTHONPATH=.:tests python -m benchmarks.described [--examples 10000] [--seed 1]
"""

import argparse
import tempfile
import warnings
from pathlib import Path

import structlog
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from schemathesis.generation import GenerationMode

from judges.described import probing


def main() -> None:
    """Ask until there are so many examples; exit status 1 if an answer was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    console = Console()
    problems: list[str] = []
    with tempfile.TemporaryDirectory() as name, probing(Path(name)) as probe:
        operations = list(probe.operations())
        number = options.seed
        with Progress(console=console) as bar:
            task = bar.add_task("Examples", total=options.examples)
            while probe.asked.total() < options.examples and not problems:
                left = options.examples - probe.asked.total()
                each = max(5, left // (len(operations) * len(GenerationMode)))
                for operation in operations:
                    for mode in GenerationMode:
                        try:
                            probe.ask(operation, each, number=number, mode=mode)
                        except Exception as problem:  # noqa: BLE001  (it is told below)
                            problems.append(f"{operation.label}: {problem}")
                        bar.update(task, completed=probe.asked.total())
                number += 1
        if lost := probe.lost_reports():
            problems.append(f"{lost} reports were answered 200 and lost")
        table = Table("operation", "examples", "200", title=f"{probe.asked.total():,} examples")
        for label, count in probe.asked.items():
            table.add_row(label, f"{count:,}", f"{probe.served[label]:,}")
        console.print(table)
        console.print(f"Answers: {dict(sorted(probe.answered.items()))}")
    console.print(*problems, sep="\n\n", markup=False)
    raise SystemExit(1 if problems else 0)


if __name__ == "__main__":
    main()
