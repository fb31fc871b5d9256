// libbz2 (Debian's libbz2-1.0), of which one function is used. It is opened when that is first called: few images have
// such chunks, and no other run should pay for it.
#include <dlfcn.h>

/// Unpacks a whole bzip2 stream into at most `*count` bytes, whose number it stores there. 0: done; 1: the library is
/// not there; other numbers: the library's error.
static inline int apus_bzip2_unpack(const void *source, unsigned source_count, void *target, unsigned *count) {
    static int (*kept)(char *, unsigned *, char *, unsigned, int, int);
    int (*function)(char *, unsigned *, char *, unsigned, int, int) = __atomic_load_n(&kept, __ATOMIC_ACQUIRE);
    if (!function) {
        void *library = dlopen("libbz2.so.1.0", RTLD_NOW | RTLD_LOCAL);
        function = library ? (int (*)(char *, unsigned *, char *, unsigned, int, int))dlsym(
                                 library, "BZ2_bzBuffToBuffDecompress")
                           : 0;
        if (!function) return 1;
        __atomic_store_n(&kept, function, __ATOMIC_RELEASE);
    }
    return function((char *)target, count, (char *)source, source_count, 0, 0);
}
