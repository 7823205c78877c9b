"""How the commands read Excel files, tell each row's fate, and write files."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from tickets.imports import NotAllError, Told
from tickets.sheets import UnreadableSheetError

Done = TypeVar("Done")
XLSX = click.Path(path_type=Path, dir_okay=False)


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


def try_reading(work: Callable[[], Done]) -> Done:
    """The work, its refusals as plain sentences."""
    try:
        return work()
    except UnreadableSheetError as error:
        raise click.ClickException(error.sentence) from error
    except NotAllError as error:
        raise click.ClickException(f"有{error.refused}行不行，一行都没有改。改好再来。") from error


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
