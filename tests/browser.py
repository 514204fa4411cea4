"""A real Chromium without a window, driven over its DevTools pipe: JSON messages with a NUL after each.

https://chromedevtools.github.io/devtools-protocol/ ; Chromium reads commands from descriptor 3 and writes to 4.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import selectors
import shutil
import signal
import subprocess
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from conftest import absent

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PATIENCE = 30  # seconds until a browser that neither answers nor ends is given up
QUIET = (  # nothing but what a test says, and nothing beyond loopback
    "--headless", "--hide-scrollbars", "--mute-audio", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-gpu", "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--no-proxy-server", "--lang=en-US",
)  # fmt: skip


class Pipe:
    """Commands to a browser, their answers, and the events between them."""

    def __init__(self, to: int, back: int) -> None:
        self.to, self.back = to, back
        self.number = 0
        self.rest = b""
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, session: str = "", **parameters: Any) -> dict[str, Any]:
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters} | (
            {"sessionId": session} if session else {}
        )
        waiting = memoryview(json.dumps(message).encode() + b"\0")
        while waiting:
            waiting = waiting[os.write(self.to, waiting) :]
        while (answer := self.read()).get("id") != self.number:
            self.events.append(answer)
        assert "error" not in answer, f"{method}: {answer['error']}"
        result: dict[str, Any] = answer["result"]
        return result

    def event(self, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first event that fits and was not asked for before."""
        place = 0
        while True:
            while place == len(self.events):
                self.events.append(self.read())
            if fits(self.events[place]):
                return self.events.pop(place)
            place += 1

    def read(self) -> dict[str, Any]:
        with selectors.DefaultSelector() as selector:
            selector.register(self.back, selectors.EVENT_READ)
            while b"\0" not in self.rest:
                assert selector.select(PATIENCE), "the browser says nothing"
                more = os.read(self.back, 1 << 20)
                assert more, "the browser has ended"
                self.rest += more
        message, _, self.rest = self.rest.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found


class Page:
    """A tab, with what a person does in it."""

    def __init__(self, pipe: Pipe) -> None:
        self.pipe = pipe
        target = pipe.call("Target.createTarget", url="about:blank")["targetId"]
        self.session: str = pipe.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self.pipe.call(method, self.session, **parameters)

    def event(self, method: str, fits: Callable[[dict[str, Any]], bool] = lambda _: True) -> dict[str, Any]:
        """The parameters of this page's next event of the kind that fits."""
        found = self.pipe.event(
            lambda one: one.get("sessionId") == self.session and one["method"] == method and fits(one["params"])
        )
        parameters: dict[str, Any] = found["params"]
        return parameters

    def size(self, width: int, height: int, scale: int = 1, *, mobile: bool = False) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=mobile
        )

    def scheme(self, name: str) -> None:
        """light or dark."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def goto(self, address: str) -> None:
        with self.loading():
            said = self.call("Page.navigate", url=address)
            assert "errorText" not in said, f"{address}: {said}"

    @contextmanager
    def loading(self) -> Iterator[None]:
        """What is done inside leads to another page, which is loaded afterwards."""
        self.pipe.events.clear()
        yield
        self.event("Page.loadEventFired")

    def value(self, expression: str) -> Any:
        """What JavaScript says; a promise is waited for."""
        said = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in said, f"{expression}: {said['exceptionDetails']}"
        return said["result"].get("value")

    def until(self, expression: str) -> None:
        """Wait until JavaScript says that it is so."""
        deadline = time.monotonic() + PATIENCE
        while not self.value(expression):
            assert time.monotonic() < deadline, f"never so: {expression}\n{self.text()}"
            time.sleep(0.02)

    def text(self) -> str:
        return str(self.value("document.body.innerText"))

    def click(self, selector: str) -> None:
        """Press the mouse's button where the element is."""
        x, y = self.value(f"""(() => {{
            const found = document.querySelector({json.dumps(selector)});
            found.scrollIntoView({{block: "center", behavior: "instant"}});
            const box = found.getClientRects()[0]; // of a link over two lines: the first
            return [box.x + box.width / 2, box.y + box.height / 2];
        }})()""")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def type(self, text: str) -> None:
        """Put in text where the focus is."""
        self.call("Input.insertText", text=text)

    def press(self, key: str) -> None:
        """Tab or Enter."""
        code, text = {"Tab": (9, ""), "Enter": (13, "\r")}[key]
        for kind, typed in (("keyDown", text), ("keyUp", "")):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, text=typed)

    def fill(self, selector: str, text: str) -> None:
        self.click(selector)
        self.value("document.activeElement.select()")
        self.type(text)

    def screenshot(self, file: Path) -> bytes:
        """The whole page as PNG."""
        said = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        file.write_bytes(b64decode(said["data"]))
        return file.read_bytes()


def found() -> str:
    """The browser: LAYERKIT_TEST_CHROMIUM, or what is on PATH."""
    given = os.environ.get("LAYERKIT_TEST_CHROMIUM", "")
    browser = shutil.which(given) if given else next(filter(None, map(shutil.which, NAMES)), None)
    if not browser:
        absent(
            "chromium", "no Chromium on this machine (Debian: apt install chromium), or set LAYERKIT_TEST_CHROMIUM"
        )
    assert browser
    return browser


@contextmanager
def chromium(folder: Path) -> Iterator[Pipe]:
    """A browser whose profile is below this folder; it is gone afterwards."""
    command = [found(), *QUIET, "--remote-debugging-pipe", f"--user-data-dir={folder}/profile"]
    if os.geteuid() == 0:
        command.append("--no-sandbox")  # its sandbox refuses root
    ours, theirs = pipes(), pipes()  # (read, write): from the browser, to it
    # the shell puts them where Chromium looks for them
    line = f'exec "$@" 3<&{theirs[0]} 4>&{ours[1]} {theirs[0]}<&- {ours[1]}>&-'
    home = {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_CACHE_HOME": str(folder)}
    with (folder / "chromium.log").open("wb") as log, subprocess.Popen(
        ["bash", "-c", line, "chromium", *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        env=os.environ | home, pass_fds=(theirs[0], ours[1]), start_new_session=True,
    ) as process:  # fmt: skip
        try:
            os.close(theirs[0])
            os.close(ours[1])
            pipe = Pipe(theirs[1], ours[0])
            yield pipe
            pipe.call("Browser.close")
            process.wait(PATIENCE)
        finally:
            os.close(theirs[1])
            os.close(ours[0])
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # what a failure or a crash has left


def pipes() -> tuple[int, int]:
    """A pipe whose descriptors are none of those that Chromium uses."""
    high = []
    for low in os.pipe():
        high.append(fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, 10))
        os.close(low)
    return high[0], high[1]


def png_size(data: bytes) -> tuple[int, int]:
    """Width and height of a PNG, in pixels."""
    assert re.match(rb"\x89PNG\r\n\x1a\n....IHDR", data, re.DOTALL)
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
