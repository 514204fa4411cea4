"""Parts of a file that is too large to be held, as it streams by: what the facts of an ELF file are read from."""

from __future__ import annotations

from collections import deque

from layerkit.verify.reading.unpacking import PIECE

FIRST, LAST = 16, 8  # pieces kept: names and versions stand at the beginning, the dynamic table near the end
BESIDE = 4  # pieces fetched where one is missing


class Missing(LookupError):
    """A piece that is not kept."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Sparse:
    """Some pieces of a file, by number."""

    def __init__(self) -> None:
        self.pieces: dict[int, bytes] = {}
        self.last: deque[int] = deque(maxlen=LAST)

    def feed(self, number: int, piece: bytes) -> None:
        """Keep the first pieces and the last ones so far."""
        if number >= FIRST:
            if len(self.last) == LAST:
                del self.pieces[self.last[0]]
            self.last.append(number)
        self.pieces[number] = piece

    def fetch(self, start: int, stop: int) -> bytes:
        """Raises Missing."""
        numbers = range(start // PIECE, -(-stop // PIECE))
        for number in numbers:
            if number not in self.pieces:
                raise Missing(number)
        if len(numbers) == 1:
            first = numbers[0] * PIECE
            return self.pieces[numbers[0]][start - first : stop - first]
        data = b"".join(self.pieces[number] for number in numbers)
        return data[start - numbers.start * PIECE : stop - numbers.start * PIECE]
