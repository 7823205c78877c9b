"""`hotline asr`: how well the ear hears."""

from datetime import timedelta

import click

from hotline import clock
from hotline.commands.database import opened, ready_tables
from hotline.config import Settings


@click.group("asr")
def asr_group() -> None:
    """The ear: how well it hears."""


@asr_group.command("report")
@click.option("--days", type=click.IntRange(1, 3660), default=366, show_default=True)
@click.option("--test", is_flag=True, help="The requests of a demonstration or rehearsal instead.")
def asr_report(days: int, test: bool) -> None:
    """Count, from what people corrected: characters wrong, words often wrong, hits of the guesses."""
    from hotline import accuracy
    from tickets import ledger

    settings, now = Settings.read(), clock.now()
    with opened(settings) as database:
        ready_tables(database)
        with database.writing() as session:
            ledger.write(
                session, at=now, person=ledger.SYSTEM, act="asr_report", object_kind="transcript",
                object_id=None, days=days,
            )  # fmt: skip
            made = accuracy.report(session, now - timedelta(days=days), test=test or settings.demo)
    for line in accuracy.lines(made):
        click.echo(line)
