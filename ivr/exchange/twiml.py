"""The portable subset of TwiML, read into verbs. Anything else is a broken document."""

from dataclasses import dataclass
from xml.etree import ElementTree

LARGEST_CHARS = 64_000  # Twilio's own limit
MOST_VERBS = 100
LONGEST_SECONDS = 24 * 3600


class BrokenTwimlError(ValueError):
    """Not TwiML, or not of the subset; the text says what."""


@dataclass(frozen=True, slots=True)
class Say:
    text: str
    loops: int = 1


@dataclass(frozen=True, slots=True)
class Play:
    url: str
    loops: int = 1


@dataclass(frozen=True, slots=True)
class Gather:
    prompts: tuple[Say | Play, ...]
    action: str
    method: str
    timeout_seconds: float
    num_digits: int  # 0: as many as come
    finish_on_key: str


@dataclass(frozen=True, slots=True)
class Record:
    action: str
    method: str
    max_seconds: float
    silence_seconds: float
    finish_on_key: str
    play_beep: bool
    callback: str
    callback_method: str


@dataclass(frozen=True, slots=True)
class Number:
    digits: str
    whisper_url: str
    whisper_method: str


@dataclass(frozen=True, slots=True)
class Dial:
    numbers: tuple[Number, ...]
    action: str
    method: str
    timeout_seconds: float
    caller_id: str
    max_seconds: float
    answer_on_bridge: bool


@dataclass(frozen=True, slots=True)
class Redirect:
    url: str
    method: str


@dataclass(frozen=True, slots=True)
class Hangup:
    pass


@dataclass(frozen=True, slots=True)
class Reject:
    busy: bool


Verb = Say | Play | Gather | Record | Dial | Redirect | Hangup | Reject


def read(document: str) -> tuple[Verb, ...]:
    """The verbs of a <Response>; raises BrokenTwimlError."""
    if len(document) > LARGEST_CHARS:
        raise BrokenTwimlError("the document is too long")
    if "<!" in document.replace("<!--", ""):
        raise BrokenTwimlError("declarations are refused")  # entities that grow
    try:
        # An encoding declaration means nothing here: the text is decoded already.
        root = ElementTree.fromstring(document.encode())  # noqa: S314
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise BrokenTwimlError(f"no XML: {error}") from error
    if root.tag != "Response":
        raise BrokenTwimlError(f"<{root.tag}> is no <Response>")
    if len(root) > MOST_VERBS:
        raise BrokenTwimlError("too many verbs")
    return tuple(_verb(element) for element in root)


def _verb(element: ElementTree.Element) -> Verb:
    match element.tag:
        case "Say" | "Play":
            return _prompt(element)
        case "Gather":
            return Gather(
                prompts=tuple(_prompt(child) for child in element),
                action=element.get("action", ""),
                method=_method(element, "method"),
                timeout_seconds=_number(element, "timeout", 5),
                num_digits=int(_number(element, "numDigits", 0)),
                finish_on_key=element.get("finishOnKey", "#"),
            )
        case "Record":
            return Record(
                action=element.get("action", ""),
                method=_method(element, "method"),
                max_seconds=_number(element, "maxLength", 3600),
                silence_seconds=_number(element, "timeout", 5) or LONGEST_SECONDS,
                finish_on_key=element.get("finishOnKey", "1234567890*#"),
                play_beep=_flag(element, "playBeep", default=True),
                callback=element.get("recordingStatusCallback", ""),
                callback_method=_method(element, "recordingStatusCallbackMethod"),
            )
        case "Dial":
            return _dial(element)
        case "Redirect":
            return Redirect(_text(element), _method(element, "method"))
        case "Hangup":
            return Hangup()
        case "Reject":
            return Reject(busy=element.get("reason", "rejected") == "busy")
    raise BrokenTwimlError(f"<{element.tag}> is not of the portable subset")


def _prompt(element: ElementTree.Element) -> Say | Play:
    loops = int(_number(element, "loop", 1)) or MOST_VERBS
    if element.tag == "Say":
        return Say("".join(element.itertext()).strip(), loops)
    if element.tag == "Play":
        return Play(_text(element), loops)
    raise BrokenTwimlError(f"<{element.tag}> is no prompt")


def _dial(element: ElementTree.Element) -> Dial:
    numbers = [
        Number(_text(child), child.get("url", ""), _method(child, "method"))
        for child in element
        if child.tag == "Number"
    ]
    if len(numbers) != len(element):
        raise BrokenTwimlError("only <Number> stands in <Dial>")
    if not numbers and _text(element):
        numbers = [Number(_text(element), "", "POST")]
    return Dial(
        numbers=tuple(numbers),
        action=element.get("action", ""),
        method=_method(element, "method"),
        timeout_seconds=_number(element, "timeout", 30),
        caller_id=element.get("callerId", ""),
        max_seconds=_number(element, "timeLimit", 4 * 3600),
        answer_on_bridge=_flag(element, "answerOnBridge", default=False),
    )


def _text(element: ElementTree.Element) -> str:
    return (element.text or "").strip()


def _number(element: ElementTree.Element, name: str, default: float) -> float:
    raw = element.get(name, "")
    try:
        value = float(raw) if raw else default
    except ValueError as error:
        raise BrokenTwimlError(f"{name}={raw!r} is no number") from error
    if not 0 <= value <= LONGEST_SECONDS:
        raise BrokenTwimlError(f"{name}={raw!r} is out of bounds")
    return value


def _flag(element: ElementTree.Element, name: str, *, default: bool) -> bool:
    return element.get(name, str(default)).lower() == "true"


def _method(element: ElementTree.Element, name: str) -> str:
    method = element.get(name, "POST").upper()
    if method not in {"GET", "POST"}:
        raise BrokenTwimlError(f"{name}={method!r} is neither GET nor POST")
    return method
