// Landlock(7) and seccomp(2): what a process may no longer do.
#ifndef APUS_CONFINE_H
#define APUS_CONFINE_H
#include "linux.h"
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

// The numbers are the same on every machine; older headers do not have them.
#define APUS_LANDLOCK_CREATE_RULESET 444
#define APUS_LANDLOCK_ADD_RULE 445
#define APUS_LANDLOCK_RESTRICT_SELF 446

// The version of the kernel's Landlock; -1: there is none.
static inline int apus_landlock_version(void) {
    return (int)syscall(APUS_LANDLOCK_CREATE_RULESET, (void *)0, 0, 1);
}
static inline int apus_landlock_ruleset(uint64_t files, uint64_t scopes, int version) {
    struct { uint64_t files, network, scopes; } attributes = {files, 0, scopes};
    return (int)syscall(APUS_LANDLOCK_CREATE_RULESET, &attributes, version >= 6 ? 24 : 8, 0);
}
static inline int apus_landlock_allow(int ruleset, int path, uint64_t rights) {
    struct { uint64_t rights; int32_t path; } __attribute__((packed)) rule = {rights, path};
    return (int)syscall(APUS_LANDLOCK_ADD_RULE, ruleset, 1, &rule, 0);
}
// Puts all threads of the process under a filter: 0, or the number of the error.
static inline int apus_seccomp(const struct sock_filter *steps, unsigned short count) {
    struct sock_fprog program = {count, (struct sock_filter *)steps};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno;
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0 ? 0 : errno;
}

#endif
