"""`hotline export`: sheets for the committee."""

from datetime import datetime, time, timedelta
from pathlib import Path

import click

from hotline import clock
from hotline.commands.database import opened, ready_tables
from hotline.config import Settings

DAY = click.DateTime(formats=["%Y-%m-%d"])
KEYS = ("tickets", "calls", "return_calls", "journeys", "duty", "recordings", "ledger", "heard")


@click.command()
@click.argument("sheet", type=click.Choice(KEYS))
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--from", "first", type=DAY, required=True, help="The first day.")
@click.option("--to", "last", type=DAY, required=True, help="The last day.")
def export(sheet: str, file: Path, first: datetime, last: datetime) -> None:
    """Write a SHEET, masked, to a FILE.csv or FILE.xlsx."""
    from hotline.heard_sheet import BY_KEY
    from tickets import export as files
    from tickets import ledger

    if file.suffix not in {".csv", ".xlsx"}:
        raise click.ClickException("文件名请用 .csv 或 .xlsx 结尾。")
    if last < first:
        raise click.ClickException("结束那天在开始那天前面。")
    start = datetime.combine(first, time.min, clock.SHANGHAI)
    end = datetime.combine(last + timedelta(days=1), time.min, clock.SHANGHAI)
    chosen, whole = BY_KEY[sheet], file.with_name(f"{file.name}.part")
    with opened(Settings.read()) as database:
        ready_tables(database)
        with database.writing() as session:  # what is given away is written down before it is
            ledger.write(
                session, at=clock.now(), person=ledger.SYSTEM, act="export", object_kind="sheet",
                object_id=None, sheet=sheet, first=f"{first:%Y-%m-%d}", last=f"{last:%Y-%m-%d}",
            )  # fmt: skip
        with database.reading() as session:
            try:
                if file.suffix == ".csv":
                    with whole.open("w", encoding="utf-8", newline="") as text:
                        rows = files.write_csv(session, chosen, start, end, text)
                else:
                    with whole.open("wb") as binary:
                        rows = files.write_xlsx(session, chosen, start, end, binary)
            except files.TooLongError as error:
                whole.unlink()
                raise click.ClickException(
                    f"{files.MOST_ROWS} 行以上一张表放不下，请用 .csv，或者分几次导出。"
                ) from error
    whole.replace(file)
    click.echo(f"写好了：{file}，{rows} 行。")
