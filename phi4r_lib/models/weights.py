"""Are the weights of a model folder whole and finite? Read from safetensors as bytes, without loading a model.

Not here: whether config and tokenizer fit the recipe (fitting.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

# Exponent bits of each kind of number: all of them set means NaN or infinite (IEEE 754; bfloat16 is the upper half of float32).
EXPONENT = {
    "F64": np.uint64(0x7FF0_0000_0000_0000),
    "F32": np.uint32(0x7F80_0000),
    "F16": np.uint16(0x7C00),
    "BF16": np.uint16(0x7F80),
}
WHOLE = 1 << 32  # bytes of weights up to which every number is read; ours, a few seconds
PIECE = 1 << 22  # numbers at a time, and those read of every tensor of larger models; ours


def fault_of(folder: Path) -> str | None:
    """What is wrong with the *.safetensors of a folder, in words that name file and tensor; None for nothing."""
    files = sorted(folder.glob("*.safetensors"))
    whole = sum(file.stat().st_size for file in files) <= WHOLE
    for file in files:
        try:
            for name, pieces in _tensors(file):
                for number, (piece, exponent) in enumerate(pieces):
                    if (whole or number == 0) and ((piece & exponent) == exponent).any():
                        return f"{file.name}: tensor '{name}' holds NaN or infinite numbers; no training mends that"
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return f"{file.name} is damaged or cut off: fetch or copy it again"
    return None


def _tensors(file: Path) -> Iterator[tuple[str, Iterator[tuple[np.ndarray, np.unsignedinteger]]]]:
    """(name, its numbers as unsigned integers in pieces, exponent bits) of every tensor of floats; ValueError for a torn file."""
    data = np.memmap(file, dtype=np.uint8, mode="r")
    start = 8 + int.from_bytes(data[:8].tobytes(), "little")
    if start > len(data):
        raise ValueError("no header")
    header = json.loads(data[8:start].tobytes())
    for name, about in header.items():
        if name == "__metadata__":
            continue
        begin, end = (start + offset for offset in about["data_offsets"])
        if end > len(data):
            raise ValueError("cut off")
        if about["dtype"] in EXPONENT:
            yield name, _pieces(data[begin:end], EXPONENT[about["dtype"]])


def _pieces(data: np.ndarray, exponent: np.unsignedinteger) -> Iterator[tuple[np.ndarray, np.unsignedinteger]]:
    numbers = data.view(exponent.dtype)
    for start in range(0, len(numbers), PIECE):
        yield numbers[start : start + PIECE], exponent
