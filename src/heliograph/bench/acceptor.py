"""
``python -m heliograph.bench.acceptor``: the product with its whole front, and no worker.

It is what ``heliograph serve --role api`` is over PostgreSQL; over SQLite there is one
process, and its worker would be measured along with what is to be measured.
"""

import os

from heliograph import app, config, logs
from heliograph.logs import Event
from heliograph.logs import get as log
from heliograph.serving import collect_rarely, stop_signals


async def accept() -> None:
    """Accept publishes until SIGTERM, as the environment's settings say."""
    settings = config.load(os.environ)
    logs.configure(level=settings.log_level, style=settings.log_format)
    with stop_signals() as stop:
        async with (
            app.product(settings) as built,
            app.on_the_network(built.app, settings) as addresses,
        ):
            collect_rarely()
            log().info(Event.READY, **addresses)
            await stop.wait()


if __name__ == "__main__":
    import uvloop

    uvloop.run(accept())
