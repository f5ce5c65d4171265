"""
What it takes to move a million devices in, to find them known, and to move them out again.

    PYTHONPATH=.:tests python -m benchmarks.transfer [--count 1000000] [--postgresql]
"""

import argparse
import asyncio
import gzip
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

import postgres


def main() -> None:
    """Print a row of Markdown for each step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--postgresql", action="store_true")
    options = parser.parse_args()
    asyncio.run(measure(options.count, is_shared=options.postgresql))


async def measure(count: int, *, is_shared: bool) -> None:
    """In a database of its own, which is gone afterwards."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        environment = os.environ | {"HELIOGRAPH_DATA_DIR": str(folder)}
        if is_shared:
            server = stack.enter_context(postgres.running())
            environment["HELIOGRAPH_DATABASE_URL"] = await stack.enter_async_context(server.empty())
        write(folder / "devices.jsonl.gz", count)
        steps = [
            ("move in", "import", "devices", "devices.jsonl.gz"),
            ("again, all known", "import", "devices", "devices.jsonl.gz"),
            ("move out", "export", "devices", "out.jsonl.gz"),
        ]
        run(folder, environment, "instance", "create", "moved")
        print("| step | devices | seconds | devices a second |\n| --- | --- | --- | --- |")
        for name, *arguments in steps:
            began = time.monotonic()
            run(folder, environment, *arguments)
            seconds = time.monotonic() - began
            print(f"| {name} | {count:,} | {seconds:.0f} | {count / seconds:,.0f} |", flush=True)


def write(path: Path, count: int) -> None:
    """Devices of people with two each, who subscribe to two interests."""
    with gzip.open(path, "wt", compresslevel=1) as file:
        for number in range(count):
            token = hashlib.sha256(str(number).encode()).hexdigest()
            device = {
                "id": f"apns-{token[:32]}",
                "gateway": "apns",
                "token": token,
                "user": f"person-{number // 2}",
                "interests": ["everybody", f"some-{number % 10}"],
                "metadata": {"sdkVersion": "4.0.0"},
            }
            file.write(json.dumps(device) + "\n")


def run(folder: Path, environment: dict[str, str], *arguments: str) -> None:
    """Run a command, whose output is of no interest unless it fails."""
    command = [sys.executable, "-m", "heliograph", *arguments]
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)  # noqa: S603  (our own)


if __name__ == "__main__":
    main()
