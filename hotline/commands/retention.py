"""`hotline retention`: what is kept how long, disputes, and what a resident may ask for."""

from pathlib import Path

import click

from hotline import clock
from hotline.commands.database import opened, ready_tables
from hotline.config import Settings


@click.group()
def retention() -> None:
    """What is deleted when; disputes; a resident's own data."""


@retention.command("run")
@click.option("--dry", is_flag=True, help="Only say what would be deleted.")
def retention_run(dry: bool) -> None:
    """Delete what is too old, as the worker does every night."""
    from hotline.store import Store
    from tickets import retention as rules
    from worker import night

    settings, now = Settings.read(), clock.now()
    with opened(settings) as database:
        ready_tables(database)
        with database.reading() as session:
            due = rules.plan(session, settings, now)
        click.echo(
            f"到期的：录音 {due.audio} 个，求助 {due.texts} 件，电话 {due.calls} 通，台账 {due.ledger_lines} 行。"
        )
        if not dry:
            night.forget(database, Store(settings.recordings), settings, now)
            click.echo("都处理好了，收据记在账上。")


@retention.command("hold")
@click.argument("ticket_id", type=int)
@click.option("--why", default="", help="Empty: the dispute is over.")
def retention_hold(ticket_id: int, why: str) -> None:
    """Keep everything of a request while it is disputed."""
    from tickets import ledger
    from tickets import retention as rules
    from tickets.models import Ticket

    with opened(Settings.read()) as database:
        ready_tables(database)
        with database.writing() as session:
            ticket = session.get(Ticket, ticket_id)
            if ticket is None:
                raise click.ClickException("没有这一件求助。")
            rules.hold(session, ticket, why, ledger.SYSTEM, clock.now())
    click.echo("留住了，到期也不删。" if why.strip() else "不再留，到期照常删。")


@retention.command("own-data")
@click.argument("resident_id", type=int)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--why", required=True, help="Who asked, and how they were recognised.")
def retention_own_data(resident_id: int, file: Path, why: str) -> None:
    """Write everything about one resident to a FILE.zip, for themselves."""
    from hotline.store import Store
    from tickets import ledger, own_data
    from tickets.models import Resident

    settings = Settings.read()
    with opened(settings) as database:
        ready_tables(database)
        with database.writing() as session:  # what is given away is written down before it is
            if session.get(Resident, resident_id) is None:
                raise click.ClickException("没有这位居民。")
            ledger.write(
                session, at=clock.now(), person=ledger.SYSTEM, act="own_data",
                object_kind="resident", object_id=resident_id, why=why,
            )  # fmt: skip
        with database.reading() as session:
            resident = session.get_one(Resident, resident_id)
            sounds = own_data.write(session, Store(settings.recordings), resident, file)
    click.echo(f"写好了：{file}，里面有 {sounds} 个录音。请当面交给本人，然后删掉这个文件。")


@retention.command("erase")
@click.argument("resident_id", type=int)
@click.option("--why", required=True, help="Who asked, and how they were recognised.")
@click.confirmation_option(prompt="删了就找不回来了，真的要删吗？")
def retention_erase(resident_id: int, why: str) -> None:
    """Forget one resident who asked for it: name, numbers, sound and words. Figures stay."""
    from hotline.forgetting import forget
    from hotline.store import Store
    from tickets import erasure, ledger

    settings = Settings.read()
    with opened(settings) as database:
        ready_tables(database)
        try:
            store = Store(settings.recordings)
            forget(database, store, resident_id, ledger.SYSTEM, clock.now(), why)
        except LookupError as error:
            raise click.ClickException("没有这位居民。") from error
        except erasure.HeldError as error:
            raise click.ClickException(
                f"求助 {error} 还没办完，或者有争议要留着，现在不能删。"
            ) from error
    click.echo("删好了。办过几件事的数字还在，是谁的已经查不到了。")
