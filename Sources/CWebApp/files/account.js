// What everybody who is signed in sees: protected data, his API keys, who he is, and what his token says.
import {
  badge, badges, button, card, choices, chosen, confirmed, dialog, distance, element, facts, field, form, say, table, time,
} from "/app/elements.js";
import * as session from "/app/session.js";

let signOut;

export function onSignOut(react) {
  signOut = react;
}

export function nothing() {
  return [card("There is no such view", element("p", {}, "The address leads nowhere. The menu has all views."))];
}

// Protected data

export async function data(reload) {
  const answer = await session.request("/api/protected/data");
  const told = Object.entries(answer.identity_headers ?? {});
  return [
    element("p", { class: "lead" }, "This came through the gateway, which has checked your token on the way."),
    card("Answer of the service", element("p", { id: "message", class: "quote" }, answer.message), facts({
      "Subject": answer.subject, "Name": answer.name ?? "none", "Roles": badges(answer.roles),
      "Permissions": badges(answer.permissions), "Loaded": time(new Date()),
    }), element("div", { class: "actions" }, button("Load again", reload, { symbol: "again" }))),
    card("What the gateway told the service", told.length ?
      facts(Object.fromEntries(told.map(([name, value]) => [name, element("code", {}, value)]))) :
      element("p", { class: "empty" }, "The gateway sent the token only.")),
  ];
}

// Who am I

export function identity() {
  const { sub, name, email, roles, permissions, sid, iat } = session.claims();
  return [
    card("You", facts({
      "Name": name || sub, "User name": sub, "E-mail": email || element("span", { class: "soft" }, "none"),
      "Roles": badges(roles), "Permissions": badges(permissions),
    })),
    card("This session", facts({
      "Session": element("code", {}, sid ?? "none"), "Token renewed": time(iat * 1000),
    }), element("p", { class: "soft" }, "Signing out takes effect at once, everywhere: tokens that were already given out stop working."),
      element("div", { class: "actions" },
        button("Sign out here", () => signOut(false), { symbol: "exit" }),
        button("Sign out everywhere", signOutEverywhere, { kind: "danger", symbol: "exit" }))),
  ];
}

async function signOutEverywhere() {
  const text = "All your sessions end, on every device and in every browser, this one included.";
  if (await confirmed("Sign out everywhere?", text, "Sign out everywhere")) await signOut(true);
}

// What does my token say

/** What the claims mean (RFC 7519 §4.1, RFC 9068 §2.2). */
const meanings = {
  sub: "Whom it is about", iss: "Who issued it", aud: "For which services", exp: "When it ends", nbf: "From when it counts",
  iat: "When it was issued", jti: "Its own number", sid: "Its session", client_id: "For which application", name: "Name",
  email: "E-mail", role: "First role", roles: "Roles", permissions: "What it allows",
};

/** The claims that we know first, for they come in any order. */
function inOrder(claims) {
  const known = Object.keys(meanings).filter((name) => name in claims);
  return [...known, ...Object.keys(claims).filter((name) => !known.includes(name))].map((name) => [name, claims[name]]);
}

function said(name, value) {
  if (["exp", "nbf", "iat"].includes(name)) return time(value * 1000);
  if (Array.isArray(value)) return badges(value.map(String));
  return element("code", {}, typeof value === "object" ? JSON.stringify(value) : String(value));
}

export function token(reload) {
  const claims = session.claims(), { alg, kid, typ } = session.header();
  const checked = element("span", { role: "status", class: "answer" });
  const life = element("progress", { max: claims.exp - claims.iat, "aria-label": "Life left" });
  const left = element("strong", { id: "left" });
  const count = () => {
    const seconds = session.secondsLeft();
    life.value = seconds;
    left.textContent = seconds ? `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}` : "Expired";
  };
  const tick = setInterval(() => (left.isConnected ? count() : clearInterval(tick)), 1000);
  count();
  return [
    element("p", { class: "lead" }, "Your access token is kept in the memory of this page only. Your next request renews it when it has expired."),
    card("Life", element("div", { class: "life" }, left, life),
      element("div", { class: "actions" },
        button("Renew now", () => renew(reload), { symbol: "again" }),
        button("Ask the service about it", () => check(checked), { symbol: "token" }), checked)),
    card("Claims", table("Claims of the token", ["Claim", "Meaning", "Value"], inOrder(claims).map(
      ([name, value]) => [element("code", {}, name), meanings[name] ?? "", said(name, value)]), "none")),
    card("Signature", facts({
      "Algorithm": element("code", {}, alg), "Key": element("code", {}, kid ?? "none"), "Type": element("code", {}, typ ?? "none"),
    })),
  ];
}

async function renew(reload) {
  try {
    await session.refresh();
    await reload();
    say("The token is renewed.");
  } catch (error) {
    if (!(error instanceof session.SessionOver)) say(error.message);
  }
}

async function check(place) {
  try {
    const { status } = await session.request("/api/v1/auth/validate", { method: "POST" });
    place.replaceChildren(badge(status, status === "Valid" ? "good" : "bad"));
  } catch (error) {
    place.textContent = error.message;
  }
}

// API keys

const ownKeys = "/api/v1/auth/api-key";

export async function keys(reload) {
  const { api_keys: all } = await session.request(ownKeys);
  return [
    element("p", { class: "lead" }, "Programs call the API with a key of yours. A key can do no more than you can, and can be revoked at any time."),
    card("Your keys", keyTable(all, reload, ownKeys), element("div", { class: "actions" },
      button("New key", () => makeKey(reload), { kind: "primary", symbol: "plus" }))),
  ];
}

/** API keys with a way to revoke each; `owners` shows whose they are. */
export function keyTable(all, reload, path, owners = false) {
  const columns = ["Name", owners && "User", "Permissions", "Made", "Last used", "Ends", "Actions"].filter(Boolean);
  return table("API keys", columns, all.map((key) => [
    element("div", { class: "stacked" }, element("strong", {}, key.name), element("code", { class: "soft" }, key.id)),
    ...(owners ? [key.user] : []), badges(key.permissions), time(key.created_at), time(key.last_used_at),
    time(key.expires_at), button("Revoke", () => revoke(key, reload, path), {
      kind: "danger small", "aria-label": `Revoke ${key.name}`,
    }),
  ]), "There are no keys yet.");
}

async function revoke(key, reload, path) {
  const text = `Programs that use “${key.name}” are refused from then on. This cannot be undone.`;
  if (!await confirmed("Revoke this key?", text, "Revoke key")) return;
  await attempt(async () => {
    await session.request(`${path}/${encodeURIComponent(key.id)}`, { method: "DELETE" });
    await reload();
    say(`“${key.name}” is revoked.`);
  });
}

/** Says what went wrong with something that has no form. */
export async function attempt(work) {
  try {
    await work();
  } catch (error) {
    if (error instanceof session.Refused || error instanceof session.Unavailable) say(error.message);
    else if (!(error instanceof session.SessionOver) && !(error instanceof session.UserChanged)) throw error;
  }
}

function makeKey(reload) {
  const own = session.claims().permissions ?? [];
  const opened = dialog("New API key", form("Make key", async (made) => {
    const body = { name: made.elements.name.value.trim(), permissions: chosen(made, "permissions") };
    const day = made.elements.expires_at.value;
    if (day) body.expires_at = new Date(`${day}T23:59:59`).toISOString().replace(/\.\d+Z$/, "Z");
    const key = await session.request(ownKeys, { method: "POST", body });
    opened.close("made");
    await showKey(key);
    await reload();
  },
  field("Name", { name: "name", required: true, maxlength: 64, hint: "What uses it, as in “nightly report”." }),
  choices("Permissions", "permissions", Object.fromEntries(own.map((permission) => [permission, true]))),
  field("Ends after", { name: "expires_at", type: "date", min: new Date().toISOString().slice(0, 10) })),
  { closing: "Cancel" });
}

async function showKey(key) {
  const copied = element("p", { class: "soft", role: "status" });
  const text = element("input", { id: "new-key", readonly: true, value: key.api_key, "aria-label": "API key", class: "secret" });
  const opened = dialog(`“${key.name}” is made`, [
    element("p", {}, "Copy the key now: it is shown this once and kept nowhere. Programs send it as ",
      element("code", {}, "X-API-Key"), "."),
    key.expires_at && element("p", { class: "soft" }, `It ends ${distance(new Date(key.expires_at))}.`),
    element("div", { class: "joined wide" }, text, button("Copy", async () => {
      await navigator.clipboard.writeText(key.api_key);
      copied.textContent = "Copied.";
    }, { symbol: "copy" })), copied,
  ].filter(Boolean), { closing: "I have copied it" });
  text.select();
  await opened.closed;
}
