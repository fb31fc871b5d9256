// As whom a process goes on when it becomes another program, and with which of root's powers (credentials(7),
// capabilities(7)).
#ifndef APUS_IDENTITY_H
#define APUS_IDENTITY_H
#include <fcntl.h>
#include <linux/capability.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

struct apus_identity {
    int has_user; // otherwise the user, the group and its others stay
    uint32_t user;
    uint32_t group;
    const uint32_t *groups;
    int group_count;
    int has_powers; // otherwise all stay, as far as the user lets them
    uint64_t powers; // a bit for each `CAP_…` that is kept; the others are gone for all that it starts, too
    const char *label; // what SELinux is to know the program as, or null
};

// The next program that this thread becomes gets the label.
static inline int apus_label_next(const char *label) {
    int fd = open("/proc/thread-self/attr/exec", O_WRONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    ssize_t written = write(fd, label, strlen(label) + 1);
    int reason = errno;
    close(fd);
    errno = reason;
    return written < 0 ? -1 : 0;
}
static inline int apus_drop_bounds(uint64_t powers) {
    for (int power = 0; power < 64; power++) {
        int is_there = prctl(PR_CAPBSET_READ, power, 0, 0, 0);
        if (is_there < 0) break; // more than the kernel knows
        if (is_there && !(powers >> power & 1) && prctl(PR_CAPBSET_DROP, power, 0, 0, 0) != 0) return -1;
    }
    return 0;
}
// No more than there is: a daemon in a container has not all of root's powers.
static inline int apus_keep_powers(uint64_t powers, int has_user) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    if (syscall(SYS_capget, &header, data) != 0) return -1;
    powers &= (uint64_t)data[1].permitted << 32 | data[0].permitted;
    for (int half = 0; half < 2; half++) {
        data[half].permitted = data[half].effective = (uint32_t)(powers >> 32 * half);
        // Root has what the bounds let it have; another user what it inherits.
        data[half].inheritable = has_user ? data[half].permitted : 0;
    }
    if (syscall(SYS_capset, &header, data) != 0) return -1;
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) return -1;
    for (int power = 0; has_user && power < 64; power++) {
        if (powers >> power & 1 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, power, 0, 0) != 0) return -1;
    }
    return 0;
}
// In a child that shares the memory of its parent: the C library's own calls would have all threads of the parent follow.
static inline int apus_become(const struct apus_identity *identity) {
    if (identity->has_powers && apus_drop_bounds(identity->powers) != 0) return -1;
    if (identity->has_user) {
        if (identity->has_powers && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) return -1;
        if (syscall(SYS_setgroups, identity->group_count, identity->groups) != 0
            || syscall(SYS_setresgid, identity->group, identity->group, identity->group) != 0
            || syscall(SYS_setresuid, identity->user, identity->user, identity->user) != 0)
            return -1;
    }
    return identity->has_powers ? apus_keep_powers(identity->powers, identity->has_user) : 0;
}

#endif
