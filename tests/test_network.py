"""This machine's network settings: what reaches the build container, what does not, and what is secret."""

from __future__ import annotations

import json
import netrc
import os
import ssl
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerkit import network
from layerkit.network import Settings

Home = Path


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A new user's home: no netrc, no uv.toml, no credentials."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    for name in [*network.CERTIFICATES, "SSL_CERT_DIR", "SSL_CLIENT_CERT", "NETRC", *network.PROXIES, "NO_PROXY"]:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in [name for name in os.environ if name.startswith(("UV_", "XDG_"))]:
        monkeypatch.delenv(name)
    return folder


def read(**environ: str) -> Settings:
    """No system-wide uv.toml but the one that is given."""
    return network.read({"XDG_CONFIG_DIRS": "/nonexistent", **environ})


def hosts(settings: Settings, folder: Path) -> dict[str, tuple[str, str, str]]:
    """What Python reads in the netrc that is handed in."""
    if "netrc" not in settings.files:
        return {}
    (folder / "handed").write_bytes(settings.files["netrc"])
    return netrc.netrc(str(folder / "handed")).hosts


# --- what is passed on --------------------------------------------------------------------------------------


def test_nothing_set() -> None:
    assert read() == Settings()


@pytest.mark.parametrize(
    "name",
    [
        "UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_INDEX_CORP_USERNAME",
        "UV_INDEX_STRATEGY", "UV_NO_INDEX", "UV_INSECURE_HOST", "UV_HTTP_TIMEOUT", "UV_HTTP_RETRIES",
        "UV_REQUEST_TIMEOUT", "UV_NATIVE_TLS", "UV_OFFLINE", "UV_EXCLUDE_NEWER", "UV_CONCURRENT_DOWNLOADS",
        "UV_NO_CONFIG", "NO_COLOR", "HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY",
        "all_proxy", "NO_PROXY", "no_proxy",
    ],
)  # fmt: skip
def test_passed_on(name: str) -> None:
    assert read(**{name: "http://index.example/x"}).environment == {name: "http://index.example/x"}


@pytest.mark.parametrize(
    "name",
    [
        "UV_CACHE_DIR", "UV_PYTHON", "UV_PROJECT_ENVIRONMENT", "UV_TARGET", "UV_PUBLISH_TOKEN", "UV_KEYRING_PROVIDER",
        "UV_CONFIG_FILE", "UV_CREDENTIALS_DIR", "UV_FIND_LINKS", "VIRTUAL_ENV", "HOME", "PATH", "NETRC", "PYTHONPATH",
        "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "GITHUB_TOKEN", "PIP_CERT", "SSL_CERT_FILE", "XDG_CONFIG_HOME",
        "MY_UV_INDEX", "LD_PRELOAD",
    ],
)  # fmt: skip
def test_not_passed_on(name: str) -> None:
    settings = read(**{name: "/nonexistent/value"})
    assert settings.environment == {}
    assert settings.files == {}


@given(st.dictionaries(st.from_regex(r"[A-Z][A-Z_]{0,20}", fullmatch=True), st.text(max_size=20), max_size=5))
def test_only_what_is_named_is_passed_on(environ: dict[str, str]) -> None:
    passed = read(**environ).environment
    assert all(network.PASSED.fullmatch(name) or name in (*network.PROXIES, "NO_PROXY") for name in passed)
    assert all(environ[name] == value for name, value in passed.items())


def test_what_pip_is_told_counts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://me:pip-word@one.example/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "https://two.example/simple https://three.example/simple")
    monkeypatch.setenv("PIP_FIND_LINKS", "/wheels https://four.example/links")
    settings = network.read()
    assert settings.environment["UV_DEFAULT_INDEX"] == "https://me:pip-word@one.example/simple"
    assert settings.environment["UV_INDEX"] == "https://two.example/simple https://three.example/simple"
    assert settings.environment["UV_FIND_LINKS"] == "https://four.example/links"
    assert settings.environment["UV_NO_PROGRESS"] == "1"
    assert settings.links == (Path("/wheels"),)
    assert settings.secrets == ("pip-word",)
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://uv.example/simple")
    assert network.read().environment["UV_DEFAULT_INDEX"] == "https://uv.example/simple"


def test_no_file_is_handed_in_where_none_is_needed() -> None:
    assert read(UV_DEFAULT_INDEX="https://user:word-x@one.example/simple").files == {}


# --- credentials --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "place", "found"),
    [
        ("https://me:word@one.example/simple", "one.example", ("me", "word")),
        ("https://me:word@one.example:8443/simple", "one.example:8443", ("me", "word")),
        ("https://me:word@ONE.Example:443/simple", "one.example", ("me", "word")),  # as uv writes it
        ("http://me:word@one.example:80/simple", "one.example", ("me", "word")),
        ("http://me:word@one.example:443/simple", "one.example:443", ("me", "word")),
        ("http://me:word@one.example:8080", "one.example:8080", ("me", "word")),
        ("http://me:word@[::1]:8080/simple", "[::1]:8080", ("me", "word")),
        ("https://a%40b:w%2Frd%3A@one.example/simple", "one.example", ("a@b", "w/rd:")),
        ("https://token-of-mine@one.example/simple", "one.example", ("token-of-mine", "")),
        ("https://:only-word@one.example/simple", "one.example", ("", "only-word")),
    ],
)
@pytest.mark.parametrize("variable", ["UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL"])
def test_credentials_in_urls(variable: str, url: str, place: str, found: tuple[str, str]) -> None:
    assert read(**{variable: url}).credentials == {place: found}
    assert read(**{variable: f"corp={url}"}).credentials == {place: found}


def test_a_list_of_indexes_with_names_and_without() -> None:
    settings = read(UV_INDEX="corp=https://a:word-1@one.example/x \n https://b:word-2@two.example/?q=1")
    assert settings.credentials == {"one.example": ("a", "word-1"), "two.example": ("b", "word-2")}
    assert settings.secrets == ("word-1", "word-2") or settings.secrets == ("word-2", "word-1")
    assert settings.unreachable == ""


@pytest.mark.parametrize(
    ("name", "variable"), [("corp", "CORP"), ("my-index", "MY_INDEX"), ("my.index_2", "MY_INDEX_2")]
)
def test_credentials_of_an_index_with_a_name(name: str, variable: str, home: Home) -> None:
    given = {f"UV_INDEX_{variable}_USERNAME": "me", f"UV_INDEX_{variable}_PASSWORD": "named-word"}
    for place in ("UV_INDEX", "UV_DEFAULT_INDEX"):
        settings = read(**{place: f"{name}=https://one.example:8443/simple"}, **given)
        assert settings.credentials == {"one.example:8443": ("me", "named-word")}
        assert settings.secrets == ("named-word",)
        assert settings.environment.keys() >= given.keys()
    url_too = read(UV_INDEX=f"{name}=https://a:b@one.example/simple", **given)
    assert url_too.credentials == {"one.example": ("me", "named-word")}
    (home / "uv.toml").write_text(f'[[index]]\nname = "{name}"\nurl = "https://two.example/simple"\n')
    in_file = read(UV_CONFIG_FILE=str(home / "uv.toml"), **given)
    assert in_file.credentials == {"two.example": ("me", "named-word")}


def test_a_named_index_without_credentials() -> None:
    settings = read(UV_INDEX="corp=https://one.example/simple", UV_INDEX_OTHER_PASSWORD="word-of-another")
    assert settings.credentials == {}
    assert settings.secrets == ("word-of-another",)


NETRC = """
machine one.example login me password word-1
machine two.example
    login you
    account none
    password word-2
machine unused.example login x password word-3
"""


def test_netrc_gives_what_is_used_and_no_more(home: Home) -> None:
    (home / ".netrc").write_text(NETRC)
    (home / ".netrc").chmod(0o600)
    settings = read(UV_DEFAULT_INDEX="https://one.example:8443/simple", UV_FIND_LINKS="https://TWO.example/links")
    assert settings.environment["NETRC"] == "/layerkit/in/netrc"
    assert hosts(settings, home) == {"one.example": ("me", "", "word-1"), "two.example": ("you", "", "word-2")}
    assert settings.credentials == {"one.example": ("me", "word-1"), "two.example": ("you", "word-2")}
    assert set(settings.secrets) == {"word-1", "word-2"}
    assert "word-3" not in repr(settings)
    assert read(UV_DEFAULT_INDEX="https://else.example/simple") == Settings(
        environment={"UV_DEFAULT_INDEX": "https://else.example/simple"}
    )


def test_netrc_default_entry(home: Home) -> None:
    (home / "rc").write_text("machine one.example login me password word-1\ndefault login d password word-d\n")
    settings = read(UV_INDEX="https://one.example/s https://two.example/s", NETRC=str(home / "rc"))
    assert hosts(settings, home) == {"one.example": ("me", "", "word-1"), "two.example": ("d", "", "word-d")}


@pytest.mark.parametrize("content", ["machine\n", "what is this\n", "machine one.example login\n", "\0", None])
def test_netrc_that_is_broken_or_not_there(home: Home, content: str | None) -> None:
    if content is not None:
        (home / "rc").write_text(content)
    settings = read(UV_DEFAULT_INDEX="https://one.example/s", NETRC=str(home / "rc"))
    assert settings.credentials == {}
    assert "NETRC" not in settings.environment


def test_netrc_in_no_known_encoding(home: Home) -> None:
    (home / "rc").write_bytes(b"machine one.example login \xff password \xfe\xfe\xfe\xfe\n")
    assert isinstance(read(UV_DEFAULT_INDEX="https://one.example/s", NETRC=str(home / "rc")), Settings)


def test_credentials_of_a_url_come_before_those_of_its_host(home: Home) -> None:
    (home / "rc").write_text("machine one.example login me password word-1\n")
    settings = read(UV_DEFAULT_INDEX="https://u:own-word@one.example/s", NETRC=str(home / "rc"))
    assert settings.credentials == {"one.example": ("u", "own-word")}


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


WORD = st.text(st.characters(min_codepoint=32, max_codepoint=0x17F, exclude_characters="\x7f"), min_size=1)


@given(WORD, WORD)
def test_any_netrc_word_comes_out_as_it_went_in(
    tmp_path_factory: pytest.TempPathFactory, user: str, word: str
) -> None:
    folder = tmp_path_factory.mktemp("netrc")
    (folder / "rc").write_text(f"machine one.example login {quoted(user)} password {quoted(word)}\n")
    settings = read(UV_DEFAULT_INDEX="https://one.example/s", NETRC=str(folder / "rc"))
    assert settings.credentials == {"one.example": (user, word)}
    assert hosts(settings, folder) == {"one.example": (user, "", word)}


def test_netrc_with_a_password_alone(home: Home) -> None:
    (home / "rc").write_text("machine one.example password word-1\n")
    settings = read(UV_DEFAULT_INDEX="https://one.example/s", NETRC=str(home / "rc"))
    assert hosts(settings, home) == {"one.example": ("", "", "word-1")}


STORE = """
[[credential]]
service = "https://one.example/simple"
username = "me"
scheme = "basic"
password = "stored-1"

[[credential]]
service = "two.example"
scheme = "basic"
password = "stored-2"

[[credential]]
service = "https://unused.example"
username = "me"
password = "stored-3"

[[credential]]
service = "https://three.example"
username = "me"
scheme = "bearer"
"""


@pytest.mark.parametrize("place", ["home", "data", "own"])
def test_uvs_own_store(home: Home, place: str) -> None:
    folder = {"home": home / ".local/share/uv/credentials", "data": home / "d/uv/credentials", "own": home / "own"}
    folder[place].mkdir(parents=True)
    (folder[place] / "credentials.toml").write_text(STORE)
    environ = {"data": {"XDG_DATA_HOME": str(home / "d")}, "own": {"UV_CREDENTIALS_DIR": str(home / "own")}}
    indexes = "https://one.example/simple https://two.example/simple https://three.example/simple"
    settings = read(UV_INDEX=indexes, **environ.get(place, {}))
    assert settings.credentials == {"one.example": ("me", "stored-1"), "two.example": ("__token__", "stored-2")}
    assert hosts(settings, home).keys() == {"one.example", "two.example"}
    assert set(settings.secrets) == {"stored-1", "stored-2"}
    assert "stored-3" not in repr(settings)


@pytest.mark.parametrize(
    "content", ["[", "credential = 5", "credential = 'x'", "credential = [1]", "[[credential]]\nservice = 1"]
)
def test_a_store_that_is_broken(home: Home, content: str) -> None:
    (home / "credentials.toml").write_text(content)
    assert read(UV_INDEX="https://one.example/s", UV_CREDENTIALS_DIR=str(home)).credentials == {}


def test_netrc_comes_before_uvs_store(home: Home) -> None:
    (home / "credentials.toml").write_text(STORE)
    (home / "rc").write_text("machine one.example login n password word-1\n")
    settings = read(UV_INDEX="https://one.example/s", UV_CREDENTIALS_DIR=str(home), NETRC=str(home / "rc"))
    assert settings.credentials == {"one.example": ("n", "word-1")}


# --- keyring ------------------------------------------------------------------------------------------------


@pytest.fixture
def keyring(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], Path]:
    """keyring(shell script) -> the file that the script may write what it was asked to, as $LOG."""

    def install(script: str) -> Path:
        folder = tmp_path / "bin"
        folder.mkdir()
        (folder / "keyring").write_text(f'#!/bin/sh\nLOG={tmp_path / "asked"}\necho "$*" >> "$LOG"\n{script}\n')
        (folder / "keyring").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
        return tmp_path / "asked"

    return install


def test_keyring_is_asked_for_the_url(keyring: Callable[[str], Path]) -> None:
    asked = keyring("echo p/ss-word")
    settings = read(
        UV_INDEX="corp=https://me@one.example:81/simple https://two.example/s", UV_KEYRING_PROVIDER="subprocess"
    )
    assert asked.read_text() == "get https://one.example:81/simple me\n"
    assert settings.environment == {
        "UV_INDEX": "corp=https://me:p%2Fss-word@one.example:81/simple https://two.example/s"
    }
    assert settings.credentials == {"one.example:81": ("me", "p/ss-word")}
    assert set(settings.secrets) == {"p/ss-word", "p%2Fss-word"}


def test_keyring_is_asked_for_the_host_next(keyring: Callable[[str], Path]) -> None:
    asked = keyring('case "$2" in *://*) exit 1;; esac; echo host-word')
    settings = read(UV_DEFAULT_INDEX="https://a%40b@one.example/simple", UV_KEYRING_PROVIDER="subprocess")
    assert asked.read_text() == "get https://one.example/simple a@b\nget one.example a@b\n"
    assert settings.environment["UV_DEFAULT_INDEX"] == "https://a%40b:host-word@one.example/simple"
    assert settings.credentials == {"one.example": ("a@b", "host-word")}


@pytest.mark.parametrize("script", ["exit 1", "echo ''", "echo word; exit 3", "exit 0", "printf '\\377\\376'"])
def test_keyring_knows_nothing(keyring: Callable[[str], Path], script: str) -> None:
    keyring(script)
    url = "https://me@one.example/simple"
    assert read(UV_DEFAULT_INDEX=url, UV_KEYRING_PROVIDER="subprocess").environment == {"UV_DEFAULT_INDEX": url}


def test_no_keyring_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    url = "https://me@one.example/simple"
    assert read(UV_DEFAULT_INDEX=url, UV_KEYRING_PROVIDER="subprocess").environment == {"UV_DEFAULT_INDEX": url}


@pytest.mark.parametrize(
    "url", ["https://one.example/s", "https://me:has-one@one.example/s", "/folder", "https://[::1", "me@host"]
)
def test_keyring_is_not_asked(keyring: Callable[[str], Path], url: str) -> None:
    asked = keyring("echo word")
    settings = read(UV_DEFAULT_INDEX=url, UV_KEYRING_PROVIDER="subprocess")
    assert settings.environment["UV_DEFAULT_INDEX"] == url
    assert not asked.exists()


@pytest.mark.parametrize("provider", ["", "disabled", "native"])
def test_keyring_is_asked_where_uv_asks_it(keyring: Callable[[str], Path], provider: str) -> None:
    asked = keyring("echo word")
    read(UV_DEFAULT_INDEX="https://me@one.example/s", UV_KEYRING_PROVIDER=provider)
    assert not asked.exists()


# --- certificates -------------------------------------------------------------------------------------------

CERTIFICATE = b"-----BEGIN CERTIFICATE-----\n%s\n-----END CERTIFICATE-----\n"
SET = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO")


@pytest.mark.parametrize("name", network.CERTIFICATES)
def test_certificates_of_each_variable(home: Home, name: str) -> None:
    (home / "own.pem").write_bytes(CERTIFICATE)
    settings = read(**{name: str(home / "own.pem")})
    assert settings.files == {"ca.pem": CERTIFICATE}
    assert settings.environment == dict.fromkeys(SET, "/layerkit/in/ca.pem")
    assert settings.secrets == ()


def test_the_first_certificates_that_are_there(home: Home) -> None:
    environ = {}
    for name in reversed(network.CERTIFICATES):
        (home / name).write_bytes(name.encode())
        environ[name] = str(home / name)
        assert read(**environ).files == {"ca.pem": name.encode()}
    (home / "SSL_CERT_FILE").unlink()
    assert read(**environ).files == {"ca.pem": b"PIP_CERT"}
    assert read(SSL_CERT_FILE="/nonexistent").environment == {}
    assert read(SSL_CERT_FILE=str(home)).environment == {}
    assert read(SSL_CERT_FILE="").environment == {}


def test_a_folder_of_certificates(home: Home) -> None:
    folder = home / "certs"
    (folder / "deeper").mkdir(parents=True)
    (folder / "b.pem").write_bytes(CERTIFICATE % b"bb")
    (folder / "a.pem").write_bytes(CERTIFICATE % b"aa")
    (folder / "1234.0").symlink_to("a.pem")
    (folder / "README").write_text("none")
    (folder / "dead").symlink_to("nowhere")
    settings = read(SSL_CERT_DIR=f"{folder}:/else")
    assert settings.files == {"ca.pem": CERTIFICATE % b"aa" + b"\n" + CERTIFICATE % b"bb"}
    assert settings.environment == dict.fromkeys(SET, "/layerkit/in/ca.pem")
    (home / "own.pem").write_bytes(CERTIFICATE % b"own")
    assert (
        read(SSL_CERT_DIR=str(folder), CURL_CA_BUNDLE=str(home / "own.pem")).files["ca.pem"] == CERTIFICATE % b"own"
    )


@pytest.mark.parametrize("folder", ["", "/nonexistent", "empty"])
def test_a_folder_without_certificates(home: Home, folder: str) -> None:
    (home / "empty").mkdir()
    assert read(SSL_CERT_DIR=folder and str(home / folder)).environment == {}


@pytest.mark.parametrize("name", ["UV_NATIVE_TLS", "UV_SYSTEM_CERTS"])
@pytest.mark.parametrize("value", ["1", "true", "Yes", "on"])
def test_this_machines_own_certificates(monkeypatch: pytest.MonkeyPatch, home: Home, name: str, value: str) -> None:
    """OpenSSL's place for them is itself told by a variable."""
    (home / "system.pem").write_bytes(CERTIFICATE % b"system")
    monkeypatch.setenv("SSL_CERT_FILE", str(home / "system.pem"))
    assert read(**{name: value}).files == {"ca.pem": CERTIFICATE % b"system"}
    (home / "own.pem").write_bytes(CERTIFICATE % b"own")
    both = {name: value, "PIP_CERT": str(home / "own.pem")}
    assert read(**both).files == {"ca.pem": CERTIFICATE % b"own"}


@pytest.mark.parametrize("value", ["", "0", "false", "no"])
def test_this_machines_own_certificates_are_not_wanted(
    monkeypatch: pytest.MonkeyPatch, home: Home, value: str
) -> None:
    (home / "system.pem").write_bytes(CERTIFICATE)
    monkeypatch.setenv("SSL_CERT_FILE", str(home / "system.pem"))
    assert read(UV_NATIVE_TLS=value).files == {}


def test_a_machine_with_a_folder_of_certificates_alone(monkeypatch: pytest.MonkeyPatch, home: Home) -> None:
    """Debian."""
    monkeypatch.setenv("SSL_CERT_FILE", "/nonexistent")
    monkeypatch.setenv("SSL_CERT_DIR", str(home))
    assert ssl.get_default_verify_paths().cafile is None
    (home / "a.pem").write_bytes(CERTIFICATE % b"aa")
    assert read(UV_SYSTEM_CERTS="1").files == {"ca.pem": CERTIFICATE % b"aa"}


def test_a_clients_own_certificate(home: Home) -> None:
    (home / "client.pem").write_bytes(b"key and certificate")
    settings = read(SSL_CLIENT_CERT=str(home / "client.pem"))
    assert settings.files == {"client.pem": b"key and certificate"}
    assert settings.environment == {"SSL_CLIENT_CERT": "/layerkit/in/client.pem"}
    assert read(SSL_CLIENT_CERT="/nonexistent") == Settings()


# --- proxies, loopback, folders -----------------------------------------------------------------------------


def test_proxies() -> None:
    environ = {
        "HTTP_PROXY": "http://me:upper-word@proxy.example:3128",
        "https_proxy": "http://me:lower-word@proxy.example:3128",
        "ALL_PROXY": "me:bare-word@proxy.example:1080",
        "no_proxy": "localhost,.example",
        "FTP_PROXY": "http://me:not-used@proxy.example",
    }
    settings = read(**environ)
    assert settings.environment == {name: environ[name] for name in environ if name != "FTP_PROXY"}
    assert set(settings.secrets) == {"upper-word", "lower-word", "bare-word"}
    assert settings.credentials == {}  # they are no index's
    assert not settings.loopback
    assert read(HTTP_PROXY="").environment == {}


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST", "127.0.0.1", "127.1.2.3", "[::1]", "me:word@localhost", "index.localhost"]
)
@pytest.mark.parametrize("name", ["UV_DEFAULT_INDEX", "UV_INDEX", "UV_FIND_LINKS", "HTTPS_PROXY", "all_proxy"])
def test_on_loopback(host: str, name: str) -> None:
    assert read(**{name: f"http://{host}:8080/x"}).loopback
    assert read(**{name: f"http://{host}/x"}).loopback


def test_a_proxy_without_a_scheme_on_loopback() -> None:
    assert read(HTTP_PROXY="localhost:3128").loopback
    assert not read(HTTP_PROXY="proxy:3128").loopback


@pytest.mark.parametrize(
    "url",
    ["https://localhost.example/s", "https://one.example/127.0.0.1", "https://localhost@one.example", "/localhost"],
)
def test_not_on_loopback(url: str) -> None:
    assert not read(UV_DEFAULT_INDEX=url).loopback


def test_folders_of_links_and_links_on_the_web(home: Home) -> None:
    settings = read(UV_FIND_LINKS="/a/b,https://me:link-word@one.example/l,rel/x,file:///c%20d/e,~/f,,~nobody-here/g")
    assert settings.environment == {"UV_FIND_LINKS": "https://me:link-word@one.example/l"}
    assert list(map(str, settings.links)) == ["/a/b", "rel/x", "/c d/e", str(home / "f"), "~nobody-here/g"]
    assert settings.credentials == {"one.example": ("me", "link-word")}
    assert settings.unreachable == ""


@pytest.mark.parametrize("item", ["/srv/index", "./index", "file:///srv/index", "index", "C:\\index"])
@pytest.mark.parametrize("name", ["UV_DEFAULT_INDEX", "UV_INDEX", "UV_EXTRA_INDEX_URL"])
def test_an_index_that_no_container_sees(name: str, item: str) -> None:
    assert read(**{name: item}).unreachable == item
    assert read(**{name: f"local={item}"}).unreachable == item


def test_the_first_index_that_no_container_sees() -> None:
    settings = read(UV_DEFAULT_INDEX="HTTPS://one.example/simple", UV_INDEX="https://x/s local=/srv/a /srv/b")
    assert settings.unreachable == "/srv/a"
    assert read(UV_DEFAULT_INDEX="").unreachable == ""


# --- uv.toml ------------------------------------------------------------------------------------------------

TOML = """
index-url = "https://a:word-a@one.example/s"
extra-index-url = ["https://b:word-b@two.example/s"]
https-proxy = "http://p:word-p@proxy.example"
find-links = ["https://f:word-f@links.example/f"]
[[index]]
name = "corp"
url = "https://c:word-c@three.example/s"
[pip]
index-url = "https://d:word-d@localhost/s"
"""


@pytest.mark.parametrize("place", ["user", "user-xdg", "system", "given"])
def test_uv_toml(home: Home, place: str) -> None:
    file, environ, name, passed = {
        "user": (home / ".config/uv/uv.toml", {}, "uv/uv.toml", {"XDG_CONFIG_HOME": "/layerkit/in"}),
        "user-xdg": (
            home / "x/uv/uv.toml", {"XDG_CONFIG_HOME": str(home / "x")}, "uv/uv.toml",
            {"XDG_CONFIG_HOME": "/layerkit/in"},
        ),
        "system": (
            home / "etc/uv/uv.toml", {"XDG_CONFIG_DIRS": f"/nonexistent:{home / 'etc'}"}, "system/uv/uv.toml",
            {"XDG_CONFIG_DIRS": "/layerkit/in/system"},
        ),
        "given": (
            home / "mine.toml", {"UV_CONFIG_FILE": str(home / "mine.toml")}, "given.toml",
            {"UV_CONFIG_FILE": "/layerkit/in/given.toml"},
        ),
    }[place]  # fmt: skip
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(TOML)
    settings = read(**environ)
    assert settings.files == {name: TOML.encode()}
    assert settings.environment == passed
    assert set(settings.secrets) == {f"word-{letter}" for letter in "abcdfp"}
    assert settings.credentials["three.example"] == ("c", "word-c")
    assert settings.loopback
    assert settings.unreachable == ""
    for value in ("1", "true"):
        assert read(**environ, UV_NO_CONFIG=value) == Settings(environment={"UV_NO_CONFIG": value})
    assert read(**environ, UV_NO_CONFIG="0").files == {name: TOML.encode()}


def test_the_users_and_the_systems_uv_toml_stand_beside_each_other(home: Home) -> None:
    for folder, host in (("user", "one"), ("system", "two")):
        (home / folder / "uv").mkdir(parents=True)
        (home / folder / "uv/uv.toml").write_text(f'index-url = "https://u:word-{host}@{host}.example/s"\n')
    both = {"XDG_CONFIG_HOME": str(home / "user"), "XDG_CONFIG_DIRS": str(home / "system")}
    settings = read(**both)
    assert settings.files.keys() == {"uv/uv.toml", "system/uv/uv.toml"}
    assert settings.environment == {"XDG_CONFIG_HOME": "/layerkit/in", "XDG_CONFIG_DIRS": "/layerkit/in/system"}
    assert settings.credentials.keys() == {"one.example", "two.example"}
    (home / "mine.toml").write_text("")
    assert read(**both, UV_CONFIG_FILE=str(home / "mine.toml")).files == {"given.toml": b""}
    assert read(**both, UV_CONFIG_FILE="/nonexistent") == Settings()


@pytest.mark.parametrize("key", ['[[index]]\nurl = "PLACE"', 'index-url = "PLACE"', 'find-links = ["PLACE"]'])
def test_a_folder_in_uv_toml(home: Home, key: str) -> None:
    (home / "uv.toml").write_text(key.replace("PLACE", "/srv/index"))
    assert read(UV_CONFIG_FILE=str(home / "uv.toml")).unreachable == "/srv/index"


@pytest.mark.parametrize(
    "content",
    [
        b"[", b"\xff", b"pip = 5", b"index = 5", b"index = [5]", b"index = 'x'", b"[[index]]\nname = 'x'",
        b"extra-index-url = 5", b"find-links = true", b"index = [[]]",
    ],
)  # fmt: skip
def test_a_uv_toml_that_is_broken(home: Home, content: bytes) -> None:
    (home / "uv.toml").write_bytes(content)
    assert read(UV_CONFIG_FILE=str(home / "uv.toml")).files == {"given.toml": content}


# --- secrets ------------------------------------------------------------------------------------------------


def test_secrets_as_they_are_and_as_they_stand_in_urls() -> None:
    settings = read(UV_DEFAULT_INDEX="https://me:p%2fss+w@one.example/s")
    assert set(settings.secrets) == {"p/ss+w", "p%2Fss%2Bw", "p%2fss+w"}


def test_the_longest_secret_comes_first() -> None:
    settings = read(UV_INDEX="https://a:word@x.example/s https://b:word-and-more@y.example/s")
    assert settings.secrets == ("word-and-more", "word")


def test_a_user_name_alone_is_a_token() -> None:
    assert read(UV_INDEX="https://ghp_token@one.example/s").secrets == ("ghp_token",)
    assert read(UV_INDEX="https://__token__:pypi-word@one.example/s").secrets == ("pypi-word",)


@pytest.mark.parametrize("word", ["", "a", "abc"])
def test_what_is_too_short_to_be_looked_for(word: str) -> None:
    assert read(UV_INDEX=f"https://u:{word}@one.example/s", UV_INDEX_X_PASSWORD=word).secrets == ()


@given(st.text(min_size=4), st.sampled_from(["http", "https"]))
def test_every_password_is_a_secret_in_each_of_its_forms(password: str, scheme: str) -> None:
    url = f"{scheme}://me:{quote(password, safe='')}@one.example:81/simple"
    settings = read(UV_DEFAULT_INDEX=url)
    forms = {password, quote(password, safe=""), repr(password)[1:-1], json.dumps(password)[1:-1]}
    assert set(settings.secrets) == forms
    assert settings.credentials == {"one.example:81": ("me", password)}


# --- whatever it is -----------------------------------------------------------------------------------------

STRANGE = [
    "http://[::1", "http://[x]/", "http://u:p@h]", "http://a:b@[/", "://", "=", "a=", "@", "http:///", "%", "http://",
    "https://:@/", "http://h:port/", "http://h:99999/", "ﬀ://℀", "http://℀/", "file://[", "http://%zz:%@h/",
    "~nobody",
]  # fmt: skip


@pytest.mark.parametrize("text", STRANGE)
@pytest.mark.parametrize("name", [*network.INDEXES, "UV_FIND_LINKS", *network.PROXIES])
def test_strange_settings_are_uvs_to_complain_of(name: str, text: str) -> None:
    for value in (text, f"corp={text}", f"{text} {text}", f"me@{text}"):
        given = {name: value, "UV_KEYRING_PROVIDER": "subprocess", "UV_INDEX_CORP_PASSWORD": "word"}
        assert isinstance(read(**given), Settings)


@given(
    st.dictionaries(
        st.sampled_from([*network.INDEXES, "UV_FIND_LINKS", *network.PROXIES, "UV_INDEX_A_PASSWORD", "SSL_CERT_DIR"]),
        st.text(st.sampled_from("htps:/@[]%=.,a1 \n\t~?#") | st.characters(exclude_characters="\0")),
    )
)
def test_no_setting_raises(environ: dict[str, str]) -> None:
    settings = read(**environ)
    assert all(len(secret) >= 4 for secret in settings.secrets)
