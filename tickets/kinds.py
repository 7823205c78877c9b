"""The kinds and states of what the errand side keeps, by the words they are stored under."""

from enum import StrEnum


class Kind(StrEnum):
    ERRAND = "errand"
    RING_BACK = "ring_back"  # somebody rang and left no words: a person owes them a call


class Source(StrEnum):
    MESSAGE = "message"  # spoken after the beep
    TALK = "talk"  # a volunteer took the call
    SHORT_CALL = "short_call"
    DESK = "desk"


class Mode(StrEnum):
    """How an errand is done."""

    HELP = "help"  # 帮办: with them
    FOR_THEM = "for_them"  # 代办: somebody goes for them
    AT_HOME = "at_home"  # 上门办: it is done in their home


class Complexity(StrEnum):
    ROUTINE = "routine"
    COMPLEX = "complex"


class Elsewhere(StrEnum):
    """Who does what the line does not."""

    CITY_LINE = "12345"
    AMBULANCE = "120"
    POLICE = "110"
    OTHER = "other"


class Fetch(StrEnum):
    WANTED = "wanted"
    STORED = "stored"
    FAILED = "failed"
    DELETED = "deleted"  # by the rules of retention


class Duty(StrEnum):
    """What a promise owes."""

    FETCH = "fetch"
    TRANSCRIBE = "transcribe"
    LEVEL = "level"  # the recording is of a prompt
    DELETE = "delete"
    RETURN_CALL = "return_call"
    SETTLE_CALL = "settle_call"
    NIGHT_ROUND = "night_round"
    VERIFY = "verify"  # read the whole ledger: somebody asked
    SEAL = "seal"  # bundle a month's books for good: somebody asked
    HAND_OVER = "hand_over"  # what is open at the end of a shift
    TELL_VOLUNTEER = "tell_volunteer"  # ring whoever is to take a request, or begins duty
    BRIDGE = "bridge"  # ring a volunteer at their own press, then the resident
    NOTICE = "notice"  # a word to the volunteers' group, with no person in it


class PromiseState(StrEnum):
    OPEN = "open"
    KEPT = "kept"
    OWED = "owed"  # the machine gave up; a person owes it now
    DROPPED = "dropped"  # overtaken by newer news


class Event(StrEnum):
    """The news a return call brings."""

    ACCEPTED = "accepted"
    VISITED = "visited"
    DONE = "done"
    MATERIALS = "materials"
