"""The house's own exchange, as the settings of the house name it: the one place that knows both."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import phonenumbers

from hotline import secret
from hotline.config import CarrierKind, Settings, WrongSettingsError, environment_name
from ivr.exchange.settings import (
    Asterisk,
    EngineKind,
    ExchangeSettings,
    Trunk,
    WrongExchangeSettingsError,
)

KEY_FILE = "exchange.key"
SIP_PORT = 5060
DEMONSTRATION_CALLER = "+8657988880101"  # whom a softphone without a number is taken for
NOT_YET = "0" * 64  # stands for the key while it is only asked whether all else is right

# What the exchange calls a setting, and what the installer does.
NAMES = {
    "account_sid": "carrier_account", "auth_token": "carrier_token", "our_number": "line_number",
    "rest_host": "exchange_rest", "sip_host": "exchange_listen", "rtp_ports": "exchange_rtp_ports",
    "peers": "exchange_peers", "trunk": "exchange_trunk", "trunk.password": "exchange_password",
    "asterisk.password": "exchange_ari_password", "asterisk.url": "exchange_ari_url",
    "asterisk.endpoint": "exchange_ari_endpoint", "allowed_numbers": "exchange_numbers",
    "max_calls": "exchange_calls",
}  # fmt: skip


class _Wrong:
    """Collects what cannot be read, so that one error can name all of it."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, field: str, what: str) -> None:
        line = f"{environment_name(field)}: {what}"
        if not any(known.startswith(f"{environment_name(field)}:") for known in self.lines):
            self.lines.append(line)

    def read(self, field: str, read: Callable[[str], Any], written: str, otherwise: Any) -> Any:
        try:
            return read(written)
        except ValueError as error:
            self.add(field, str(error))
            return otherwise


def furnish(settings: Settings) -> Settings:
    """The settings of a line that can take calls; raises WrongSettingsError naming all that is amiss.

    With our own exchange as the carrier nobody has to invent its account, token and addresses:
    they are made here, once, and kept in the data folder.
    """
    if settings.carrier is not CarrierKind.EXCHANGE:
        settings.need_carrier()
        return settings
    tried = _fill(settings, NOT_YET)
    wrong = _Wrong()
    wrong.lines = tried.lacking()
    _translate(tried, wrong)
    if wrong.lines:
        raise WrongSettingsError("\n".join(wrong.lines))
    return _fill(settings, secret.kept(settings.data_folder, KEY_FILE))


def exchange_settings(settings: Settings, apology: str = "") -> ExchangeSettings:
    """What the exchange is told, from furnished settings; raises WrongSettingsError."""
    wrong = _Wrong()
    told = _translate(settings, wrong, apology)
    if told is None or wrong.lines:
        raise WrongSettingsError("\n".join(wrong.lines))
    return told


def prompts_folder(settings: Settings) -> Path:
    """Where the exchange finds what it has to say without us."""
    return settings.data_folder.absolute() / "exchange" / "prompts"


def _fill(settings: Settings, key: str) -> Settings:
    """Whatever was set stays as it is."""

    def made(what: str) -> str:
        return hashlib.sha256(f"{what} {key}".encode()).hexdigest()

    filling = {
        "carrier_account": f"AC{made('account')[:32]}",
        "carrier_token": made("token"),
        "carrier_api_url": f"http://{settings.exchange_rest}",
        "public_url": inside(settings),
        "exchange_ari_password": made("ari")[:32],
    }
    missing = {name: value for name, value in filling.items() if not getattr(settings, name)}
    return settings.model_copy(update=missing)


def inside(settings: Settings) -> str:
    """Where the web server is reached from this machine."""
    host, _, port = settings.listen.rpartition(":")
    return f"http://{'127.0.0.1' if host in {'0.0.0.0', '[::]', '::'} else host}:{port}"  # noqa: S104


def _translate(settings: Settings, wrong: _Wrong, apology: str = "") -> ExchangeSettings | None:
    """None where something is wrong; `wrong` then says what."""
    sip = wrong.read("exchange_listen", _place, settings.exchange_listen, ("127.0.0.1", SIP_PORT))
    rest = wrong.read("exchange_rest", _place, settings.exchange_rest, ("127.0.0.1", 5080))
    rtp = wrong.read("exchange_rtp_ports", _ports, settings.exchange_rtp_ports, (40000, 65000))
    engine = wrong.read("exchange_engine", _engine, settings.exchange_engine, EngineKind.PYTHON)
    web = f"{settings.public_url}/ivr"
    here = inside(settings)
    apart = settings.public_url != here
    try:
        return ExchangeSettings(
            account_sid=settings.carrier_account, auth_token=settings.carrier_token,
            our_number=settings.line_number, voice_url=f"{web}/ring", status_url=f"{web}/status",
            fallback_url=f"{web}/fallback", apology=apology,
            public_base=settings.public_url if apart else "", internal_base=here if apart else "",
            rest_host=rest[0], rest_port=rest[1], engine=engine,
            sip_host=sip[0], sip_port=sip[1], rtp_ports=rtp, peers=settings.exchange_peers,
            trunk=_trunk(settings, wrong), asterisk=_asterisk(settings),
            country_code=_country_code(settings), area_code=settings.area_code,
            outside_prefix=settings.exchange_outside_prefix, allowed_numbers=_numbers(settings),
            nameless_caller=DEMONSTRATION_CALLER if settings.demo else "",
            max_calls=settings.exchange_calls, max_outgoing_a_day=settings.exchange_calls_a_day,
            data_folder=settings.data_folder.absolute() / "exchange", prompts_folder=prompts_folder(settings),
        )  # fmt: skip
    except WrongExchangeSettingsError as error:
        for name, what in error.faults:
            wrong.add(NAMES.get(name, "public_url"), what)
        return None


def _place(written: str) -> tuple[str, int]:
    host, _, port = written.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError("must be address:port")
    return host, int(port)


def _ports(written: str) -> tuple[int, int]:
    low, _, high = written.partition("-")
    if not (low.isdigit() and high.isdigit()):
        raise ValueError("must be two ports such as 40000-40400")
    return int(low), int(high)


def _engine(written: str) -> EngineKind:
    try:
        return EngineKind(written)
    except ValueError:
        raise ValueError("must be python or asterisk") from None


def _trunk(settings: Settings, wrong: _Wrong) -> Trunk | None:
    written = settings.exchange_trunk
    if not written:
        return None
    host, port = (
        wrong.read("exchange_trunk", _place, written, (written, SIP_PORT))
        if ":" in written
        else (written, SIP_PORT)
    )
    return Trunk(
        host, port, settings.exchange_username, settings.exchange_password,
        register=bool(settings.exchange_username),
    )  # fmt: skip


def _asterisk(settings: Settings) -> Asterisk:
    return Asterisk(
        url=settings.exchange_ari_url, password=settings.exchange_ari_password,
        sounds_folder=Path(settings.exchange_sounds_folder),
        endpoint=settings.exchange_ari_endpoint,
    )  # fmt: skip


def _country_code(settings: Settings) -> str:
    return str(phonenumbers.country_code_for_region(settings.country))


def _numbers(settings: Settings) -> tuple[str, ...]:
    """Mobiles and the landlines of our own area: neither 96xxx nor 00…, which cost by the minute."""
    code = _country_code(settings)
    ours = (rf"\+{code}1[3-9]\d{{9}}", rf"\+{code}{settings.area_code}[2-9]\d{{6,7}}")
    return settings.exchange_numbers or ours
