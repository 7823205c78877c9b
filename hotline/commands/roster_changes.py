"""`hotline roster`, the changes by hand: swaps, absences, days off, special days, feeds."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import click
from sqlalchemy import select
from sqlalchemy.orm import Session

from hotline import clock
from hotline.commands.database import opened, ready_tables
from hotline.commands.roster import DAY, line, roster
from hotline.config import Settings
from tickets.models import Shift, Volunteer

BEGINS = click.DateTime(formats=["%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"])


@roster.command("swap")
@click.argument("begins", type=BEGINS)
@click.argument("name")
@click.option("--for", "in_return", type=BEGINS, help="A shift of theirs in return.")
def roster_swap(begins: datetime, name: str, in_return: datetime | None) -> None:
    """Give the shift that begins then ("2026-12-03 08:30") to somebody, maybe for one of theirs."""
    from tickets import ledger, swaps

    with _changing() as (session, now):
        back = _shift(session, in_return) if in_return else None
        shift = _shift(session, begins)
        swaps.directly(session, shift, _person(session, name), ledger.SYSTEM, now, in_return=back)
        click.echo("\n".join(line(each) for each in (shift, back) if each))


@roster.command("absent")
@click.argument("begins", type=BEGINS)
@click.argument("name")
@click.option("--why", default="")
def roster_absent(begins: datetime, name: str, why: str) -> None:
    """Somebody cannot come: the substitute takes it, else the duty lead, else it is a gap."""
    from tickets import ledger, shifts

    with _changing() as (session, now):
        shift, person = _shift(session, begins), _person(session, name)
        covered = shifts.absent(session, shift, person, ledger.SYSTEM, now, why=why)
        click.echo(f"{covered.now_on.name}来顶。" if covered.now_on else "没有人能顶，这一班空着，请找人。")  # fmt: skip


@roster.command("off")
@click.argument("name")
@click.argument("days", type=DAY, nargs=-1, required=True)
@click.option("--can", is_flag=True, help="They can after all.")
def roster_off(name: str, days: tuple[datetime, ...], can: bool) -> None:
    """Write down the days on which somebody cannot have duty."""
    from tickets import ledger, shifts

    with _changing() as (session, now):
        person = _person(session, name)
        write = shifts.no_day_off if can else shifts.day_off
        changed = [write(session, person, day.date(), ledger.SYSTEM, now) for day in days]
        click.echo(f"记下了 {sum(changed)} 天。")


@roster.command("day")
@click.argument("day", type=DAY)
@click.argument("kind", type=click.Choice(["rest", "work", "published", "rain", "dry"]))
@click.option("--name", default="", help="What day it is, such as 春节.")
def roster_day(day: datetime, kind: str, name: str) -> None:
    """Declare a day a rest day or a working day, whatever is published; or mark rain."""
    from tickets import ledger, shifts

    with _changing() as (session, now):
        if kind in {"rain", "dry"}:
            shifts.rain(session, day.date(), kind == "rain", ledger.SYSTEM, now)
        else:
            rest = {"rest": True, "work": False, "published": None}[kind]
            shifts.override(session, day.date(), rest, ledger.SYSTEM, now, name=name)
        click.echo("记下了。")


@roster.command("feed")
@click.argument("name")
@click.option("--renew", is_flag=True, help="A new address; the old one ends.")
def roster_feed(name: str, renew: bool) -> None:
    """Print the address at which somebody's telephone or computer finds their shifts."""
    from tickets import feed, ledger

    settings = Settings.read()
    with _changing() as (session, now):
        ask = feed.renew if renew else feed.secret_of
        secret = ask(session, _person(session, name), ledger.SYSTEM, now)
        click.echo(f"{settings.public_url or f'http://{settings.listen}'}/roster/{secret}.ics")
        if not settings.public_url:
            click.echo(
                "这个地址只在能连到这台机器的地方打得开。要在外面看，请先设 HOTLINE_PUBLIC_URL。"
            )


@contextmanager
def _changing() -> Iterator[tuple[Session, datetime]]:
    """A transaction and the time; what cannot be is said in a sentence."""
    from tickets import shifts, swaps
    from tickets.watch import spoken

    with opened(Settings.read()) as database:
        ready_tables(database)
        try:
            with database.writing() as session:
                yield session, clock.now()
        except shifts.ShiftOverError as error:
            raise click.ClickException("这一班已经开始或者过去了，不能改。") from error
        except shifts.ClashError as error:
            other = error.other
            raise click.ClickException(f"{other.volunteer.name}在{spoken(other.starts_at, other.ends_at)}已经有一班。") from error  # fmt: skip
        except shifts.GoneError as error:
            raise click.ClickException("这个人已经不值班了。") from error
        except shifts.NotOnThisShiftError as error:
            raise click.ClickException("这一班不是他的，也不是他替补。") from error
        except swaps.NotTheirsError as error:
            raise click.ClickException(
                "这一班本来就是他的，或者拿来换的那一班不是他的。"
            ) from error


def _shift(session: Session, begins: datetime) -> Shift:
    at = begins.replace(tzinfo=clock.SHANGHAI)
    found = session.scalars(select(Shift).where(Shift.starts_at == at)).all()
    if len(found) != 1:
        raise click.ClickException(f"{begins:%Y-%m-%d %H:%M}开始的有{len(found)}班。")
    return found[0]


def _person(session: Session, name: str) -> Volunteer:
    from tickets import volunteers

    person = volunteers.named(session, name)
    if person is None:
        raise click.ClickException(f"没有叫{name}的人。")
    return person
