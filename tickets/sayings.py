"""How residents say what they want, matter by matter, and what they say about nothing in particular: what the guess learns from."""

from pathlib import Path

FILE = Path(__file__).with_name("sayings.zh.tsv")
LEARNT = Path(__file__).with_name("sayings.npz")  # made from FILE by asr.learning
