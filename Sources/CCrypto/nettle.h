// GNU Nettle's libnettle: block ciphers that OpenSSL lacks (Serpent, Twofish) or keeps in another library (CAST5), and
// AES-192 for XTS. It is opened when a disk is encrypted with one of these. Its headers need not be there: what a cipher
// is to the library is a structure of its stable interface ("Cipher functions" in its manual).
#include <dlfcn.h>
#include <stddef.h>

struct apus_nettle_cipher {
    const char *name;
    unsigned context_size;
    unsigned block_size;
    unsigned key_size;
    void (*set_encrypt_key)(void *context, const unsigned char *key);
    void (*set_decrypt_key)(void *context, const unsigned char *key);
    void (*encrypt)(const void *context, size_t count, unsigned char *target, const unsigned char *source);
    void (*decrypt)(const void *context, size_t count, unsigned char *target, const unsigned char *source);
};

/// The cipher of a symbol such as `nettle_serpent256`; null where the library or the cipher is not there.
static inline const struct apus_nettle_cipher *apus_nettle_find(const char *symbol) {
    void *library = dlopen("libnettle.so.8", RTLD_NOW | RTLD_LOCAL);
    return library ? (const struct apus_nettle_cipher *)dlsym(library, symbol) : 0;
}
