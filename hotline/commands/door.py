"""`hotline door`: the devices volunteers sign in on, and the second factor of whoever lost it."""

import click
from sqlalchemy import select

from hotline import clock
from hotline.commands.database import opened, ready_tables
from hotline.config import Settings


@click.group()
def door() -> None:
    """Devices where volunteers sign in, and lost second factors."""


@door.command()
def code() -> None:
    """Print a code that enrols one device within ten minutes."""
    from tickets import devices, ledger

    with opened(Settings.read()) as database:
        ready_tables(database)
        with database.writing() as session:
            made = devices.offer(session, ledger.SYSTEM, clock.now())
    click.echo(f"{made[:4]} {made[4:]}")
    click.echo("十分钟里有效。在那台机器的浏览器里打开门口，点「登记这台机器」，写上这八个数字。")


@door.command()
@click.argument("name")
def reset(name: str) -> None:
    """Take the second factor from a person who lost the telephone."""
    from tickets import ledger
    from tickets.models import Volunteer

    with opened(Settings.read()) as database:
        ready_tables(database)
        with database.writing() as session:
            person = session.scalar(select(Volunteer).where(Volunteer.name == name))
            if person is None:
                raise click.ClickException(f"没有叫{name}的人。")
            person.totp_secret, person.totp_step = None, 0
            ledger.write(
                session, at=clock.now(), person=ledger.SYSTEM, act="reset_second_factor",
                object_kind="volunteer", object_id=person.id,
            )  # fmt: skip
    click.echo(f"{name}的第二步取消了，下次进门要重新设。")
