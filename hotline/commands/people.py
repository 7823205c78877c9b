"""`hotline people`: those who sign in."""

from datetime import datetime
from pathlib import Path

import click
from sqlalchemy import select
from sqlalchemy.orm import Session

from hotline import clock
from hotline.commands import files
from hotline.commands.database import opened, ready_tables
from hotline.config import Settings
from hotline.phone import NotAPhoneError, Phone
from tickets.imports import Told
from tickets.ledger import Person


@click.group()
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
    from hotline.web.pins import WeakPinError, set_pin
    from tickets import ledger, volunteers
    from tickets.models import Role

    settings = Settings.read()
    try:
        number = (
            phone and Phone.parse(phone, country=settings.country, area=settings.area_code).e164
        )
    except NotAPhoneError as error:
        raise click.ClickException("这个电话号码看不懂。") from error
    with opened(settings) as database:
        ready_tables(database)
        try:
            with database.writing() as session:
                new = volunteers.NewVolunteer(name, Role(role), number or None)
                set_pin(volunteers.add(session, new, ledger.SYSTEM, clock.now()), pin)
        except volunteers.NameTakenError as error:
            raise click.ClickException(f"已经有一位叫{name}的人。") from error
        except WeakPinError as error:
            raise click.ClickException(
                "密码至少六位数字，不能太好猜（比如 111111、123456）。"
            ) from error
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


@people.command("change")
@click.argument("name")
@click.option("--role", type=click.Choice(["volunteer", "lead", "committee", "admin"]))
@click.option("--phone", default="", help="Rung when a caller wants a person.")
@click.option("--stop/--back", "stops", default=None, help="No longer takes part; or does again.")
def people_change(name: str, role: str | None, phone: str, stops: bool | None) -> None:
    """Change somebody's part or telephone, or let them go."""
    from tickets import ledger, volunteers
    from tickets.models import Role

    settings = Settings.read()
    try:
        number = Phone.parse(phone, country=settings.country, area=settings.area_code).e164 if phone else None  # fmt: skip
    except NotAPhoneError as error:
        raise click.ClickException("这个电话号码看不懂。") from error
    with opened(settings) as database:
        ready_tables(database)
        try:
            with database.writing() as session:
                person = volunteers.named(session, name)
                if person is None:
                    raise click.ClickException(f"没有叫{name}的人。")
                changed = volunteers.change(
                    session, person, ledger.SYSTEM, clock.now(), role=Role(role) if role else None,
                    phone=number, active=None if stops is None else not stops,
                )  # fmt: skip
        except volunteers.LastAdminError as error:
            raise click.ClickException(f"{name}是最后一位管理员，不能去掉。") from error
        except volunteers.StillOnRosterError as error:
            raise click.ClickException(f"{name}后面还有{error.shifts}班，先用 hotline roster swap 换给别人。") from error  # fmt: skip
    click.echo("改好了。" if changed else "本来就是这样，没有改。")


@people.command("template")
@click.argument("file", type=files.XLSX)
def people_template(file: Path) -> None:
    """Write an empty file to fill in."""
    from tickets import volunteer_sheet

    files.write(file, volunteer_sheet.template())


@people.command("import")
@files.importing
def people_import(file: Path, really: bool) -> None:
    """Tell what becomes of each row; with --apply do it. Each new person's PIN is shown once."""
    from hotline.web.pins import draw_pin, set_pin
    from tickets import volunteer_sheet

    pins = dict[str, str]()

    def apply(session: Session, settings: Settings, content: bytes, by: Person, now: datetime) -> Told:  # fmt: skip
        told, new = volunteer_sheet.apply(session, settings, content, by, now)
        for person in new:
            pins[person.name] = draw_pin()
            set_pin(person, pins[person.name])
        return told

    files.bring_in(file, volunteer_sheet.plan, apply, really=really)
    if pins:
        click.echo("新来的人的密码只在这里出现一次，请抄给本人：")
    for name, pin in pins.items():
        click.echo(f"{name}  {pin}")
