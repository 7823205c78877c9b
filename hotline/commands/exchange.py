"""`hotline exchange`: the house's own telephone exchange, for a line without a cloud."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import click
from sqlalchemy import select

from hotline import logs
from hotline.commands.database import opened, ready_tables
from hotline.config import CarrierKind, Settings, WrongSettingsError, environment_name
from hotline.db import Database
from hotline.exchange import exchange_settings, furnish, prompts_folder
from hotline.household import alone_in
from hotline.store import Store
from tickets.models import ResidentPhone, Ticket, Volunteer

FINDINGS = {
    "answer": "接通",
    "prompt": "听见提示语",
    "key": "按键",
    "recording": "录音",
    "call": "打通",
}


@click.group(invoke_without_command=True)
@click.pass_context
def exchange(context: click.Context) -> None:
    """Run the exchange alone, until Ctrl-C or SIGTERM; `hotline serve --exchange` starts it too."""
    if context.invoked_subcommand is None:
        run(furnish_exchange(Settings.read()))


def furnish_exchange(settings: Settings) -> Settings:
    """Raises WrongSettingsError, also where the carrier is another than our own exchange."""
    if settings.carrier is not CarrierKind.EXCHANGE:
        raise WrongSettingsError(f"{environment_name('carrier')}: must be exchange for this")
    return furnish(settings)


def run(settings: Settings) -> None:
    from ivr import studio
    from ivr.exchange.server import main  # SIP and sound: only where they are needed
    from ivr.twiml import Scribe
    from ivr.voices import Voices

    told = exchange_settings(settings, Scribe(settings, Voices()).sorry())
    logs.start()
    with alone_in(told.data_folder), opened(settings) as database:
        ready_tables(database)
        with database.reading() as session:
            folder, store = prompts_folder(settings), Store(settings.prompts)
            studio.lay_out_apology(session, settings, store, folder)
        try:
            main(told, somebodys(database, settings.committee_phone))
        except OSError as error:
            logs.logger(__name__).error(
                "the exchange cannot work", why=str(error), engine=told.engine
            )
            raise SystemExit(1) from error


def somebodys(database: Database, committee: str) -> Callable[[str], bool]:
    """Tells whether a number is a resident's, a volunteer's, of a request, or the committee's."""
    owners = (ResidentPhone.phone, Volunteer.phone, Ticket.phone)

    def is_known(number: str) -> bool:
        with database.reading() as session:
            return number == committee or any(
                session.scalar(select(phone).where(phone == number).limit(1)) for phone in owners
            )

    return is_known


@exchange.command("asterisk-config")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def asterisk_config(folder: Path) -> None:
    """Write the configuration an Asterisk needs into FOLDER; look at it, then put it in place."""
    from ivr.exchange.asterisk_config import write

    for path in write(exchange_settings(furnish_exchange(Settings.read())), folder):
        click.echo(f"写好了：{path}")
    click.echo("看一遍，原有的另存，再放进 /etc/asterisk/。里面有密码，别给别人看。")


@exchange.command("selftest")
def selftest() -> None:
    """Ring ourselves: play, press, record, compare. No box and no settings are needed."""
    from ivr.exchange.selftest import run as ring

    findings = asyncio.run(ring())
    for finding in findings:
        health = "好" if finding.passed else "不行"
        click.echo(f"[{health}] {FINDINGS[finding.name]}：{finding.figure}")
    if not all(finding.passed for finding in findings):
        raise SystemExit(1)
