"""`hotline audit`: whether the ledger is whole, sealed months, spot checks."""

import shutil
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import click
from sqlalchemy.exc import DatabaseError

from hotline import clock
from hotline.commands.database import opened, ready_tables
from hotline.config import Settings

MONTH = click.DateTime(formats=["%Y-%m"])


@click.group()
def audit() -> None:
    """The ledger verified, months sealed, spot checks drawn."""


@audit.command("verify")
@click.argument("bundles", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
def audit_verify(bundles: tuple[Path, ...]) -> None:
    """Read the whole ledger; name the first line that is not as it was written.

    With sealed BUNDLES from elsewhere it is compared with those too. Exit code 1 if it is broken.
    """
    from tickets import audit as books
    from tickets import sealing

    beside = []
    for path in bundles:
        try:
            beside.append(sealing.check(path))
        except sealing.BrokenBundleError as error:
            click.echo(f"封存包 {path.name} 不对：{error}。", err=True)
            raise SystemExit(1) from error
    with opened(Settings.read()) as database:
        ready_tables(database)
        try:
            with database.reading() as session:
                verdict = books.verify(session, [mark for mark in beside if mark])
        except DatabaseError as error:
            click.echo("数据库文件本身坏了，台账读不下去。请用备份恢复。", err=True)
            raise SystemExit(1) from error
    if verdict.erased:
        click.echo(f"其中 {verdict.erased} 行写的话已按规矩去掉，是谁、按什么规矩，账上都有。")
    if verdict.fault:
        click.echo(f"台账不对。{verdict.fault.sentence}", err=True)
        raise SystemExit(1)
    click.echo(
        f"台账完好，共 {verdict.lines} 行。请抄下来留底：最后是第 {verdict.sequence} 行，封印 {verdict.hash[:16]}。"
        if verdict.lines
        else "台账还是空的。"
    )


@audit.command("seal")
@click.argument("month", type=MONTH)
@click.option("--out", type=click.Path(path_type=Path), default=None, help="Default: here.")
def audit_seal(month: datetime, out: Path | None) -> None:
    """Seal a MONTH (2026-10) that is over, and write its bundle to a file."""
    from hotline.store import Store
    from tickets import ledger, sealing
    from tickets.counting import Period

    settings, period, now = Settings.read(), Period.month(month.year, month.month), clock.now()
    path = out or Path(f"{month:%Y-%m}.zip")
    store = Store(settings.seals)
    with opened(settings) as database, TemporaryDirectory() as folder:
        ready_tables(database)
        try:
            with database.reading() as session:
                before = sealing.sealed(session, period)
                made = None if before else sealing.prepare(session, period, Path(folder), now)
        except sealing.NotOverError as error:
            raise click.ClickException(f"{month:%Y-%m} 还没有过完，过完了才能封存。") from error
        except sealing.NotWholeError as error:
            raise click.ClickException(f"台账不对，不封存。{error.fault.sentence}") from error
        with database.writing() as session:
            if made:
                before = sealing.keep(session, store, period, made, ledger.SYSTEM, now)
            ledger.write(
                session, at=now, person=ledger.SYSTEM, act="give_bundle",
                object_kind="month", object_id=None, month=f"{month:%Y-%m}",
            )  # fmt: skip
    assert before is not None  # noqa: S101  it was there, or has just been made
    with store.open(before.key) as kept, path.open("wb") as file:
        shutil.copyfileobj(kept, file)
    click.echo(f"{'封存好了' if made else '以前封存过，还是原来那一份'}：{path}")
    click.echo(f"SHA-256 {before.sha256}")


@audit.command("draw")
@click.argument("month", type=MONTH)
@click.option("--seed", type=int, required=True, help="Any number; the same one draws the same.")
def audit_draw(month: datetime, seed: int) -> None:
    """Draw the spot checks of a MONTH: one in twenty, and every doubtful one."""
    from tickets import ledger, spot_checks
    from tickets.books import Suspicion
    from tickets.counting import Period

    names = {
        Suspicion.RANDOM: "抽到", Suspicion.DISSATISFIED: "没办好", Suspicion.OVERDUE: "超期",
        Suspicion.SECOND_TRIP: "跑了不止一次",
    }  # fmt: skip
    with opened(Settings.read()) as database:
        ready_tables(database)
        with database.writing() as session:
            period = Period.month(month.year, month.month)
            checks = spot_checks.draw(session, period, seed, ledger.SYSTEM, clock.now())
            for check in checks:
                reasons = "、".join(names[Suspicion(why)] for why in check.why)
                click.echo(f"求助 {check.ticket_id}：{reasons}")
    click.echo(f"一共 {len(checks)} 件要复查。")
