"""This machine's network settings, as the build container gets them: indexes, credentials, certificates, proxies.

They are handed in as files that are removed when the work is done, and as the environment of the programs inside.
None of them is part of an image, of a container's configuration or of what is built.
"""

from __future__ import annotations

import json
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
TRUE = ("1", "true", "t", "yes", "y", "on")  # what uv takes for it
SHORTEST_SECRET = 4  # what is shorter would be found in any text


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What reaches the container.  `files` by name below FOLDER; `secrets` must not come out again."""

    environment: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    credentials: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # host, or host:port -> user, password
    links: tuple[Path, ...] = ()  # folders of this machine that hold distributions
    loopback: bool = False  # an index or a proxy is on this machine's own loopback
    unreachable: str = ""  # an index that no container can see


def read(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process's environment, netrc, keyring (where uv is told to use it) and uv.toml."""
    given = uv.environment() if environ is None else dict(environ)
    passed = {name: value for name, value in given.items() if PASSED.fullmatch(name)}
    for name in (*PROXIES, "NO_PROXY"):
        passed |= {each: given[each] for each in (name, name.lower()) if given.get(each)}
    files = dict(_configuration(given))
    in_files = [item for text in files.values() for item in _indexes_of_toml(text)]
    configured = [url for _, url in in_files]
    if given.get("UV_KEYRING_PROVIDER") == "subprocess":
        for name in set(INDEXES) & passed.keys():
            passed[name] = " ".join(map(_with_keyring, passed[name].split()))
    in_variables = [item for name in INDEXES for item in _split(passed.get(name, "")) if item[1]]
    indexes = [url for _, url in in_variables]
    links = [item for item in passed.pop("UV_FIND_LINKS", "").split(",") if item]
    far = [item for item in links if _is_url(item)]
    if far:
        passed["UV_FIND_LINKS"] = ",".join(far)
    proxies = [passed[name] for name in passed if name.upper() in PROXIES]
    sources = [*indexes, *configured, *far, *proxies]
    known = _credentials(given, {host for host in map(_host, sources) if host})
    told = known | dict(item for url in [*indexes, *configured, *far] for item in _userinfo(url))
    told |= dict(_of_names(given, [*in_files, *in_variables]))
    if known:
        rows = (
            f"machine {host} login {_token(user)} password {_token(password)}\n"
            for host, (user, password) in known.items()
        )
        files["netrc"] = "".join(rows).encode(errors="surrogatepass")
        passed["NETRC"] = f"{FOLDER}/netrc"
    certificates = _certificates(given)
    if certificates:
        files["ca.pem"] = certificates
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
        secrets=tuple(sorted(_secrets(given, sources, told), key=len, reverse=True)),
        credentials=told,
        links=tuple(_folder(item) for item in links if not _is_url(item)),
        loopback=any(_is_loopback(_host(url)) for url in sources),
        unreachable=next((url for url in [*indexes, *configured] if not _is_url(url)), ""),
    )


def _split(indexes: str) -> list[tuple[str, str]]:
    """uv's lists of indexes: URLs, or name=URL; each as its name and URL."""
    found = (re.fullmatch(r"(?:([A-Za-z0-9_.-]+)=)?(.*)", item) for item in indexes.split())
    return [(match[1] or "", match[2]) for match in found if match]


def _is_url(text: str) -> bool:
    return bool(re.match("https?:", text, flags=re.IGNORECASE))


def _folder(text: str) -> Path:
    if text.startswith("file:"):
        return Path(unquote(re.sub("^file:(//[^/]*)?", "", text)))
    return Path(os.path.expanduser(text))  # noqa: PTH111 - Path's own raises for a user that is not there


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
            yield _place(url), (unquote(parts.username), unquote(parts.password or ""))


def _place(url: str) -> str:
    """host, or host:port, as uv writes it in the URLs that it gives."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    place = parts.netloc.rpartition("@")[2].lower()
    return place.removesuffix({"http": ":80", "https": ":443"}.get(parts.scheme, ":"))


def _of_names(given: Mapping[str, str], named: list[tuple[str, str]]) -> Iterator[tuple[str, tuple[str, str]]]:
    """What UV_INDEX_<NAME>_USERNAME and _PASSWORD say of the indexes with names."""
    for name, url in named:
        variable = f"UV_INDEX_{re.sub('[^A-Z0-9]', '_', name.upper())}"
        user, password = (given.get(f"{variable}_{part}", "") for part in ("USERNAME", "PASSWORD"))
        if name and _host(url) and (user or password):
            yield _place(url), (user, password)


def _secrets(given: Mapping[str, str], sources: list[str], told: Mapping[str, tuple[str, str]]) -> set[str]:
    """Passwords, as they are, in URLs and as programs print them; a user name without one is a token."""
    found = {value for name, value in given.items() if re.fullmatch(r"UV_INDEX_.+_PASSWORD", name)}
    users = [*told.values(), *(user for url in sources for _, user in _userinfo(url))]
    found |= {password or user for user, password in users}
    found |= {
        form
        for secret in found
        for form in (quote(secret, safe="", errors="surrogatepass"), repr(secret)[1:-1], _json(secret))
    }
    for url in sources:
        with suppress(ValueError):
            parts = urlsplit(url if "://" in url else f"http://{url}")
            found.add(parts.password or parts.username or "")  # in whatever way it is quoted there
    return {secret for secret in found if len(secret) >= SHORTEST_SECRET}


def _json(text: str) -> str:
    return json.dumps(text)[1:-1]


def _token(text: str) -> str:
    """A word of netrc."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _credentials(given: Mapping[str, str], hosts: set[str]) -> dict[str, tuple[str, str]]:
    """What netrc and uv's own store know of the hosts that are used; of no other."""
    found: dict[str, tuple[str, str]] = {}
    store = Path(given.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "uv/credentials"
    with suppress(OSError, ValueError, AttributeError, TypeError):  # uv tells what is wrong with it
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
    try:
        parts = urlsplit(url)
    except ValueError:
        return item
    if not parts.hostname or not parts.username or parts.password:
        return item
    for service in (url.replace(f"{parts.username}@", "", 1), parts.hostname):
        with suppress(OSError, ValueError, subprocess.SubprocessError):
            command = ["keyring", "get", service, unquote(parts.username)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
            password = done.stdout.rstrip("\n")
            if done.returncode == 0 and password:
                host = parts.netloc.rpartition("@")[2]
                return name + urlunsplit(
                    parts._replace(
                        netloc=f"{parts.username}:{quote(password, safe='', errors='surrogatepass')}@{host}"
                    )
                )
    return item


def _certificates(given: Mapping[str, str]) -> bytes:
    """The trusted certificates that are set, or the machine's own where uv is told to trust them."""
    files = [given[name] for name in CERTIFICATES if given.get(name)]
    folders = [given["SSL_CERT_DIR"].split(os.pathsep)[0]] if given.get("SSL_CERT_DIR") else []
    if any(given.get(name, "").lower() in TRUE for name in ("UV_NATIVE_TLS", "UV_SYSTEM_CERTS")):
        own = ssl.get_default_verify_paths()
        files += [own.cafile] if own.cafile else []
        folders += [own.capath] if own.capath else []  # Debian has no file
    for file in files:
        with suppress(OSError):
            return Path(file).read_bytes()
    for folder in folders:
        with suppress(OSError):
            texts = {item.read_bytes() for item in Path(folder).iterdir() if item.is_file()}
            return b"\n".join(sorted(text for text in texts if b"BEGIN CERTIFICATE" in text))
    return b""


def _configuration(given: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
    """uv's own configuration files: the one that is named, else the user's and the system's."""
    if given.get("UV_NO_CONFIG", "").lower() in TRUE:
        return
    home = Path(given.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    folders = [*(given.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep), "/etc"]
    system = next((file for folder in folders if (file := Path(folder, "uv/uv.toml")).is_file()), None)
    places = [("uv/uv.toml", home / "uv/uv.toml")] + ([("system/uv/uv.toml", system)] if system else [])
    if given.get("UV_CONFIG_FILE"):
        places = [("given.toml", Path(given["UV_CONFIG_FILE"]))]
    for name, path in places:
        with suppress(OSError):
            yield name, path.read_bytes()


def _indexes_of_toml(content: bytes) -> Iterator[tuple[str, str]]:
    """Name and URL of whatever uv fetches from; the name is mostly empty."""
    with suppress(ValueError, AttributeError, KeyError, TypeError):  # uv tells what is wrong with it
        data: dict[str, Any] = tomllib.loads(content.decode())
        for table in (data, data.get("pip", {})):
            yield from ((str(index.get("name", "")), str(index["url"])) for index in table.get("index", []))
            single = (table.get(key) for key in ("index-url", "http-proxy", "https-proxy"))
            for url in filter(None, [*single, *table.get("extra-index-url", []), *table.get("find-links", [])]):
                yield "", str(url)
