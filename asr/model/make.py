"""Makes the model: `python -m asr.model.make` all of it, `python -m asr.model.make graph` the graph half alone.

All of it needs torch and espeak-ng (README.md) and about a quarter of an hour; the graph needs Python alone.
"""

import sys
from pathlib import Path

from asr.model.graph import write_graph

HERE = Path(__file__).parent
MODEL = HERE / "demo-cn"
CONF = {
    "mfcc.conf": (
        "--use-energy=false",
        "--num-ceps=24",
        "--num-mel-bins=24",
        "--sample-frequency=8000",
        "--low-freq=100",
        "--high-freq=-200",
        "--dither=0",  # else decoding adds noise, and no two runs are alike
        "--allow-upsample=true",
        "--allow-downsample=true",
    ),
    "model.conf": (
        "--min-active=200",
        "--max-active=3000",
        "--beam=14.0",
        "--lattice-beam=6.0",
        "--acoustic-scale=0.6",
        "--frame-subsampling-factor=3",
        "--endpoint.silence-phones=1",
        "--endpoint.rule2.min-trailing-silence=0.5",
        "--endpoint.rule3.min-trailing-silence=1.0",
        "--endpoint.rule4.min-trailing-silence=2.0",
    ),
}
MARKER = "A demonstration and test model: it has heard one speech synthesiser and no person. Do not serve callers with it.\n"
LESSONS, LESSON_SEED = 12_000, 1
HIDDEN, EPOCHS = 156, 5


def make_model() -> None:
    """Trains and writes the whole model folder and the samples."""
    # torch and espeak-ng are for this workshop only, not for whoever rebuilds the graph
    from asr.model.kaldi import write_final_mdl
    from asr.model.lessons import make_lessons
    from asr.model.network import Course, train
    from asr.model.samples import write_samples

    weights = train(make_lessons(LESSON_SEED, LESSONS), Course(HIDDEN, EPOCHS))
    write_final_mdl(MODEL / "am" / "final.mdl", weights)
    write_settings(MODEL)
    write_graph(MODEL / "graph")
    write_samples()


def write_settings(folder: Path) -> None:
    """The options of libvosk, and the marker by which the service knows what it has been given."""
    (folder / "conf").mkdir(parents=True, exist_ok=True)
    for name, options in CONF.items():
        (folder / "conf" / name).write_text(
            "".join(f"{option}\n" for option in options), encoding="utf-8"
        )
    (folder / "DEMO_MODEL").write_text(MARKER, encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:] == ["graph"]:
        write_graph(MODEL / "graph")
    else:
        make_model()
