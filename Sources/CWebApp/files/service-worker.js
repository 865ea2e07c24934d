// Keeps the shell of the app for times without a network, all files of one version. Answers of the API are never kept,
// nor looked at.

// The backend puts the version of the files here: when one of them changes this script does, and is installed anew.
const cacheName = "shell-@version@";
const shell = [
  "/", "/app/app.css", "/app/app.js", "/app/session.js", "/app/elements.js", "/app/account.js", "/app/administration.js",
  "/app/users.js", "/app/roles.js", "/app/icon.svg", "/app/icon-192.png", "/app/icon-512.png", "/app/icon-maskable.png",
  "/manifest.webmanifest",
];

addEventListener("install", (event) => {
  const fill = async () => (await caches.open(cacheName)).addAll(shell.map((path) => new Request(path, { cache: "reload" })));
  event.waitUntil(fill().then(() => skipWaiting()));
});

addEventListener("activate", (event) => {
  const takeOver = async () => {
    for (const name of await caches.keys()) if (name !== cacheName) await caches.delete(name);
    await clients.claim();
  };
  event.waitUntil(takeOver());
});

addEventListener("fetch", (event) => {
  const { pathname, origin } = new URL(event.request.url);
  if (event.request.method !== "GET" || origin !== location.origin || !shell.includes(pathname)) return;
  // The network first: whoever is online has what the service has. A gateway that cannot reach it answers 5xx.
  const kept = async () => (await caches.open(cacheName)).match(pathname);
  event.respondWith(fetch(event.request).then(
    async (answer) => (answer.status < 500 ? answer : (await kept()) ?? answer),
    async () => (await kept()) ?? Response.error()));
});
