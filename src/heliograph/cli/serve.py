"""``heliograph serve``, ``dev``, ``sandbox``, ``migrate`` and ``doctor``."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final

import typer

from heliograph import app, dev, doctor
from heliograph.cli import terminal
from heliograph.cli.terminal import OUT
from heliograph.config import Settings
from heliograph.demo.beams import story as beams
from heliograph.demo.ibm import story as ibm
from heliograph.serving import stop_signals

commands = typer.Typer()

_STORIES: Final = {"beams": beams.show, "ibm": ibm.show}
"""The demonstrations, by the dialect whose apps they show."""


@commands.command()
def serve(
    role: Annotated[
        str, typer.Option(help="all: answer and deliver. api: only answer. worker: only deliver.")
    ] = "all",
    listen: Annotated[
        str | None, typer.Option(help="Address and port for http [HELIOGRAPH_LISTEN].")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder of the database [HELIOGRAPH_DATA_DIR].")
    ] = None,
) -> None:
    """Serve until Ctrl-C."""
    if role not in ("all", "api", "worker"):
        raise typer.BadParameter("one of all, api, worker", param_hint="--role")
    terminal.run(app.serve(terminal.settings(listen=listen, data_dir=data_dir), role=role))  # type: ignore[arg-type]  # checked above


@commands.command("dev")
def develop(
    *,
    once: Annotated[
        bool, typer.Option("--once", help="Show the demonstration and exit: 0 if it held.")
    ] = False,
    dialect: Annotated[
        str | None,
        typer.Option(help="With --once: whose apps to show, beams (as if not told) or ibm."),
    ] = None,
    listen: Annotated[
        str | None, typer.Option(help="Address and port for http [HELIOGRAPH_LISTEN].")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder of the database [HELIOGRAPH_DATA_DIR].")
    ] = None,
) -> None:
    """Serve with imitations of Apple, Google and the browsers' services, on this machine only."""
    if dialect is not None and not once:
        raise typer.BadParameter(
            "only with --once: a server speaks every dialect", param_hint="--dialect"
        )
    if dialect not in (None, *_STORIES):
        raise typer.BadParameter(f"one of {', '.join(_STORIES)}", param_hint="--dialect")
    if once:
        show = _STORIES[dialect or "beams"]
        held = terminal.run(show(terminal.settings(log_level="error"), OUT))
        raise typer.Exit(0 if held else 1)
    terminal.run(_develop(terminal.settings(listen=listen, data_dir=data_dir)))


async def _develop(settings: Settings) -> None:
    with stop_signals() as stop:
        async with dev.developing(settings) as development:
            note = settings.data_dir / "dev.json"
            OUT.print("[bold]Heliograph is ready.[/bold] Ctrl-C stops it.\n")
            for name, value in (
                ("Inbox", development.sandbox["management"]),
                ("API", f"{development.endpoint}  {development.tls_endpoint}"),
                ("Instance", development.instance_id),
                ("Keys", f"in {note}"),
            ):
                OUT.print(f"  {name:<9} {value}", highlight=False)
            OUT.print(
                "\nThe inbox page shows what each virtual device has on its screen. "
                "README.md tells what to do next.\n"
            )
            await stop.wait()
    OUT.print("Stopped.")


@commands.command()
def sandbox(
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder of sandbox.json [HELIOGRAPH_DATA_DIR].")
    ] = None,
) -> None:
    """Run only the imitations of Apple, Google and the browsers' services."""
    terminal.run(_sandbox(terminal.settings(data_dir=data_dir)))


async def _sandbox(settings: Settings) -> None:
    note = settings.data_dir / "sandbox.json"
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    note.unlink(missing_ok=True)
    with stop_signals() as stop:
        async with dev.sandbox_running(settings) as running:
            dev.write_note(note, dict(running.addresses()))
            for name, address in running.addresses().items():
                OUT.print(f"  {name:<12} {address}", highlight=False)
            try:
                await stop.wait()
            finally:
                note.unlink(missing_ok=True)


@commands.command()
def migrate() -> None:
    """Bring the database up to date; the server does so at its start unless told not to."""

    async def run() -> None:
        settings = replace(terminal.settings(), migrate_at_start=True)
        async with app.storage(settings) as (database, _):
            OUT.print(f"The database is at revision {await database.revision()}.")

    terminal.run(run())


@commands.command("doctor")
def examine() -> None:
    """Examine settings, database and credentials; exit status 1 if something is wrong."""
    findings = terminal.run(doctor.examine(terminal.settings()))
    for finding in findings:
        mark = {"ok": "[green]✓[/green]", "warning": "[yellow]![/yellow]"}.get(
            finding.grade, "[red]✗[/red]"
        )
        OUT.print(f"{mark} {finding.subject}: {finding.sentence}", highlight=False)
    raise typer.Exit(1 if any(each.grade == "fault" for each in findings) else 0)
