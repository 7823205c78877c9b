"""The demonstration model in the real libvosk: it loads, hears its samples, and knows what it does not know."""

import json
import wave
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import vosk

from asr.model.features import RATE
from asr.model.graph import graph_files
from asr.model.kaldi import transition_model
from asr.model.line import Line, call_progress, carry, noise
from asr.model.make import CONF, MODEL
from asr.model.samples import COMMA, Sample, read_samples
from asr.model.sentences import draw_sentences, is_held_out, read_grammar
from asr.model.words import FILLER, read_words, sounds, split_syllable

MAX_MODEL_BYTES = 1_000_000
BLOCK_BYTES = 3200  # 0.2 s, as the service feeds it

Pcm = npt.NDArray[np.int16]


@pytest.fixture(scope="module")
def model() -> vosk.Model:
    vosk.SetLogLevel(-1)
    return vosk.Model(str(MODEL))


def read_pcm(path: Path) -> Pcm:
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE, 1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)


def results(
    model: vosk.Model, pcm: npt.NDArray[np.floating] | Pcm, grammar: list[str] | None = None
) -> list[dict[str, Any]]:
    words = [] if grammar is None else [json.dumps(grammar, ensure_ascii=False)]
    recogniser = vosk.KaldiRecognizer(model, RATE, *words)
    recogniser.SetWords(True)
    data = pcm.astype(np.int16).tobytes()
    found = [
        recogniser.Result()
        for start in range(0, len(data), BLOCK_BYTES)
        if recogniser.AcceptWaveform(data[start : start + BLOCK_BYTES])
    ]
    return [json.loads(result) for result in [*found, recogniser.FinalResult()]]


def heard(
    model: vosk.Model, pcm: npt.NDArray[np.floating] | Pcm, grammar: list[str] | None = None
) -> str:
    return " ".join(
        str(result["text"]) for result in results(model, pcm, grammar) if result["text"]
    )


@pytest.mark.parametrize("sample", read_samples(), ids=lambda sample: sample.file)
def test_each_sample_is_heard_as_it_was_said(model: vosk.Model, sample: Sample) -> None:
    assert heard(model, read_pcm(sample.path)) == sample.words.replace(f" {COMMA}", "")


def test_words_have_times_and_confidences(model: vosk.Model) -> None:
    sample = read_samples()[0]
    pcm = read_pcm(sample.path)
    words = [word for result in results(model, pcm) for word in result.get("result", [])]
    assert [word["word"] for word in words] == sample.words.replace(f" {COMMA}", "").split()
    assert all(0.0 <= word["start"] < word["end"] <= len(pcm) / RATE for word in words)
    assert min(word["conf"] for word in words) > 0.5


def test_the_same_recording_gives_the_same_result_each_time(model: vosk.Model) -> None:
    pcm = read_pcm(read_samples()[0].path)
    assert results(model, pcm) == results(model, pcm)


def test_a_grammar_given_at_run_time_is_kept_to(model: vosk.Model) -> None:
    pcm = read_pcm(next(sample.path for sample in read_samples() if "化粪池" in sample.words))
    allowed = ["化粪池", "满 了", "很 臭", FILLER]
    text = heard(model, pcm, allowed)
    assert text.endswith("化粪池 满 了 很 臭")
    assert FILLER in text  # 我住七幢一单元 is not in this grammar
    assert set(text.split()) <= set(" ".join(allowed).split())


@pytest.mark.parametrize("kind", ["ring", "busy", "congestion", "dial", "beep"])
@pytest.mark.parametrize("level_db", [-13.0, -30.0])
def test_the_tones_of_the_exchange_are_no_words(
    model: vosk.Model, kind: str, level_db: float
) -> None:
    line = Line(level_db=level_db, noise_db=-60.0)
    assert heard(model, carry(call_progress(kind, 6.0), RATE, line, np.random.default_rng(0))) == ""


@pytest.mark.parametrize("level_db", [-70.0, -40.0, -25.0, -10.0])
@pytest.mark.parametrize("colour", [0.0, 1.0])
def test_noise_is_no_words(model: vosk.Model, level_db: float, colour: float) -> None:
    assert heard(model, noise(6 * RATE, level_db, colour, np.random.default_rng(0))) == ""


def test_silence_and_an_empty_recording_are_no_words(model: vosk.Model) -> None:
    assert heard(model, np.zeros(6 * RATE)) == ""
    assert heard(model, np.zeros(0)) == ""


def test_the_graph_follows_from_the_word_list_byte_for_byte() -> None:
    made = graph_files()
    kept = {
        str(path.relative_to(MODEL / "graph")): path
        for path in (MODEL / "graph").rglob("*")
        if path.is_file()
    }
    assert sorted(made) == sorted(kept)
    stale = [name for name, data in made.items() if kept[name].read_bytes() != data]
    assert not stale, "run: python -m asr.model.make graph"


def test_the_phones_of_the_weights_are_those_of_the_graph() -> None:
    assert (MODEL / "am" / "final.mdl").read_bytes().startswith(transition_model())


def test_the_settings_are_those_of_the_workshop() -> None:
    for name, options in CONF.items():
        assert (MODEL / "conf" / name).read_text(encoding="utf-8").splitlines() == list(options)


def test_the_model_is_small_and_says_what_it_is() -> None:
    assert (
        sum(path.stat().st_size for path in MODEL.rglob("*") if path.is_file()) <= MAX_MODEL_BYTES
    )
    assert "demonstration" in (MODEL / "DEMO_MODEL").read_text(encoding="utf-8")


def test_every_word_can_be_said_and_every_sentence_is_made_of_words() -> None:
    words = read_words()
    assert len(words) >= 250
    assert all(sounds(syllables) for syllables in words.values())
    grammar = read_grammar()
    tokens = {token for ways in grammar.values() for way in ways for token in way}
    names = {token.strip("{}") for token in tokens if token.startswith("{")}
    assert names <= set(grammar)
    assert {token for token in tokens if not token.startswith("{")} <= set(words)


@pytest.mark.parametrize(
    ("syllable", "units"),
    [
        ("zhuang4", ("zh", "uang")),
        ("yi1", ("i",)),
        ("xu2", ("x", "v")),
        ("shi4", ("sh", "ii")),
        ("lv4", ("l", "v")),
        ("er2", ("er",)),
    ],
)
def test_syllables_are_split_as_they_sound(syllable: str, units: tuple[str, ...]) -> None:
    assert split_syllable(syllable) == units


def test_what_is_no_syllable_is_refused() -> None:
    with pytest.raises(ValueError, match="not a syllable"):
        split_syllable("xyz1")


def test_sentences_that_measure_are_not_among_those_that_teach() -> None:
    taught, held_out = draw_sentences(1), draw_sentences(1, held_out=True)
    assert not any(is_held_out(next(taught)) for _ in range(500))
    assert all(is_held_out(next(held_out)) for _ in range(100))
