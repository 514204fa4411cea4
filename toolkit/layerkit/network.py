"""This machine's network settings, as the build container gets them: indexes, credentials, certificates, proxies.

They are handed in as files that are removed when the work is done, and as the environment of the programs inside.
None of them is part of an image, of a container's configuration or of what is built.
"""

from __future__ import annotations

import netrc
import os
import re
import ssl
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from layerkit import uv

FOLDER = "/layerkit/in"  # in the container
PASSED = re.compile(
    r"UV_(DEFAULT_INDEX|INDEX(_.+)?|EXTRA_INDEX_URL|FIND_LINKS|NO_INDEX|INSECURE_HOST|HTTP_.+|REQUEST_TIMEOUT"
    r"|NATIVE_TLS|SYSTEM_CERTS|OFFLINE|EXCLUDE_NEWER|CONCURRENT_.+|NO_PROGRESS|PYTHON_DOWNLOADS|NO_CONFIG)|NO_COLOR"
)
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
CERTIFICATES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")  # the first that is set holds
ONE_INDEX = ("UV_DEFAULT_INDEX", "UV_INDEX_URL")
INDEXES = (*ONE_INDEX, "UV_INDEX", "UV_EXTRA_INDEX_URL")
SHORTEST_SECRET = 4  # what is shorter would be found in any text


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What reaches the container.  `files` by name below FOLDER; `secrets` must not come out again."""

    environment: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    credentials: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # host, or host:port -> user, password
    links: tuple[Path, ...] = ()  # folders of this machine that hold distributions
    certificates: Path | None = None
    loopback: bool = False  # an index or a proxy is on this machine's own loopback
    unreachable: str = ""  # an index that no container can see


def read(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process's environment, netrc, keyring (where uv is told to use it) and uv.toml."""
    given = uv.environment() if environ is None else dict(environ)
    passed = {name: value for name, value in given.items() if PASSED.fullmatch(name)}
    for name in (*PROXIES, "NO_PROXY"):
        passed |= {each: given[each] for each in (name, name.lower()) if given.get(each)}
    files = dict(_configuration(given))
    configured = [url for text in files.values() for url in _urls_of_toml(text)]
    if given.get("UV_KEYRING_PROVIDER") == "subprocess":
        for name in set(INDEXES) & passed.keys():
            passed[name] = " ".join(map(_with_keyring, passed[name].split()))
    indexes = [url for name in INDEXES for url in _split(passed.get(name, "")) if url]
    links = [item for item in passed.pop("UV_FIND_LINKS", "").split(",") if item]
    far = [item for item in links if _is_url(item)]
    if far:
        passed["UV_FIND_LINKS"] = ",".join(far)
    proxies = [passed[name] for name in passed if name.upper() in PROXIES]
    sources = [*indexes, *configured, *far, *proxies]
    known = _credentials(given, {host for host in map(_host, sources) if host})
    if known:
        rows = (f"machine {host} login {user} password {password}\n" for host, (user, password) in known.items())
        files["netrc"] = "".join(rows).encode()
        passed["NETRC"] = f"{FOLDER}/netrc"
    certificates, content = _certificates(given)
    if content:
        files["ca.pem"] = content
        names = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO")
        passed |= dict.fromkeys(names, f"{FOLDER}/ca.pem")
    if given.get("SSL_CLIENT_CERT"):
        with suppress(OSError):
            files["client.pem"] = Path(given["SSL_CLIENT_CERT"]).read_bytes()
            passed["SSL_CLIENT_CERT"] = f"{FOLDER}/client.pem"
    for name in ("uv/uv.toml", "system/uv/uv.toml", "given.toml"):
        if name in files:
            variable, value = {
                "uv/uv.toml": ("XDG_CONFIG_HOME", FOLDER),
                "system/uv/uv.toml": ("XDG_CONFIG_DIRS", f"{FOLDER}/system"),
                "given.toml": ("UV_CONFIG_FILE", f"{FOLDER}/given.toml"),
            }[name]
            passed[variable] = value
    return Settings(
        environment=passed,
        files=files,
        secrets=tuple(sorted(_secrets(given, sources, known), key=len, reverse=True)),
        credentials=known
        | {place: found for url in [*indexes, *configured, *far] for place, found in _userinfo(url)},
        links=tuple(_folder(item) for item in links if not _is_url(item)),
        certificates=certificates,
        loopback=any(_is_loopback(_host(url)) for url in sources),
        unreachable=next((url for url in [*indexes, *configured] if not _is_url(url)), ""),
    )


def _split(indexes: str) -> list[str]:
    """uv's lists of indexes: URLs, or name=URL."""
    return [re.sub(r"^[A-Za-z0-9_.-]+=", "", item) for item in indexes.split()]


def _is_url(text: str) -> bool:
    return urlsplit(text).scheme in ("http", "https")


def _folder(text: str) -> Path:
    return Path(unquote(urlsplit(text).path)) if text.startswith("file:") else Path(text).expanduser()


def _host(url: str) -> str:
    with suppress(ValueError):
        return urlsplit(url if "://" in url else f"http://{url}").hostname or ""
    return ""


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.") or host.endswith(".localhost")


def _userinfo(url: str) -> Iterator[tuple[str, tuple[str, str]]]:
    with suppress(ValueError):
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.hostname and parts.username is not None:
            yield parts.netloc.rpartition("@")[2], (unquote(parts.username), unquote(parts.password or ""))


def _secrets(given: Mapping[str, str], sources: list[str], known: Mapping[str, tuple[str, str]]) -> set[str]:
    """Passwords, as they are and as they stand in URLs; a user name without one is a token."""
    found = {value for name, value in given.items() if re.fullmatch(r"UV_INDEX_.+_PASSWORD", name)}
    found |= {password for _, password in known.values()}
    for url in sources:
        for _, (user, password) in _userinfo(url):
            found.add(password or user)
    found |= {quote(secret, safe="") for secret in found}
    return {secret for secret in found if len(secret) >= SHORTEST_SECRET}


def _credentials(given: Mapping[str, str], hosts: set[str]) -> dict[str, tuple[str, str]]:
    """What netrc and uv's own store know of the hosts that are used; of no other."""
    found: dict[str, tuple[str, str]] = {}
    store = Path(given.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "uv/credentials"
    with suppress(OSError, ValueError):
        text = (Path(given.get("UV_CREDENTIALS_DIR") or store) / "credentials.toml").read_text(encoding="utf-8")
        for one in tomllib.loads(text).get("credential", []):
            if _host(str(one.get("service", ""))) in hosts and one.get("password"):
                found[_host(one["service"])] = (str(one.get("username") or "__token__"), str(one["password"]))
    with suppress(OSError, netrc.NetrcParseError, ValueError):
        entries = netrc.netrc(given.get("NETRC") or str(Path.home() / ".netrc"))
        for host in hosts:
            entry = entries.authenticators(host)
            if entry and entry[2]:
                found[host] = (entry[0] or "", entry[2])
    return dict(sorted(found.items()))


def _with_keyring(item: str) -> str:
    """The index with the password that `keyring` has for it: uv asks it in the same way, but not in a container."""
    name, url = re.fullmatch(r"([A-Za-z0-9_.-]+=)?(.*)", item, flags=re.DOTALL).groups("")  # type: ignore[union-attr]
    parts = urlsplit(url)
    if not parts.hostname or not parts.username or parts.password:
        return item
    for service in (url.replace(f"{parts.username}@", "", 1), parts.hostname):
        with suppress(OSError, subprocess.SubprocessError):
            command = ["keyring", "get", service, unquote(parts.username)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
            password = done.stdout.rstrip("\n")
            if done.returncode == 0 and password:
                host = parts.netloc.rpartition("@")[2]
                return name + urlunsplit(parts._replace(netloc=f"{parts.username}:{quote(password, safe='')}@{host}"))
    return item


def _certificates(given: Mapping[str, str]) -> tuple[Path | None, bytes]:
    """The file of trusted certificates that is set, or the machine's own where uv is told to trust it."""
    named = [Path(given[name]) for name in CERTIFICATES if given.get(name)]
    if any(given.get(name, "").lower() in ("1", "true", "yes") for name in ("UV_NATIVE_TLS", "UV_SYSTEM_CERTS")):
        own = ssl.get_default_verify_paths()
        named += [Path(own.cafile)] if own.cafile else []
    for path in named:
        with suppress(OSError):
            return path, path.read_bytes()
    folder = given.get("SSL_CERT_DIR", "").split(os.pathsep)[0]
    with suppress(OSError):
        texts = {item.read_bytes() for item in Path(folder).iterdir() if item.is_file()} if folder else set()
        return None, b"\n".join(sorted(text for text in texts if b"BEGIN CERTIFICATE" in text))
    return None, b""


def _configuration(given: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
    """uv's own configuration files: the one that is named, else the user's and the system's."""
    if given.get("UV_NO_CONFIG"):
        return
    home = Path(given.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    places = [("uv/uv.toml", home / "uv/uv.toml"), ("system/uv/uv.toml", Path("/etc/uv/uv.toml"))]
    if given.get("UV_CONFIG_FILE"):
        places = [("given.toml", Path(given["UV_CONFIG_FILE"]))]
    for name, path in places:
        with suppress(OSError):
            yield name, path.read_bytes()


def _urls_of_toml(content: bytes) -> Iterator[str]:
    data: dict[str, Any] = {}
    with suppress(ValueError):
        data = tomllib.loads(content.decode())
    for table in (data, data.get("pip", {})):
        yield from (index["url"] for index in table.get("index", []) if "url" in index)
        yield from filter(None, [table.get("index-url")])
        yield from table.get("extra-index-url", [])
