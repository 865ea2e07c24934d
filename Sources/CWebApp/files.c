/* #embed, because arrays of so many bytes are slow to compile in Swift. */
#pragma clang diagnostic ignored "-Wc23-extensions"
#include "web_app.h"
#include <string.h>

static const unsigned char account_js[] = {
#embed "files/account.js"
};
static const unsigned char administration_js[] = {
#embed "files/administration.js"
};
static const unsigned char app_css[] = {
#embed "files/app.css"
};
static const unsigned char app_js[] = {
#embed "files/app.js"
};
static const unsigned char elements_js[] = {
#embed "files/elements.js"
};
static const unsigned char icon_192_png[] = {
#embed "files/icon-192.png"
};
static const unsigned char icon_512_png[] = {
#embed "files/icon-512.png"
};
static const unsigned char icon_maskable_png[] = {
#embed "files/icon-maskable.png"
};
static const unsigned char icon_svg[] = {
#embed "files/icon.svg"
};
static const unsigned char index_html[] = {
#embed "files/index.html"
};
static const unsigned char manifest_webmanifest[] = {
#embed "files/manifest.webmanifest"
};
static const unsigned char roles_js[] = {
#embed "files/roles.js"
};
static const unsigned char service_worker_js[] = {
#embed "files/service-worker.js"
};
static const unsigned char session_js[] = {
#embed "files/session.js"
};
static const unsigned char users_js[] = {
#embed "files/users.js"
};

static const struct { const char *name; const unsigned char *bytes; size_t count; } files[] = {
    {"account.js", account_js, sizeof account_js},
    {"administration.js", administration_js, sizeof administration_js},
    {"app.css", app_css, sizeof app_css},
    {"app.js", app_js, sizeof app_js},
    {"elements.js", elements_js, sizeof elements_js},
    {"icon-192.png", icon_192_png, sizeof icon_192_png},
    {"icon-512.png", icon_512_png, sizeof icon_512_png},
    {"icon-maskable.png", icon_maskable_png, sizeof icon_maskable_png},
    {"icon.svg", icon_svg, sizeof icon_svg},
    {"index.html", index_html, sizeof index_html},
    {"manifest.webmanifest", manifest_webmanifest, sizeof manifest_webmanifest},
    {"roles.js", roles_js, sizeof roles_js},
    {"service-worker.js", service_worker_js, sizeof service_worker_js},
    {"session.js", session_js, sizeof session_js},
    {"users.js", users_js, sizeof users_js},
};

const unsigned char *web_app_file(const char *name, size_t *count) {
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        if (!strcmp(files[i].name, name)) { *count = files[i].count; return files[i].bytes; }
    }
    return NULL;
}
