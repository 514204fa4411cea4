"""The forms of secrets: tokens of known services, private keys, passwords in URLs.

Chosen by what can be told for certain: a checksum, a long fixed prefix, an assignment.  A pattern begins with
letters, and looks behind itself only after them, because `re` finds fixed beginnings at 2 GB/s and all else at 0.2.
It leaves open what follows a token where a constant of a .pyc may stand: anything follows there.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass

Match = re.Match[bytes]
REACH = 2048  # a form is told from at most so many bytes from its beginning on,
BEHIND = 64  # and so many before it
MOST = 20  # leaks kept of a form in one file
DIGITS = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
MADE_UP = re.compile(rb"(?i)example|sample|dummy|placeholder|fake|xxxx|0000|1234567|abcdef|([^a])\1{5}")
# The account key of Azure's storage emulator, the same for everybody (Microsoft Learn, "Use the Azurite emulator").
AZURITE = b"Eby8vdM02xNOcqFlqUwJPLlmEtl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """`tell` gives words that may be shown, or "" where it is none after all."""

    kind: str  # the rule that it breaks
    pattern: re.Pattern[bytes]
    tell: Callable[[Match], str]
    at_start: bool = False  # of the file, and nowhere else


def made_up(token: bytes) -> bool:
    """Whether it is one of a document or a test: nobody draws these at random."""
    return bool(MADE_UP.search(token)) or len(set(token)) < min(12, len(token) * 2 // 5)


def checksum(text: bytes) -> bytes:
    """What tokens of GitHub and npm end with: the CRC32 of what is before it, in six digits of base 62.

    GitHub's blog, 2021: "Behind GitHub's new authentication token formats", "Announcing npm's new access token
    format".
    """
    number, digits = zlib.crc32(text), b""
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = DIGITS[digit : digit + 1] + digits
    return digits


def _form(kind: str, pattern: bytes, tell: Callable[[Match], str]) -> Form:
    return Form(kind=kind, pattern=re.compile(pattern, re.VERBOSE), tell=tell)


def _secret(words: str, pattern: bytes) -> Form:
    """A form that is all secret."""
    return _form("secret", pattern, lambda match: "" if made_up(match[0]) else words)


# -- tokens whose prefix ends with an underscore: one search for all of them

UNDERSCORED = {  # name of the group -> what it is, length of the prefix
    "github": ("a GitHub token", 4),
    "npm": ("an npm token", 4),
    "fine": ("a GitHub token", 11),
    "app": ("a GitHub token", 4),
    "face": ("a Hugging Face token", 3),
    "stripe": ("a Stripe key of a live account", 8),
    "ocean": ("a DigitalOcean token", 7),
}


def _underscored(match: Match) -> str:
    form, token = match.lastgroup or "", match[0][1:]
    if checksum(token[:30]) != token[30:] if form in ("github", "npm") else made_up(token):
        return ""
    words, size = UNDERSCORED[form]
    begin = match.start() + 1
    return f"{words} ({match.string[begin - size : begin].decode()}…)"


# -- passwords in URLs

NO_PASSWORD = re.compile(
    r"(?i)(?:my|your|some|the|an?|user|db|repo|index|[-_.])*"
    r"(?:pass(?:w(?:or)?d|phrase)?|passw0rd|pwd?|secret|token|key|api-?key|bar|baz|foo|test|user(?:name)?|x+|\*+|tiger|guest"
    r"|changeme|change-me|admin|root|redacted|hidden|none|null)?[0-9]{0,4}|.{0,3}|\$[A-Za-z_]\w*"
)
NO_HOSTS = {
    "example", "localhost", "invalid", "test", "host", "hostname", "myhost", "domain", "mydomain", "server",
    "myserver", "company", "mycompany", "yourcompany", "foo", "bar", "proxy", "site", "website", "address", "ip",
    "local", "sample",
}  # fmt: skip


TOKEN = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[A-Za-z0-9_-]{20,}")


def _url(match: Match) -> str:
    """RFC 2606 keeps example.com and the like for documents; who writes one also writes user:password."""
    user, password, host = ((match[name] or b"").decode() for name in ("user", "password", "host"))
    labels = host.lower().strip(".").split(".")
    if NO_HOSTS.intersection(labels) or host.startswith(("127.", "0.0.0.0")):  # noqa: S104
        return ""
    if not password:
        return "" if _is_name(user, match) or "sentry" in labels else f"a token in a URL (…@{host[:80]})"
    if password.lower() == user.lower() or NO_PASSWORD.fullmatch(password) or MADE_UP.search(match["password"]):
        return ""
    if len(labels) == 1 and not (len(password) >= 8 and re.search("[0-9]", password)):
        return ""  # no host of a network but one of a text: user:pa55@db
    return f"a password in a URL (…:…@{host[:80]})"


def _is_name(user: str, match: Match) -> bool:
    """Whether what stands alone before the @ is no token, which some indexes take so over HTTP."""
    scheme = match.string[max(0, match.start() - 5) : match.start()]
    return not scheme.endswith((b"http", b"https")) or not TOKEN.fullmatch(user) or made_up(user.encode())


# -- private keys

# What may stand between the lines of a key: line ends, real or escaped, and what makes strings of a program of them.
GAP = rb"""(?:\\[nrt]|[brf](?=["'])|[\s"'+,()\\]){1,40}+"""


def _private_key(match: Match) -> str:
    body = match["body"].replace(b"0000", b"")
    sort = match["type"].decode().strip() or "PKCS #8"
    return "" if len(set(body)) < 14 or MADE_UP.search(body) else f"a private key ({sort})"


# -- other tokens


def _google_or_amazon(match: Match) -> str:
    if made_up(match[0]):
        return ""
    prefix = match[0][:4].decode()
    return "a Google API key (AIza…)" if prefix == "AIza" else f"an AWS access key id ({prefix}…)"


def _aws_secret(match: Match) -> str:
    value = match["value"]
    mixed = all(re.search(kind, value) for kind in (rb"[a-z]", rb"[A-Z]", rb"[0-9]"))
    return "an AWS secret access key" if mixed and not made_up(value) else ""


def _azure(match: Match) -> str:
    return "" if AZURITE in match[0] or made_up(match[0]) else "a key of an Azure storage account (AccountKey=…)"


ASSIGNED = rb"""["']{0,2}\]?[ \t]{0,8}(?:=>|[:=>,])[ \t]{0,8}b?["']?(?P<value>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])"""

PRIVATE_KEY = _form(
    "private-key",
    rb"""-----BEGIN[ ](?P<type>(?:[A-Z0-9]{2,10}[ ]){0,2})PRIVATE[ ]KEY(?:[ ]BLOCK)?-----GAP
    (?:[A-Z][A-Za-z-]{2,20}:[^\r\n\\"']{0,120}+GAP){0,4}
    (?P<body>[A-Za-z0-9+/=]{60,100})""".replace(b"GAP", GAP),
    _private_key,
)  # RFC 7468, RFC 1421 (its headers), OpenSSH's PROTOCOL.key, RFC 4880 6.2
URL = _form(
    "index-credentials",
    rb"""://(?P<user>(?:[A-Za-z0-9._~!&+,;=-]|%[0-9A-Fa-f]{2}){0,64})
    (?::(?P<password>(?:[A-Za-z0-9._~!$&*+,;=:-]|%[0-9A-Fa-f]{2}){1,256}))?@
    (?P<host>[A-Za-z0-9][A-Za-z0-9.-]{1,250})""",
    _url,
)  # RFC 3986 3.2.1; braces, brackets, < and ${ are places for a name and a password
SECRETS = (
    # GitHub Docs, "About authentication to GitHub"; a ghs_ token may be a JWT: GitHub's changelog, 15 May 2026
    _form("secret", rb"""_(?:(?=[A-Za-z0-9]{22})(?:
        (?<=gh[pousr]_)(?P<github>[A-Za-z0-9]{36})
        |(?<=npm_)(?P<npm>[A-Za-z0-9]{36})
        |(?<=github_pat_)(?P<fine>[A-Za-z0-9]{22}_[A-Za-z0-9]{59})
        |(?<=[rs]k_live_)(?P<stripe>[A-Za-z0-9]{24,247})
        |(?<=hf_)(?<![A-Za-z0-9]hf_)(?P<face>[A-Za-z]{34})
        |(?<=dop_v1_)(?P<ocean>[0-9a-f]{64}))
        |(?<=ghs_)(?P<app>[0-9]{1,12}_eyJ[A-Za-z0-9_-]{16,512}\.eyJ))""", _underscored),
    # a .pyc has a constant's length before it (20), and anything behind it
    _form("secret", rb"""A(?:(?:KIA|SIA)(?<![A-Za-z0-9/+]....)[A-Z2-7]{16}(?:(?![A-Za-z0-9/+])|(?<=\x14.{20}))
        |Iza(?<![A-Za-z0-9_-]....)[A-Za-z0-9_-]{35})""", _google_or_amazon),
    _form("secret", rb"secret(?:_access_key|AccessKey)" + ASSIGNED, _aws_secret),
    _form("secret", rb"S(?:ECRET_ACCESS_KEY|ecretAccessKey)" + ASSIGNED, _aws_secret),
    _secret("a GitLab token (glpat-…)", rb"glpat-[A-Za-z0-9_-]{20,300}"),
    _secret("a Slack token (xox…)", rb"xox[abeoprs]-(?:[0-9]{8,14}-){1,3}[A-Za-z0-9]{16,80}"),
    _secret("the address of a Slack webhook (hooks.slack.com/services/…)",
            rb"hooks\.slack\.com/services/T[A-Z0-9]{7,12}/B[A-Z0-9]{7,12}/[A-Za-z0-9]{24}"),
    _secret("a PyPI token (pypi-AgE…)", rb"pypi-AgE[A-Za-z0-9_-]{50,1000}"),
    _secret("a SendGrid key (SG.…)", rb"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}"),
    # the middle is "OpenAI" in base64
    _secret("an OpenAI key (sk-…)", rb"T3BlbkFJ(?<=[A-Za-z0-9_-]{20}T3BlbkFJ)[A-Za-z0-9_-]{20,80}"),
    _secret("an Anthropic key (sk-ant-…)", rb"sk-ant-[a-z0-9]{2,12}-[A-Za-z0-9_-]{80,120}"),
    _form("secret", rb"AccountKey=[A-Za-z0-9+/]{86}==", _azure),
)  # fmt: skip
# npm's documentation, "npmrc": a token that stands there itself, not as ${NPM_TOKEN}
NPMRC = _form(
    "env-file",
    rb"_(?:authToken|auth|password)[ \t]{0,8}=[ \t]{0,8}[A-Za-z0-9+/=_-]{16}",
    lambda _: "a token of a registry",
)


def forms(path: str, *, binary: bool) -> tuple[Form, ...]:
    """Which to look for in the file at `path` of the zip.  A binary is large and made by a compiler: the likely."""
    if binary:
        return (PRIVATE_KEY, URL)
    more = (NPMRC,) if path.rpartition("/")[2] == ".npmrc" else ()
    return (*SECRETS, PRIVATE_KEY, URL, *more)
