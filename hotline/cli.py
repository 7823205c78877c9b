"""The commands an installer and a committee type."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, time, timedelta
from pathlib import Path

import click
from sqlalchemy import inspect, select

from hotline import clock, config, logs, migration
from hotline.config import Settings, WrongSettingsError
from hotline.db import Database
from hotline.household import AlreadyRunningError, Household, alone_in, commands
from hotline.phone import NotAPhoneError, Phone

WRONG = 2  # the exit code for settings and commands that cannot be


class Plain(click.Group):
    """Turns the errors an installer can cure into plain sentences and exit code 2."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except WrongSettingsError as error:
            click.echo(f"设置不对，没有启动任何东西：\n{error}", err=True)
        except AlreadyRunningError as error:
            click.echo(f"这个数据文件夹里已经有一条热线在运行：{error}", err=True)
        except OldTablesError:
            click.echo("数据库的表是旧的，请先运行：hotline db upgrade", err=True)
        raise SystemExit(WRONG)


class OldTablesError(Exception):
    """The database holds tables, but not those of this version."""


@click.group(cls=Plain, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """红色助跑服务热线：接电话、记事情、派给值班的人、办完回电话。"""


@main.command()
def serve() -> None:
    """Run the line: web server, worker and Redis, until Ctrl-C or SIGTERM."""
    settings = Settings.read()
    settings.need_carrier()
    house = commands(settings)
    logs.start()
    with alone_in(settings.data_folder):
        with opened(settings) as db:
            ready_tables(db)
        Household(house).run()


@main.command()
def worker() -> None:
    """Run the worker alone, where the web server runs elsewhere."""
    from worker.__main__ import main as work  # it loads libvosk: only where it is needed

    settings = Settings.read()
    settings.need_carrier()
    with opened(settings) as db:
        ready_tables(db)
    logs.start()
    work(settings)


@main.command()
@click.option(
    "--listen",
    default="",
    metavar="ADDRESS:PORT",
    help="Default: 127.0.0.1:8080 or the next free port.",
)
@click.option(
    "--folder", type=click.Path(path_type=Path), default=None, help="Default: data/demo here."
)
@click.option("--keep", is_flag=True, help="Leave the demonstration's data at the end.")
def demo(listen: str, folder: Path | None, keep: bool) -> None:
    """Show the whole house on this machine: no account, no network, nothing left afterwards."""
    from hotline import demo as house

    try:
        house.run(listen=listen, folder=folder or Path("data") / "demo", keep=keep, say=click.echo)
    except house.NotOursError as error:
        raise click.ClickException(
            f"{error} 不是演示用的文件夹，不动它。请用 --folder 换一个。"
        ) from error


@main.group()
def db() -> None:
    """The database and its tables."""


@db.command("upgrade")
def db_upgrade() -> None:
    """Bring the tables to this version. Make a backup first."""
    with opened(Settings.read()) as database:
        migration.upgrade(database)
    click.echo("数据库的表是最新的了。")


@db.command("revision")
@click.argument("message", required=False)
@click.option("--first", is_flag=True, help="Write the one first revision anew.")
def db_revision(message: str | None, first: bool) -> None:
    """For developers: write a revision from what the models have become."""
    if not first and not message:
        raise click.UsageError("say what changed, or --first")
    click.echo(migration.write_first() if first else migration.write_next(message or ""))


@main.command("config")
def show_config() -> None:
    """Print every setting, its value now and what it means; secrets starred."""
    for name, value, text in config.table(Settings.read()):
        click.echo(f"{name}={value}\n    {text}")


@main.command()
def doctor() -> None:
    """Check the whole house; exit code 1 if something does not work."""
    from hotline.doctor import Health, examine

    ill = False
    for finding in examine(Settings.read()):
        click.echo(f"[{finding.health}] {finding.key}: {finding.sentence}")
        ill = ill or finding.health is Health.ILL
    if ill:
        raise SystemExit(1)


@main.command()
@click.argument("flow", type=click.Choice(["inbound", "return"]), default="inbound")
@click.option(
    "--situation", type=click.Choice(["fresh", "open_request", "closed"]), default="fresh"
)
@click.option("--caller", type=click.Choice(["known", "hidden", "unknown"]), default="known")
@click.option("--event", type=click.Choice(["accepted", "visited", "done", "materials"]), default="done", help="What a return call brings.")  # fmt: skip
@click.option("--machine", is_flag=True, help="An answering machine takes the return call.")
@click.option("--volunteers", type=click.IntRange(0, 5), default=1, help="How many can be rung.")
def rehearse(
    flow: str, situation: str, caller: str, event: str, machine: bool, volunteers: int
) -> None:
    """Play a call in the terminal: the true words, no telephone."""
    from hotline import rehearsal
    from ivr.flow import FLOWS

    facts = (
        rehearsal.inbound_facts(situation, caller, 1, volunteers)
        if flow == "inbound"
        else rehearsal.return_facts(event, machine=machine, volunteers=volunteers)
    )
    call = rehearsal.Rehearsal(FLOWS[flow], Settings.read(), facts)
    while True:
        for line in call.lines():
            click.echo(f"系统> {line}")
        if call.over:
            break
        call.do(click.prompt(call.hint(), default="", show_default=False, prompt_suffix="> "))
        if call.over and not any(call.lines()):
            break
    click.echo("（通话结束）")


@main.command()
def fallback() -> None:
    """Print the document to keep at the carrier for when this machine is off."""
    from ivr.twiml import Scribe
    from ivr.voices import RecordedPrompts

    settings = Settings.read()
    click.echo(Scribe(settings, RecordedPrompts(settings.prompts)).apology(standalone=True))


@main.group()
def people() -> None:
    """Those who sign in: volunteers, duty leads, committee, administrators."""


@people.command("add")
@click.argument("name")
@click.option(
    "--role", type=click.Choice(["volunteer", "lead", "committee", "admin"]), default="volunteer"
)
@click.option("--phone", default="", help="Rung when a caller wants a person.")
@click.option(
    "--pin", prompt="密码（至少六位数字）", hide_input=True, confirmation_prompt="再输一遍"
)
def people_add(name: str, role: str, phone: str, pin: str) -> None:
    """Add one person."""
    from hotline.web.auth import WeakPinError, set_pin
    from tickets import ledger
    from tickets.models import Role, Volunteer

    settings = Settings.read()
    try:
        number = (
            phone and Phone.parse(phone, country=settings.country, area=settings.area_code).e164
        )
    except NotAPhoneError as error:
        raise click.ClickException("这个电话号码看不懂。") from error
    with opened(settings) as database:
        ready_tables(database)
        with database.writing() as session:
            if session.scalar(select(Volunteer.id).where(Volunteer.name == name)) is not None:
                raise click.ClickException(f"已经有一位叫{name}的人。")
            person = Volunteer(name=name, role=Role(role), phone=number or None)
            try:
                set_pin(person, pin)
            except WeakPinError as error:
                raise click.ClickException(
                    "密码至少六位数字，不能太好猜（比如 111111、123456）。"
                ) from error
            session.add(person)
            session.flush()
            ledger.write(
                session, at=clock.now(), person=ledger.SYSTEM, act="add_person",
                object_kind="volunteer", object_id=person.id, role=role,
            )  # fmt: skip
    click.echo(f"加好了：{name}。")


@people.command("list")
def people_list() -> None:
    """List everybody, numbers masked."""
    from tickets.models import Volunteer

    with opened(Settings.read()) as database:
        ready_tables(database)
        with database.reading() as session:
            for person in session.scalars(select(Volunteer).order_by(Volunteer.id)):
                phone = str(Phone(person.phone)) if person.phone else "没有电话"
                click.echo(
                    f"{person.name}  {person.role}  {phone}{'' if person.active else '  停用'}"
                )


@main.group()
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

    settings = Settings.read()
    start = first.date() if first else clock.now().date()
    with opened(settings) as database:
        ready_tables(database)
        try:
            with database.writing() as session:
                hours = [config.read_hours(each) for each in settings.shift_hours]
                added = rotation.fill(session, hours, start, days, rest_days=not workdays)
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


@contextmanager
def opened(settings: Settings) -> Iterator[Database]:
    database = Database(settings.database, synchronous=settings.sqlite_synchronous)
    try:
        yield database
    finally:
        database.close()


def ready_tables(database: Database) -> None:
    """Make the tables of a new house; raises OldTablesError where there are others already."""
    if migration.at_head(database):
        return
    if inspect(database.engine).get_table_names():
        raise OldTablesError
    migration.upgrade(database)


if __name__ == "__main__":
    main()
