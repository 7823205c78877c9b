"""`hotline people`: those who sign in."""

import click
from sqlalchemy import select

from hotline import clock
from hotline.commands.database import opened, ready_tables
from hotline.config import Settings
from hotline.phone import NotAPhoneError, Phone


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
