// What is shown when: the login form, the frame with one of the views, or a word about a service that is away.
import * as account from "/app/account.js";
import * as administration from "/app/administration.js";
import { button, card, element, icon, say } from "/app/elements.js";
import * as roles from "/app/roles.js";
import * as session from "/app/session.js";
import * as users from "/app/users.js";

/** Where each view is; `load` makes its content, and is handed how to load it again. */
const views = {
  "data": { title: "Protected data", symbol: "data", load: account.data },
  "keys": { title: "API keys", symbol: "key", load: account.keys },
  "me": { title: "Who am I", symbol: "person", load: account.identity },
  "token": { title: "My token", symbol: "token", load: account.token },
  "admin": { title: "Overview", symbol: "chart", load: administration.overview, admin: true },
  "admin/users": { title: "Users", symbol: "people", load: users.list, admin: true },
  "admin/roles": { title: "Roles", symbol: "lock", load: roles.list, admin: true },
  "admin/sessions": { title: "Sessions", symbol: "screen", load: administration.sessions, admin: true },
  "admin/keys": { title: "All API keys", symbol: "key", load: administration.keys, admin: true },
};
const firstRetrySeconds = 2, lastRetrySeconds = 60;
const announcedMilliseconds = 400;
const signInFaults = {
  invalid_credentials: "The user name or the password is wrong.",
  origin_denied: "People sign in at the public address of this service only, and this is another one.",
};
const at = (id) => document.getElementById(id);
/** Counts what was begun: an answer that comes when something else was asked for is dropped. */
let turn = 0;
let shown = null;
let retry = { seconds: firstRetrySeconds, timer: null };

function place() {
  return location.hash.replace(/^#\//, "") || "data";
}

// What fills the window

function fill(id) {
  for (const other of ["welcome", "waiting", "frame"]) at(other).hidden = other !== id;
}

function closeDialogs() {
  for (const dialog of document.querySelectorAll("dialog")) dialog.close("");
}

function showLogin(text) {
  turn += 1;
  closeDialogs();
  stopRetrying();
  // What the last user saw must not stay in the page.
  at("main").replaceChildren();
  at("farewell").textContent = text;
  at("login-error").textContent = "";
  document.title = "Sign in · Gateway";
  const already = shown === "login";
  shown = "login";
  fill("welcome");
  if (!already) at("username").focus();
}

function showWaiting(title, text, offersRetry) {
  shown = null;
  at("waiting-title").textContent = title;
  at("waiting-text").textContent = text;
  at("waiting-again").hidden = !offersRetry;
  document.title = "Gateway";
  fill("waiting");
}

function showFrame(view) {
  const { name, sub, role } = session.claims();
  const called = name || sub;
  at("initials").textContent = called.split(/\s+/).slice(0, 2).map((word) => [...word][0]).join("").toUpperCase();
  at("account-name").textContent = called;
  at("account-role").textContent = role ?? "";
  document.title = `${view.title} · Gateway`;
  const places = Object.entries(views).filter(([, { admin }]) => !admin || session.may("read:admin_panel"));
  at("views").replaceChildren(...places.map(([path, { title, symbol, admin }]) => element("li",
    { class: admin && "admin" }, element("a", { href: `#/${path}`, "aria-current": place() === path && "page" },
      icon(symbol), title))));
  fill("frame");
}

function toggleMenu(open) {
  at("menu").setAttribute("aria-expanded", String(open));
  at("drawer").classList.toggle("open", open);
}

// Views

async function route() {
  const mine = ++turn;
  const view = views[place()] ?? { title: "Not found", load: account.nothing };
  // A service that answers at once is not announced.
  const waiting = setTimeout(() => {
    if (mine === turn && !session.claims()) showWaiting("Just a moment", "", false);
  }, announcedMilliseconds);
  try {
    await session.resume();
    if (mine !== turn) return;
    showFrame(view);
    at("main").setAttribute("aria-busy", "true");
    const content = await view.load(route);
    if (mine === turn) showContent(view, content);
  } catch (error) {
    if (mine === turn) fail(view, error);
  } finally {
    clearTimeout(waiting);
    if (mine === turn) at("main").removeAttribute("aria-busy");
  }
}

function showContent(view, content) {
  stopRetrying();
  const pressed = at("main").contains(document.activeElement) ? label(document.activeElement) : null;
  const heading = element("h1", { tabindex: "-1" }, view.title);
  at("main").replaceChildren(heading, ...[content].flat(Infinity).filter(Boolean));
  // Who has moved to another view hears its name; who has loaded one again stays where he was, as far as that is there.
  if (shown !== null && shown !== view.title) heading.focus();
  else if (pressed !== null) ([...at("main").querySelectorAll("button")].find((one) => label(one) === pressed) ?? heading).focus();
  shown = view.title;
}

function label(control) {
  return control.getAttribute("aria-label") ?? control.textContent;
}

function fail(view, error) {
  if (error instanceof session.SessionOver) return showLogin("");
  if (error instanceof session.UserChanged) return route();
  if (error instanceof session.Unavailable) {
    retryLater(error.seconds);
    const text = `${error.message} You stay signed in, and this page tries again by itself.`;
    if (!session.claims()) {
      return showWaiting("We cannot reach the service", `${error.message} This page tries again by itself.`, true);
    }
    return showTrouble(view, "This is not available right now", text);
  }
  if (error instanceof session.Refused && error.status === 403) {
    return showTrouble(view, "You do not have access to this", "Your roles do not include what this view needs.");
  }
  if (!(error instanceof session.Refused)) console.error(error);
  return showTrouble(view, "This did not work", error.message);
}

function showTrouble(view, title, text) {
  const refocus = shown !== view.title;
  const heading = element("h1", { tabindex: "-1" }, view.title);
  at("main").replaceChildren(heading, card(title, element("p", { role: "status" }, text),
    element("div", { class: "actions" }, button("Try again", route, { symbol: "again" }))));
  if (refocus) heading.focus();
  shown = view.title;
}

// Coming back

function stopRetrying() {
  clearTimeout(retry.timer);
  retry = { seconds: firstRetrySeconds, timer: null };
}

/** Twice as late each time, unless the service has said when. */
function retryLater(seconds) {
  clearTimeout(retry.timer);
  retry.timer = setTimeout(route, Math.max(seconds ?? 0, retry.seconds) * 1000);
  retry.seconds = Math.min(retry.seconds * 2, lastRetrySeconds);
}

function showNetwork() {
  at("offline").textContent = navigator.onLine ? "" : "You are offline. What needs the service waits until you are back.";
  if (navigator.onLine && retry.timer) route();
}

// Signing in and out

async function signIn(event) {
  event.preventDefault();
  const form = event.target, submit = form.querySelector(".primary");
  const missing = [form.username, form.password].filter((input) => {
    const empty = input.value === "";
    at(`${input.id}-error`).textContent = empty ? `Please enter your ${input.labels[0].textContent.toLowerCase()}.` : "";
    input.setAttribute("aria-invalid", String(empty));
    return empty;
  });
  at("login-error").textContent = at("farewell").textContent = "";
  if (missing.length) return missing[0].focus();
  submit.disabled = true;
  try {
    await session.login(form.username.value, form.password.value);
    form.reset();
    reveal(false);
    shown = "login";
    await route();
  } catch (error) {
    at("login-error").textContent = signInFaults[error.code] ?? error.message;
    form.password.value = "";
    at("password").focus();
  } finally {
    submit.disabled = false;
  }
}

function reveal(visible) {
  at("password").type = visible ? "text" : "password";
  at("reveal").textContent = visible ? "Hide" : "Show";
  at("reveal").setAttribute("aria-pressed", String(visible));
}

async function signOut(everywhere) {
  try {
    await session.logout(everywhere);
    showLogin(everywhere ? "You are signed out everywhere." : "You are signed out.");
  } catch (error) {
    say(`You are still signed in. ${error.message}`);
  }
}

account.onSignOut(signOut);
session.onChange((what) => {
  if (what === "over") return showLogin("Your session has ended. Please sign in again.");
  if (what === "logout") return showLogin("You are signed out: that was done in another tab.");
  closeDialogs();
  return route();
});
at("login").addEventListener("submit", signIn);
at("reveal").addEventListener("click", () => reveal(at("password").type === "password"));
at("logout").addEventListener("click", () => signOut(false));
at("waiting-again").addEventListener("click", route);
at("menu").addEventListener("click", () => toggleMenu(at("menu").getAttribute("aria-expanded") !== "true"));
at("views").addEventListener("click", () => toggleMenu(false));
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  at("main").focus();
});
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && at("menu").getAttribute("aria-expanded") === "true") {
    toggleMenu(false);
    at("menu").focus();
  }
});
addEventListener("hashchange", () => {
  closeDialogs();
  route();
});
addEventListener("online", showNetwork);
addEventListener("offline", showNetwork);
showNetwork();
route();
// Scripts from elsewhere are refused by the policy of the page; this one is ours.
const ours = globalThis.trustedTypes?.createPolicy("worker", { createScriptURL: () => "/service-worker.js" });
navigator.serviceWorker?.register(ours?.createScriptURL("") ?? "/service-worker.js").catch(() => {});
