"""How the commands read Excel files, tell each row's fate, and write files."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Protocol

import click
from sqlalchemy.orm import Session

from hotline import clock
from hotline.commands.database import opened, ready_tables
from hotline.config import Settings
from tickets.imports import NotAllError, Told, UnreadableSheetError
from tickets.ledger import SYSTEM, Person

XLSX = click.Path(path_type=Path, dir_okay=False)


class Planned(Protocol):
    """A file read against what there is."""

    @property
    def told(self) -> Told: ...


Plan = Callable[[Session, Settings, bytes, datetime], Planned]
Apply = Callable[[Session, Settings, bytes, Person, datetime], Told]


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise click.ClickException(f"打不开{path}。") from error


def write(path: Path, content: bytes) -> None:
    """Never over a file that is there."""
    try:
        with path.open("xb") as file:
            file.write(content)
    except FileExistsError as error:
        raise click.ClickException(f"{path}已经在了，请换个名字。") from error
    except OSError as error:
        raise click.ClickException(f"写不了{path}。") from error
    click.echo(f"写好了：{path}")


def importing(command: Callable[..., None]) -> Callable[..., None]:
    """The argument and the option of every import."""
    told = "Do it; otherwise only told what would be."
    return click.argument("file", type=XLSX)(
        click.option("--apply", "really", is_flag=True, help=told)(command)
    )


def bring_in(path: Path, plan: Plan, apply: Apply, *, really: bool) -> None:
    """Tell what becomes of each row of the file; if `really`, do it. Exit code 1 if a row is refused."""
    settings, content, now = Settings.read(), read(path), clock.now()
    with opened(settings) as database:
        ready_tables(database)
        try:
            with (database.writing if really else database.reading)() as session:
                if really:
                    told = apply(session, settings, content, SYSTEM, now)
                else:
                    told = plan(session, settings, content, now).told
        except UnreadableSheetError as error:
            raise click.ClickException(error.sentence) from error
        except NotAllError:
            with database.reading() as session:
                told = plan(session, settings, content, now).told
    tell(told, applied=really and not told.refused)
    if told.refused:
        raise SystemExit(1)


def tell(told: Told, *, applied: bool) -> None:
    """Every row, then the sum, then what to do next."""
    for remark in told.remarks:
        click.echo(remark)
    for fate in told.fates:
        click.echo(str(fate))
    click.echo(told.summary)
    if applied:
        click.echo("都改好了。")
    elif told.refused:
        click.echo("先改好写着「不行」的行；在那之前一行都不会改。")
    else:
        click.echo("这是试读，还没有改。没问题就加上 --apply 再来一遍。")
