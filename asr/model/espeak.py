"""Speech from espeak-ng's library, with the place of every phoneme in it. Needs libespeak-ng 1.51 or newer."""

import ctypes
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from asr.model.words import split_syllable

VOICE = "cmn-latn-pinyin"  # reads pinyin; Debian's plain `cmn` spells some characters as English letters
RATE = 22050  # samples a second that espeak-ng makes

# Disguises of the one synthesiser (without "rob", which crashes espeak-ng 1.51). What is held out is heard by the
# bench and in the samples only.
VARIANTS = (
    "m1", "m2", "m3", "m4", "m5", "m6", "m8", "f1", "f2", "f3", "f4", "Alex", "Alicia", "Andrea", "Andy",
    "Diogo", "Gene", "Gene2", "Henrique", "Hugo", "Jacky", "Lee", "Marco", "Mario", "Michael", "Mike",
    "Nguyen", "Storm", "adam", "anika", "announcer", "antonio", "aunty", "belinda", "benjamin", "boris",
    "caleb", "david", "ed", "edward", "grandma", "grandpa", "iven", "iven2", "john", "kaukovalta", "klatt",
    "klatt2", "klatt3", "klatt4", "linda", "marcelo", "max", "michel", "miguel", "norbert", "pablo", "paul",
    "pedro", "quincy", "robert", "sandro", "shelby", "steph", "steph2", "travis", "zac",
)  # fmt: skip
HELD_OUT_VARIANTS = ("f5", "m7", "Annie", "Denis", "victor")

_SYNCHRONOUS = 2
_PHONEME_EVENTS = 1
_UTF8 = 1
SHORTEST_PAUSE = RATE * 6 // 100  # a shorter one is the closure before a plosive
_PHONEME = 7
_SPEED, _PITCH, _PITCH_RANGE, _WORD_GAP = 1, 3, 4, 7


class _Id(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    )


@dataclass(frozen=True)
class Manner:
    """How it is said. Pitch, pitch range: 0-99; word gap: in 10 ms at the default speed."""

    variant: str = "m1"
    words_per_minute: int = 175
    pitch: int = 50
    pitch_range: int = 50
    word_gap: int = 0


@dataclass(frozen=True)
class Speech:
    """Samples at RATE (int16 scale), and (first sample, unit) in order; the unit of a pause is ""."""

    samples: npt.NDArray[np.float32]
    units: list[tuple[int, str]]


class MisreadError(Exception):
    """espeak-ng did not say the syllables it was given."""


class Synthesiser:
    """The one espeak-ng of this process: the library keeps its state in globals."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL("libespeak-ng.so.1")
        rate = self._library.espeak_Initialize(_SYNCHRONOUS, 0, None, _PHONEME_EVENTS)
        if rate != RATE:
            raise OSError(f"espeak-ng speaks at {rate} Hz, not {RATE}")
        self._blocks: list[bytes] = []
        self._phonemes: list[tuple[int, str]] = []
        self._spellings: dict[str, tuple[str, ...]] = {}
        prototype = ctypes.CFUNCTYPE(
            ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(_Event)
        )
        self._callback = prototype(self._keep)  # held here: the library does not own it
        self._library.espeak_SetSynthCallback(self._callback)

    def say(self, words: list[tuple[str, ...]], manner: Manner) -> Speech:
        """Speech of words given as syllables; an empty word is a comma. Raises MisreadError."""
        text = " ".join("".join(word) or "," for word in words).replace(" ,", ",")
        phonemes, samples = self._synthesise(text, manner)
        syllables = [syllable for word in words for syllable in word]
        spellings = [self._spelling(syllable) for syllable in syllables]
        return Speech(samples, _units(phonemes, syllables, spellings))

    def _spelling(self, syllable: str) -> tuple[str, ...]:
        """The phonemes espeak-ng says for a toned syllable spoken alone."""
        if syllable not in self._spellings:
            phonemes, _ = self._synthesise(syllable, Manner())
            self._spellings[syllable] = tuple(
                name for _, name in phonemes if not name.startswith("_")
            )
        return self._spellings[syllable]

    def _synthesise(
        self, text: str, manner: Manner
    ) -> tuple[list[tuple[int, str]], npt.NDArray[np.float32]]:
        self._blocks.clear()
        self._phonemes.clear()
        voice = f"{VOICE}+{manner.variant}"
        if self._library.espeak_SetVoiceByName(voice.encode()):
            raise OSError(f"espeak-ng has no voice {voice}")
        for parameter, value in (
            (_SPEED, manner.words_per_minute),
            (_PITCH, manner.pitch),
            (_PITCH_RANGE, manner.pitch_range),
            (_WORD_GAP, manner.word_gap),
        ):
            self._library.espeak_SetParameter(parameter, value, 0)
        data = text.encode()
        self._library.espeak_Synth(data, len(data) + 1, 0, 1, 0, _UTF8, None, None)
        samples = np.frombuffer(b"".join(self._blocks), np.int16).astype(np.float32)
        return list(self._phonemes), samples

    def _keep(self, block: int | None, count: int, events: "ctypes._Pointer[_Event]") -> int:
        if block and count:
            self._blocks.append(ctypes.string_at(block, 2 * count))
        index = 0
        while (event := events[index]).type:
            if event.type == _PHONEME:
                self._phonemes.append((event.sample, event.id.string.decode()))
            index += 1
        return 0


def _units(
    phonemes: list[tuple[int, str]], syllables: list[str], spellings: list[tuple[str, ...]]
) -> list[tuple[int, str]]:
    """Where each unit and each pause begins. A pause under SHORTEST_PAUSE belongs to the sound after it."""
    units: list[tuple[int, str]] = []
    place = 0
    pause = None  # where the silence before the next sound began
    for syllable, spelling in zip(syllables, spellings, strict=True):
        names = split_syllable(syllable)
        for index, expected in enumerate(spelling):
            while place < len(phonemes) and phonemes[place][1].startswith("_"):
                pause = phonemes[place][0] if pause is None else pause
                place += 1
            if place == len(phonemes) or phonemes[place][1] != expected:
                raise MisreadError(syllable)
            start = phonemes[place][0]
            if pause is not None and start - pause >= SHORTEST_PAUSE:
                units.append((pause, ""))
            elif pause is not None:
                start = pause
            pause = None
            if index < len(names):
                units.append((start, names[index]))
            place += 1
    units.append((phonemes[place][0], ""))  # espeak-ng always ends in a pause
    if any(not name.startswith("_") for _, name in phonemes[place:]):
        raise MisreadError(" ".join(syllables))
    return units
