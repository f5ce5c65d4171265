"""How a demonstration is told: what happens, what is claimed of it, and if that holds."""

from typing import Final

from rich.console import Console

_MEANWHILE: Final = (
    "A server is running, with imitations of Apple's, Google's and the browsers' push services "
    "beside it. Nothing leaves this machine."
)


class Telling:
    """Tells on a console, and keeps the score."""

    def __init__(self, console: Console) -> None:
        """Begin with nothing told."""
        self._console = console
        self._failures = 0

    def begin(self, what: str, *, meanwhile: str = "") -> None:
        """Say what is to be shown, and what is running meanwhile."""
        self._console.print(f"[bold]Heliograph[/bold] {what}\n")
        self._console.print(f"{_MEANWHILE} {meanwhile}".rstrip())

    def step(self, sentence: str) -> None:
        """Say what happens now."""
        self._console.print(f"\n[bold]→[/bold] {sentence}", highlight=False)

    def check(self, claim: str, *, holds: bool) -> None:
        """Say what should be so now, and whether it is."""
        self._failures += not holds
        mark = "[green]✓[/green]" if holds else "[red]✗[/red]"
        self._console.print(f"  {mark} {claim}", highlight=False)

    def end(self) -> bool:
        """Say how it went; whether every claim held."""
        if self._failures:
            self._console.print(
                f"\n[bold red]{self._failures} of the claims did not hold.[/bold red]"
            )
        else:
            self._console.print(
                "\n[bold green]Everything held.[/bold green] `make run` starts it all to play with."
            )
        return self._failures == 0
