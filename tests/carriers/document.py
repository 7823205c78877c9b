"""Reads a call's document (TwiML) as the strictest carrier would: the portable subset, nothing else."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit
from xml.etree import ElementTree

MAX_DOCUMENT_BYTES = 64 * 1024
MAX_SAY_CHARACTERS = 4096
DIGITS = ("1", "4", "12")  # a key; the number of a prompt or a PIN, of staff alone (VOICE R6a)
RECORD_REQUIRED = ("action", "maxLength", "timeout", "finishOnKey", "recordingStatusCallback")

ATTRIBUTES: dict[str, frozenset[str]] = {
    "Say": frozenset({"language", "voice"}),
    "Play": frozenset(),
    "Gather": frozenset({"action", "method", "numDigits", "timeout", "finishOnKey"}),
    "Record": frozenset({*RECORD_REQUIRED, "method", "playBeep", "trim"}),
    "Redirect": frozenset({"method"}),
    "Hangup": frozenset(),
    "Dial": frozenset({"action", "method", "timeout", "callerId"}),
    "Number": frozenset(),
    "Reject": frozenset({"reason"}),
}
# Attributes and verbs that only some carriers have: capability → where it is allowed.
BY_CAPABILITY: dict[str, tuple[str, frozenset[str]]] = {
    "whisper": ("Number", frozenset({"url", "method"})),
    "answer_on_bridge": ("Dial", frozenset({"answerOnBridge"})),
    "pause": ("Pause", frozenset({"length"})),
}


class NotPortableError(AssertionError):
    """The service answered something that not every carrier understands."""


@dataclass(frozen=True)
class Words:
    """Text that a synthetic voice says."""

    text: str


@dataclass(frozen=True)
class Sound:
    """A sound file that is played."""

    url: str

    @property
    def name(self) -> str:
        """Last part of the address, without its extension."""
        return urlsplit(self.url).path.rsplit("/", 1)[-1].rsplit(".", 1)[0]


@dataclass(frozen=True)
class Gather:
    asks: tuple[Words | Sound, ...]
    action: str
    timeout_seconds: float


@dataclass(frozen=True)
class Record:
    action: str
    max_seconds: int
    silence_seconds: int
    finish_keys: str
    status_callback: str


@dataclass(frozen=True)
class Redirect:
    url: str
    method: str


@dataclass(frozen=True)
class Hangup:
    pass


@dataclass(frozen=True)
class Reject:
    reason: str


@dataclass(frozen=True)
class Number:
    phone: str
    whisper_url: str


@dataclass(frozen=True)
class Dial:
    action: str
    timeout_seconds: float
    caller_id: str
    numbers: tuple[Number, ...]


@dataclass(frozen=True)
class Unknown:
    """A verb that this company does not know."""

    name: str


Verb = Words | Sound | Gather | Record | Redirect | Hangup | Reject | Dial | Unknown


@dataclass(frozen=True)
class Document:
    verbs: tuple[Verb, ...]
    faults: tuple[str, ...]


def read(
    body: bytes, content_type: str, capabilities: Iterable[str] = (), own_media: str = ""
) -> Document:
    """Everything that is wrong with a document is named in `faults`; what can be read is in `verbs`.

    `own_media` is the company's own address: what lies there (a recording) it can always play,
    although on loopback it is not https.
    """
    return _Reader(frozenset(capabilities), own_media).document(body, content_type)


class _Reader:
    def __init__(self, capabilities: frozenset[str], own_media: str) -> None:
        self.own_media = own_media
        self.faults: list[str] = []
        self.allowed = dict(ATTRIBUTES)
        for capability in capabilities & BY_CAPABILITY.keys():
            verb, attributes = BY_CAPABILITY[capability]
            self.allowed[verb] = self.allowed.get(verb, frozenset()) | attributes

    def document(self, body: bytes, content_type: str) -> Document:
        if content_type.split(";")[0].strip().lower() != "text/xml":
            self.faults.append(f"content type is {content_type!r}, not text/xml")
        if len(body) > MAX_DOCUMENT_BYTES:
            self.faults.append(f"document of {len(body)} bytes")
        if re.search(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]", body):
            self.faults.append("C0 control character")
        try:
            root = ElementTree.fromstring(body)
        except (ElementTree.ParseError, LookupError, ValueError) as error:
            return Document((), (*self.faults, f"not XML: {error}"))
        if root.tag != "Response":
            self.faults.append(f"the root is <{root.tag}>, not <Response>")
        if root.attrib:
            self.faults.append(f"<Response> has attributes {sorted(root.attrib)}")
        self._only_space(root.text, "Response")
        verbs: list[Verb] = []
        elements = list(root)
        for place, element in enumerate(elements):
            self._only_space(element.tail, "Response")
            follower = elements[place + 1].tag if place + 1 < len(elements) else None
            if element.tag in ("Gather", "Record") and follower != "Redirect":
                self.faults.append(f"<{element.tag}> is not followed by <Redirect>")
            verbs.append(self._verb(element))
        return Document(tuple(verbs), tuple(self.faults))

    def _verb(self, element: ElementTree.Element) -> Verb:
        name = element.tag
        if name not in self.allowed or name == "Number":
            self.faults.append(f"<{name}> is not in the portable subset")
            return Unknown(name)
        self._attributes(element)
        match name:
            case "Say":
                return self._words(element)
            case "Play":
                return Sound(self._address(self._plain(element), "Play"))
            case "Gather":
                return self._gather(element)
            case "Record":
                return self._record(element)
            case "Redirect":
                return Redirect(
                    self._address(self._plain(element), "Redirect"), element.get("method", "POST")
                )
            case "Dial":
                return self._dial(element)
            case "Hangup" | "Reject":
                if self._plain(element):
                    self.faults.append(f"<{name}> has content")
                return Hangup() if name == "Hangup" else Reject(element.get("reason", "rejected"))
        return Unknown(name)  # a capability verb that plays nothing (Pause)

    def _words(self, element: ElementTree.Element) -> Words:
        text = self._plain(element)
        if not text:
            self.faults.append("empty <Say>")
        if len(text) > MAX_SAY_CHARACTERS:
            self.faults.append(f"<Say> of {len(text)} characters")
        return Words(text)

    def _gather(self, element: ElementTree.Element) -> Gather:
        self._exactly(element, {"method": "POST", "finishOnKey": ""})
        if element.get("numDigits") not in DIGITS:
            self.faults.append(f"<Gather> numDigits is {element.get('numDigits')!r}")
        self._only_space(element.text, "Gather")
        asks: list[Words | Sound] = []
        for child in element:
            self._only_space(child.tail, "Gather")
            verb = self._verb(child)
            if isinstance(verb, Words | Sound):
                asks.append(verb)
            else:
                self.faults.append(f"<{child.tag}> inside <Gather>")
        return Gather(
            tuple(asks),
            self._address(element.get("action", ""), "Gather action"),
            self._seconds(element, "timeout"),
        )

    def _record(self, element: ElementTree.Element) -> Record:
        self._exactly(element, {"method": "POST", "playBeep": "false", "trim": "do-not-trim"})
        for name in RECORD_REQUIRED:
            if name not in element.attrib:
                self.faults.append(f"<Record> without {name}")
        if self._plain(element):
            self.faults.append("<Record> has content")
        keys = element.get("finishOnKey", "1234567890*#")
        if not set(keys) <= set("1234567890*#"):
            self.faults.append(f"<Record> finishOnKey={keys!r}")
        return Record(
            action=self._address(element.get("action", ""), "Record action"),
            max_seconds=int(self._seconds(element, "maxLength")),
            silence_seconds=int(self._seconds(element, "timeout")),
            finish_keys=keys,
            status_callback=self._address(
                element.get("recordingStatusCallback", ""), "recordingStatusCallback"
            ),
        )

    def _dial(self, element: ElementTree.Element) -> Dial:
        self._only_space(element.text, "Dial")
        numbers: list[Number] = []
        for child in element:
            self._only_space(child.tail, "Dial")
            if child.tag != "Number":
                self.faults.append(f"<{child.tag}> inside <Dial>")
                continue
            self._attributes(child)
            phone = self._plain(child)
            if not re.fullmatch(r"\+[1-9]\d{6,14}", phone):
                self.faults.append(f"<Number> is not E.164: {phone!r}")
            whisper = child.get("url")
            numbers.append(
                Number(phone, "" if whisper is None else self._address(whisper, "Number url"))
            )
        if not numbers:
            self.faults.append("<Dial> rings nobody")
        return Dial(
            action=self._address(element.get("action", ""), "Dial action"),
            timeout_seconds=self._seconds(element, "timeout"),
            caller_id=element.get("callerId", ""),
            numbers=tuple(numbers),
        )

    def _attributes(self, element: ElementTree.Element) -> None:
        unknown = sorted(element.attrib.keys() - self.allowed[element.tag])
        if unknown:
            self.faults.append(f"<{element.tag}> has {', '.join(unknown)}")
        if element.get("method", "POST") not in ("GET", "POST"):
            self.faults.append(f"<{element.tag}> method={element.get('method')!r}")

    def _exactly(self, element: ElementTree.Element, wanted: dict[str, str]) -> None:
        for name, value in wanted.items():
            if element.get(name) != value:
                self.faults.append(
                    f"<{element.tag}> {name} is {element.get(name)!r}, not {value!r}"
                )

    def _plain(self, element: ElementTree.Element) -> str:
        if len(element):
            self.faults.append(f"<{element[0].tag}> inside <{element.tag}>")
        return "".join(element.itertext()).strip()

    def _only_space(self, text: str | None, where: str) -> None:
        if text and text.strip():
            self.faults.append(f"loose text in <{where}>: {text.strip()[:20]!r}")

    def _seconds(self, element: ElementTree.Element, name: str) -> float:
        value = element.get(name, "")
        if not re.fullmatch(r"[1-9]\d*", value):
            self.faults.append(f"<{element.tag}> {name} is {value!r}, not whole seconds")
            return 5
        return int(value)

    def _address(self, url: str, where: str) -> str:
        parts = urlsplit(url)
        if where == "Play" and self.own_media and url.startswith(f"{self.own_media}/"):
            return url
        if parts.scheme != "https" or not parts.netloc:
            self.faults.append(f"{where}: not an absolute https address: {url!r}")
        elif not url.isascii() or re.search(r"[\s\x00-\x1f\x7f]", url):
            self.faults.append(f"{where}: not plain ASCII: {url!r}")
        elif "#" in url:
            self.faults.append(f"{where}: has a fragment: {url!r}")
        return url
