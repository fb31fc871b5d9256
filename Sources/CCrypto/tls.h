// Debian's libssl-dev: TLS of OpenSSL's libssl, which is opened when the first connection needs it, as libcrypto is.
#include <dlfcn.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

static inline void *apus_tls_symbol(const char *name) {
    // RTLD_LOCAL keeps its names from others; libcrypto comes with it.
    void *library = dlopen("libssl.so.3", RTLD_NOW | RTLD_LOCAL);
    return library ? dlsym(library, name) : 0;
}

#define APUS_TLS(result, name, parameters, arguments, missing)                                                         \
    static inline result apus_##name parameters {                                                                      \
        static __typeof__(&name) kept;                                                                                 \
        __typeof__(&name) function = __atomic_load_n(&kept, __ATOMIC_ACQUIRE);                                         \
        if (!function) {                                                                                               \
            function = (__typeof__(&name))apus_tls_symbol(#name);                                                      \
            if (!function) return missing;                                                                             \
            __atomic_store_n(&kept, function, __ATOMIC_RELEASE);                                                       \
        }                                                                                                              \
        return function arguments;                                                                                     \
    }

APUS_TLS(const SSL_METHOD *, TLS_client_method, (void), (), 0)
APUS_TLS(const SSL_METHOD *, TLS_server_method, (void), (), 0)
APUS_TLS(SSL_CTX *, SSL_CTX_new, (const SSL_METHOD *method), (method), 0)
APUS_TLS(void, SSL_CTX_free, (SSL_CTX *context), (context), )
APUS_TLS(long, SSL_CTX_ctrl, (SSL_CTX *context, int command, long number), (context, command, number, 0), 0)
APUS_TLS(int, SSL_CTX_set_cipher_list, (SSL_CTX *context, const char *names), (context, names), 0)
APUS_TLS(int, SSL_CTX_set_num_tickets, (SSL_CTX *context, size_t count), (context, count), 0)
APUS_TLS(int, SSL_CTX_use_certificate_chain_file, (SSL_CTX *context, const char *path), (context, path), 0)
APUS_TLS(int, SSL_CTX_use_PrivateKey_file, (SSL_CTX *context, const char *path), (context, path, SSL_FILETYPE_PEM), 0)
APUS_TLS(int, SSL_CTX_check_private_key, (const SSL_CTX *context), (context), 0)
APUS_TLS(int, SSL_CTX_load_verify_locations, (SSL_CTX *context, const char *path), (context, path, 0), 0)
APUS_TLS(void, SSL_CTX_set_verify, (SSL_CTX *context, int mode), (context, mode, 0), )
APUS_TLS(X509_STORE *, SSL_CTX_get_cert_store, (const SSL_CTX *context), (context), 0)
APUS_TLS(void, SSL_CTX_set_psk_client_callback, (SSL_CTX *context, SSL_psk_client_cb_func give), (context, give), )
APUS_TLS(void, SSL_CTX_set_psk_server_callback, (SSL_CTX *context, SSL_psk_server_cb_func give), (context, give), )
APUS_TLS(SSL *, SSL_new, (SSL_CTX *context), (context), 0)
APUS_TLS(void, SSL_free, (SSL *session), (session), )
APUS_TLS(int, SSL_set_fd, (SSL *session, int descriptor), (session, descriptor), 0)
APUS_TLS(int, SSL_set_ex_data, (SSL *session, void *data), (session, 0, data), 0)
APUS_TLS(void *, SSL_get_ex_data, (const SSL *session), (session, 0), 0)
APUS_TLS(void, SSL_set_connect_state, (SSL *session), (session), )
APUS_TLS(void, SSL_set_accept_state, (SSL *session), (session), )
APUS_TLS(int, SSL_do_handshake, (SSL *session), (session), -1)
APUS_TLS(int, SSL_read, (SSL *session, void *bytes, int count), (session, bytes, count), -1)
APUS_TLS(int, SSL_write, (SSL *session, const void *bytes, int count), (session, bytes, count), -1)
APUS_TLS(int, SSL_get_error, (const SSL *session, int status), (session, status), SSL_ERROR_SSL)
APUS_TLS(int, SSL_shutdown, (SSL *session), (session), -1)
APUS_TLS(int, SSL_set1_host, (SSL *session, const char *name), (session, name), 0)
APUS_TLS(long, SSL_ctrl, (SSL *session, int command, long number, void *pointer),
         (session, command, number, pointer), 0)
APUS_TLS(X509 *, SSL_get1_peer_certificate, (const SSL *session), (session), 0)
APUS_TLS(void, X509_free, (X509 *certificate), (certificate), )
APUS_TLS(X509_NAME *, X509_get_subject_name, (const X509 *certificate), (certificate), 0)
APUS_TLS(int, X509_NAME_print_ex, (BIO *target, const X509_NAME *name, int indent, unsigned long flags),
         (target, name, indent, flags), -1)
APUS_TLS(const BIO_METHOD *, BIO_s_mem, (void), (), 0)
APUS_TLS(BIO *, BIO_new, (const BIO_METHOD *method), (method), 0)
APUS_TLS(int, BIO_free, (BIO *bytes), (bytes), 0)
APUS_TLS(int, BIO_read, (BIO *bytes, void *target, int count), (bytes, target, count), -1)
APUS_TLS(void, ERR_clear_error, (void), (), )
APUS_TLS(unsigned long, ERR_get_error, (void), (), 0)
APUS_TLS(const char *, ERR_reason_error_string, (unsigned long code), (code), 0)
#undef APUS_TLS
