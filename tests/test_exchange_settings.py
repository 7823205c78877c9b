"""The exchange as an installer sets it up: five lines, every fault named at once, no secret invented."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hotline import cli
from hotline.config import Capability, CarrierKind, Settings, WrongSettingsError
from hotline.exchange import exchange_settings, furnish
from hotline.processes import commands
from ivr.exchange.settings import EngineKind, Trunk

Run = Callable[..., Result]
FIVE_LINES = {
    "HOTLINE_LINE_NUMBER": "0579-82345678",
    "HOTLINE_COMMITTEE_PHONE": "0579-82345679",
    "HOTLINE_CARRIER": "exchange",
    "HOTLINE_EXCHANGE_LISTEN": "192.168.1.10:5060",
    "HOTLINE_EXCHANGE_TRUNK": "192.168.1.20",
}


@pytest.fixture
def hotline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Types one command in an empty folder, the five lines in its environment."""
    monkeypatch.chdir(tmp_path)

    def typed(*words: str, **changed: str) -> Result:
        return CliRunner().invoke(cli.main, words, env=FIVE_LINES | changed)

    return typed


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    """The settings of such a house."""
    monkeypatch.chdir(tmp_path)

    def reading(**changed: str) -> Settings:
        for name, value in (FIVE_LINES | changed).items():
            monkeypatch.setenv(name, value)
        return Settings.read()

    return reading


def test_five_lines_are_enough(read: Callable[..., Settings], tmp_path: Path) -> None:
    settings = furnish(read())
    told = exchange_settings(settings, "对不起")

    assert told.engine is EngineKind.PYTHON
    assert (told.sip_host, told.sip_port) == ("192.168.1.10", 5060)
    assert told.trunk == Trunk("192.168.1.20", 5060)
    assert told.our_number == "+8657982345678"
    assert told.voice_url == "http://127.0.0.1:8080/ivr/ring"
    assert told.rest_base == settings.carrier_api == "http://127.0.0.1:5080"
    assert told.auth_token == settings.carrier_token == settings.secrets[0]
    assert settings.allowed_media_hosts == {"127.0.0.1"}
    assert Capability.WHISPER in settings.capabilities
    assert Capability.MACHINE_DETECTION not in settings.capabilities
    assert [each.name for each in commands(settings, exchange=True)][-1] == "exchange"


def test_the_secrets_are_made_once_and_differ_from_house_to_house(
    read: Callable[..., Settings], tmp_path: Path
) -> None:
    first, again = furnish(read()), furnish(read())
    other = furnish(read(HOTLINE_DATA_FOLDER=str(tmp_path / "other")))

    assert first.carrier_token == again.carrier_token
    made = [
        secret
        for each in (first, other)
        for secret in (each.carrier_token, each.carrier_account, each.exchange_ari_password)
    ]
    assert len(set(made)) == 6
    for folder in ("data", "other"):
        key = tmp_path / folder / "exchange.key"
        assert key.stat().st_mode & 0o777 == 0o600
        assert key.read_text() not in made


def test_behind_a_public_address_the_exchange_stays_inside(read: Callable[..., Settings]) -> None:
    told = exchange_settings(
        furnish(read(HOTLINE_PUBLIC_URL="https://line.example.org", HOTLINE_LISTEN="0.0.0.0:8000"))
    )

    assert told.voice_url == "https://line.example.org/ivr/ring"  # as it is signed
    assert told.internal_base == "http://127.0.0.1:8000"  # as it is reached


WRONG = {
    "HOTLINE_EXCHANGE_ENGINE": "freeswitch",
    "HOTLINE_EXCHANGE_LISTEN": "0.0.0.0:5060",
    "HOTLINE_EXCHANGE_TRUNK": "box.local",
    "HOTLINE_EXCHANGE_PEERS": "everybody",
    "HOTLINE_EXCHANGE_RTP_PORTS": "some",
    "HOTLINE_EXCHANGE_REST": "192.168.1.10:5080",
    "HOTLINE_EXCHANGE_USERNAME": "0579",  # and no password
    "HOTLINE_EXCHANGE_NUMBERS": "(",
    "HOTLINE_EXCHANGE_CALLS": "0",
    "HOTLINE_CARRIER_ACCOUNT": "AC1",
    "HOTLINE_CARRIER_TOKEN": "short",
    "HOTLINE_LINE_NUMBER": "",
    "HOTLINE_COMMITTEE_PHONE": "",
}


@pytest.mark.parametrize("command", [("serve", "--exchange"), ("exchange",), ("serve",)])
def test_all_that_is_wrong_or_missing_is_named_at_once(
    hotline: Run, tmp_path: Path, command: tuple[str, ...]
) -> None:
    said = hotline(*command, **WRONG)

    assert said.exit_code == 2
    named = set(re.findall(r"^(HOTLINE_\w+):", said.stderr, re.MULTILINE))
    assert named == WRONG.keys() - {"HOTLINE_EXCHANGE_USERNAME"} | {"HOTLINE_EXCHANGE_PASSWORD"}
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"HOTLINE_EXCHANGE_TRUNK": ""}, "HOTLINE_EXCHANGE_TRUNK"),
        ({"HOTLINE_EXCHANGE_LISTEN": "127.0.0.1:5060"}, "HOTLINE_EXCHANGE_LISTEN"),
        ({"HOTLINE_EXCHANGE_PEERS": "0.0.0.0/0"}, "HOTLINE_EXCHANGE_PEERS"),
        ({"HOTLINE_EXCHANGE_RTP_PORTS": "40000-40010"}, "HOTLINE_EXCHANGE_RTP_PORTS"),
        ({"HOTLINE_EXCHANGE_ENGINE": "asterisk", "HOTLINE_EXCHANGE_ARI_URL": "http://192.168.1.9:8088"}, "HOTLINE_EXCHANGE_ARI_URL"),
        ({"HOTLINE_EXCHANGE_ENGINE": "asterisk", "HOTLINE_EXCHANGE_ARI_ENDPOINT": "PJSIP/trunk"}, "HOTLINE_EXCHANGE_ARI_ENDPOINT"),
    ],
)  # fmt: skip
def test_a_line_that_could_not_work_or_would_stand_open_is_refused(
    read: Callable[..., Settings], changed: dict[str, str], named: str
) -> None:
    with pytest.raises(WrongSettingsError, match=f"^{named}: [^\n]+$"):
        furnish(read(**changed))


def test_with_another_carrier_there_is_no_exchange(hotline: Run) -> None:
    for command in (("serve", "--exchange"), ("exchange",), ("exchange", "asterisk-config", "x")):
        said = hotline(*command, HOTLINE_CARRIER=CarrierKind.TWILIO.value)
        assert said.exit_code == 2
        assert "HOTLINE_CARRIER: must be exchange" in said.stderr


def test_asterisk_is_told_what_the_exchange_knows(hotline: Run, tmp_path: Path) -> None:
    said = hotline("exchange", "asterisk-config", "etc", HOTLINE_EXCHANGE_ENGINE="asterisk")

    assert said.exit_code == 0, said.output
    files = {path.name: path for path in (tmp_path / "etc").iterdir()}
    assert all(f"etc/{name}" in said.output for name in files)
    assert all(path.stat().st_mode & 0o007 == 0 for path in files.values())
    pjsip = files["pjsip.conf"].read_text()
    assert "bind=192.168.1.10:5060" in pjsip
    assert "match=192.168.1.20/32" in pjsip
    settings = Settings(_env_file=None, data_folder=tmp_path / "data", **_given())  # type: ignore[call-arg]
    password = exchange_settings(furnish(settings)).asterisk.password
    assert f"password={password}\n" in files["ari.conf"].read_text()


def _given() -> dict[str, str]:
    return {name.removeprefix("HOTLINE_").lower(): value for name, value in FIVE_LINES.items()}
