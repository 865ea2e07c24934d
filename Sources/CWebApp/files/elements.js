// The building blocks of the views. Text goes into the page as text only.

/** An element with attributes, with listeners (`onclick`) and with children: nodes, texts, lists of them, null. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value != null) made.setAttribute(name, value);
  }
  made.append(...children.flat(Infinity).filter((child) => child != null && child !== false));
  return made;
}

export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const made = document.createElementNS(space, "svg"), use = document.createElementNS(space, "use");
  made.setAttribute("class", "icon");
  made.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#icon-${name}`);
  made.append(use);
  return made;
}

export function badge(text, kind = "") {
  return element("span", { class: `badge ${kind}` }, text);
}

/** A row of badges, or a word that says that there are none. */
export function badges(texts, none = "none") {
  if (!texts?.length) return element("span", { class: "soft" }, none);
  return element("span", { class: "badges" }, texts.map((text) => badge(text)));
}

const dates = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const distances = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
const units = [["day", 86_400], ["hour", 3_600], ["minute", 60], ["second", 1]];

/** A moment (a Date, or text of one) as people read it; null as `none`. */
export function time(moment, none = "never") {
  if (moment == null) return element("span", { class: "soft" }, none);
  const date = new Date(moment);
  return element("time", { datetime: date.toISOString(), title: distance(date) }, dates.format(date));
}

export function distance(date) {
  const seconds = (date - Date.now()) / 1000;
  const [unit, length] = units.find(([, length]) => Math.abs(seconds) >= length) ?? units.at(-1);
  return distances.format(Math.trunc(seconds / length), unit);
}

export function button(label, onclick, { kind = "", symbol = null, ...attributes } = {}) {
  return element("button", { type: "button", class: kind, onclick, ...attributes }, symbol && icon(symbol), label);
}

export function card(title, ...children) {
  return element("section", { class: "card" }, title && element("h2", {}, title), children);
}

/** Terms and what they say: { term: node or text }. */
export function facts(members) {
  return element("dl", {}, Object.entries(members).map(([term, description]) =>
    element("div", {}, element("dt", {}, term), element("dd", {}, description))));
}

/** A table that narrow screens show as cards: its roles are said aloud, for that takes them away. */
export function table(caption, columns, rows, none) {
  if (!rows.length) return element("p", { class: "empty" }, none);
  const head = element("tr", { role: "row" }, columns.map((column) =>
    element("th", { role: "columnheader", scope: "col" }, column)));
  const body = rows.map((cells) => element("tr", { role: "row" }, cells.map((cell, index) =>
    element("td", { role: "cell", "data-label": columns[index] }, element("div", {}, cell)))));
  return element("table", { role: "table" }, element("caption", { class: "unseen" }, caption),
    element("thead", { role: "rowgroup" }, head), element("tbody", { role: "rowgroup" }, body));
}

let fields = 0;

/** A labelled field; `name` is the member of the request that it fills. */
export function field(label, { name, hint, ...attributes }) {
  const id = `field-${++fields}`;
  const described = [hint && `${id}-hint`, `${id}-error`].filter(Boolean).join(" ");
  return element("div", { class: "field" },
    element("label", { for: id }, label, !attributes.required && element("span", { class: "soft" }, " (optional)")),
    hint && element("p", { class: "hint", id: `${id}-hint` }, hint),
    element("input", { id, name, "aria-describedby": described, autocomplete: "off", ...attributes }),
    element("p", { class: "error", id: `${id}-error` }));
}

/** A group of checkboxes: { value: whether it is checked }. */
export function choices(legend, name, options, hint) {
  return element("fieldset", {}, element("legend", {}, legend), hint && element("p", { class: "hint" }, hint),
    Object.entries(options).map(([value, checked]) =>
      element("label", { class: "choice" }, element("input", { type: "checkbox", name, value, checked }), value)));
}

export function chosen(form, name) {
  return [...form.querySelectorAll(`input[name="${name}"]:checked`)].map((box) => box.value);
}

/** A form whose `send` is called with its element; what it throws is shown where it belongs. */
export function form(label, send, ...children) {
  const alert = element("p", { class: "error", role: "alert" });
  const submit = element("button", { class: "primary" }, label);
  const made = element("form", { novalidate: true }, children, alert, element("div", { class: "actions" }, submit));
  made.addEventListener("submit", async (event) => {
    event.preventDefault();
    clear(made, alert);
    if (!complete(made)) return;
    submit.disabled = true;
    try {
      await send(made);
    } catch (error) {
      point(made, alert, error);
    } finally {
      submit.disabled = false;
    }
  });
  return made;
}

function clear(form, alert) {
  alert.textContent = "";
  for (const input of form.querySelectorAll("[aria-invalid]")) mark(input, "");
}

function mark(input, text) {
  if (text) input.setAttribute("aria-invalid", "true");
  else input.removeAttribute("aria-invalid");
  const place = document.getElementById(`${input.id}-error`);
  if (place) place.textContent = text;
}

function complete(form) {
  const wrong = [...form.querySelectorAll("input")].filter((input) => !input.validity.valid);
  for (const input of wrong) mark(input, input.validity.valueMissing ? "Please fill this in." : input.validationMessage);
  wrong[0]?.focus();
  return !wrong.length;
}

function point(form, alert, error) {
  const input = error.member && form.elements.namedItem(error.member);
  if (input instanceof HTMLInputElement && document.getElementById(`${input.id}-error`)) {
    mark(input, error.message);
    input.focus();
  } else alert.textContent = error.message;
}

/** Opens a dialog; `closed` resolves when it closes, with what closed it. */
export function dialog(title, content, { closing = "Close" } = {}) {
  const made = element("dialog", { "aria-labelledby": "dialog-title" },
    element("h2", { id: "dialog-title" }, title), content);
  if (closing) {
    const close = button(closing, () => made.close(""));
    const actions = made.querySelector("form .actions");
    if (actions) actions.prepend(close);
    else made.append(element("div", { class: "actions" }, close));
  }
  document.body.append(made);
  made.showModal();
  const closed = new Promise((resolve) => {
    made.addEventListener("close", () => {
      made.remove();
      resolve(made.returnValue);
    });
  });
  return { close: (value) => made.close(value), closed };
}

/** Asks before what cannot be undone. */
export async function confirmed(title, text, doing) {
  const opened = dialog(title, [element("p", {}, text), element("div", { class: "actions" },
    button("Cancel", () => opened.close(""), { autofocus: true }),
    button(doing, () => opened.close("yes"), { kind: "danger" }))], { closing: null });
  return await opened.closed === "yes";
}

/** Says something that passes, to eyes and screen readers. */
export function say(text) {
  const place = document.getElementById("said");
  place.textContent = text;
  clearTimeout(say.pending);
  say.pending = setTimeout(() => { place.textContent = ""; }, 6_000);
}
