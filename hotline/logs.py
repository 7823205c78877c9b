"""Log lines: each with the call and the ticket it is about, no telephone number in any of them."""

import logging
import sys
from typing import IO

import structlog
from structlog.contextvars import bind_contextvars, clear_contextvars

from hotline.phone import mask

SHARED: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="%Y-%m-%dT%H:%M:%S%z", utc=False),
]


class MaskedFormatter(structlog.stdlib.ProcessorFormatter):
    """Masks the finished line, traceback included, so that nothing can slip past a processor."""

    def format(self, record: logging.LogRecord) -> str:
        return mask(super().format(record))


def start(level: int = logging.INFO, stream: IO[str] | None = None) -> None:
    """Send every log record of this process, ours and the libraries', through one masked line."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        MaskedFormatter(
            foreign_pre_chain=SHARED,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.LogfmtRenderer(
                    key_order=["timestamp", "level", "logger", "call", "ticket", "event"],
                    drop_missing=True,
                    bool_as_flag=False,
                ),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.getLogger("twilio.http_client").setLevel(logging.WARNING)
    structlog.configure(
        processors=[*SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def about(**subject: object) -> None:
    """Name the call, ticket or promise that the following lines of this request or job are about."""
    bind_contextvars(**subject)


def forget() -> None:
    """End the subject that `about` named."""
    clear_contextvars()


def logger(name: str) -> structlog.stdlib.BoundLogger:
    log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return log
