// nghttp2: framing, HPACK and stream states of HTTP/2.
#pragma once
#include <nghttp2/nghttp2.h>
