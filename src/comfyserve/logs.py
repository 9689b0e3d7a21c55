"""How log lines look: structured, on standard error, with the request id of the call they belong to."""

import logging
import sys
from typing import Literal

import structlog

OURS = "comfyserve"
QUIET = ("uvicorn.access", "aiohttp.access", "asyncio", "alembic", "sqlalchemy")
"""Loggers of libraries that speak only from WARNING up; our own access line replaces theirs."""


def configure_logs(style: Literal["auto", "console", "json"], level: str) -> None:
    """Send structlog's and the standard library's lines through one formatter. `auto`: by whether a person reads."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(),
        _without_colours,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    console = style == "console" or (style == "auto" and sys.stderr.isatty())
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=_rendering(console)))
    root = logging.getLogger()
    root.handlers = [handler]
    # At `debug` libraries would write whole requests, with what signs them: that level is for lines of ours.
    root.setLevel(max(logging.getLevelName(level.upper()), logging.INFO))
    logging.getLogger(OURS).setLevel(level.upper())
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def _without_colours(
    logger: structlog.typing.WrappedLogger, method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """uvicorn says some lines a second time, with codes for terminals."""
    event.pop("color_message", None)
    return event


def _rendering(console: bool) -> list[structlog.typing.Processor]:
    remove = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    if console:
        # A traceback that shows local variables would show the keys of requests, too.
        plain = structlog.dev.plain_traceback
        return [remove, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]
    return [remove, structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
