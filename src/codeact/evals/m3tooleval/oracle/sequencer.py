"""What to do in the domain cryptobotanists_plant_dna_sequencer."""

from __future__ import annotations

from typing import Any

from .asking import tool

count_nucleotides = tool("count_nucleotides")
transcribe_dna_to_mrna = tool("transcribe_dna_to_mrna", text=True)
translate_mrna_to_amino_acid = tool("translate_mrna_to_amino_acid", text=True)
find_max_nucleotide = tool("find_max_nucleotide")
is_valid_dna_sequence = tool("is_valid_dna_sequence")
reverse_transcribe_mrna_to_dna = tool("reverse_transcribe_mrna_to_dna", text=True)


def find_most_common_nucleotide_and_transcribe() -> Any:
    counts = count_nucleotides("AGCTAGCCGATGCA")
    most = find_max_nucleotide(*[part for pair in counts.items() for part in pair])
    return transcribe_dna_to_mrna(most[0] * 3)


def validate_transcribe_translate() -> Any:
    sequence = "AGCTTX"
    if is_valid_dna_sequence(sequence):
        answer = translate_mrna_to_amino_acid(transcribe_dna_to_mrna(sequence))
    else:
        answer = "Invalid DNA sequence"
    return answer


def reverse_transcribe_count_max_nucleotide() -> Any:
    counts = count_nucleotides(reverse_transcribe_mrna_to_dna("AUGCUUUUC"))
    return find_max_nucleotide(*[part for pair in counts.items() for part in pair])[0]


def transcribe_translate_amino_acid_length() -> Any:
    return len(translate_mrna_to_amino_acid(transcribe_dna_to_mrna("AGCTAGCGTA")).split("-"))


def reverse_transcribe_palindrome_check() -> Any:
    return count_nucleotides(reverse_transcribe_mrna_to_dna("AUGCGU"))


def validate_find_longest_valid_sequence() -> Any:
    sequences = ["AGCTAG", "XYZABC", "GTCAGT"]
    valid = [is_valid_dna_sequence(one) for one in sequences]
    return max([one for one, right in zip(sequences, valid, strict=True) if right], key=len)


def transcribe_translate_find_amino_acid() -> Any:
    return "Methionine" in translate_mrna_to_amino_acid(transcribe_dna_to_mrna("AGCTAGCGTA"))


def find_most_common_nucleotide_combined_sequence() -> Any:
    counts = count_nucleotides("".join(["AGCT", "CCGA", "TTAG"]))
    return find_max_nucleotide(*[part for pair in counts.items() for part in pair])
