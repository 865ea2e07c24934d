// What the backend takes of the system's OpenSSL: private keys and the signatures that they make.
#pragma once
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
