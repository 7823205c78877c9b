"""`hotline roster`: who is on duty when."""

from calendar import monthrange
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from pathlib import Path

import click
from sqlalchemy import select

from hotline import clock
from hotline.commands import files
from hotline.commands.database import opened, ready_tables
from hotline.config import Settings
from tickets.models import Shift


@click.group()
def roster() -> None:
    """Who is on duty when."""


DAY = click.DateTime(formats=["%Y-%m-%d"])
MONTH = click.DateTime(formats=["%Y-%m"])


@roster.command("fill")
@click.option("--from", "first", type=DAY, default=None, help="Default: today.")
@click.option("--days", type=click.IntRange(1, 366), default=30, show_default=True)
@click.option("--workdays", is_flag=True, help="Leave weekends and holidays out.")
def roster_fill(first: datetime | None, days: int, workdays: bool) -> None:
    """Add the missing shifts, volunteers taking turns; nothing that stands is changed."""
    from tickets import ledger, rotation
    from tickets import roster as rows

    settings = Settings.read()
    start = first.date() if first else clock.now().date()
    with opened(settings) as database:
        ready_tables(database)
        try:
            with database.writing() as session:
                needed = rows.duty_hours(session, settings)
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
                click.echo(line(shift))
    if not shifts:
        click.echo("这些日子没有排班。")


@roster.command("generate")
@click.argument("month", type=MONTH)
@click.option("--apply", "really", is_flag=True, help="Do it; otherwise only shown.")
def roster_generate(month: datetime, really: bool) -> None:
    """Share out a month fairly, such as 2026-12; days off are kept, what stands is not changed."""
    from tickets import fairness, ledger, rotation
    from tickets import roster as rows

    settings, (first, days) = Settings.read(), _month(month)
    with opened(settings) as database:
        ready_tables(database)
        try:
            # a trial is written too, but in a session that keeps nothing
            with (database.writing if really else database.reading)() as session:
                needed = rows.duty_hours(session, settings)
                proposal = rotation.propose(session, needed, first, days)
                added = rotation.write(session, proposal)
                session.expire_all()
                for shift in added:
                    click.echo(line(shift))
                begins = datetime.combine(first, time.min, clock.SHANGHAI)
                shares = fairness.shares(session, begins, begins + timedelta(days=days))
                if really and added:
                    ledger.write(
                        session, at=clock.now(), person=ledger.SYSTEM, act="generate_roster",
                        object_kind="roster", object_id=None, shifts=len(added), first=str(first), days=days,
                    )  # fmt: skip
        except rotation.NobodyError as error:
            raise click.ClickException("还没有志愿者，请先运行 hotline people add。") from error
    for sentence in proposal.sentences:
        click.echo(sentence)
    for each in shares:
        click.echo(
            f"{each.name}  {each.shifts}班  夜班{each.nights}  休息日{each.rest_days}  替补{each.stands_in}"
        )
    if not added:
        click.echo("这个月已经排满了。")
    elif really:
        click.echo(f"排好了 {len(added)} 班。")
    else:
        click.echo("这是试排，还没有记下。没问题就加上 --apply 再来一遍。")


@roster.command("template")
@click.argument("month", type=MONTH)
@click.argument("file", type=files.XLSX)
def roster_template(month: datetime, file: Path) -> None:
    """Write the shifts of a month to a file in which only the names are missing."""
    from tickets import roster_sheet

    settings = Settings.read()
    with opened(settings) as database:
        ready_tables(database)
        with database.reading() as session:
            content = roster_sheet.template(session, settings, *_month(month))
    files.write(file, content)


@roster.command("export")
@click.argument("month", type=MONTH)
@click.argument("file", type=files.XLSX)
def roster_export(month: datetime, file: Path) -> None:
    """Write the roster of a month to a file."""
    from tickets import roster_sheet

    with opened(Settings.read()) as database:
        ready_tables(database)
        with database.reading() as session:
            content = roster_sheet.export(session, *_month(month))
    files.write(file, content)


@roster.command("import")
@files.importing
def roster_import(file: Path, really: bool) -> None:
    """Tell what becomes of each row; with --apply do it, all of it or nothing."""
    from tickets import roster_sheet

    files.bring_in(file, roster_sheet.plan, roster_sheet.apply, really=really)


@roster.command("gaps")
@click.option("--from", "first", type=DAY, default=None, help="Default: today.")
@click.option("--days", type=click.IntRange(1, 366), default=31, show_default=True)
def roster_gaps(first: datetime | None, days: int) -> None:
    """Hours that nobody has, and hours that more than one has."""
    from tickets import watch

    settings, now = Settings.read(), clock.now()
    with opened(settings) as database:
        ready_tables(database)
        with database.reading() as session:
            found = watch.problems(session, settings, (first or now).date(), days).notices
            calendar = watch.calendar_notice(session, now)
    if not found:
        click.echo("没有空班，也没有重叠。")
    for notice in [*found, *([calendar] if calendar else [])]:
        click.echo(notice.words)


def _month(month: datetime) -> tuple[date, int]:
    return month.date(), monthrange(month.year, month.month)[1]


def line(shift: Shift) -> str:
    """2026-12-03 08:30–11:30  王秀兰（替补 陈国庆）"""
    substitute = f"（替补 {shift.substitute.name}）" if shift.substitute else ""
    hours = f"{shift.starts_at:%Y-%m-%d %H:%M}–{shift.ends_at:%H:%M}"
    return f"{hours}  {shift.volunteer.name}{substitute}"
