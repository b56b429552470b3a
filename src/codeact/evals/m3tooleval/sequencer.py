"""The tools of the domain cryptobotanists_plant_dna_sequencer."""

from __future__ import annotations

from collections import Counter
from typing import Any

_MRNA = str.maketrans("ACGT", "UGCA")
_DNA = str.maketrans("UCAG", "AGTC")
_AMINO_ACIDS = {"AUG": "Methionine", "UUU": "Phenylalanine", "UUC": "Phenylalanine"}


def count_nucleotides(dna_sequence: str) -> dict[str, int]:
    return dict(Counter(dna_sequence))


def transcribe_dna_to_mrna(dna_sequence: str) -> str:
    return dna_sequence.translate(_MRNA)


def translate_mrna_to_amino_acid(mrna_sequence: str) -> str:
    codons = (mrna_sequence[at : at + 3] for at in range(0, len(mrna_sequence), 3))
    return "-".join(_AMINO_ACIDS.get(codon, "X") for codon in codons)


def find_max_nucleotide(*args: Any) -> tuple[str, int]:
    if not args or len(args) % 2:
        raise ValueError("nucleotides and their counts in turn: find_max_nucleotide('A', 3, 'C', 1)")
    return max(zip(args[::2], args[1::2], strict=True), key=lambda pair: pair[1])


def is_valid_dna_sequence(dna_sequence: str) -> bool:
    return set(dna_sequence) <= set("ACGT")


def reverse_transcribe_mrna_to_dna(mrna_sequence: str) -> str:
    return mrna_sequence.translate(_DNA)
