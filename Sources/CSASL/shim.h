// Cyrus SASL's libsasl2 (Debian's libsasl2-2), by which libvirt's clients and daemons prove who they are. It is opened
// when the first of its functions is called. Its headers need not be there: what is used of it is its stable interface,
// as its manual pages have it.
#include <dlfcn.h>
#include <stddef.h>

struct apus_sasl_connection;

struct apus_sasl_callback {
    unsigned long id;
    int (*function)(void);
    void *context;
};

struct apus_sasl_interact {
    unsigned long id;
    const char *challenge;
    const char *prompt;
    const char *usual_result;
    const void *result;
    unsigned count;
};

struct apus_sasl_security {
    unsigned minimum;
    unsigned maximum;
    unsigned buffer_size;
    unsigned flags;
    const char **names;
    const char **values;
};

static inline void *apus_sasl_symbol(const char *name) {
    void *library = dlopen("libsasl2.so.2", RTLD_NOW | RTLD_LOCAL);
    return library ? dlsym(library, name) : 0;
}

/// Whether the library can be opened.
static inline int apus_sasl_is_there(void) { return apus_sasl_symbol("sasl_server_init") != 0; }

// A function of the library's, whose address is looked up once. Where the library is missing it fails (SASL_FAIL).
#define APUS_SASL(result, name, parameters, arguments, missing)                                                        \
    static inline result apus_##name parameters {                                                                      \
        static result(*kept) parameters;                                                                               \
        result(*function) parameters = __atomic_load_n(&kept, __ATOMIC_ACQUIRE);                                       \
        if (!function) {                                                                                               \
            function = (__typeof__(kept))apus_sasl_symbol(#name);                                                      \
            if (!function) return missing;                                                                             \
            __atomic_store_n(&kept, function, __ATOMIC_RELEASE);                                                       \
        }                                                                                                              \
        return function arguments;                                                                                     \
    }

APUS_SASL(int, sasl_server_init, (const struct apus_sasl_callback *callbacks, const char *application),
          (callbacks, application), -1)
APUS_SASL(int, sasl_client_init, (const struct apus_sasl_callback *callbacks), (callbacks), -1)
APUS_SASL(int, sasl_server_new,
          (const char *service, const char *host, const char *realm, const char *local, const char *remote,
           const struct apus_sasl_callback *callbacks, unsigned flags, struct apus_sasl_connection **connection),
          (service, host, realm, local, remote, callbacks, flags, connection), -1)
APUS_SASL(int, sasl_client_new,
          (const char *service, const char *host, const char *local, const char *remote,
           const struct apus_sasl_callback *callbacks, unsigned flags, struct apus_sasl_connection **connection),
          (service, host, local, remote, callbacks, flags, connection), -1)
APUS_SASL(void, sasl_dispose, (struct apus_sasl_connection **connection), (connection), )
APUS_SASL(int, sasl_setprop, (struct apus_sasl_connection *connection, int property, const void *value),
          (connection, property, value), -1)
APUS_SASL(int, sasl_getprop, (struct apus_sasl_connection *connection, int property, const void **value),
          (connection, property, value), -1)
APUS_SASL(int, sasl_listmech,
          (struct apus_sasl_connection *connection, const char *user, const char *prefix, const char *separator,
           const char *suffix, const char **list, unsigned *size, int *count),
          (connection, user, prefix, separator, suffix, list, size, count), -1)
APUS_SASL(int, sasl_server_start,
          (struct apus_sasl_connection *connection, const char *mechanism, const char *data, unsigned size,
           const char **answer, unsigned *answer_size),
          (connection, mechanism, data, size, answer, answer_size), -1)
APUS_SASL(int, sasl_server_step,
          (struct apus_sasl_connection *connection, const char *data, unsigned size, const char **answer,
           unsigned *answer_size),
          (connection, data, size, answer, answer_size), -1)
APUS_SASL(int, sasl_client_start,
          (struct apus_sasl_connection *connection, const char *mechanisms, struct apus_sasl_interact **wanted,
           const char **answer, unsigned *answer_size, const char **mechanism),
          (connection, mechanisms, wanted, answer, answer_size, mechanism), -1)
APUS_SASL(int, sasl_client_step,
          (struct apus_sasl_connection *connection, const char *data, unsigned size, struct apus_sasl_interact **wanted,
           const char **answer, unsigned *answer_size),
          (connection, data, size, wanted, answer, answer_size), -1)
APUS_SASL(int, sasl_encode,
          (struct apus_sasl_connection *connection, const char *data, unsigned size, const char **result,
           unsigned *result_size),
          (connection, data, size, result, result_size), -1)
APUS_SASL(int, sasl_decode,
          (struct apus_sasl_connection *connection, const char *data, unsigned size, const char **result,
           unsigned *result_size),
          (connection, data, size, result, result_size), -1)
APUS_SASL(const char *, sasl_errdetail, (struct apus_sasl_connection *connection), (connection), 0)
APUS_SASL(const char *, sasl_errstring, (int code, const char *languages, const char **language),
          (code, languages, language), 0)
#undef APUS_SASL
