"""`hotline residents`: the residents from and to Excel."""

from pathlib import Path

import click

from hotline import clock
from hotline.commands import files
from hotline.commands.database import opened, ready_tables
from hotline.config import Settings


@click.group()
def residents() -> None:
    """The residents: from Excel, to Excel, found by a few keys."""


@residents.command("template")
@click.argument("file", type=files.XLSX)
def residents_template(file: Path) -> None:
    """Write an empty file to fill in."""
    from tickets import resident_sheet

    files.write(file, resident_sheet.template())


@residents.command("import")
@files.importing
def residents_import(file: Path, really: bool) -> None:
    """Tell what becomes of each row; with --apply do it, all of it or nothing."""
    from tickets import resident_sheet

    files.bring_in(file, resident_sheet.plan, resident_sheet.apply, really=really)


@residents.command("export")
@click.argument("file", type=files.XLSX)
@click.option("--whole", is_flag=True, help="Whole numbers; needs --as and --why.")
@click.option("--as", "name", default="", help="The administrator who asks for whole numbers.")
@click.option("--why", default="", help="What for; it stands in the ledger.")
def residents_export(file: Path, whole: bool, name: str, why: str) -> None:
    """Write everybody to a file, numbers masked."""
    from tickets import ledger, resident_sheet, volunteers
    from tickets.residents import ReasonMissingError

    with opened(Settings.read()) as database:
        ready_tables(database)
        try:
            with database.writing() as session:
                person = volunteers.named(session, name) if name else None
                by = ledger.volunteer(person.id, "system") if person else ledger.SYSTEM
                content = resident_sheet.export(session, by, clock.now(), why=why, whole=whole)
        except ReasonMissingError as error:
            raise click.ClickException("要整个号码，请用 --why 写明做什么用。") from error
        except resident_sheet.OnlyAdminsError as error:
            raise click.ClickException("整个号码只有管理员能导出，请用 --as 写上管理员的名字。") from error  # fmt: skip
    files.write(file, content)


@residents.command("find")
@click.argument("words", nargs=-1, required=True)
def residents_find(words: tuple[str, ...]) -> None:
    """Find by name, pinyin (lgf), door (3-2-501) or last digits; numbers masked."""
    from hotline.phone import mask
    from tickets import directory

    with opened(Settings.read()) as database:
        ready_tables(database)
        with database.reading() as session:
            found = directory.find(session, " ".join(words))
            for each in found:
                numbers = "、".join(mask(row.phone) for row in each.phones) or "没有电话"
                click.echo(f"{each.name}  {directory.address(each)}  {numbers}")
    if not found:
        click.echo("没有找到。")
