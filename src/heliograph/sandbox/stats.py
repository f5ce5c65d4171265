"""How often each service was asked, refused, and misbehaved on purpose."""

from collections import Counter
from dataclasses import dataclass, field

from heliograph.sandbox.exchange import Gateway


@dataclass(slots=True)
class GatewayStats:
    """The counters of one service."""

    connections_opened: int = 0
    connections_open: int = 0
    requests: int = 0
    accepted: int = 0
    refusals: Counter[str] = field(default_factory=Counter)
    """By reason, in the service's own words."""
    faults: Counter[str] = field(default_factory=Counter)
    """By the name of the fault that was acted out."""

    def as_json(self) -> dict[str, object]:
        """The counters in the form of ``GET /stats``."""
        return {
            "connections": {"opened": self.connections_opened, "open": self.connections_open},
            "requests": self.requests,
            "accepted": self.accepted,
            "refusals": dict(self.refusals),
            "faults": dict(self.faults),
        }


class Stats:
    """The counters of all services. Token requests count apart from sends."""

    def __init__(self) -> None:
        self._of = {gateway: GatewayStats() for gateway in Gateway}

    def of(self, gateway: Gateway) -> GatewayStats:
        """The counters of this service."""
        return self._of[gateway]

    def as_json(self) -> dict[str, object]:
        """The body of ``GET /stats``."""
        return {gateway.value: stats.as_json() for gateway, stats in self._of.items()}
