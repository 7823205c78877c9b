"""The words of the model, and the sounds a syllable is made of."""

from functools import cache
from pathlib import Path

WORDS = Path(__file__).with_name("words.txt")
FILLER = "[unk]"  # the word for anything outside the list; also what libvosk calls it in a grammar

INITIALS = (
    "b", "p", "m", "f", "d", "t", "n", "l", "g", "k", "h", "j", "q", "x", "zh", "ch", "sh", "r", "z", "c",
    "s",
)  # fmt: skip
FINALS = (
    "a", "ai", "an", "ang", "ao", "e", "ei", "en", "eng", "er", "i", "ii", "ia", "ian", "iang", "iao", "ie",
    "in", "ing", "iong", "iu", "o", "ong", "ou", "u", "ua", "uai", "uan", "uang", "ueng", "ui", "un", "uo",
    "v", "van", "ve", "vn",
)  # fmt: skip
UNITS = INITIALS + FINALS

# Syllables without an initial are spelled with y and w; these are the sounds meant.
_YW = {
    "yi": "i", "ya": "ia", "yan": "ian", "yang": "iang", "yao": "iao", "ye": "ie", "yin": "in",
    "ying": "ing", "yong": "iong", "you": "iu", "yu": "v", "yuan": "van", "yue": "ve", "yun": "vn",
    "wu": "u", "wa": "ua", "wai": "uai", "wan": "uan", "wang": "uang", "wei": "ui", "wen": "un",
    "weng": "ueng", "wo": "uo", "yo": "o",
}  # fmt: skip


@cache
def read_words(path: Path = WORDS) -> dict[str, tuple[str, ...]]:
    """Each word with its toned syllables, in the order of the file."""
    words: dict[str, tuple[str, ...]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            word, *syllables = line.split()
            if word in words or not syllables:
                raise ValueError(f"{path.name}: {word} stands twice or has no reading")
            words[word] = tuple(syllables)
    return words


@cache
def split_syllable(syllable: str) -> tuple[str, ...]:
    """(initial, final) or (final,) of a pinyin syllable; tone digits are ignored.

    "ii" is the buzzing vowel of zhi, chi, shi, ri, zi, ci, si.
    """
    plain = syllable.rstrip("12345")
    if plain in _YW:
        return (_YW[plain],)
    if plain in FINALS:
        return (plain,)
    initial = plain[:2] if plain[:2] in INITIALS else plain[:1]
    final = plain[len(initial) :]
    if initial in ("j", "q", "x") and final.startswith("u"):
        final = "v" + final[1:]  # ju is said jü
    if initial in ("zh", "ch", "sh", "r", "z", "c", "s") and final == "i":
        final = "ii"
    if initial not in INITIALS or final not in FINALS:
        raise ValueError(f"{syllable} is not a syllable of Mandarin")
    return initial, final


def sounds(syllables: tuple[str, ...]) -> list[str]:
    """All units of a word, in order."""
    return [unit for syllable in syllables for unit in split_syllable(syllable)]
