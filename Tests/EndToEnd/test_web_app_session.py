"""The session of the web app in a real browser: signing in and out, silent refresh, several tabs, and services that are
away for a while."""

import time

import pytest

from harness.backend import backend_key, prepare  # noqa: F401
from harness.waiting import wait_until
from harness.web import Web

HELLO = "Hello alice, this is protected data."
REFRESH = "/api/v1/auth/refresh"
DATA = "/api/protected/data"

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def web(prepare, authority, tmp_path):
    web = Web(tmp_path, prepare(), authority)
    try:
        yield web
        web.stop()
    finally:
        web.close()


@pytest.fixture
def browser(web):
    """A browser with the app open, nobody signed in; access tokens live as long as they usually do."""
    web.start()
    return web.browser().open()


def expire(seconds: int = 3) -> None:
    """Waits until tokens that live so long, which the test has asked for, have expired everywhere."""
    time.sleep(seconds + 1.2)


def test_first_visit_leads_to_the_login_form_without_an_error(browser, web):
    browser.sees("Sign in to Gateway")
    browser.focuses("User name")
    assert not browser.find("#welcome").find_elements("css selector", ".error:not(:empty)")
    assert web.requests(REFRESH, 401) == 1
    assert browser.cookies() == []
    assert browser.complaints() == []


def test_tokens_are_where_no_script_and_no_disk_has_them(browser):
    browser.log_in()
    browser.sees(HELLO)
    assert [(one["name"], one["httpOnly"], one["secure"], one["sameSite"], one["path"], one["domain"])
            for one in browser.cookies()] == [("__Host-refresh", True, True, "Strict", "/", "localhost")]
    assert browser.run("return document.cookie") == ""
    assert browser.run("return [localStorage.length, sessionStorage.length]") == [0, 0]
    assert browser.driver.execute_async_script("indexedDB.databases().then(arguments[0])") == []
    token = browser.cookies()[0]["value"]
    for text in (token, "eyJ"):
        assert text not in browser.driver.page_source
        assert text not in browser.run("return JSON.stringify(history.state) + location.href")
    assert browser.complaints() == []


def test_wrong_password(browser, web):
    browser.log_in(password="wrong")
    browser.sees("The user name or the password is wrong.")
    browser.focuses("Password")
    assert browser.find("#password").get_attribute("value") == ""
    assert browser.find("#username").get_attribute("value") == "alice"
    browser.type("#password", "")
    browser.press("Sign in")
    browser.sees("Please enter your password.")
    browser.log_in()
    browser.sees(HELLO)


def test_locked_name(browser):
    for _ in range(10):
        browser.log_in(password="wrong")
        wait_until(lambda: browser.find("#password").get_attribute("value") == "", 10, what="the answer")
    browser.log_in()
    browser.sees("Too many failed attempts. Please try again in")
    browser.sees("Sign in to Gateway")


def test_reloading_the_page_keeps_the_session(browser, web):
    browser.log_in()
    browser.sees(HELLO)
    browser.driver.refresh()
    browser.sees(HELLO)
    browser.open("me")
    browser.sees("Who am I")
    assert web.requests("/api/v1/auth/login") == 1


def test_expired_token_is_renewed_before_it_is_used(web):
    web.start("--access-token-lifetime", "3s")
    browser = web.browser().open()
    browser.log_in()
    browser.sees(HELLO)
    expire()
    asked, renewed = web.requests(DATA), web.requests(REFRESH, 200)
    browser.press("Load again")
    wait_until(lambda: web.requests(DATA) == asked + 1, 10, what="the data are asked for")
    assert web.requests(DATA, 401) == 0
    assert web.requests(REFRESH, 200) == renewed + 1


def test_refused_token_is_renewed_and_the_request_made_once_more(web):
    """The clock of the browser is behind, so that it believes in a token that has expired."""
    web.start("--access-token-lifetime", "3s")
    browser = web.browser().open()
    browser.log_in()
    browser.sees(HELLO)
    browser.run("const now = Date.now; Date.now = () => now() - 60_000")
    expire()
    browser.press("Load again")
    wait_until(lambda: web.requests(DATA, 200) == 2, 10, what="the data came")
    assert (web.requests(DATA, 401), web.requests(REFRESH, 200)) == (1, 1)
    browser.sees(HELLO)


def test_request_that_is_refused_again_is_not_made_a_third_time(browser, web):
    browser.log_in()
    browser.sees(HELLO)
    browser.run("""
        const real = fetch;
        globalThis.asked = 0;
        globalThis.fetch = (path, options) => {
          if (path !== "/api/protected/data") return real(path, options);
          asked += 1;
          return Promise.resolve(new Response('{"code": "token_revoked", "detail": "No."}', { status: 401 }));
        };
    """)
    browser.press("Load again")
    browser.sees("This did not work")
    assert browser.run("return asked") == 2
    assert web.requests(REFRESH, 200) == 1


def test_session_that_has_ended_leads_to_the_login_form(web):
    web.start("--access-token-lifetime", "3s", "--refresh-token-idle", "4s")
    browser = web.browser().open()
    browser.log_in()
    browser.sees(HELLO)
    time.sleep(4.5)
    browser.press("Load again")
    browser.sees("Your session has ended. Please sign in again.")
    assert HELLO not in browser.driver.page_source, "what the last user saw is still in the page"
    assert browser.cookies() == []


def test_sign_out_here(browser, web):
    browser.log_in()
    browser.sees(HELLO)
    cookie = browser.cookies()[0]["value"]
    browser.press("Sign out")
    browser.sees("You are signed out.")
    assert HELLO not in browser.driver.page_source
    assert browser.cookies() == []
    assert web.backend.refresh(cookie).status_code == 401
    browser.driver.refresh()
    browser.sees("Sign in to Gateway")


def test_sign_out_everywhere(browser, web):
    elsewhere = web.backend.login()["refresh_token"]
    browser.log_in()
    browser.sees(HELLO)
    browser.go("me", "This session")
    browser.press("Sign out everywhere")
    browser.sees("All your sessions end")
    browser.press("Cancel")
    elsewhere = web.backend.refresh(elsewhere).json()["refresh_token"]
    browser.press("Sign out everywhere")
    browser.find("dialog[open] button.danger").click()
    browser.sees("You are signed out everywhere.")
    assert web.backend.refresh(elsewhere).status_code == 401


# Several tabs


def test_login_in_one_tab_serves_all_without_a_refresh(browser, web):
    first = browser.driver.current_window_handle
    others = [browser.tab(), browser.tab()]
    for tab in others:
        browser.switch(tab)
        browser.sees("Sign in to Gateway")
    before = web.requests(REFRESH)
    browser.switch(first)
    browser.log_in()
    for tab in (first, *others):
        browser.switch(tab)
        browser.sees(HELLO)
    assert web.requests(REFRESH) == before


def test_tabs_refresh_in_turn_and_all_live_on(web):
    # Long enough that none expires on its way, however slow the machine.
    web.start("--access-token-lifetime", "8s", "--refresh-grace", "0s")
    browser = web.browser().open()
    browser.log_in()
    browser.sees(HELLO)
    tabs = [browser.driver.current_window_handle] + [browser.tab() for _ in range(4)]
    for tab in tabs:
        browser.switch(tab)
        browser.sees(HELLO)
    for _ in range(2):
        expire(8)
        asked, renewed = web.requests(DATA, 200), web.requests(REFRESH, 200)
        # All at once, by a message that every tab gets in the same moment; without a grace a token used twice is reuse.
        for tab in tabs:
            browser.switch(tab)
            browser.run("new BroadcastChannel('test').onmessage = () => dispatchEvent(new Event('hashchange'))")
        browser.run("new BroadcastChannel('test').postMessage('go'); dispatchEvent(new Event('hashchange'))")
        wait_until(lambda: web.requests(DATA, 200) >= asked + len(tabs), 20, what="every tab has its data")
        assert 1 <= web.requests(REFRESH, 200) - renewed <= len(tabs)
        assert (web.requests(REFRESH, 401), web.requests(DATA, 401)) == (1, 0), "the one of the first visit"
        for tab in tabs:
            browser.switch(tab)
            browser.sees(HELLO)


def test_sign_out_in_one_tab_signs_out_all(browser):
    browser.log_in()
    browser.sees(HELLO)
    first, second = browser.driver.current_window_handle, browser.tab("token")
    browser.sees("Claims")
    browser.press("Sign out")
    browser.sees("You are signed out.")
    browser.switch(first)
    browser.sees("You are signed out: that was done in another tab.")
    assert HELLO not in browser.driver.page_source
    browser.log_in()
    browser.sees(HELLO)
    browser.switch(second)
    browser.sees("My token")


def test_sign_out_with_a_token_that_has_expired_signs_out_all_tabs(web):
    web.start("--access-token-lifetime", "3s")
    browser = web.browser().open()
    browser.log_in()
    browser.sees(HELLO)
    cookie = browser.cookies()[0]["value"]
    first = browser.driver.current_window_handle
    browser.tab()
    browser.sees(HELLO)
    expire()
    browser.press("Sign out")
    browser.sees("You are signed out.")
    browser.switch(first)
    browser.sees("You are signed out: that was done in another tab.")
    assert web.backend.refresh(cookie).status_code == 401


def test_sign_out_of_a_session_that_has_ended_signs_out_all_tabs(web):
    web.start("--access-token-lifetime", "3s", "--refresh-token-idle", "4s")
    browser = web.browser().open()
    browser.log_in()
    browser.sees(HELLO)
    first = browser.driver.current_window_handle
    browser.tab()
    browser.sees(HELLO)
    time.sleep(4.5)
    browser.press("Sign out")
    browser.sees("You are signed out.")
    browser.switch(first)
    browser.sees("You are signed out: that was done in another tab.")


def test_another_user_in_another_tab(browser):
    """Two tabs were signed out; one has missed the login of the other, as a tab does that was asleep."""
    browser.log_in()
    browser.sees(HELLO)
    first = browser.driver.current_window_handle
    browser.tab()
    browser.sees(HELLO)
    browser.press("Sign out")
    browser.sees("You are signed out.")
    browser.log_in("admin", "battery staple")
    browser.sees("Hello Ada Min, this is protected data.")
    browser.switch(first)
    browser.sees("Hello Ada Min, this is protected data.")
    assert HELLO not in browser.driver.page_source


# Services that are away


def test_backend_that_is_away_ends_no_session(web):
    web.start("--access-token-lifetime", "3s")
    browser = web.browser().open()
    browser.log_in()
    browser.sees(HELLO)
    web.backend.stop()
    expire()
    browser.press("Load again")
    browser.sees("This is not available right now")
    browser.sees("You stay signed in")
    browser.press("Sign out")
    browser.sees("You are still signed in.")
    # A tab that is opened now knows nobody, and neither asks for a password nor forgets the cookie.
    browser.tab()
    browser.sees("We cannot reach the service")
    assert [one["name"] for one in browser.cookies()] == ["__Host-refresh"]
    web.start_backend()
    browser.sees(HELLO)
    browser.switch(browser.driver.window_handles[0])
    browser.sees(HELLO, within=30)
    assert web.requests("/api/v1/auth/login") == 1


def test_keys_that_the_gateway_cannot_get_end_no_session(web):
    """The auth service is away while the gateway starts, so that it can verify nobody: 503, which says nothing of the token."""
    web.start()
    browser = web.browser().open()
    browser.log_in()
    browser.sees(HELLO)
    web.backend.stop()
    web.gateway.stop()
    web.start_gateway()
    browser.press("Load again")
    browser.sees("This is not available right now")
    assert web.requests(DATA, 503) >= 1
    web.start_backend()
    browser.sees(HELLO, within=40)
    assert web.requests("/api/v1/auth/login") == 0


def test_shell_opens_without_a_network_and_comes_back(browser, web):
    browser.log_in()
    browser.sees(HELLO)
    browser.driver.execute_async_script("const done = arguments[0]; navigator.serviceWorker.ready.then(() => done())")
    kept = browser.driver.execute_async_script("""
        const done = arguments[0];
        (async () => {
          const paths = [];
          for (const name of await caches.keys())
            for (const request of await (await caches.open(name)).keys()) paths.push(new URL(request.url).pathname);
          done(paths);
        })();
    """)
    assert "/" in kept and "/app/session.js" in kept
    assert not [path for path in kept if path.startswith("/api")]
    web.gateway.stop()
    browser.driver.refresh()
    browser.sees("We cannot reach the service")
    assert browser.driver.find_element("css selector", "#waiting img").get_property("naturalWidth") > 0
    web.start_gateway()
    browser.press("Try again")
    browser.sees(HELLO)


def test_offline_notice(browser):
    browser.log_in()
    browser.sees(HELLO)
    browser.command("Network.enable")
    conditions = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    browser.command("Network.emulateNetworkConditions", offline=True, **conditions)
    browser.sees("You are offline.")
    browser.press("Load again")
    browser.sees("The service cannot be reached.")
    browser.command("Network.emulateNetworkConditions", offline=False, **conditions)
    browser.sees(HELLO)
    assert "You are offline." not in browser.text
