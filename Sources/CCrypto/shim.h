// Debian's libssl-dev: ciphers, digests and key derivation of OpenSSL's libcrypto.
//
// The library is opened when the first of its functions is called. Few images are encrypted, and having it linked
// would cost every run of the image tool two megabytes and a millisecond. Where it is missing, a call fails as it does
// for want of memory.
#include <dlfcn.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

static inline void *apus_crypto_symbol(const char *name) {
    // The loader gives the same handle each time, and the first caller's work is kept by the functions below.
    void *library = dlopen("libcrypto.so.3", RTLD_NOW | RTLD_LOCAL);
    return library ? dlsym(library, name) : 0;
}

/// Whether the library can be opened.
static inline int apus_crypto_is_there(void) { return apus_crypto_symbol("EVP_CipherUpdate") != 0; }

// A function of the library's: its type is that of the header, its address is looked up once.
#define APUS_CRYPTO(result, name, parameters, arguments, missing)                                                      \
    static inline result apus_##name parameters {                                                                      \
        static __typeof__(&name) kept;                                                                                 \
        __typeof__(&name) function = __atomic_load_n(&kept, __ATOMIC_ACQUIRE);                                         \
        if (!function) {                                                                                               \
            function = (__typeof__(&name))apus_crypto_symbol(#name);                                                   \
            if (!function) return missing;                                                                             \
            __atomic_store_n(&kept, function, __ATOMIC_RELEASE);                                                       \
        }                                                                                                              \
        return function arguments;                                                                                     \
    }

APUS_CRYPTO(const EVP_MD *, EVP_get_digestbyname, (const char *name), (name), 0)
APUS_CRYPTO(int, EVP_MD_get_size, (const EVP_MD *digest), (digest), 0)
APUS_CRYPTO(int, EVP_Digest,
            (const void *data, size_t count, unsigned char *result, unsigned int *size, const EVP_MD *digest),
            (data, count, result, size, digest, 0), 0)
APUS_CRYPTO(int, PKCS5_PBKDF2_HMAC,
            (const char *password, int password_count, const unsigned char *salt, int salt_count, int iterations,
             const EVP_MD *digest, int count, unsigned char *key),
            (password, password_count, salt, salt_count, iterations, digest, count, key), 0)
APUS_CRYPTO(int, RAND_bytes, (unsigned char *bytes, int count), (bytes, count), 0)
APUS_CRYPTO(const EVP_CIPHER *, EVP_aes_128_xts, (void), (), 0)
APUS_CRYPTO(const EVP_CIPHER *, EVP_aes_256_xts, (void), (), 0)
APUS_CRYPTO(const EVP_CIPHER *, EVP_aes_128_cbc, (void), (), 0)
APUS_CRYPTO(const EVP_CIPHER *, EVP_aes_192_cbc, (void), (), 0)
APUS_CRYPTO(const EVP_CIPHER *, EVP_aes_256_cbc, (void), (), 0)
APUS_CRYPTO(const EVP_CIPHER *, EVP_aes_128_ecb, (void), (), 0)
APUS_CRYPTO(const EVP_CIPHER *, EVP_aes_192_ecb, (void), (), 0)
APUS_CRYPTO(const EVP_CIPHER *, EVP_aes_256_ecb, (void), (), 0)
APUS_CRYPTO(EVP_CIPHER_CTX *, EVP_CIPHER_CTX_new, (void), (), 0)
APUS_CRYPTO(void, EVP_CIPHER_CTX_free, (EVP_CIPHER_CTX *context), (context), )
APUS_CRYPTO(int, EVP_CIPHER_CTX_set_padding, (EVP_CIPHER_CTX *context, int padding), (context, padding), 0)
APUS_CRYPTO(int, EVP_CipherInit_ex,
            (EVP_CIPHER_CTX *context, const EVP_CIPHER *cipher, const unsigned char *key, const unsigned char *vector,
             int is_encrypting),
            (context, cipher, 0, key, vector, is_encrypting), 0)
APUS_CRYPTO(int, EVP_CipherUpdate,
            (EVP_CIPHER_CTX *context, unsigned char *result, int *size, const unsigned char *data, int count),
            (context, result, size, data, count), 0)
APUS_CRYPTO(int, i2d_PUBKEY, (const EVP_PKEY *key, unsigned char **target), (key, target), -1)
APUS_CRYPTO(void, EVP_PKEY_free, (EVP_PKEY *key), (key), )
APUS_CRYPTO(EVP_PKEY_CTX *, EVP_PKEY_CTX_new, (EVP_PKEY *key), (key, 0), 0)
APUS_CRYPTO(void, EVP_PKEY_CTX_free, (EVP_PKEY_CTX *context), (context), )
APUS_CRYPTO(int, EVP_PKEY_decrypt_init, (EVP_PKEY_CTX *context), (context), 0)
APUS_CRYPTO(int, EVP_PKEY_CTX_set_rsa_padding, (EVP_PKEY_CTX *context, int padding), (context, padding), 0)
APUS_CRYPTO(int, EVP_PKEY_decrypt,
            (EVP_PKEY_CTX *context, unsigned char *target, size_t *size, const unsigned char *data, size_t count),
            (context, target, size, data, count), 0)
#undef APUS_CRYPTO

/// A new RSA key of so many bits; null where there is none to be had.
static inline EVP_PKEY *apus_new_rsa_key(size_t bits) {
    __typeof__(&EVP_PKEY_Q_keygen) make = (__typeof__(&EVP_PKEY_Q_keygen))apus_crypto_symbol("EVP_PKEY_Q_keygen");
    return make ? make(0, 0, "RSA", bits) : 0;
}
