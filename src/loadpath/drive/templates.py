"""Declared requests compiled around their fields: to make one is a format and a few calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeAlias
from urllib.parse import quote, quote_plus

import msgspec

from loadpath.drive.fills import Fills, Make
from loadpath.drive.keys import KeyTexts
from loadpath.drive.requests import METHOD, TARGET_SAFE, WITH_LENGTH, header_block
from loadpath.errors import ConfigurationError
from loadpath.spec import DeclaredRequest
from loadpath.spec.fields import FieldError, Fill, KeyField, Part, field_names, split_fields

Build: TypeAlias = Callable[[Sequence[int]], bytes]
"""From the key numbers of a request's slots to its bytes."""

_Get: TypeAlias = Callable[[Sequence[int], Sequence[bytes]], bytes]
"""The text of one field, from key numbers and what this request's other fields were filled with."""

_Place: TypeAlias = Literal["target", "header", "text", "json", "form"]


class RequestTemplate(msgspec.Struct, frozen=True):
    """A declared request, compiled. `key_sets` names the key set of each slot that `build` takes.

    With nothing to fill `fixed` holds the bytes. `names` are the headers it has of its own, in
    lower case. `dated`: it holds the time, so it is made when it is sent and not ahead.
    """

    method: str
    key_sets: tuple[str, ...]
    build: Build
    fixed: bytes | None
    names: frozenset[str]
    dated: bool


def compile_request(
    declared: DeclaredRequest, host: str, texts: Mapping[str, KeyTexts], fills: Fills
) -> RequestTemplate:
    """Compile a declared request for `host` (as in the Host header).

    Raises `ConfigurationError` for a field that nothing fills and for what HTTP forbids.
    """
    where = f"`{declared.method} {declared.path}`"
    for name, key_set in declared.keys.items():
        if key_set not in texts:
            raise ConfigurationError(
                f"{where}: {{{name}}} is of key set `{key_set}`, which the workload does not have"
            )
    if not METHOD.fullmatch(declared.method):
        raise ConfigurationError(f"expected a method such as GET, got {declared.method!r}")
    block = header_block(host, declared.headers).decode()
    try:
        target = split_fields(declared.path, declared.keys)
        head = split_fields(block, declared.keys)
        body = split_fields(declared.body or "", declared.keys)
    except FieldError as error:
        raise ConfigurationError(f"{where}: {error.message}") from None
    for part in target:
        if isinstance(part, str) and field_names(part):
            lost = field_names(part)[0]
            raise ConfigurationError(f"{where}: no key set is given for {{{lost}}}")
    fields = [part for part in (*target, *head, *body) if not isinstance(part, str)]
    build = _Compiler(declared, texts, fills).build(target, head, body)
    return RequestTemplate(
        method=declared.method,
        key_sets=tuple(declared.keys.values()),
        build=build,
        fixed=None if fields or declared.keys else build(()),
        names=frozenset(name.lower() for name, _ in declared.headers),
        dated=any(isinstance(field, Fill) and field.kind.startswith("now") for field in fields),
    )


class _Compiler:
    """Of one request: which values its fields share, and how each is written where it stands."""

    def __init__(
        self, declared: DeclaredRequest, texts: Mapping[str, KeyTexts], fills: Fills
    ) -> None:
        self._declared = declared
        self._slots = {name: slot for slot, name in enumerate(declared.keys)}
        self._readers = [texts[key_set] for key_set in declared.keys.values()]
        self._fills = fills
        self._shared: dict[Fill, int] = {}  # where in `made` its value of this request is
        self._makes: list[Make] = []

    def build(self, target: list[Part], head: list[Part], body: list[Part]) -> Build:
        declared = self._declared
        pieces: list[bytes | _Get] = [f"{declared.method} ".encode()]
        pieces += [self._piece(part, "target") for part in target]
        pieces.append(b" HTTP/1.1\r\n")
        pieces += [self._piece(part, "header") for part in head]
        if all(isinstance(part, str) for part in body):
            pieces.append(_length_and_body(declared.method, (declared.body or "").encode()))
            return self._one_key(pieces, target) or self._whole(_format(pieces))
        place: _Place = "text"
        if declared.form:
            place = "form"
        elif (declared.body or "").lstrip()[:1] in ("{", "["):
            place = "json"
        return self._whole(_format(pieces), _format([self._piece(p, place) for p in body]))

    def _whole(self, head: _Get, body: _Get | None = None) -> Build:
        """A function that makes a request of its parts, the length of the body between them."""
        makes = self._makes

        def build(numbers: Sequence[int]) -> bytes:
            made = [make() for make in makes]
            if body is None:
                return head(numbers, made)
            content = body(numbers, made)
            return b"%bContent-Length: %d\r\n\r\n%b" % (
                head(numbers, made),
                len(content),
                content,
            )

        return build

    def _one_key(self, pieces: list[bytes | _Get], target: list[Part]) -> Build | None:
        """The commonest by far, one key in the path, at half the cost; None: it is not that."""
        keys = [part for part in target if isinstance(part, KeyField)]
        fields = [i for i, piece in enumerate(pieces) if not isinstance(piece, bytes)]
        if len(keys) != 1 or len(fields) != 1:
            return None
        (at,) = fields
        before = b"".join(piece for piece in pieces[:at] if isinstance(piece, bytes))
        after = b"".join(piece for piece in pieces[at + 1 :] if isinstance(piece, bytes))
        slot = self._slots[keys[0].name]
        quoted = self._readers[slot].quoted
        return lambda numbers: before + quoted(numbers[slot]) + after

    def _piece(self, part: Part, place: _Place) -> bytes | _Get:
        if isinstance(part, Fill):
            return self._filled(part)
        if isinstance(part, KeyField):
            return self._key(part, place)
        return quote(part, safe=TARGET_SAFE).encode("ascii") if place == "target" else part.encode()

    def _filled(self, fill: Fill) -> _Get:
        if fill.kind == "random":  # drawn anew wherever it stands
            make = self._fills.make(fill)
            return lambda numbers, made: make()
        at = self._shared.get(fill)
        if at is None:
            at = self._shared[fill] = len(self._makes)
            self._makes.append(self._fills.make(fill))
        index = at
        return lambda numbers, made: made[index]

    def _key(self, field: KeyField, place: _Place) -> _Get:
        slot = self._slots[field.name]
        reader = self._readers[slot]
        text = reader.text
        match place:
            case "target":
                quoted = reader.quoted
                return lambda numbers, made: quoted(numbers[slot])
            case "header":  # which may hold blanks, and must not hold a line break
                safe = f"{TARGET_SAFE} "
                return lambda numbers, made: quote(text(numbers[slot]), safe=safe).encode()
            case "form":
                return lambda numbers, made: quote_plus(text(numbers[slot])).encode()
            case "json":
                # Between the quotes that the body's author wrote, so without those of the encoder.
                return lambda numbers, made: msgspec.json.encode(text(numbers[slot]))[1:-1]
            case "text":
                return lambda numbers, made: text(numbers[slot]).encode()


def _format(pieces: Sequence[bytes | _Get]) -> _Get:
    """A function that puts what fills the fields between literal bytes."""
    gets = [piece for piece in pieces if not isinstance(piece, bytes)]
    literal = b"".join([p.replace(b"%", b"%%") if isinstance(p, bytes) else b"%b" for p in pieces])
    if not gets:
        fixed = literal % ()
        return lambda numbers, made: fixed
    return lambda numbers, made: literal % tuple([get(numbers, made) for get in gets])


def _length_and_body(method: str, content: bytes) -> bytes:
    length = b"Content-Length: %d\r\n" % len(content) if content or method in WITH_LENGTH else b""
    return length + b"\r\n" + content
