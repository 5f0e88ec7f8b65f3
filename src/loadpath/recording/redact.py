"""Taking secrets out of what is kept, before it is kept.

Rather too much than too little: a value goes when its name or its shape looks like a secret. What
people need to understand a recording (names, hosts, numbers, placeholders) stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from loadpath.spec import DeclaredRequest, Dependency, Operation, Service, Setup, Workload

REDACTED = "***"

_SECRET_ANYWHERE = re.compile(
    r"passw|passphrase|secret|token|credential|api_?key|private_?key|access_?key|bearer|signature",
    re.IGNORECASE,
)
_SECRET_WORDS = frozenset(
    ("pass", "pwd", "pin", "otp", "auth", "authorization", "cookie", "jwt", "salt", "dsn", "sig")
)
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")

_URL_PASSWORD = re.compile(
    r"((?<![\w+.-])[a-z][a-z0-9+.-]*://[^\s/@:\"']*:)([^\s/\"']+)(@)", re.IGNORECASE
)
_URL_QUERY_VALUE = re.compile(r"([?&][^\s=&#?\"'<>]+=)([^\s&#\"'<>]+)")
_HEADER = re.compile(
    r"\b((?:proxy-)?authorization|(?:set-)?cookie|x-api-key|x-auth-token)([\"']?\s*[:=]\s*)"
    r"([\"']?)[^\r\n\"']+",
    re.IGNORECASE,
)
_SCHEME = re.compile(r"\b(bearer|basic|digest)(\s+)[\w.~+/=-]{6,}", re.IGNORECASE)
_NAMED = re.compile(
    r"""(?<![\w.-])(?P<name>[\w.-]+)(?P<middle>\\?["']?\s*[:=]\s*)"""
    r"""(?:(?P<quote>\\?["'])(?P<quoted>.*?)(?P=quote)|(?P<bare>[^\s"',;&{}()<>\[\]\\]+))""",
    re.DOTALL,
)
_PRIVATE_BLOCK = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END[^-]*-----|\Z)", re.DOTALL
)
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_OPAQUE = re.compile(r"[A-Za-z0-9_~+=-]{20,}(?:\.[A-Za-z0-9_~+=-]{10,})*")
_LETTER_BY_DIGIT = re.compile(r"(?<=[A-Za-z])(?=[0-9])|(?<=[0-9])(?=[A-Za-z])")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
_PLACEHOLDER = re.compile(r"\{\w*\}")

_LOOK_AT = 4096
_CHANGES_OF_A_TOKEN = 3


def looks_secret(name: str) -> bool:
    """Whether a variable, header, flag or field of that name is likely to hold a secret."""
    if _SECRET_ANYWHERE.search(name.replace("-", "_")):
        return True
    words = [word.lower() for word in _WORD.findall(name)]
    return bool(words) and (words[-1] in {"key", "keys"} or not _SECRET_WORDS.isdisjoint(words))


def redact_text(text: str, *, limit: int = 200, secrets: Iterable[str] = ()) -> str:
    """The start of a text that came from outside, fit to be stored and shown: at most `limit` long.

    Named secrets, header values, URL passwords and query values, e-mail addresses and long opaque
    tokens are replaced by `***`; `secrets` are known ones, replaced wherever they stand. Control
    characters and line ends become spaces.
    """
    text = text[: max(_LOOK_AT, limit)]
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, REDACTED)
    text = _PRIVATE_BLOCK.sub(REDACTED, text)
    text = redact_urls(_redact_headers(text))
    text = _NAMED.sub(_hide_named, text)
    text = _EMAIL.sub(REDACTED, text)
    text = _OPAQUE.sub(_hide_opaque, text)
    text = _CONTROL.sub(" ", text).strip()
    return text if len(text) <= limit else text[: limit - 1] + "…"


def redact_urls(text: str) -> str:
    """Passwords and query values of the URLs in a text replaced; {placeholders} stay."""
    text = _URL_PASSWORD.sub(_hide_value, text)
    return _URL_QUERY_VALUE.sub(_hide_value, text)


def redact_env(env: Mapping[str, str]) -> dict[str, str]:
    """Environment variables: values with a secret's name replaced, URL passwords in the others."""
    return {
        name: _hide(value) if looks_secret(name) else _NAMED.sub(_hide_named, _redact_value(value))
        for name, value in env.items()
    }


def redact_command(words: Sequence[str]) -> tuple[str, ...]:
    """A command line: the values of flags and variables with a secret's name, and URL passwords."""
    kept: list[str] = []
    hide_next = False
    for word in words:
        name, equals, value = word.partition("=")
        if hide_next and not word.startswith("-"):
            kept.append(_hide(word))
        elif equals and " " not in name and looks_secret(name):
            kept.append(f"{name}={_hide(value)}")
        else:
            kept.append(_redact_word(word))
        hide_next = word.startswith("-") and not equals and looks_secret(name)
    return tuple(kept)


def redact_setup(setup: Setup) -> Setup:
    """The setup as it may be written to disk."""
    return msgspec.structs.replace(
        setup,
        service=_redact_service(setup.service),
        workload=_redact_workload(setup.workload),
        kept=None
        if setup.kept is None
        else tuple(msgspec.structs.replace(rule, pattern=REDACTED) for rule in setup.kept),
    )


def _redact_service(service: Service) -> Service:
    return msgspec.structs.replace(
        service,
        start=redact_command(service.start),
        ready=redact_urls(service.ready),
        env=redact_env(service.env),
        dependencies=tuple(_redact_dependency(each) for each in service.dependencies),
    )


def _redact_dependency(dependency: Dependency) -> Dependency:
    return msgspec.structs.replace(
        dependency,
        env=redact_env(dependency.env),
        url=None if dependency.url is None else redact_urls(dependency.url),
        prepare=None if dependency.prepare is None else redact_command(dependency.prepare),
        seed=None if dependency.seed is None else redact_command(dependency.seed),
        settings=redact_env(dependency.settings),
    )


def _redact_workload(workload: Workload) -> Workload:
    return msgspec.structs.replace(
        workload, operations=tuple(_redact_operation(each) for each in workload.operations)
    )


def _redact_operation(operation: Operation) -> Operation:
    if operation.request is None:
        return operation
    return msgspec.structs.replace(operation, request=_redact_request(operation.request))


def _redact_request(request: DeclaredRequest) -> DeclaredRequest:
    return msgspec.structs.replace(
        request,
        path=_redact_value(request.path),
        headers=tuple(
            (name, _hide(value) if looks_secret(name) else _redact_value(value))
            for name, value in request.headers
        ),
        body=None if request.body is None else REDACTED,
    )


def _redact_headers(text: str) -> str:
    return _SCHEME.sub(rf"\1\2{REDACTED}", _HEADER.sub(rf"\1\2\3{REDACTED}", text))


def _redact_word(word: str) -> str:
    word = _redact_value(_redact_headers(word))
    # Only within a script (`sh -c "…"`): in `auth.app:app` the colon does not give a value.
    return _NAMED.sub(_hide_named, word) if " " in word else word


def _redact_value(value: str) -> str:
    return _OPAQUE.sub(_hide_opaque, redact_urls(value))


def _hide(value: str) -> str:
    """`***`, unless the value is nothing but a placeholder, which tells no secret."""
    return value if not value or _PLACEHOLDER.fullmatch(value) else REDACTED


def _hide_value(match: re.Match[str]) -> str:
    return match[1] + _hide(match[2]) + (match[3] if match.re.groups > 2 else "")


def _hide_named(match: re.Match[str]) -> str:
    if not looks_secret(match["name"]):
        return match[0]
    quote = match["quote"] or ""
    return f"{match['name']}{match['middle']}{quote}{REDACTED}{quote}"


def _hide_opaque(match: re.Match[str]) -> str:
    # Words joined by dashes, dates and versions change between letters and digits once or twice;
    # digests, keys and UUIDs do so all the time.
    changes = len(_LETTER_BY_DIGIT.findall(match[0]))
    return REDACTED if changes >= _CHANGES_OF_A_TOKEN else match[0]
