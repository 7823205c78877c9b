"""`hotline prompts`: recordings of prompts from a folder, and how far it is with them."""

from pathlib import Path

import click

from hotline import clock
from hotline.commands.database import opened, ready_tables
from hotline.config import Settings


@click.group()
def prompts() -> None:
    """Recordings of prompts: from a folder, and how many there are."""


@prompts.command("import")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def prompts_import(folder: Path) -> None:
    """Keep and use the recordings in a FOLDER: I10.wav, I13-2.wav for a second part; below it 金华话/ and slow/."""
    from hotline.store import Store
    from hotline.web.prompt_places import FAULTS
    from ivr import studio
    from ivr.parts import SETS
    from ivr.takes import Origin
    from tickets.ledger import SYSTEM

    settings = Settings.read()
    store, done, bad = Store(settings.prompts), 0, 0
    with opened(settings) as database:
        ready_tables(database)
        for kept_in in SETS:
            for file in sorted(path for path in (folder / kept_in).glob("*.*") if path.is_file()):
                spot = studio.spot_of(file.stem, kept_in)
                sound = studio.bring_home(store, file, "") if spot else None
                if spot is None or sound is None or sound.made.fault:
                    click.echo(
                        f"{file}：{FAULTS[sound.made.fault] if sound and sound.made.fault else '没有这一句。'}",
                        err=True,
                    )
                    bad += 1
                    continue
                with database.writing() as session:
                    now = clock.now()
                    take = studio.keep(
                        session, settings, spot, Origin.COMMAND, SYSTEM, now, sound=sound
                    )
                    studio.use(session, settings, take, SYSTEM, now)
                done += 1
    click.echo(f"用上了 {done} 句。" + (f"{bad} 个文件不能用。" if bad else ""))


@prompts.command("list")
def prompts_list() -> None:
    """Each part with its number, its words, and who speaks it."""
    from ivr import studio
    from ivr.parts import NUMBER_OF

    settings = Settings.read()
    with opened(settings) as database:
        ready_tables(database)
        with database.reading() as session:
            for spot, standing in studio.standings(session, settings).items():
                take = standing.take
                by = (
                    f"真人第{take.version}遍" if take else "要重录" if standing.outdated else "机器"
                )
                click.echo(f"{NUMBER_OF[spot]} {spot.kept_in} {spot.prompt} {by} {standing.words}")
