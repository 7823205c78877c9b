"""The commands an installer and a committee type."""

from importlib import import_module
from pathlib import Path

import click

from hotline import config, ear, logs
from hotline.commands.database import OldTablesError, opened, ready_tables
from hotline.config import Settings, WrongSettingsError
from hotline.exchange import furnish
from hotline.household import AlreadyRunningError, Household, alone_in
from hotline.processes import commands

WRONG = 2  # the exit code for settings and commands that cannot be
# Where the others are, in hotline.commands; each is read when it is asked for: they know the whole house.
ELSEWHERE = {
    "asr": "asr:asr_group", "audit": "audit:audit", "backup": "backup:backup", "db": "database:db",
    "door": "door:door", "exchange": "exchange:exchange", "export": "export:export",
    "figures": "figures:figures", "model": "model:model", "people": "people:people",
    "prompts": "prompts:prompts", "residents": "residents:residents", "restore": "backup:restore",
    "retention": "retention:retention", "rings": "rings:rings", "roster": "roster_changes:roster",
}  # fmt: skip


class Plain(click.Group):
    """Turns the errors an installer can cure into plain sentences and exit code 2."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *ELSEWHERE})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in ELSEWHERE:
            return super().get_command(ctx, cmd_name)
        module, _, name = ELSEWHERE[cmd_name].partition(":")
        command: click.Command = getattr(import_module(f"hotline.commands.{module}"), name)
        return command

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


@click.group(cls=Plain, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """红色助跑服务热线：接电话、记事情、派给值班的人、办完回电话。"""


@main.command()
@click.option("--exchange", "with_exchange", is_flag=True, help="The house's own exchange too.")
def serve(with_exchange: bool) -> None:
    """Run the line: web server, worker and Redis, until Ctrl-C or SIGTERM."""
    from hotline.commands.exchange import furnish_exchange

    settings = (furnish_exchange if with_exchange else furnish)(Settings.read())
    house = commands(settings, exchange=with_exchange)
    logs.start()
    if warning := ear.warning(settings):
        click.echo(f"请留意：{warning}", err=True)
    with alone_in(settings.data_folder):
        with opened(settings) as database:
            ready_tables(database)
        Household(house).run()


@main.command()
def worker() -> None:
    """Run the worker alone, where the web server runs elsewhere."""
    from worker.__main__ import main as work  # it loads libvosk: only where it is needed

    settings = furnish(Settings.read())
    with opened(settings) as database:
        ready_tables(database)
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
    "--sip", default="", metavar="ADDRESS:PORT",
    help="Where softphones ring. Default: 127.0.0.1:5070 or the next free port.",
)  # fmt: skip
@click.option(
    "--folder", type=click.Path(path_type=Path), default=None, help="Default: data/demo here."
)
@click.option("--keep", is_flag=True, help="Leave the demonstration's data at the end.")
def demo(listen: str, sip: str, folder: Path | None, keep: bool) -> None:
    """Show the whole house on this machine: no account, no network, nothing left afterwards."""
    from hotline import demo as house

    try:
        house.run(
            listen=listen, sip=sip, folder=folder or Path("data") / "demo", keep=keep, say=click.echo
        )  # fmt: skip
    except house.NotOursError as error:
        raise click.ClickException(
            f"{error} 不是演示用的文件夹，不动它。请用 --folder 换一个。"
        ) from error


@main.command("config")
def show_config() -> None:
    """Print every setting, its value now and what it means; secrets starred."""
    settings = Settings.read()
    if settings.database_url or (settings.data_folder / "hotline.db").exists():
        with opened(settings):  # what was changed on the page is in there
            pass
    for name, value, text in config.table(settings):
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
@click.argument(
    "flow", type=click.Choice(["inbound", "return", "duty", "staff", "bridge"]), default="inbound"
)
@click.option(
    "--situation", type=click.Choice(["fresh", "open_request", "closed"]), default="fresh"
)
@click.option("--caller", type=click.Choice(["known", "hidden", "unknown"]), default="known")
@click.option("--event", "events", type=click.Choice(["accepted", "visited", "done", "materials"]), multiple=True, default=["done"], help="What a return call brings; may be given several times.")  # fmt: skip
@click.option("--trips", is_flag=True, help="A return call asks for the resident's own outings.")
@click.option("--things", is_flag=True, help="A return call asks for what was taken along.")
@click.option(
    "--requests", type=click.IntRange(0, 9), default=1, help="How many a volunteer hears."
)
@click.option("--begins", is_flag=True, help="The volunteer is rung because duty begins.")
@click.option("--machine", is_flag=True, help="An answering machine takes a call of ours.")
@click.option("--volunteers", type=click.IntRange(0, 5), default=1, help="How many can be rung.")
def rehearse(
    flow: str, situation: str, caller: str, events: tuple[str, ...], trips: bool, things: bool,
    requests: int, begins: bool, machine: bool, volunteers: int,
) -> None:  # fmt: skip
    """Play a call in the terminal: the true words, no telephone."""
    from hotline import rehearsal
    from ivr.flow import FLOWS

    match flow:
        case "inbound":
            facts = rehearsal.inbound_facts(situation, caller, 1, volunteers)
        case "return":
            facts = rehearsal.return_facts(
                events, machine=machine, volunteers=volunteers, trips=trips, things=things
            )
        case _:
            facts = rehearsal.volunteer_facts(requests, begins=begins, machine=machine)
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
    from ivr.voices import Voices

    settings = Settings.read()
    click.echo(Scribe(settings, Voices()).apology())


if __name__ == "__main__":
    main()
