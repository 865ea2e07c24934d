"""The administration in the web app, in a real browser: every view, and what the backend knows of the changes."""

import time

import pytest

from harness.backend import ROLES, backend_key, prepare  # noqa: F401
from harness.browser import Keys
from harness.web import Web, browser, check_everywhere, module_web  # noqa: F401

ADMINISTRATION = {"admin": "Overview", "admin/users": "Users", "admin/roles": "Roles", "admin/sessions": "Sessions",
                  "admin/keys": "All API keys"}

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def backend(module_web):
    return module_web.backend


@pytest.fixture
def admin(browser):
    browser.log_in("admin", "battery staple")
    browser.sees("Hello Ada Min")
    return browser


@pytest.mark.parametrize("place", ADMINISTRATION)
def test_administration_is_accessible(admin, place):
    admin.go(place, ADMINISTRATION[place])
    admin.focuses(ADMINISTRATION[place])
    check_everywhere(admin)


def test_overview(admin):
    admin.go("admin", "Up for")
    label, sessions = admin.find("a.tile[href='#/admin/sessions']").text.split()
    assert (label, int(sessions) >= 1) == ("Sessions", True)
    assert admin.find("a.tile[href='#/admin/users']").text.split() == ["Users", "2"]


def test_nothing_of_it_for_other_users(browser):
    browser.log_in()
    browser.sees("Hello alice")
    for place in ADMINISTRATION:
        browser.run(f"location.hash = '#/{place}'")
        browser.wait(lambda: browser.driver.title == f"{ADMINISTRATION[place]} · Gateway", place)
        browser.sees("You do not have access to this")


def test_users(admin, backend):
    admin.go("admin/users", "Ada Min")
    assert "Delete" not in admin.text, "who may not delete users is not offered it"
    admin.press("New user")
    assert admin.violations() == []
    admin.press("Create user")
    admin.sees("Please fill this in.")
    admin.type("input[name=name]", "carol")
    admin.type("input[name=password]", "a long password")
    admin.click("input[name=roles][value=user]")
    admin.press("Create user")
    admin.sees("carol can sign in now.")
    carol = backend.login("carol", "a long password")
    assert backend.claims(carol["access_token"])["permissions"] == ["read:data"]
    admin.press("New user")
    admin.type("input[name=name]", "carol")
    admin.type("input[name=password]", "a long password")
    admin.press("Create user")
    admin.sees('There is a user "carol" already.')
    admin.focuses("User name")
    assert admin.violations() == []
    admin.press("Cancel")

    admin.press("Edit carol")
    assert admin.violations() == []
    admin.type("input[name=display_name]", "Carol Jones")
    admin.click("input[name=disabled]")
    admin.press("Save")
    admin.sees("Carol Jones")
    admin.sees("disabled")
    assert backend.refresh(carol["refresh_token"]).status_code == 401


def test_deleting_a_user(prepare, authority, tmp_path):
    """It needs a permission of its own, which no button shows without."""
    roles = ROLES | {"admin": [*ROLES["admin"], "delete:users"]}
    web = Web(tmp_path, prepare(roles=roles), authority)
    try:
        alice = web.start().backend.login()["refresh_token"]
        browser = web.browser().open()
        browser.log_in("admin", "battery staple")
        browser.sees("Hello Ada Min")
        browser.go("admin/users", "alice@example.com")
        browser.press("Delete alice")
        browser.sees("This cannot be undone.")
        assert browser.violations() == []
        browser.press("Cancel")
        browser.press("Delete alice")
        browser.press("Delete user")
        browser.sees("alice is deleted.")
        browser.wait(lambda: "alice@example.com" not in browser.text, "alice has gone from the list")
        assert web.backend.refresh(alice).status_code == 401
        web.stop()
    finally:
        web.close()


def test_role_that_is_taken_away_counts_within_a_second(prepare, authority, tmp_path):
    web = Web(tmp_path, prepare(), authority)
    try:
        alice, admin = web.start().browser().open(), web.browser().open()
        alice.log_in()
        alice.sees("Hello alice")
        admin.log_in("admin", "battery staple")
        admin.sees("Hello Ada Min")
        admin.go("admin/users", "alice@example.com")
        admin.press("Edit alice")
        admin.click("input[name=roles][value=user]")
        admin.press("Save")
        admin.sees("alice is saved.")
        time.sleep(1)
        alice.press("Load again")
        alice.sees("You do not have access to this")
        assert web.requests("/api/v1/auth/login") == 2, "nobody had to sign in again"
        web.stop()
    finally:
        web.close()


def test_last_administrator_is_kept(admin):
    admin.go("admin/users", "Ada Min")
    admin.press("Edit admin")
    admin.click("input[name=roles][value=admin]")
    admin.press("Save")
    assert admin.find("dialog[open] [role=alert]").text
    admin.press("Cancel")


def test_roles_and_permissions(admin, backend):
    admin.go("admin/roles", "Permissions")
    admin.press("New role")
    assert admin.violations() == []
    admin.type("input[name=name]", "reporter")
    admin.type("input[name=further]", "write:reports")
    admin.press("Create role")
    admin.sees("The role reporter is there.")
    admin.press("Edit permission write:reports")
    admin.click("input[name=roles][value=user]")
    admin.press("Save")
    admin.sees("write:reports is saved.")
    assert "write:reports" in backend.claims(backend.login()["access_token"])["permissions"]
    # Each change of what this administrator may do ends his tokens, and the next are issued from the next second on: two
    # changes in one second would be two seconds, more than the leeway here.
    time.sleep(1.1)
    admin.press("Delete permission write:reports")
    admin.press("Delete permission")
    admin.sees("write:reports is deleted.")
    time.sleep(1.1)
    admin.press("Delete role reporter")
    admin.press("Delete role")
    admin.sees("The role reporter is deleted.")
    assert "write:reports" not in backend.claims(backend.login()["access_token"])["permissions"]


def test_sessions(admin, backend):
    token = backend.login()["refresh_token"]
    admin.go("admin/sessions", "this one")
    admin.type("input[name=user]", "alice" + Keys.ENTER)
    admin.sees("Sessions of alice")
    ends = len(admin.driver.find_elements("css selector", "main table button"))
    admin.find("main table tbody tr:first-child button").click()
    admin.sees("alice is signed out there at once.")
    admin.press("End session")
    admin.wait(lambda: len(admin.driver.find_elements("css selector", "main table button")) == ends - 1,
               "one session less")
    assert backend.refresh(token).status_code == 401


def test_keys_of_all_users(admin, backend):
    alice = backend.login()["access_token"]
    made = backend.auth.post("/api/v1/auth/api-key", json={"name": "of alice"},
                             headers={"Authorization": f"Bearer {alice}"})
    assert made.status_code == 201, made.text
    admin.go("admin/keys", "of alice")
    admin.press("Revoke of alice")
    admin.press("Revoke key")
    admin.sees("“of alice” is revoked.")
