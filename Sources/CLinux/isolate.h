// Processes that see less of the host than their parent: in namespaces of their own, with a root of their own, within a
// Landlock ruleset (clone(2), namespaces(7), pivot_root(2), landlock(7)).
#ifndef APUS_ISOLATE_H
#define APUS_ISOLATE_H
#include "confine.h"
#include "identity.h"
#include "linux.h"
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>

// What the child does before it becomes the other program, in this order.
enum {
    APUS_STEP_FOLDER,    // makes the folder `path` where there is none
    APUS_STEP_FILE,      // makes the empty file `path` where there is none
    APUS_STEP_BIND,      // shows what is at `other` at `path` too, with all that is mounted below
    APUS_STEP_READ_ONLY, // nothing at or below the mount `path` is changed through it
    APUS_STEP_TEMPORARY, // mounts an empty file system in memory, of `other`
    APUS_STEP_PROCESSES, // mounts a list of the namespace's processes
    APUS_STEP_NODE,      // makes the device `number` with `mode`, owned by `owner`
    APUS_STEP_LINK,      // makes a symbolic link that leads to `other`
    APUS_STEP_ROOT,      // makes the mount `path` the root, without the one before
    APUS_STEP_ALLOW,     // adds `path` with the rights `number` to the ruleset
    APUS_STEP_LABEL,     // gives `path` itself, which may be a link, SELinux's label `other`
    APUS_STEP_TRANSIT,   // what follows is to take a label of its own on when it becomes a program
};
struct apus_step {
    int kind;
    const char *path;
    const char *other;
    uint64_t number;
    uint32_t mode;
    uint32_t owner;
};
struct apus_start {
    const char *path;
    char *const *arguments;
    char *const *environment;
    const int *fds;
    int count;
    int ruleset; // -1: none
    const struct apus_step *steps;
    int step_count;
    const struct apus_identity *identity; // null: its parent's
    // What went wrong: an error number, and the step that did (or none); behind the last are the identity's label and itself.
    volatile int failure;
    volatile int failed_step;
};

static inline int apus_pivot(const char *path) {
    if (chdir(path) != 0) return -1;
    // The old root ends up above the new one, and goes with all that is mounted in it.
    if (syscall(SYS_pivot_root, ".", ".") != 0 || umount2(".", MNT_DETACH) != 0) return -1;
    return chdir("/");
}
static inline int apus_protect(const char *path) {
    struct { uint64_t set, clear, propagation, user; } attributes = {1 /* MOUNT_ATTR_RDONLY */, 0, 0, 0};
    return (int)syscall(442 /* mount_setattr */, AT_FDCWD, path, 0x8000 /* AT_RECURSIVE */, &attributes, sizeof attributes);
}
static inline int apus_make_node(const struct apus_step *step) {
    if (mknod(step->path, step->mode, (dev_t)step->number) != 0) return -1;
    // The mask of the process that started this one has taken its part.
    if (chmod(step->path, step->mode & 07777) != 0) return -1;
    return chown(step->path, step->owner, (gid_t)-1);
}
static inline int apus_take_step(const struct apus_step *step, int ruleset) {
    int status, fd;
    switch (step->kind) {
    case APUS_STEP_FOLDER:
        status = mkdir(step->path, 0755);
        return status != 0 && errno == EEXIST ? 0 : status;
    case APUS_STEP_FILE:
        fd = open(step->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (fd < 0) return errno == EEXIST ? 0 : -1;
        return close(fd);
    case APUS_STEP_BIND: return mount(step->other, step->path, 0, MS_BIND | MS_REC, 0);
    case APUS_STEP_READ_ONLY: return apus_protect(step->path);
    case APUS_STEP_TEMPORARY: return mount("tmpfs", step->path, "tmpfs", MS_NOSUID, step->other);
    case APUS_STEP_PROCESSES: return mount("proc", step->path, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, 0);
    case APUS_STEP_NODE: return apus_make_node(step);
    case APUS_STEP_LINK:
        status = symlink(step->other, step->path);
        return status != 0 && errno == EEXIST ? 0 : status;
    case APUS_STEP_ROOT: return apus_pivot(step->path);
    case APUS_STEP_ALLOW:
        if (ruleset < 0) return 0;
        fd = open(step->path, O_PATH | O_CLOEXEC);
        if (fd < 0) return -1;
        status = apus_landlock_allow(ruleset, fd, step->number);
        close(fd);
        return status;
    case APUS_STEP_LABEL: return lsetxattr(step->path, "security.selinux", step->other, strlen(step->other) + 1, 0);
    case APUS_STEP_TRANSIT: return 0;
    }
    errno = EINVAL;
    return -1;
}
// The child. It shares the memory of its parent, which waits, and does nothing but system calls.
static inline int apus_begin(void *argument) {
    struct apus_start *start = argument;
    setsid();
    struct sigaction standard = {.sa_handler = SIG_DFL};
    sigaction(SIGPIPE, &standard, 0);
    // What is mounted here is nobody else's matter.
    int status = start->step_count > 0 ? mount(0, "/", 0, MS_REC | MS_PRIVATE, 0) : 0;
    int transits = 0;
    for (int i = 0; i < start->step_count && status == 0; i++) {
        status = apus_take_step(&start->steps[i], start->ruleset);
        if (status != 0) start->failed_step = i;
        if (start->steps[i].kind == APUS_STEP_TRANSIT) transits = 1;
    }
    if (status == 0 && start->identity && start->identity->label) {
        status = apus_label_next(start->identity->label);
        if (status != 0) start->failed_step = start->step_count;
    }
    if (status == 0 && start->ruleset >= 0) {
        // With it SELinux refuses transitions that usual policies allow. Who may mount needs it for no ruleset.
        if (!transits) status = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        if (status == 0) status = (int)syscall(APUS_LANDLOCK_RESTRICT_SELF, start->ruleset, 0);
    }
    if (status == 0 && start->identity) {
        status = apus_become(start->identity);
        if (status != 0) start->failed_step = start->step_count + 1;
    }
    int above = start->count;
    for (int i = 0; i < start->count; i++) above = start->fds[i] >= above ? start->fds[i] + 1 : above;
    for (int i = 0; i < start->count && status >= 0; i++) status = dup3(start->fds[i], above + i, O_CLOEXEC);
    for (int i = 0; i < start->count && status >= 0; i++) status = dup2(above + i, i);
    if (status >= 0) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, 0);
        execve(start->path, start->arguments, start->environment);
    }
    start->failure = errno ? errno : EINVAL;
    _exit(127);
}
#define APUS_BEGIN_STACK 65536
// Starts a process in a session of its own, with no signal blocked, in new namespaces (`CLONE_NEW…`), by the steps, within
// the ruleset and as whom the identity says, whose descriptors 0, 1, ... are those given; all others close. posix_spawn has no step for that.
// Returns 0 and its number, or an error number.
__attribute__((noinline)) static int apus_spawn_confined(struct apus_start *start, int namespaces, pid_t *process) {
    sigset_t all, before;
    sigfillset(&all);
    start->failure = 0;
    start->failed_step = -1;
    char *stack = mmap(0, APUS_BEGIN_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack == MAP_FAILED) return errno;
    int is_dumpable = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
    // No handler of ours may run in the child.
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t child =
        clone(apus_begin, stack + APUS_BEGIN_STACK, CLONE_VM | CLONE_VFORK | SIGCHLD | namespaces, start);
    int reason = errno;
    pthread_sigmask(SIG_SETMASK, &before, 0);
    munmap(stack, APUS_BEGIN_STACK);
    // The kernel forbids dumps of memory that another user has begun in, and it was this process's.
    if (is_dumpable == 1) prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    if (child < 0) return reason;
    if (start->failure) {
        waitpid(child, 0, 0);
        return start->failure;
    }
    *process = child;
    return 0;
}
// The number and the mode of the device at `path`; -1: there is none.
static inline int apus_device_number(const char *path, uint64_t *number, uint32_t *mode) {
    struct stat status;
    if (stat(path, &status) != 0) return -1;
    if (!S_ISBLK(status.st_mode) && !S_ISCHR(status.st_mode)) return -1;
    *number = status.st_rdev;
    *mode = status.st_mode;
    return 0;
}
// An owner or a group of all ones stays as it is.
static inline int apus_set_owner(const char *path, uint32_t owner, uint32_t group) { return chown(path, owner, group); }
static inline int64_t apus_attribute(const char *path, const char *name, void *bytes, size_t count) {
    return getxattr(path, name, bytes, count);
}
static inline int apus_set_attribute(const char *path, const char *name, const void *bytes, size_t count) {
    return setxattr(path, name, bytes, count, 0);
}
static inline int apus_remove_attribute(const char *path, const char *name) { return removexattr(path, name); }
// CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC, and CLONE_NEWNET
static inline int apus_namespaces(int network) {
    return CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | (network ? CLONE_NEWNET : 0);
}

#endif
