"""`hotline figures`: the committee's figures of a month or a year, in the terminal."""

import re

import click

from hotline import clock
from hotline.commands.database import opened, ready_tables
from hotline.config import Settings


@click.command()
@click.argument("period")
@click.option("--how", is_flag=True, help="Say how each is counted.")
def figures(period: str, how: bool) -> None:
    """Print the figures of a PERIOD: 2026-10 or 2026."""
    from tickets import counting
    from tickets.counting import Period, Value
    from tickets.listings import REASONS

    if not (found := re.fullmatch(r"(20\d\d)(?:-(0[1-9]|1[0-2]))?", period)):
        raise click.ClickException("请写成 2026-10（一个月）或者 2026（一年）。")
    year, month = int(found[1]), found[2]
    chosen = Period.month(year, int(month)) if month else Period.year(year)

    def share(percent: float | None) -> str:
        return "" if percent is None else f" {percent:.1f}%"

    def line(value: Value) -> str:
        before = f"上期 {value.k_before}/{value.n_before}{share(value.percent_before)}"
        return f"{value.figure.name}  {value.k}/{value.n}{share(value.percent)}（{before}）"

    with opened(Settings.read()) as database:
        ready_tables(database)
        with database.reading() as session:
            report = counting.report(session, chosen, clock.now())
    for value in report.values:
        click.echo(line(value))
        if how:
            click.echo(f"    {value.figure.how}")
    if report.trips_a_ticket is not None:
        click.echo(f"平均跑动  {report.trips_a_ticket:.2f} 次")
    for reason, many in report.reasons:
        click.echo(f"再跑一趟的原因  {REASONS[reason]} {many}")
    if report.median_minutes is not None:
        click.echo(
            f"响应时长  一半在 {report.median_minutes} 分钟内，九成在 {report.p90_minutes} 分钟内（只算值班时间）"
        )
