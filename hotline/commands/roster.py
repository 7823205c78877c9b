"""`hotline roster`: who is on duty when."""

from dataclasses import replace
from datetime import datetime, time, timedelta

import click
from sqlalchemy import select

from hotline import clock
from hotline.commands.database import opened, ready_tables
from hotline.config import Settings


@click.group()
def roster() -> None:
    """Who is on duty when."""


DAY = click.DateTime(formats=["%Y-%m-%d"])


@roster.command("fill")
@click.option("--from", "first", type=DAY, default=None, help="Default: today.")
@click.option("--days", type=click.IntRange(1, 366), default=30, show_default=True)
@click.option("--workdays", is_flag=True, help="Leave weekends and holidays out.")
def roster_fill(first: datetime | None, days: int, workdays: bool) -> None:
    """Add the missing shifts, volunteers taking turns; nothing that stands is changed."""
    from tickets import ledger, rotation
    from tickets import roster as roster_rows

    settings = Settings.read()
    start = first.date() if first else clock.now().date()
    with opened(settings) as database:
        ready_tables(database)
        try:
            with database.writing() as session:
                needed = roster_rows.duty_hours(session, settings)
                if workdays:
                    needed = replace(needed, rest=())
                added = rotation.fill(session, needed, start, days)
                if added:
                    ledger.write(
                        session, at=clock.now(), person=ledger.SYSTEM, act="fill_roster",
                        object_kind="roster", object_id=None, shifts=len(added), first=str(start), days=days,
                    )  # fmt: skip
        except rotation.NobodyError as error:
            raise click.ClickException("还没有志愿者，请先运行 hotline people add。") from error
    click.echo(f"排好了 {len(added)} 班。" if added else "这些日子已经排满了。")


@roster.command("show")
@click.option("--from", "first", type=DAY, default=None, help="Default: today.")
@click.option("--days", type=click.IntRange(1, 366), default=7, show_default=True)
def roster_show(first: datetime | None, days: int) -> None:
    """Print the shifts."""
    from tickets.models import Shift

    start = datetime.combine(first or clock.now(), time.min, clock.SHANGHAI)
    with opened(Settings.read()) as database:
        ready_tables(database)
        with database.reading() as session:
            shifts = session.scalars(
                select(Shift)
                .where(Shift.ends_at > start, Shift.starts_at < start + timedelta(days=days))
                .order_by(Shift.starts_at)
            ).all()
            for shift in shifts:
                substitute = f"（替补 {shift.substitute.name}）" if shift.substitute else ""
                click.echo(
                    f"{shift.starts_at:%Y-%m-%d %H:%M}–{shift.ends_at:%H:%M}  {shift.volunteer.name}{substitute}"
                )
    if not shifts:
        click.echo("这些日子没有排班。")
