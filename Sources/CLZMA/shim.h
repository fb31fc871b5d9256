// liblzma (Debian's liblzma5), of which one function is used. It is opened when that is first called, as libbz2 is.
#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>

typedef int (*apus_lzma_function)(uint64_t *, uint32_t, const void *, const uint8_t *, size_t *, size_t, uint8_t *,
                                  size_t *, size_t);

/// Unpacks a whole .xz stream into at most `*count` bytes, whose number it stores there, with no more than
/// `memory` bytes for its dictionary. 0: done; -1: the library is not there; other numbers: the library's error.
static inline int apus_lzma_unpack(const void *source, size_t source_count, void *target, size_t *count,
                                   uint64_t memory) {
    static apus_lzma_function kept;
    apus_lzma_function function = __atomic_load_n(&kept, __ATOMIC_ACQUIRE);
    if (!function) {
        void *library = dlopen("liblzma.so.5", RTLD_NOW | RTLD_LOCAL);
        function = library ? (apus_lzma_function)dlsym(library, "lzma_stream_buffer_decode") : 0;
        if (!function) return -1;
        __atomic_store_n(&kept, function, __ATOMIC_RELEASE);
    }
    size_t taken = 0, made = 0;
    int status = function(&memory, 0, 0, (const uint8_t *)source, &taken, source_count, (uint8_t *)target, &made, *count);
    *count = made;
    return status;
}
