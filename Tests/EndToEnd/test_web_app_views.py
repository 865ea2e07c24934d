"""What the web app shows in a real browser, and who can use it: every view in light and dark, wide and on a phone."""

import httpx
import pytest

from harness.backend import backend_key  # noqa: F401
from harness.browser import Keys
from harness.waiting import wait_until
from harness.web import browser, check_everywhere, module_web  # noqa: F401

VIEWS = {"data": "Protected data", "keys": "API keys", "me": "Who am I", "token": "My token"}
pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def alice(browser):
    browser.log_in()
    browser.sees("Hello alice")
    return browser


def test_login_is_accessible(browser):
    browser.sees("Sign in to Gateway")
    check_everywhere(browser)
    browser.log_in(password="wrong")
    browser.sees("The user name or the password is wrong.")
    check_everywhere(browser)


@pytest.mark.parametrize("place", VIEWS)
def test_view_is_accessible(alice, place):
    alice.go(place, VIEWS[place])
    assert alice.driver.title == f"{VIEWS[place]} · Gateway"
    if place != "data":  # which is there already
        alice.focuses(VIEWS[place])
    check_everywhere(alice)


def test_menu_on_a_phone(alice):
    alice.phone(True)
    assert not alice.driver.find_element("css selector", "#views").is_displayed()
    alice.press("Menu")
    assert alice.violations() == []
    alice.keys(Keys.ESCAPE)
    assert not alice.driver.find_element("css selector", "#views").is_displayed()
    assert alice.focused == "Menu"
    alice.press("Menu")
    alice.go("me", "This session")
    assert not alice.driver.find_element("css selector", "#views").is_displayed()


def test_all_by_keyboard(browser):
    browser.focuses("User name")
    browser.keys("alice", Keys.TAB)
    assert browser.focused == "Password"
    browser.keys("correct horse", Keys.TAB)
    assert browser.focused == "Show password"
    browser.keys(Keys.SPACE)
    assert browser.find("#password").get_attribute("type") == "text"
    browser.keys(Keys.TAB)
    assert browser.focused == "Sign in"
    browser.keys(Keys.ENTER)
    browser.sees("Hello alice")
    browser.driver.refresh()
    browser.sees("Hello alice")
    browser.keys(Keys.TAB)
    assert browser.focused == "Skip to content"
    browser.keys(Keys.TAB, Keys.TAB, Keys.TAB)
    assert browser.focused == "API keys"
    browser.keys(Keys.ENTER)
    browser.sees("Your keys")
    browser.focuses("API keys")
    browser.keys(Keys.TAB)
    assert browser.focused == "New key"
    browser.keys(Keys.ENTER)
    browser.focuses("Name")
    assert browser.violations() == []
    for _ in range(12):
        browser.keys(Keys.TAB)
        inside = browser.run("const now = document.activeElement; return now === document.body || Boolean(now.closest('dialog'))")
        assert inside, "the focus has left the dialog"
    browser.keys(Keys.ESCAPE)
    browser.focuses("New key")


def test_who_am_i_and_what_my_token_says(alice):
    alice.go("me", "This session")
    for text in ("alice@example.com", "read:data", "user"):
        alice.sees(text)
    alice.go("token", "Claims")
    for text in ("https://localhost:8443", "gateway-demo", "RS256", "at+jwt", "Whom it is about"):
        alice.sees(text)
    minutes, seconds = alice.find("#left").text.split(":")
    assert 540 <= int(minutes) * 60 + int(seconds) <= 600
    alice.press("Ask the service about it")
    alice.sees("Valid")
    before = alice.find("main table tr:nth-child(7)").text
    alice.press("Renew now")
    alice.sees("The token is renewed.")
    assert alice.find("main table tr:nth-child(7)").text != before


def test_what_a_user_may_not_see(alice, module_web):
    assert not alice.driver.find_elements("css selector", "nav .admin")
    alice.run("location.hash = '#/admin'")
    alice.sees("You do not have access to this")
    assert alice.violations() == []
    assert module_web.requests("/api/admin/stats", 403) >= 1
    alice.run("location.hash = '#/nowhere'")
    alice.sees("There is no such view")


def test_api_key_from_making_to_revoking(alice, module_web):
    alice.go("keys", "There are no keys yet.")
    alice.press("New key")
    alice.press("Make key")
    alice.sees("Please fill this in.")
    alice.type("input[name=name]", "nightly report")
    alice.press("Make key")
    alice.sees("Copy the key now")
    assert alice.violations() == []
    key = alice.find("#new-key").get_attribute("value")
    assert key.startswith("gk_live_")
    assert called_with(key, module_web) == 200
    alice.press("I have copied it")
    alice.sees("nightly report")
    assert key not in alice.driver.page_source
    alice.press("Revoke nightly report")
    alice.sees("This cannot be undone.")
    assert alice.violations() == []
    alice.press("Revoke key")
    alice.sees("There are no keys yet.")
    wait_until(lambda: called_with(key, module_web) == 401, 3, 0.1, "the key is refused")


def called_with(key: str, web) -> int:
    """The status of a program's request through the gateway."""
    return httpx.get(f"http://127.0.0.1:{web.gateway.port}/api/protected/data", headers={"X-API-Key": key}).status_code


def test_the_app_can_be_installed(browser):
    browser.driver.execute_async_script("const done = arguments[0]; navigator.serviceWorker.ready.then(() => done())")
    manifest = browser.command("Page.getAppManifest")
    assert manifest["url"] == f"{browser.origin}/manifest.webmanifest"
    assert manifest["errors"] == []
    assert browser.command("Page.getInstallabilityErrors")["installabilityErrors"] == []


def test_the_policy_of_the_page_is_in_force(browser):
    browser.sees("Sign in to Gateway")
    attacks = ["document.body.innerHTML = '<b>x</b>'", "document.write('x')", "eval('1')", "new Function('return 1')",
               "new Worker('/app/app.js')"]
    for attack in attacks:
        # What the test itself runs may evaluate texts; what the page runs later may not.
        went = browser.driver.execute_async_script(f"""
            const done = arguments[0];
            setTimeout(() => {{ try {{ {attack}; done("went"); }} catch (error) {{ done(error.name); }} }});
        """)
        assert went in ("TypeError", "EvalError"), attack
    ran = browser.driver.execute_async_script("""
        const script = document.createElement("script"), done = arguments[0];
        script.append("globalThis.ran = true");
        document.body.append(script);
        setTimeout(() => done(Boolean(globalThis.ran)), 300);
    """)
    assert not ran
    assert len(browser.complaints()) >= len(attacks)
