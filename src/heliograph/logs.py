"""
Log lines: one event each, with ids and never with tokens, secrets or payloads.

Events are named here, so that what can appear in a log is one list.
"""

import logging
import sys
from enum import StrEnum
from typing import Literal

import structlog


class Event(StrEnum):
    """Everything that we ever log, by name."""

    READY = "ready"
    STOPPED = "stopped"
    DRAINING = "draining"
    KEY_FILE_MADE = "key_file_made"
    DATABASE_IS_NEWER = "database_is_newer"
    NEWS_LOST = "news_lost"
    SHELF_SILENT = "shelf_silent"
    BEAT_MISSED = "beat_missed"
    PUBLISH_ACCEPTED = "publish_accepted"
    PUBLISH_EXPANDED = "publish_expanded"
    PUBLISH_CANCELLED = "publish_cancelled"
    REPORT_LOST = "report_lost"
    CALL_DEAD = "call_dead"
    BATCH_SETTLED = "batch_settled"
    BATCH_ABANDONED = "batch_abandoned"
    DEVICE_PRUNED = "device_pruned"
    DEVICE_QUARANTINED = "device_quarantined"
    PRUNING_STOPPED = "pruning_stopped"
    PRUNING_RESUMED = "pruning_resumed"
    CREDENTIALS_REFUSED = "credentials_refused"
    LANE_PAUSED = "lane_paused"
    LANE_RESUMED = "lane_resumed"
    REQUEST_MALFORMED = "request_malformed"
    CONNECTION_OPENED = "connection_opened"
    CONNECTION_FAILED = "connection_failed"
    CONNECTION_LOST = "connection_lost"
    REQUEST_FAILED = "request_failed"
    WORKER_FAILED = "worker_failed"
    WORK_GIVEN_UP = "work_given_up"
    SETTLEMENT_WAITS = "settlement_waits"
    LEASE_LOST = "lease_lost"
    QUEUE_LOST = "queue_lost"
    QUEUE_FOUND = "queue_found"
    QUEUE_SILENT = "queue_silent"
    ENCRYPTION_PROCESS_LOST = "encryption_process_lost"


def configure(*, level: str, style: Literal["auto", "console", "json"]) -> None:
    """Send every log line to standard error, for people or for machines."""
    human = style == "console" or (style == "auto" and sys.stderr.isatty())
    # Tracebacks without local variables: those hold tokens and payloads.
    for_people: list[structlog.typing.Processor] = [
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    ]
    for_machines: list[structlog.typing.Processor] = [
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(),
    ]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *(for_people if human else for_machines),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    # Libraries speak through the standard library, and only when something is wrong.
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s", force=True)
    # They warn of every stranger who does not speak HTTP, or sends no form; that is theirs to mend.
    for library in ("uvicorn.error", "python_multipart"):
        logging.getLogger(library).setLevel(logging.ERROR)


def get() -> structlog.typing.FilteringBoundLogger:
    """The logger; its first argument is always an ``Event``."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    return logger
