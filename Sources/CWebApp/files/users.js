// The administration of users.
import { attempt } from "/app/account.js";
import { path } from "/app/administration.js";
import {
  badge, badges, button, card, choices, chosen, confirmed, dialog, element, field, form, say, table,
} from "/app/elements.js";
import * as session from "/app/session.js";

const passwordHint = "At least 8 characters.";
const passwordLimits = { type: "password", minlength: 8, maxlength: 256, autocomplete: "new-password" };

const at = (user) => `${path}/users/${encodeURIComponent(user.name)}`;

export async function list(reload) {
  const [{ users }, { roles }] = await Promise.all([
    session.request(`${path}/users`), session.request(`${path}/roles`),
  ]);
  const names = roles.map(({ name }) => name);
  const columns = ["User", "Roles", "State", "Sessions", "Actions"];
  return [
    card("", table("Users", columns, users.map((user) => row(user, names, reload)), "There are no users."),
      session.may("write:admin_panel") && element("div", { class: "actions" },
        button("New user", () => create(names, reload), { kind: "primary", symbol: "plus" }))),
  ];
}

function row(user, roles, reload) {
  return [
    element("div", { class: "stacked" }, element("strong", {}, user.display_name || user.name),
      element("span", { class: "soft" }, [user.name, user.email].filter(Boolean).join(" · "))),
    badges(user.roles), user.disabled ? badge("disabled", "bad") : badge("active", "good"), String(user.sessions),
    element("div", { class: "row-actions" },
      session.may("write:admin_panel") && [
        button("Edit", () => edit(user, roles, reload), { kind: "small", "aria-label": `Edit ${user.name}` }),
        user.sessions > 0 && button("Sign out", () => signOut(user, reload), {
          kind: "small", "aria-label": `Sign out ${user.name}`,
        }),
      ],
      session.may("delete:users") && button("Delete", () => remove(user, reload), {
        kind: "danger small", "aria-label": `Delete ${user.name}`,
      })),
  ];
}

function common(user, roles) {
  return [
    field("Display name", { name: "display_name", value: user.display_name, maxlength: 254 }),
    field("E-mail", { name: "email", type: "email", value: user.email, maxlength: 254 }),
    choices("Roles", "roles", Object.fromEntries(roles.map((role) => [role, user.roles.includes(role)]))),
  ];
}

function create(roles, reload) {
  const opened = dialog("New user", form("Create user", async (made) => {
    const { name, password, display_name: display, email } = made.elements;
    const body = { name: name.value, password: password.value, roles: chosen(made, "roles") };
    if (display.value.trim()) body.display_name = display.value.trim();
    if (email.value) body.email = email.value;
    await session.request(`${path}/users`, { method: "POST", body });
    opened.close("made");
    say(`${body.name} can sign in now.`);
    await reload();
  },
  field("User name", { name: "name", required: true, maxlength: 254, autocapitalize: "none", spellcheck: "false" }),
  field("Password", { name: "password", required: true, hint: passwordHint, ...passwordLimits }),
  common({ roles: [] }, roles)), { closing: "Cancel" });
}

/** What of the form differs from the user as he is: the rest stays as it is. */
function changes(user, made) {
  const { password, display_name: display, email, disabled } = made.elements;
  const picked = chosen(made, "roles");
  const kept = user.roles.filter((role) => picked.includes(role));
  // The order of his roles is kept: the first one is the one that counts where there is room for one.
  const roles = [...kept, ...picked.filter((role) => !kept.includes(role))];
  const wanted = {
    display_name: display.value.trim() || null, email: email.value || null, disabled: disabled.checked, roles,
  };
  const body = Object.fromEntries(Object.entries(wanted).filter(([name, value]) =>
    JSON.stringify(value) !== JSON.stringify(user[name] ?? null)));
  if (password.value) body.password = password.value;
  return body;
}

function edit(user, roles, reload) {
  const opened = dialog(`Edit ${user.name}`, form("Save", async (made) => {
    const body = changes(user, made);
    if (Object.keys(body).length) await session.request(at(user), { method: "PUT", body });
    opened.close("saved");
    say(`${user.name} is saved.`);
    await reload();
  },
  common(user, roles),
  field("New password", { name: "password", hint: `${passwordHint} Ends all sessions of this user.`, ...passwordLimits }),
  element("label", { class: "choice" },
    element("input", { type: "checkbox", name: "disabled", checked: user.disabled }), "May not sign in")),
  { closing: "Cancel" });
}

async function signOut(user, reload) {
  const text = `All sessions and tokens of ${user.name} end at once.`;
  if (!await confirmed(`Sign out ${user.name} everywhere?`, text, "Sign out")) return;
  await attempt(async () => {
    await session.request(`${path}/sessions?${new URLSearchParams({ user: user.name })}`, { method: "DELETE" });
    say(`${user.name} is signed out.`);
    await reload();
  });
}

async function remove(user, reload) {
  const text = `${user.name} can no longer sign in; sessions, tokens and API keys end at once. This cannot be undone.`;
  if (!await confirmed(`Delete ${user.name}?`, text, "Delete user")) return;
  await attempt(async () => {
    await session.request(at(user), { method: "DELETE" });
    say(`${user.name} is deleted.`);
    await reload();
  });
}
