#pragma once
#include <stddef.h>

/* The bytes of a file of the web app, for as long as the program runs, and their number; NULL when there is no such file. */
const unsigned char *web_app_file(const char *name, size_t *count);
