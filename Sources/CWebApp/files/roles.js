// The administration of roles and of what they permit.
import { attempt } from "/app/account.js";
import { path } from "/app/administration.js";
import {
  badges, button, card, choices, chosen, confirmed, dialog, element, field, form, say, table,
} from "/app/elements.js";
import * as session from "/app/session.js";

const words = { maxlength: 128, autocapitalize: "none", spellcheck: "false" };

export async function list(reload) {
  const [{ roles }, { permissions }] = await Promise.all([
    session.request(`${path}/roles`), session.request(`${path}/permissions`),
  ]);
  const all = permissions.map(({ name }) => name);
  return [
    element("p", { class: "lead" }, "A user may do what his roles permit. A change reaches tokens that are already out within a second."),
    card("Roles", table("Roles", ["Role", "Permissions", "Users", "Actions"], roles.map((role) => [
      element("strong", {}, role.name), badges(role.permissions), String(role.users), roleActions(role, all, reload),
    ]), "There are no roles."), session.may("write:admin_panel") && element("div", { class: "actions" },
      button("New role", () => create(all, reload), { kind: "primary", symbol: "plus" }))),
    card("Permissions", table("Permissions", ["Permission", "Roles", "Actions"], permissions.map((permission) => [
      element("code", {}, permission.name), badges(permission.roles),
      permissionActions(permission, roles.map(({ name }) => name), reload),
    ]), "There are no permissions.")),
  ];
}

function roleActions(role, all, reload) {
  return element("div", { class: "row-actions" }, session.may("write:admin_panel") && [
    button("Edit", () => edit(role, all, reload), { kind: "small", "aria-label": `Edit role ${role.name}` }),
    button("Delete", () => remove(role, reload), { kind: "danger small", "aria-label": `Delete role ${role.name}` }),
  ]);
}

function permissionFields(all, has) {
  return [
    choices("Permissions", "permissions", Object.fromEntries(all.map((name) => [name, has.includes(name)]))),
    field("Further permission", { name: "further", hint: "A new one, as in write:reports.", ...words }),
  ];
}

function permissionsOf(made) {
  const further = made.elements.further.value.trim();
  return [...new Set([...chosen(made, "permissions"), ...(further ? [further] : [])])];
}

function create(all, reload) {
  const opened = dialog("New role", form("Create role", async (made) => {
    const body = { name: made.elements.name.value.trim(), permissions: permissionsOf(made) };
    await session.request(`${path}/roles`, { method: "POST", body });
    opened.close("made");
    say(`The role ${body.name} is there.`);
    await reload();
  }, field("Name", { name: "name", required: true, ...words }), permissionFields(all, [])), { closing: "Cancel" });
}

function edit(role, all, reload) {
  const opened = dialog(`Edit role ${role.name}`, form("Save", async (made) => {
    const body = { permissions: permissionsOf(made) };
    await session.request(`${path}/roles/${encodeURIComponent(role.name)}`, { method: "PUT", body });
    opened.close("saved");
    say(`The role ${role.name} is saved.`);
    await reload();
  }, permissionFields(all, role.permissions)), { closing: "Cancel" });
}

async function remove(role, reload) {
  if (!await confirmed(`Delete the role ${role.name}?`, "This cannot be undone.", "Delete role")) return;
  await attempt(async () => {
    await session.request(`${path}/roles/${encodeURIComponent(role.name)}`, { method: "DELETE" });
    say(`The role ${role.name} is deleted.`);
    await reload();
  });
}

function permissionActions(permission, roles, reload) {
  const place = `${path}/permissions/${encodeURIComponent(permission.name)}`;
  return element("div", { class: "row-actions" }, session.may("write:admin_panel") && [
    button("Edit", () => {
      const opened = dialog(`Who has ${permission.name}?`, form("Save", async (made) => {
        await session.request(place, { method: "PUT", body: { roles: chosen(made, "roles") } });
        opened.close("saved");
        say(`${permission.name} is saved.`);
        await reload();
      }, choices("Roles", "roles", Object.fromEntries(roles.map((role) => [role, permission.roles.includes(role)])))),
      { closing: "Cancel" });
    }, { kind: "small", "aria-label": `Edit permission ${permission.name}` }),
    button("Delete", async () => {
      const text = "It is taken from every role that has it.";
      if (!await confirmed(`Delete ${permission.name}?`, text, "Delete permission")) return;
      await attempt(async () => {
        await session.request(place, { method: "DELETE" });
        say(`${permission.name} is deleted.`);
        await reload();
      });
    }, { kind: "danger small", "aria-label": `Delete permission ${permission.name}` }),
  ]);
}
