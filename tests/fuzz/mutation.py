"""Small damage to the bytes of a file, as editors, transfers and people do it."""

from __future__ import annotations

from collections.abc import Sequence

from numpy.random import Generator

TOKENS = [
    *(b"{ } [ ] : , - ? & * ! | > % @ # ' \" `".split()),
    *(b"&a *a <<: !!python/object/apply:os.system ~ null .nan -.inf 1e999 0x1F 0o17 1_0 --- ... %YAML".split()),
    *[b"\t", b"\n", b"\r", b"\x00", b"\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xf0\x9f\x98\x80", b"\xc2\x85"],
    *[b"[" * 200, b"{a: " * 40, b"9" * 500, b"1e-400", b"inf", b"nan", b"PK\x03\x04", b"\x93NUMPY", b",,", b'"'],
]


def mutated(content: bytes, rng: Generator, tokens: Sequence[bytes] = TOKENS, most: int = 4) -> bytes:
    """The content after one to `most` changes: bits flipped, cut off, a token put in, a part doubled or dropped."""
    for _ in range(int(rng.integers(1, most + 1))):
        at = int(rng.integers(len(content) + 1))
        end = min(len(content), at + int(rng.integers(1, 40)))
        match int(rng.integers(6)):
            case 0 if at < len(content):
                content = content[:at] + bytes([content[at] ^ (1 << int(rng.integers(8)))]) + content[at + 1 :]
            case 1:
                content = content[:at]
            case 2 | 3:
                content = content[:at] + tokens[int(rng.integers(len(tokens)))] + content[at:]
            case 4:
                content = content[:at] + content[end:]
            case _:
                content = content[:end] + content[at:]
    return content
