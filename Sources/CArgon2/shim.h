// The reference implementation of Argon2 (RFC 9106).
#pragma once
#include <argon2.h>
