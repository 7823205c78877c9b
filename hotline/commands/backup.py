"""`hotline backup` and `hotline restore`: the whole house at one moment, and back."""

from pathlib import Path

import click

from hotline import backup as backups
from hotline import clock
from hotline.commands.database import opened, ready_tables
from hotline.config import Settings
from hotline.household import alone_in


@click.command()
def backup() -> None:
    """Back the house up now, as the worker does every night; the newest few are kept."""
    settings = Settings.read()
    with opened(settings) as database:
        ready_tables(database)
        try:
            made = backups.make(database, settings, clock.now())
        except backups.BackupError as error:
            raise click.ClickException(str(error)) from error
    click.echo(f"备份好了，打开看过：{made.path}，{made.sounds} 段录音。")


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def restore(folder: Path) -> None:
    """Put the backup in FOLDER into a house that is empty and not running."""
    from tickets import audit

    settings = Settings.read()
    with alone_in(settings.data_folder), opened(settings) as database:
        try:
            made = backups.restore(folder, database, settings)
        except backups.NotEmptyError as error:
            raise click.ClickException("这里已经有数据了，不覆盖。请换一个空的数据文件夹（或者空的数据库）。") from error  # fmt: skip
        except backups.BackupError as error:
            raise click.ClickException(str(error)) from error
    with opened(settings) as database:
        ready_tables(database)
        with database.reading() as session:
            verdict = audit.verify(session)
    if verdict.fault:
        click.echo(f"台账不对。{verdict.fault.sentence}", err=True)
        raise SystemExit(1)
    click.echo(f"恢复好了，是 {made.at:%Y-%m-%d %H:%M} 的样子：{made.sounds} 段录音，台账 {verdict.lines} 行，完好。")  # fmt: skip
    click.echo("那以后的来电和改动没有了；那时欠的回电话，一启动就会打。请先运行 hotline retention run。")  # fmt: skip
