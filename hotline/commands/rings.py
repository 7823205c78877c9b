"""`hotline rings`: whether a volunteer is rung with new requests, or looks at the page."""

import click

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
    from tickets import ledger, volunteers

    with opened(Settings.read()) as database:
        ready_tables(database)
        with database.writing() as session:
            person = volunteers.named(session, name)
            if person is None:
                raise click.ClickException(f"没有一位叫{name}的人。")
            try:
                volunteers.ring(session, person, CHOICES[choice], ledger.SYSTEM, clock.now())
            except volunteers.NoPhoneError as error:
                raise click.ClickException(f"{name}没有登记电话，打不了。") from error
    click.echo(f"{name}：{SAID[CHOICES[choice]]}。")
