// libjpeg-turbo's TurboJPEG interface (Debian's libturbojpeg0), of which four functions are used. It is opened when the
// first of them is called: only viewers that ask for JPEG need it, and where it is missing they get none.
#include <dlfcn.h>
#include <stddef.h>

static inline void *apus_jpeg_symbol(const char *name) {
    void *library = dlopen("libturbojpeg.so.0", RTLD_NOW | RTLD_LOCAL);
    return library ? dlsym(library, name) : 0;
}

/// Whether the library can be opened.
static inline int apus_jpeg_is_there(void) { return apus_jpeg_symbol("tjCompress2") != 0; }

/// A compressor, or null.
static inline void *apus_jpeg_open(void) {
    void *(*function)(void) = (void *(*)(void))apus_jpeg_symbol("tjInitCompress");
    return function ? function() : 0;
}

/// Compresses pixels of four bytes, blue first; `*target` has room for `*count` bytes. Subsampling: 0 none, 2 4:2:0.
static inline int apus_jpeg_compress(void *handle, const void *pixels, int width, int pitch, int height,
                                     unsigned char *target, unsigned long *count, int subsampling, int quality) {
    static int (*kept)(void *, const unsigned char *, int, int, int, int, unsigned char **, unsigned long *, int, int,
                       int);
    if (!kept) {
        kept = (int (*)(void *, const unsigned char *, int, int, int, int, unsigned char **, unsigned long *, int, int,
                        int))apus_jpeg_symbol("tjCompress2");
        if (!kept) return -1;
    }
    unsigned char *place = target;
    // Pixel format 3 is BGRX; flag 1024 forbids to allocate.
    return kept(handle, pixels, width, pitch, height, 3, &place, count, subsampling, quality, 1024);
}

/// Room that is enough for any picture of that size.
static inline unsigned long apus_jpeg_bound(int width, int height) {
    return ((unsigned long)(width + 15) & ~15ul) * (((unsigned long)height + 15) & ~15ul) * 6 + 2048;
}

static inline void apus_jpeg_close(void *handle) {
    int (*function)(void *) = (int (*)(void *))apus_jpeg_symbol("tjDestroy");
    if (function && handle) function(handle);
}
