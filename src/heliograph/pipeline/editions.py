"""Which device of a batch receives which edition of a publish. Pure."""

from collections import defaultdict
from collections.abc import Sequence

from heliograph.model import Gateway, Message, Messages, Platform
from heliograph.storage.devices import Recipient

Edition = tuple[Message | None, Sequence[Recipient]]
"""What some devices receive; None: there is nothing for them."""


def editions(
    messages: Messages, gateway: Gateway, devices: Sequence[Recipient]
) -> Sequence[Edition]:
    """Devices of one gateway by what they receive, which is nearly always the same."""
    if not messages.has_editions(gateway):
        return [(messages.of(gateway), devices)]
    by_platform: dict[str | None, list[Recipient]] = defaultdict(list)
    for device in devices:
        by_platform[device.platform].append(device)
    return [
        (messages.of(gateway, None if platform is None else Platform(platform)), some)
        for platform, some in by_platform.items()
    ]
