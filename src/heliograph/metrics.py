"""Every metric, in one place, each with the sentence that documents it."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from heliograph.model import Gateway


class Metrics:
    """The product's own registry; made once, passed down."""

    def __init__(self) -> None:
        """Register every metric, so that each is exposed from the first scrape on."""
        self.registry = CollectorRegistry()
        self.publishes = Counter(
            "heliograph_publishes",
            "Publishes accepted, by what they address: users, interests, or what matches both "
            "and more.",
            ["target"],
            registry=self.registry,
        )
        self.publishes_per_commit = Histogram(
            "heliograph_publishes_per_commit",
            "Publishes accepted by one commit: those that came while another was under way.",
            buckets=[1, 2, 4, 8, 16, 32, 64, 128, 256],
            registry=self.registry,
        )
        self.deliveries = Counter(
            "heliograph_deliveries",
            "Deliveries that reached an end, by gateway and end: sent, failed, expired, cancelled.",
            ["gateway", "end"],
            registry=self.registry,
        )
        self.attempts = Counter(
            "heliograph_attempts",
            "Answers of gateways, by gateway and outcome.",
            ["gateway", "outcome"],
            registry=self.registry,
        )
        self.pruned = Counter(
            "heliograph_devices_pruned",
            "Devices taken out of service because their gateway said, or implied, they are gone.",
            ["gateway"],
            registry=self.registry,
        )
        self.pruning_stopped = Counter(
            "heliograph_pruning_stopped",
            "Times that the pruning of a lane was stopped because too much of it would have gone.",
            ["gateway"],
            registry=self.registry,
        )
        for gateway in Gateway:  # from 0 on: Prometheus sees no increase in what begins with 1
            self.pruning_stopped.labels(gateway)
        self.reports = Counter(
            "heliograph_reports",
            "What devices said of publishes: delivered or opened; and whether it was counted, "
            "repeated, about something unknown, limited by the rate, or lost because the database "
            "was away.",
            ["what", "result"],
            registry=self.registry,
        )
        self.calls = Counter(
            "heliograph_webhook_calls",
            "Attempts to call a webhook, by what followed: delivered, again, dead.",
            ["result"],
            registry=self.registry,
        )
        for result in ("delivered", "again", "dead"):
            self.calls.labels(result)
        self.batch_seconds = Histogram(
            "heliograph_batch_seconds",
            "Time from taking a batch of deliveries to its settlement, by gateway.",
            ["gateway"],
            registry=self.registry,
        )
        self.batches_in_hand = Gauge(
            "heliograph_batches_in_hand",
            "Batches that this worker is working on now.",
            registry=self.registry,
        )
        self.lanes_paused = Gauge(
            "heliograph_lanes_paused",
            "Lanes that are paused, in the whole database, by gateway and kind: refused, "
            "unavailable, asked.",
            ["gateway", "kind"],
            registry=self.registry,
        )
        self.given_up = Counter(
            "heliograph_work_given_up",
            "Pieces of work given up because they failed too often for a reason of our own.",
            registry=self.registry,
        )
        self.queue_tickets = Gauge(
            "heliograph_queue_tickets",
            "Tickets for work that NATS holds, waiting or in hand, by sort; as of the last sweep.",
            ["sort"],
            registry=self.registry,
        )
        self.queue_redeliveries = Counter(
            "heliograph_queue_redeliveries",
            "Tickets that NATS handed to us and that it had handed out before, by sort.",
            ["sort"],
            registry=self.registry,
        )
        self.queue_swept = Counter(
            "heliograph_queue_swept",
            "Pieces of work that had no ticket until a sweep found them, by sort.",
            ["sort"],
            registry=self.registry,
        )
        self.queue_dead_letters = Gauge(
            "heliograph_queue_dead_letters",
            "Notes in NATS about work that was given up.",
            registry=self.registry,
        )
        self.connections = Gauge(
            "heliograph_connections",
            "Open HTTP/2 connections to gateways: apns, fcm, web, and other.",
            ["gateway"],
            registry=self.registry,
        )
        self.requests = Counter(
            "heliograph_http_requests",
            "HTTP requests answered, by API and status class.",
            ["api", "status"],
            registry=self.registry,
        )

    def exposition(self) -> bytes:
        """The text that ``/metrics`` answers (Prometheus exposition format)."""
        return generate_latest(self.registry)
