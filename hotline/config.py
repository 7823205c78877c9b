"""Every setting of the house: one frozen object, read once, at the door of a process."""

import os
import re
from collections.abc import Mapping
from datetime import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from hotline.phone import NotAPhoneError, Phone

PREFIX = "HOTLINE_"
SETTINGS_FILE = "hotline.env"

IN_ADDRESS = re.compile(r"(://[^:/@\s]*:)[^/\s]*@")  # a password in an address is a secret too
Names = Annotated[tuple[str, ...], NoDecode]  # written a,b,c


class WrongSettingsError(Exception):
    """One or more settings are missing or wrong; the text names every one of them."""


class CarrierKind(StrEnum):
    TWILIO = "twilio"
    SOMLENG = "somleng"
    SIGNALWIRE = "signalwire"
    TELNYX = "telnyx"
    GENERIC = "generic"
    EXCHANGE = "exchange"  # the house's own


class Capability(StrEnum):
    """What some carriers can do beyond the portable subset."""

    WHISPER = "whisper"
    ANSWER_ON_BRIDGE = "answer_on_bridge"
    TIMEOUT = "timeout"
    EVENTS = "events"
    MACHINE_DETECTION = "machine_detection"
    FALLBACK = "fallback"


_TWILIO_LIKE = frozenset(Capability)
CAPABILITIES: Mapping[CarrierKind, frozenset[Capability]] = {
    CarrierKind.TWILIO: _TWILIO_LIKE,
    CarrierKind.SIGNALWIRE: _TWILIO_LIKE,
    CarrierKind.TELNYX: _TWILIO_LIKE,
    CarrierKind.SOMLENG: frozenset(),
    CarrierKind.GENERIC: frozenset(),
    CarrierKind.EXCHANGE: _TWILIO_LIKE - {Capability.MACHINE_DETECTION},
}


class DeskCalls(StrEnum):
    """How a resident is rung from the desk."""

    NUMBER = "number"
    BRIDGE = "bridge"


class Settings(BaseSettings):
    """The settings by their field names; each is HOTLINE_ and the name in capitals."""

    model_config = SettingsConfigDict(
        frozen=True,
        env_prefix=PREFIX,
        env_file=SETTINGS_FILE,
        extra="ignore",
        populate_by_name=True,
        hide_input_in_errors=True,
    )

    # A table: one setting, one line.
    # fmt: off
    # where things are
    data_folder: Path = Field(Path("data"), description="Folder for the database, recordings, Redis and the secret key")
    database_url: str = Field("", description="SQLAlchemy address; empty: a SQLite file in the data folder")
    sqlite_synchronous: str = Field("FULL", pattern="^(FULL|NORMAL)$", description="FULL loses nothing at a power cut; NORMAL is faster")
    redis_url: str = Field("", description="An outside Redis; empty: our own on a socket in the data folder")
    recordings_url: str = Field("", description="Where recordings are kept, any fsspec address; empty: a folder in the data folder")
    prompts_folder: Path | None = Field(None, description="Folder where the recordings of prompts are kept; empty: prompts/ in the data folder")
    backup_folder: Path | None = Field(None, description="Folder of the nightly backups, better on another disk; empty: backups/ in the data folder")
    keep_backups: int = Field(14, ge=1, le=30, description="How many backups are kept; what was deleted by rule lives on in them")
    listen: str = Field("127.0.0.1:8080", description="Address and port the web server listens on")

    # the house
    line_name: str = Field("红色助跑热线", min_length=1, max_length=12, description="What the line calls itself")
    line_number: str = Field("", description="Our own telephone number, as the carrier knows it")
    committee_phone: str = Field("", description="The committee's telephone, named when the line is broken and rung when nobody is on duty")
    committee_place: str = Field("居委会", description="Where a resident can come in person")
    area_code: str = Field("579", pattern=r"^[1-9]\d{1,2}$", description="Area code, without its zero, of callers shown with eight digits")
    country: str = Field("CN", pattern="^[A-Z]{2}$", description="Country of numbers shown without one")

    # the carrier
    public_url: str = Field("", description="Address under which the carrier reaches us, such as https://line.example.org; our exchange needs none")
    carrier: CarrierKind = Field(CarrierKind.TWILIO, description="exchange (our own), twilio, somleng, signalwire, telnyx or generic")
    carrier_api_url: str = Field("", description="Base address of the carrier's REST interface; empty: Twilio's own, or our exchange's")
    carrier_account: str = Field("", description="Account identifier at the carrier; our exchange makes its own")
    carrier_token: str = Field("", description="Account token at the carrier; our exchange makes its own", json_schema_extra={"secret": True})
    carrier_timeout_seconds: float = Field(10, gt=0, le=60, description="How long one request to the carrier may take")
    signing_secrets: Names = Field((), description="Secrets the carrier signs with, newest first; empty: the account token", json_schema_extra={"secret": True})
    signature_header: str = Field("X-Twilio-Signature", description="Header that carries the signature")
    signature_scheme: str = Field("HMAC_SHA1", pattern="^HMAC_SHA(1|256)$", description="HMAC_SHA1, or HMAC_SHA256 with a shared key")
    media_hosts: Names = Field((), description="Hosts recordings may be fetched from; empty: the host of the carrier's REST interface")
    capabilities_add: Names = Field((), description="Capabilities this carrier has beyond its kind's")
    capabilities_remove: Names = Field((), description="Capabilities this carrier lacks")
    trunk_channels: int = Field(2, ge=1, description="Calls the trunk can carry at once; return calls leave one free")
    calls_a_minute: int = Field(6, ge=1, description="Return calls placed in a minute at most")

    # the house's own exchange, where the carrier is exchange
    exchange_engine: str = Field("python", description="python for one box on a quiet net, asterisk for any trunk by a running Asterisk of 18 or newer")
    exchange_listen: str = Field("127.0.0.1:5060", description="Address and port of SIP: this machine's own on the side of the box")
    exchange_trunk: str = Field("", description="Address, and port where it is not 5060, of the box, PBX or carrier that calls come from and go to")
    exchange_peers: Names = Field((), description="Further addresses or networks that may ring us")
    exchange_username: str = Field("", description="Name to register with at the trunk; empty: it knows us by address")
    exchange_password: str = Field("", description="Password to register with at the trunk", json_schema_extra={"secret": True})
    exchange_rtp_ports: str = Field("40000-40400", description="UDP ports of the sound, two for each call")
    exchange_rest: str = Field("127.0.0.1:5080", description="Where the exchange takes the house's orders; on this machine only")
    exchange_numbers: Names = Field((), description="Patterns (regular expressions, +86…) of numbers that may be rung; empty: mobiles, and landlines of our area")
    exchange_outside_prefix: str = Field("", description="Digits before every number that is dialled, such as 9 behind an office's PBX")
    exchange_calls: int = Field(30, description="Calls at once at most, both ways")
    exchange_calls_a_day: int = Field(300, ge=1, description="Calls out on one day at most")
    exchange_ari_url: str = Field("http://127.0.0.1:8088", description="Where Asterisk's REST interface is, on this machine")
    exchange_ari_password: str = Field("", description="Password of the user hotline there; empty: made once and written by `hotline exchange asterisk-config`", json_schema_extra={"secret": True})
    exchange_ari_endpoint: str = Field("PJSIP/{number}@trunk", description="How Asterisk is to dial a number")
    exchange_sounds_folder: Path = Field(Path("/var/lib/asterisk/sounds/hotline"), description="Folder below Asterisk's own sounds that both programs can use")

    # what callers hear
    speech_language: str = Field("zh-CN", description="Language of spoken prompts")
    speech_voice: str = Field("", description="The carrier's voice for spoken prompts; empty: its own choice")
    menu_wait_seconds: int = Field(8, ge=4, le=30, description="Wait for a key after a menu (VOICE R12)")
    opening_wait_seconds: int = Field(4, ge=2, le=30, description="Wait for a key where silence leads to the beep (R12)")
    slow_wait_more_seconds: int = Field(4, ge=0, le=20, description="So much longer has whoever is spoken to slowly: 8 s where others have 4 (R12)")
    message_max_seconds: int = Field(180, ge=30, le=600, description="Longest message (R21)")
    message_silence_seconds: int = Field(8, ge=3, le=30, description="Silence that ends a message (R21)")
    message_min_seconds: float = Field(1, ge=0, le=5, description="Sound a message needs to count (R21)")
    ready_wait_seconds: int = Field(8, ge=0, le=15, description="Wait, after a message, for its text, to say what to have ready; 0: none")
    ring_person_seconds: int = Field(25, ge=10, le=60, description="How long one volunteer's telephone rings (R23)")
    ring_all_seconds: int = Field(40, ge=10, le=120, description="How long volunteers' telephones ring in all (R23)")
    ring_resident_seconds: int = Field(50, ge=20, le=120, description="How long a return call rings (R27)")

    # duty and promises
    shift_hours: Names = Field(("08:30-11:30", "14:00-17:00"), description="Shifts of a working day; 20:00-08:00 runs through the night")
    shift_hours_rest: Names = Field(("08:30-11:30", "14:00-17:00"), description="Shifts of a rest day or holiday; empty: nobody is needed")
    accept_within_minutes: int = Field(30, ge=5, description="Duty time until a request should be taken")
    contact_within_minutes: int = Field(120, ge=10, description="Duty time until a resident should have heard from us")
    ring_back_within_minutes: int = Field(60, ge=10, description="Duty time until somebody who left no words is called back")
    done_within_hours: int = Field(48, ge=1, description="Hours in which a routine request should be done")
    complex_done_within_days: int = Field(7, ge=1, description="Days in which a complex request should be done")
    tell_within_hours: int = Field(24, ge=1, description="Hours after a request is done in which the resident should know")
    remind_after_minutes: int = Field(30, ge=5, description="Duty time between reminding the volunteer, the substitute and the duty lead of a passed limit")
    undo_within_minutes: int = Field(10, ge=1, le=60, description="How long an act or an outing can be taken back by whoever wrote it; its news waits so long")
    same_request_days: int = Field(7, ge=1, le=60, description="Days in which a second request of one person may be the first once more")
    check_matters_days: int = Field(90, ge=1, description="Days after which a matter of the catalogue should be checked again")
    return_hours: Names = Field(("08:30-11:30", "14:30-19:00"), description="Hours of return calls on working days")
    return_hours_rest: Names = Field(("09:30-11:00", "15:00-17:30"), description="Hours of return calls on rest days and holidays")
    return_calls_a_day: int = Field(2, ge=1, le=5, description="Return calls to one person on one day at most")
    return_tries: int = Field(3, ge=1, le=5, description="Tries of one return call")

    ring_volunteers: bool = Field(False, description="Whether volunteers who have not said otherwise are rung with new requests, or find them on the page only")
    desk_calls: DeskCalls = Field(DeskCalls.NUMBER, description="How the desk rings a resident: number (to tap, to dial or to scan) or bridge (the line rings the volunteer, then the resident; no number is seen)")
    notice_urls: Names = Field((), description="Addresses, as apprise writes them, of the volunteers' groups (WeCom, DingTalk, Feishu); messages hold no person", json_schema_extra={"secret": True})

    # what is kept how long
    keep_audio_months: int = Field(12, ge=1, description="Months after which recordings are deleted")
    keep_text_months: int = Field(24, ge=1, description="Months after which requests, calls and texts lose names, numbers and words")
    keep_ledger_days: int = Field(1095, ge=1, description="Days after which lines of the ledger are deleted; never before 180, as the law asks")

    # the ear and the hands
    model_path: Path | None = Field(None, validation_alias=AliasChoices("HOTLINE_MODEL_PATH", "VOSK_MODEL_PATH"), description="Folder of the Vosk model, or one that holds some; VOSK_MODEL_PATH is read too; empty: models/ in the data folder, ~/.cache/vosk, /usr/share/vosk")
    model_mirror: str = Field("", description="Address of a folder with Vosk's models as zip files; empty: Vosk's own site")
    recording_max_bytes: int = Field(10_000_000, ge=100_000, description="Largest recording fetched")
    transcribe_max_seconds: int = Field(120, ge=5, description="Time one transcription may take")
    transcribe_max_bytes: int = Field(2_000_000_000, ge=100_000_000, description="Memory one transcription may add")
    hands: int = Field(1, ge=1, le=8, description="Promises kept at a time")
    sweep_seconds: float = Field(1, gt=0, le=60, description="Pause between two looks for promises that nobody rang for")
    web_workers: int = Field(4, ge=1, le=8, description="Web server processes")
    web_threads: int = Field(2, ge=1, le=32, description="Threads of one web server process")

    # pages
    session_hours: int = Field(12, ge=1, le=24, description="How long a volunteer stays signed in")
    secret_key: str = Field("", description="Key that signs sessions; empty: made once and kept in the data folder", json_schema_extra={"secret": True})
    demo: bool = Field(False, description="Set by `hotline demo` only: the house is a demonstration")

    # fmt: on

    @field_validator(
        "signing_secrets", "media_hosts", "notice_urls", "capabilities_add", "capabilities_remove",
        "shift_hours", "shift_hours_rest", "return_hours", "return_hours_rest", "exchange_peers",
        "exchange_numbers", mode="before",
    )  # fmt: skip
    @classmethod
    def _split(cls, value: Any) -> Any:
        return (
            tuple(part.strip() for part in value.split(",") if part.strip())
            if isinstance(value, str)
            else value
        )

    @field_validator("capabilities_add", "capabilities_remove")
    @classmethod
    def _capabilities(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            Capability(name)
        return value

    @field_validator("shift_hours", "shift_hours_rest")
    @classmethod
    def _shifts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for start, end in map(read_hours, value):
            if start == end:
                raise ValueError("a shift must be written like 08:30-11:30")
        return value

    @field_validator("return_hours", "return_hours_rest")
    @classmethod
    def _hours(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for start, end in map(read_hours, value):
            if start >= end:
                raise ValueError("hours must be written like 08:30-11:30, the earlier time first")
        return value

    def __repr__(self) -> str:
        return "Settings()"  # tokens and numbers would stand in every traceback

    @field_validator("public_url", "carrier_api_url", "model_mirror")
    @classmethod
    def _base_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (
            parts.scheme not in {"http", "https"}
            or not parts.hostname
            or parts.query
            or parts.fragment
        ):
            raise ValueError("must be an address such as https://line.example.org")
        if not value.isascii():
            raise ValueError("must be written in ASCII")
        return value.rstrip("/")

    @field_validator("line_number", "committee_phone")
    @classmethod
    def _phone(cls, value: str) -> str:
        try:
            return value and Phone.parse(value).e164
        except NotAPhoneError as error:
            raise ValueError(str(error)) from error

    @field_validator("listen")
    @classmethod
    def _listen(cls, value: str) -> str:
        host, _, port = value.rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise ValueError("must be address:port")
        return value

    @classmethod
    def read(cls, **given: Any) -> Self:
        """The settings from the environment and hotline.env; raises WrongSettingsError."""
        wrong = [
            f"{name}: no such setting"
            for name in sorted(os.environ)
            if name.startswith(PREFIX) and name not in ENVIRONMENT_NAMES
        ]
        try:
            settings = cls(**given)
        except ValidationError as error:
            for problem in error.errors():
                name = environment_name(str(problem["loc"][0]))
                wrong.append(f"{name}: {problem['msg'].removeprefix('Value error, ')}")
        if wrong:
            raise WrongSettingsError("\n".join(wrong))
        return settings

    def need_carrier(self) -> None:
        """Raise WrongSettingsError naming everything a line needs that is not set."""
        if wrong := self.lacking():
            raise WrongSettingsError("\n".join(wrong))

    def lacking(self) -> list[str]:
        """A line for everything a line needs that is not set."""
        needed = (
            "public_url",
            "line_number",
            "committee_phone",
            "carrier_account",
            "carrier_token",
        )
        wrong = [f"{environment_name(name)}: missing" for name in needed if not getattr(self, name)]
        if self.carrier is not CarrierKind.TWILIO and not self.carrier_api_url:
            wrong.append(
                f"{environment_name('carrier_api_url')}: missing, for a carrier other than twilio"
            )
        return wrong

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite:///{self.data_folder.absolute() / 'hotline.db'}"

    @property
    def recordings(self) -> str:
        return self.recordings_url or f"file://{self.data_folder.absolute() / 'recordings'}"

    @property
    def seals(self) -> str:
        return f"file://{self.data_folder.absolute() / 'seals'}"

    @property
    def redis_socket(self) -> Path:
        return self.data_folder.absolute() / "redis.sock"

    @property
    def redis(self) -> str:
        return self.redis_url or f"unix://{self.redis_socket}"

    @property
    def prompts(self) -> str:
        return f"file://{(self.prompts_folder or self.data_folder / 'prompts').absolute()}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """What the carrier may have signed with."""
        return self.signing_secrets or ((self.carrier_token,) if self.carrier_token else ())

    @property
    def capabilities(self) -> frozenset[Capability]:
        added = frozenset(map(Capability, self.capabilities_add))
        removed = frozenset(map(Capability, self.capabilities_remove))
        return (CAPABILITIES[self.carrier] | added) - removed

    @property
    def has_second_channel(self) -> bool:
        """Whether a caller can be joined with somebody else; one telephone line cannot."""
        return self.trunk_channels > 1

    @property
    def carrier_api(self) -> str:
        return self.carrier_api_url or "https://api.twilio.com"

    @property
    def allowed_media_hosts(self) -> frozenset[str]:
        """Hosts, without ports, that recordings may be fetched from."""
        return frozenset(self.media_hosts) or frozenset({urlsplit(self.carrier_api).hostname or ""})


class _Typed(Settings):
    """The same settings, read from what is given and from nowhere else."""

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, *_: Any, **__: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:  # fmt: skip
        return (init_settings,)


def parsed(name: str, text: str) -> Any:
    """One setting's value from what is written for it; raises WrongSettingsError."""
    given: dict[str, Any] = {name: text}
    try:
        return getattr(_Typed(**given), name)
    except ValidationError as error:
        raise WrongSettingsError(environment_name(name)) from error


def written(settings: Settings, name: str) -> str:
    """One setting's value as it would be written, secrets whole."""
    return _written(getattr(settings, name))


def _written(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(value)
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def read_hours(written: str) -> tuple[time, time]:
    """`08:30-11:30` as two times of day, half-open; 24:00 is the last instant of the day."""
    start, _, end = written.partition("-")
    return _time_of_day(start), _time_of_day(end)


def _time_of_day(written: str) -> time:
    return time.max if written.strip() == "24:00" else time.fromisoformat(written.strip())


def environment_name(field: str) -> str:
    return field.upper() if field.isupper() else f"{PREFIX}{field.upper()}"


def table(settings: Settings | None = None) -> list[tuple[str, str, str]]:
    """Name, default (or the value now, secrets starred) and help of every setting."""
    return [
        (environment_name(name), _shown(name, field, settings), field.description or "")
        for name, field in Settings.model_fields.items()
    ]


def _shown(name: str, field: FieldInfo, settings: Settings | None) -> str:
    value = field.default if settings is None else getattr(settings, name)
    secret = isinstance(field.json_schema_extra, dict) and "secret" in field.json_schema_extra
    return "***" if secret and value else IN_ADDRESS.sub(r"\1***@", _written(value))


ENVIRONMENT_NAMES = frozenset(environment_name(name) for name in Settings.model_fields)
