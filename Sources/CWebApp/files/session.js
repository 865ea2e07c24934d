// The session of this browser, as one tab sees it. The access token lives in this module's memory, the refresh token in a
// cookie that no script can read. What uses or replaces that cookie is done by one tab at a time, and what comes of it is
// told to the others: one login, refresh or logout serves them all.

const paths = {
  login: "/api/v1/auth/login", refresh: "/api/v1/auth/refresh",
  logout: "/api/v1/auth/logout", logoutEverywhere: "/api/v1/auth/logout-all",
};
/** A request that hangs holds up the other tabs. */
const patienceMilliseconds = 15_000;
/** A token that dies on its way costs a second request. */
const reserveMilliseconds = 2_000;

const tabs = new BroadcastChannel("session");
/** { token, claims, expires }: `expires` by the clock of this computer, which need not be that of the service. */
let current = null;
/** Sessions that this tab has seen end; a message that was under way meanwhile does not bring them back. */
const ended = new Set();
let tell = () => {};

/** The service said no, and why. */
export class Refused extends Error {
  constructor(status, { code, detail, member }) {
    super(sentence(detail ?? "the request was refused"));
    Object.assign(this, { status, code, member });
  }
}

/** There is no session (any more): only the login form helps. */
export class SessionOver extends Error {}

/** Somebody else has signed in meanwhile: what was asked for the last user is not asked for this one. */
export class UserChanged extends Error {}

/** Neither yes nor no: no network, a busy or a broken service. The session stays. */
export class Unavailable extends Error {
  constructor(message, code, seconds) {
    super(message);
    Object.assign(this, { code, seconds });
  }
}

/** Services give reasons without a capital and a full stop. */
function sentence(text) {
  return `${text[0].toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
}

async function ask(path, { method = "GET", body, bearer } = {}) {
  const headers = { Accept: "application/json", "X-Requested-With": "web" };
  if (bearer) headers.Authorization = `Bearer ${bearer}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(path, {
      method, headers, body: body === undefined ? undefined : JSON.stringify(body), credentials: "same-origin",
      cache: "no-store", redirect: "error", signal: AbortSignal.timeout(patienceMilliseconds),
    });
  } catch {
    throw new Unavailable("The service cannot be reached.", "unreachable");
  }
  const members = answer.status === 204 ? null : await answer.json().catch(() => ({}));
  if (answer.status === 429 || answer.status >= 500) throw unavailable(answer, members ?? {});
  if (!answer.ok) throw new Refused(answer.status, members ?? {});
  return members;
}

function unavailable(answer, { code }) {
  const seconds = Number(answer.headers.get("Retry-After")) || null;
  const when = seconds ? `in ${seconds} ${seconds === 1 ? "second" : "seconds"}` : "in a moment";
  const what = code === "account_locked" ? "Too many failed attempts." :
    answer.status === 429 ? "Too many requests." : "The service is not available right now.";
  return new Unavailable(`${what} Please try again ${when}.`, code, seconds);
}

/** Runs `work` when no other tab is at the cookie. */
function inTurn(work) {
  return navigator.locks.request("session", work);
}

function read(token) {
  const text = atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"));
  return JSON.parse(new TextDecoder().decode(Uint8Array.from(text, (letter) => letter.charCodeAt(0))));
}

function adopt(token, expires) {
  const before = current?.claims;
  const claims = read(token);
  current = { token, claims, expires };
  if (before && before.sub !== claims.sub) tell("user");
}

function begin({ access_token: token, expires_in: seconds }) {
  adopt(token, Date.now() + seconds * 1000);
  tabs.postMessage({ token, expires: current.expires });
}

/** Forgets the session here, and in the other tabs of the same; says whether there was one. */
function end() {
  if (!current) return false;
  const session = current.claims.sid;
  ended.add(session);
  current = null;
  tabs.postMessage({ ended: session });
  return true;
}

tabs.onmessage = ({ data }) => {
  if (data.token && !ended.has(read(data.token).sid)) {
    const signedOut = !current;
    adopt(data.token, data.expires);
    if (signedOut) tell("login");
  } else if (data.ended && current?.claims.sid === data.ended) {
    ended.add(data.ended);
    current = null;
    tell("logout");
  }
};

/** `react` is called with "over" when the service has ended the session, and with "login", "logout" or "user" when
    another tab, or its cookie, has changed who is signed in here. */
export function onChange(react) {
  tell = react;
}

export function login(username, password) {
  return inTurn(async () => {
    const answer = await ask(paths.login, { method: "POST", body: { username, password } });
    if (current && current.claims.sub !== username) end();
    begin(answer);
  });
}

/** A new access token by the cookie, unless `stale` was replaced by another request or tab meanwhile. */
function renew(stale) {
  return inTurn(async () => {
    if ((current?.token ?? null) !== stale) return;
    try {
      begin(await ask(paths.refresh, { method: "POST", body: {} }));
    } catch (error) {
      if (!isRefusedRefresh(error)) throw error;
      if (end()) tell("over");
      throw new SessionOver();
    }
  });
}

function isRefusedRefresh(error) {
  return error instanceof Refused && error.status === 401 && Boolean(error.code?.startsWith("refresh_"));
}

/** Finds out whether there is a session; throws `SessionOver` when there is none. */
export async function resume() {
  if (!current) await renew(null);
  if (!current) throw new SessionOver();
}

/** A request with the access token; when that has died, it is made once more with a new one. */
export async function request(path, options = {}) {
  await resume();
  const user = current.claims.sub;
  const attempt = () => {
    if (!current) throw new SessionOver();
    if (current.claims.sub !== user) throw new UserChanged();
    return ask(path, { ...options, bearer: current.token });
  };
  if (current.expires - Date.now() < reserveMilliseconds) await renew(current.token);
  const used = current?.token;
  try {
    return await attempt();
  } catch (error) {
    if (!(error instanceof Refused) || error.status !== 401) throw error;
    await renew(used);
    return attempt();
  }
}

/** Takes a new access token now. */
export async function refresh() {
  await renew(current?.token ?? null);
}

/** Ends this session, or all of the user's. Throws, and keeps it, when the service has not confirmed that. */
export function logout(everywhere) {
  const path = everywhere ? paths.logoutEverywhere : paths.logout;
  return inTurn(async () => {
    try {
      await ask(path, { method: "POST", body: {}, bearer: current?.token });
    } catch (error) {
      // Token and cookie are both refused: there is nothing left to end.
      if (!(error instanceof Refused) || error.status !== 401) throw error;
    }
    end();
  });
}

/** What the access token says; nobody here needs to trust it, the services check it themselves. */
export function claims() {
  return current?.claims ?? null;
}

export function may(permission) {
  return current?.claims.permissions?.includes(permission) ?? false;
}

/** Seconds that the access token has left. */
export function secondsLeft() {
  return current ? Math.max(0, Math.round((current.expires - Date.now()) / 1000)) : 0;
}

/** What the header of the token says about its signature. */
export function header() {
  if (!current) return {};
  return JSON.parse(atob(current.token.split(".")[0].replaceAll("-", "+").replaceAll("_", "/")));
}
