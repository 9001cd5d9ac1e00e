"""Structured logs: one event per line, JSON outside DEBUG."""

import logging.config
from typing import Any

import structlog

_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
]


def logging_configuration(*, level: str, as_json: bool) -> dict[str, Any]:
    """Return a `dictConfig` mapping that renders every record, ours or a library's, as one line."""
    renderer = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=False)
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": structlog.stdlib.ProcessorFormatter,
                "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
                "foreign_pre_chain": _SHARED,
            },
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # Who starts a guard waits for its first line, whatever the level.
            "migration.looping": {"level": "INFO"},
            "heartbeat.relay": {"level": "INFO"},
            "uvicorn.access": {"level": "WARNING"},
            "daphne": {"level": "WARNING"},
            "django.channels.server": {"level": "WARNING"},
            "httpx": {"level": "WARNING"},
        },
    }


def configure(configuration: dict[str, Any]) -> None:
    """Apply the configuration; Django calls this at start, and again for each command that runs in its process.

    Loggers that spoke already keep their processors, so structlog's are set once.
    """
    logging.config.dictConfig(configuration)
    if structlog.is_configured():
        return
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
