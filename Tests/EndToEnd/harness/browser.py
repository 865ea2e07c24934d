"""A real Chromium with a profile of its own that trusts the test authority, and what people do and see in it."""

import base64
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import axe_core_python
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from .waiting import wait_until

_AXE = (Path(axe_core_python.__file__).parent / "axe.min.js").read_text()
_FLAGS = ["--headless=new", "--no-first-run", "--disable-background-networking", "--disable-component-update",
          "--disable-sync", "--disable-dev-shm-usage", "--disable-gpu", "--lang=en-GB"]


class Browser:
    """One browser; its tabs are `driver.window_handles`. `origin` is where the web app is."""

    def __init__(self, folder: Path, authority: Path, origin: str):
        self.origin = origin
        store = folder / ".pki/nssdb"
        store.mkdir(parents=True)
        for command in (["-N", "--empty-password"], ["-A", "-t", "C,,", "-n", "authority", "-i", str(authority)]):
            subprocess.run(["certutil", "-d", f"sql:{store}", *command], check=True, capture_output=True, timeout=20)
        options = Options()
        for flag in [*_FLAGS, f"--user-data-dir={folder / 'profile'}", "--window-size=1280,900"]:
            options.add_argument(flag)
        if os.geteuid() == 0:
            options.add_argument("--no-sandbox")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        options.binary_location = "/usr/bin/chromium"
        service = Service("/usr/bin/chromedriver", env=os.environ | {"HOME": str(folder)})
        self.driver = webdriver.Chrome(options=options, service=service)
        self.driver.set_page_load_timeout(20)
        self.driver.set_script_timeout(20)

    def close(self) -> None:
        self.driver.quit()

    # What people do

    def open(self, place: str = "") -> "Browser":
        """Loads the app at `#/place` in this tab."""
        self.driver.get("about:blank")
        self.driver.get(f"{self.origin}/{'#/' + place if place else ''}")
        return self

    def go(self, place: str, title: str) -> None:
        """Follows the link of the menu, and waits until the view is there."""
        self.click(f'nav a[href="#/{place}"]')
        self.sees(title)

    def tab(self, place: str = "") -> str:
        """A new tab with the app, which is the current one then."""
        self.driver.switch_to.new_window("tab")
        self.open(place)
        return self.driver.current_window_handle

    def switch(self, handle: str) -> None:
        self.driver.switch_to.window(handle)

    def find(self, selector: str) -> WebElement:
        """The first visible element of the selector, as soon as it is there."""
        def visible():
            return next((one for one in self.driver.find_elements(By.CSS_SELECTOR, selector) if self.shown(one)), None)
        return self.wait(visible, f"{selector} is visible")

    @staticmethod
    def shown(element: WebElement) -> bool:
        try:
            return element.is_displayed()
        except Exception:  # it has left the page meanwhile
            return False

    def click(self, selector: str) -> None:
        self.find(selector).click()

    def press(self, label: str) -> None:
        """Presses the visible button whose name is this label."""
        def named():
            for one in self.driver.find_elements(By.CSS_SELECTOR, "dialog[open] button, button"):
                if self.shown(one) and one.accessible_name == label:
                    return one
            return None
        self.wait(named, f"a button {label}").click()

    def type(self, selector: str, text: str) -> None:
        field = self.find(selector)
        field.clear()
        field.send_keys(text)

    def keys(self, *keys: str) -> None:
        """Presses keys where the focus is."""
        webdriver.ActionChains(self.driver).send_keys(*keys).perform()

    def log_in(self, name: str = "alice", password: str = "correct horse") -> None:
        self.type("#username", name)
        self.type("#password", password + Keys.ENTER)

    # What people see

    @property
    def text(self) -> str:
        return self.driver.find_element(By.TAG_NAME, "body").text

    def sees(self, text: str, within: float = 15) -> None:
        self.wait(lambda: text in self.text, f"{text!r} is to be seen", within)

    @property
    def focused(self) -> str:
        """The accessible name of what has the focus."""
        return self.driver.switch_to.active_element.accessible_name

    def focuses(self, name: str) -> None:
        """Waits until what has this accessible name, or one that begins with it, has the focus."""
        self.wait(lambda: self.focused.startswith(name), f"{name!r} has the focus")

    def wait(self, question: Callable, what: str, within: float = 15):
        """Asks until the answer is true and returns it; fails with what is to be seen in the end."""
        try:
            return wait_until(question, within, 0.05, what)
        except AssertionError as error:
            raise AssertionError(f"{error}, but there is:\n{self.text}") from None

    def run(self, script: str, *arguments):
        return self.driver.execute_script(script, *arguments)

    def command(self, name: str, **parameters):
        """A command of the DevTools protocol."""
        return self.driver.execute_cdp_cmd(name, parameters)

    def dark(self, on: bool) -> None:
        """Without the moment in which colours change."""
        features = {"prefers-color-scheme": "dark" if on else "light", "prefers-reduced-motion": "reduce"}
        self.command("Emulation.setEmulatedMedia",
                     features=[{"name": name, "value": value} for name, value in features.items()])

    def phone(self, on: bool) -> None:
        if on:
            self.command("Emulation.setDeviceMetricsOverride", width=360, height=740, deviceScaleFactor=2, mobile=True)
        else:
            self.command("Emulation.clearDeviceMetricsOverride")

    def violations(self) -> list[str]:
        """What axe finds wrong with the page as it is, one line for each element."""
        if not self.run("return Boolean(globalThis.axe)"):
            self.run(_AXE)
        found = self.driver.execute_async_script("axe.run().then(arguments[0])")["violations"]
        return [f"{one['id']}: {node['html']} {node['failureSummary']}" for one in found for node in one["nodes"]]

    def cookies(self) -> list[dict]:
        return self.command("Network.getAllCookies")["cookies"]

    def complaints(self) -> list[str]:
        """What the browser has complained about since the last time, without the answers that are refusals."""
        lines = [line["message"] for line in self.driver.get_log("browser") if line["level"] in ("SEVERE", "WARNING")]
        return [line for line in lines if "Failed to load resource" not in line]

    def picture(self, file: Path) -> None:
        """The whole page, as high as it is."""
        size = self.command("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        shot = self.command("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        file.write_bytes(base64.b64decode(shot["data"]))
