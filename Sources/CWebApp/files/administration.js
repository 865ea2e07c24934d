// What administrators see of the whole: numbers, and everybody's sessions and API keys.
import { attempt, keyTable } from "/app/account.js";
import { badge, button, card, confirmed, element, field, form, say, table, time } from "/app/elements.js";
import * as session from "/app/session.js";

export const path = "/api/v1/admin";

function uptime(seconds) {
  const days = Math.floor(seconds / 86_400), hours = Math.floor(seconds / 3_600) % 24, minutes = Math.floor(seconds / 60) % 60;
  return [days && `${days} d`, hours && `${hours} h`, `${minutes} min`].filter(Boolean).join(" ");
}

export async function overview(reload) {
  const statistics = await session.request("/api/admin/stats");
  const tile = (label, value, address) => element("a", { class: "card tile", href: address },
    element("span", { class: "soft" }, label), element("strong", {}, String(value)));
  return [
    element("p", { class: "lead" }, "Changes take effect at every gateway within a second."),
    element("div", { class: "tiles" },
      tile("Users", statistics.users, "#/admin/users"), tile("Sessions", statistics.sessions, "#/admin/sessions"),
      element("div", { class: "card tile" }, element("span", { class: "soft" }, "Up for"),
        element("strong", {}, uptime(statistics.uptime_seconds)))),
    element("div", { class: "actions" }, button("Load again", reload, { symbol: "again" })),
  ];
}

// Sessions

/** Whose sessions are shown; empty: everybody's. */
let user = "";

export async function sessions(reload) {
  const list = element("div", {});
  await addPage(list, reload);
  const filter = form("Show", async (made) => {
    user = made.elements.user.value.trim();
    await reload();
  }, field("Whose", { name: "user", value: user, maxlength: 254, autocapitalize: "none", spellcheck: "false" }));
  filter.className = "filter";
  return [
    card("", filter),
    card(user ? `Sessions of ${user}` : "Sessions", list),
  ];
}

async function addPage(list, reload, before) {
  const query = new URLSearchParams({ limit: 100, ...(user && { user }), ...(before && { before }) });
  const { sessions: page, next } = await session.request(`${path}/sessions?${query}`);
  list.append(table("Sessions", ["User", "Application", "Began", "Renewed", "Ends", "Actions"], page.map((one) => [
    element("div", { class: "stacked" }, element("strong", {}, one.user), one.current && badge("this one", "good")),
    one.client_id, time(one.created_at), time(one.refreshed_at), time(one.expires_at),
    session.may("write:admin_panel") ? button("End", () => endSession(one, reload), {
      kind: "danger small", "aria-label": `End a session of ${one.user}`,
    }) : "",
  ]), "There are no sessions."));
  if (!next) return;
  const more = button("Show more", () => attempt(async () => {
    await addPage(list, reload, next);
    more.remove();
  }));
  list.append(more);
}

async function endSession(one, reload) {
  const text = one.current ? "This is your own session: you will have to sign in again." :
    `${one.user} is signed out there at once.`;
  if (!await confirmed("End this session?", text, "End session")) return;
  await attempt(async () => {
    await session.request(`${path}/sessions/${encodeURIComponent(one.id)}`, { method: "DELETE" });
    say(`A session of ${one.user} has ended.`);
    await reload();
  });
}

// Everybody's API keys

export async function keys(reload) {
  const { api_keys: all } = await session.request(`${path}/api-keys`);
  return [card("Keys of all users", keyTable(all, reload, `${path}/api-keys`, true))];
}
