// Debian's zlib1g-dev. The macros that begin a stream are functions here.
#include <zlib.h>

static inline int apus_deflate_init(z_stream *stream, int level, int window) {
    return deflateInit2(stream, level, Z_DEFLATED, window, 9, Z_DEFAULT_STRATEGY);
}
static inline int apus_inflate_init(z_stream *stream, int window) { return inflateInit2(stream, window); }
