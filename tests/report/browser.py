"""A headless Chromium driven over WebDriver's plain HTTP: no client library, no network beyond this machine."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from urllib.request import Request, urlopen

DRIVER = shutil.which("chromedriver")
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
)
TAB = {"key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9}


class Browser:
    """One session.  Values are what JSON makes of those of the page."""

    def __init__(self, server: str) -> None:
        options = {"binary": BROWSER, "args": list(ARGUMENTS)}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
        self._server = server
        self._session = self._asked("POST", "", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]

    def open(self, page: Path) -> None:
        """The page, painted: until its first frame a browser drops what is typed."""
        self.post("/url", {"url": page.as_uri()})
        painted = "requestAnimationFrame(() => requestAnimationFrame(arguments[0]))"
        self.post("/execute/async", {"script": painted, "args": []})

    def run(self, script: str) -> Any:  # Any: a JSON value
        """The value of the body of a function."""
        return self.post("/execute/sync", {"script": script, "args": []})

    def emulate(self, width: int, scheme: str = "light", media: str = "screen") -> None:
        """A screen of that width and ground; media: `screen` or `print`."""
        phone = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self._devtools("Emulation.setDeviceMetricsOverride", phone)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self._devtools("Emulation.setEmulatedMedia", {"media": media, "features": features})

    def press_tab(self) -> None:
        for kind in ("keyDown", "keyUp"):
            self._devtools("Input.dispatchKeyEvent", {"type": kind} | TAB)

    def picture(self, target: Path) -> None:
        """The whole page as a PNG."""
        shot = self._devtools("Page.captureScreenshot", {"captureBeyondViewport": True})
        target.write_bytes(base64.b64decode(shot["data"]))

    def complaints(self) -> list[str]:
        """What the console said."""
        return [entry["message"] for entry in self.post("/se/log", {"type": "browser"})]

    def requests(self) -> list[str]:
        """Every address asked for."""
        messages = [json.loads(entry["message"])["message"] for entry in self.post("/se/log", {"type": "performance"})]
        return [each["params"]["request"]["url"] for each in messages if each["method"] == "Network.requestWillBeSent"]

    def post(self, path: str, content: dict[str, Any]) -> Any:  # Any: JSON values
        return self._asked("POST", f"/{self._session}{path}", content)

    def close(self) -> None:
        self._asked("DELETE", f"/{self._session}", None)

    def _devtools(self, command: str, parameters: dict[str, Any]) -> Any:  # Any: JSON values
        return self.post("/goog/cdp/execute", {"cmd": command, "params": parameters})

    def _asked(self, method: str, path: str, content: dict[str, Any] | None) -> Any:  # Any: JSON values
        data = None if content is None else json.dumps(content).encode()
        request = Request(f"{self._server}/session{path}", data, {"Content-Type": "application/json"}, method=method)
        with urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]


@contextmanager
def browser() -> Iterator[Browser]:
    """A session with a driver of its own, on a port that the system chooses."""
    assert DRIVER is not None, "skip without one"
    with subprocess.Popen([DRIVER, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as driver:
        try:
            assert driver.stdout is not None
            session = Browser(f"http://127.0.0.1:{port_in(driver.stdout)}")
            try:
                yield session
            finally:
                session.close()
        finally:
            driver.terminate()


def port_in(lines: IO[str]) -> int:
    """The port that the driver says it listens to."""
    for line in lines:
        found = re.search(r"started successfully on port (\d+)", line)
        if found:
            return int(found[1])
    raise RuntimeError("the driver ended without a port")
