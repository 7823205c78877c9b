"""What the exchange must be told; nothing here reads the environment."""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import ip_address, ip_network
from pathlib import Path
from urllib.parse import urlsplit


class WrongExchangeSettingsError(ValueError):
    """One or more settings are missing or wrong: `faults` holds each one's name and what is wrong."""

    def __init__(self, faults: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{name}: {what}" for name, what in faults))
        self.faults = faults


VOICE = "cmn-latn-pinyin"
VOICE_SPEED = 150  # espeak-ng's words a minute; about 180 characters of Chinese


class EngineKind(StrEnum):
    PYTHON = "python"  # one box on a quiet LAN, the demonstration, the tests
    ASTERISK = "asterisk"  # any carrier


@dataclass(frozen=True, slots=True)
class Trunk:
    """The box, PBX or carrier through which calls go out."""

    host: str  # an address, not a name: peers are known by address
    port: int = 5060
    username: str = ""
    password: str = field(default="", repr=False)
    register: bool = False  # whether the far side wants a REGISTER before it sends calls


@dataclass(frozen=True, slots=True)
class Asterisk:
    """Where a running Asterisk is reached, and where it keeps what it plays and records."""

    url: str = "http://127.0.0.1:8088"
    username: str = "hotline"
    password: str = field(default="", repr=False)
    app: str = "hotline"
    # Asterisk plays files by path; both programs must see this folder at the same place.
    sounds_folder: Path = Path("/var/lib/asterisk/sounds/hotline")
    endpoint: str = "PJSIP/{number}@trunk"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeSettings:
    """Everything an exchange needs. Raises WrongExchangeSettingsError, naming all faults at once."""

    # The carrier's side: what the web application sees.
    account_sid: str
    auth_token: str = field(repr=False)
    our_number: str  # E.164
    voice_url: str  # asked for TwiML when somebody rings
    status_url: str = ""  # told how an incoming call ended
    fallback_url: str = ""  # asked when the address in force fails; best a static file
    public_base: str = ""  # the addresses in TwiML begin so, and signatures are made over it …
    internal_base: str = ""  # … but the application is reached here, without leaving the house
    rest_host: str = "127.0.0.1"
    rest_port: int = 5080
    webhook_seconds: float = 15  # as at Twilio

    # The telephone side.
    engine: EngineKind = EngineKind.PYTHON
    sip_host: str = "127.0.0.1"
    sip_port: int = 5060
    rtp_ports: tuple[int, int] = (40000, 40400)  # an even port for each call
    trunk: Trunk | None = None
    peers: tuple[str, ...] = ()  # addresses or networks that may ring, beside the trunk
    asterisk: Asterisk = Asterisk()

    # Numbers as this line dials them.
    country_code: str = "86"
    area_code: str = "579"
    outside_prefix: str = ""  # such as 9 behind an office PBX

    # Safety: toll fraud is the usual end of an open SIP port.
    nameless_caller: str = ""  # whom a caller without a number is taken for; a demonstration only
    allowed_numbers: tuple[str, ...] = (r"\+861[3-9]\d{9}", r"\+86579[2-9]\d{7}")  # no 96xxx, 00…
    max_calls: int = 30  # at once, both directions
    max_outgoing_a_day: int = 300
    max_outgoing_a_day_to_one: int = 12
    max_new_calls_a_second: float = 20
    max_call_seconds: int = 1800
    max_ring_seconds: int = 120
    no_media_seconds: float = 30  # a call in which no sound packet ever arrives is ended
    lost_media_seconds: float = 60  # and one in which none came for so long: the box lost its power
    held_media_seconds: float = 300  # or for so long while somebody put it on hold

    # Where things are kept, and the voice.
    data_folder: Path = Path("data/exchange")
    prompts_folder: Path | None = None  # NAME.wav beside NAME.txt with the words
    apology: str = ""  # said when neither the application nor its fallback answers
    voice: str = VOICE
    voice_speed: int = VOICE_SPEED
    min_free_bytes: int = 50_000_000  # below this no recording is begun
    keep_days: int = 30  # finished calls and undelivered reports; recordings: until deleted

    def __post_init__(self) -> None:
        faults = [(name, what) for wrong, name, what in self._faults() if wrong]
        if faults:
            raise WrongExchangeSettingsError(faults)

    def _faults(self) -> list[tuple[bool, str, str]]:
        """Whether it is wrong, its name, what it must be."""
        asterisk, trunk = self.engine is EngineKind.ASTERISK, self.trunk
        low, high = self.rtp_ports
        far = [*self.peers, *((trunk.host,) if trunk else ())]
        # fmt: off
        return [
            (not re.fullmatch(r"AC[0-9a-f]{32}", self.account_sid), "account_sid", "must be AC and 32 hexadecimal digits"),
            (len(self.auth_token) < 16, "auth_token", "must have at least 16 characters"),
            (not re.fullmatch(r"\+[1-9]\d{6,14}", self.our_number), "our_number", "must be a number in E.164"),
            (not _is_http(self.voice_url), "voice_url", "must be an http(s) address"),
            (bool(self.status_url) and not _is_http(self.status_url), "status_url", "must be an http(s) address"),
            (bool(self.fallback_url) and not _is_http(self.fallback_url), "fallback_url", "must be an http(s) address"),
            (bool(self.public_base) != bool(self.internal_base), "public_base", "needs internal_base, and the other way round"),
            (not is_loopback(self.rest_host), "rest_host", "must be an address of this machine alone, such as 127.0.0.1"),
            (not _is_address(self.sip_host) or _is_any(self.sip_host), "sip_host", "must be one address of this machine, neither a name nor 0.0.0.0"),
            (is_loopback(self.sip_host) and any(map(_is_elsewhere, far)), "sip_host", "the box cannot reach 127.0.0.1: name this machine's address on its side"),
            (high - low < 2 * self.max_calls, "rtp_ports", "must be two ports for each call at once"),
            (low < 1024 or high > 65535, "rtp_ports", "must lie between 1024 and 65535"),
            (any(not _is_network(peer) for peer in self.peers), "peers", "must be addresses or networks"),
            (any(_is_everybody(peer) for peer in self.peers), "peers", "must not be the whole world"),
            (trunk is not None and (not _is_address(trunk.host) or _is_any(trunk.host)), "trunk", "must be an address, not a name"),
            (trunk is not None and trunk.register and not (trunk.username and trunk.password), "trunk.password", "missing: registering needs name and password"),
            (not far and not asterisk, "trunk", "missing: nobody could ring"),
            (asterisk and len(self.asterisk.password) < 16, "asterisk.password", "must have at least 16 characters"),
            (asterisk and not is_loopback(urlsplit(self.asterisk.url).hostname or ""), "asterisk.url", "must be an address of this machine alone, such as http://127.0.0.1:8088"),
            (asterisk and "{number}" not in self.asterisk.endpoint, "asterisk.endpoint", "must hold {number}"),
            (any(not _compiles(p) for p in self.allowed_numbers), "allowed_numbers", "must be regular expressions"),
            (self.max_calls < 1 or self.max_call_seconds < 1, "max_calls", "must be 1 or more"),
        ]
        # fmt: on

    @property
    def rest_base(self) -> str:
        return f"http://{self.rest_host}:{self.rest_port}"


def is_loopback(host: str) -> bool:
    return _is_address(host) and ip_address(host).is_loopback


def _is_http(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _is_any(text: str) -> bool:
    return ip_address(text).is_unspecified


def _is_network(text: str) -> bool:
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def _is_elsewhere(peer: str) -> bool:
    return _is_network(peer) and not ip_network(peer, strict=False).is_loopback


def _is_everybody(text: str) -> bool:
    return _is_network(text) and ip_network(text, strict=False).prefixlen == 0


def _compiles(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True
