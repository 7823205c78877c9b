"""`hotline rings`: whether a volunteer is rung with new requests, or looks at the page."""

import click
from sqlalchemy import select

from hotline import clock
from hotline.commands.database import opened, ready_tables
from hotline.config import Settings

CHOICES = {"yes": True, "no": False, "default": None}
SAID = {True: "有新的事打电话告诉", False: "只看页面，不打电话", None: "照设置来"}


@click.command()
@click.argument("name")
@click.argument("choice", type=click.Choice(list(CHOICES)))
def rings(name: str, choice: str) -> None:
    """Ring NAME at the start of duty and with new requests: yes, no, or as the setting says."""
    from tickets import ledger
    from tickets.models import Volunteer

    with opened(Settings.read()) as database:
        ready_tables(database)
        with database.writing() as session:
            person = session.scalar(select(Volunteer).where(Volunteer.name == name))
            if person is None:
                raise click.ClickException(f"没有一位叫{name}的人。")
            if CHOICES[choice] and not person.phone:
                raise click.ClickException(f"{name}没有登记电话，打不了。")
            person.ring_me = CHOICES[choice]
            ledger.write(
                session, at=clock.now(), person=ledger.SYSTEM, act="ring_me",
                object_kind="volunteer", object_id=person.id, choice=choice,
            )  # fmt: skip
    click.echo(f"{name}：{SAID[CHOICES[choice]]}。")
