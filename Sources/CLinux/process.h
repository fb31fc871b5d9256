// Other processes and folders: starting, watching, naming.
#ifndef APUS_PROCESS_H
#define APUS_PROCESS_H
#include "confine.h"
#include "isolate.h"
#include "linux.h"
#include <dirent.h>
#include <pwd.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>

// A process in a session of its own, with no signal blocked, whose descriptors 0, 1, ... are those given; all others
// close. Returns 0 and its number, or an error number.
static inline int apus_spawn(const char *path, char *const *arguments, char *const *environment, const int *fds,
                             int count, int own_session, pid_t *process) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigemptyset(&all);
    sigaddset(&all, SIGPIPE);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    // Above all sources and targets first, so that no source is overwritten before it is used.
    int above = count;
    for (int i = 0; i < count; i++) above = fds[i] >= above ? fds[i] + 1 : above;
    for (int i = 0; i < count; i++) posix_spawn_file_actions_adddup2(&actions, fds[i], above + i);
    for (int i = 0; i < count; i++) posix_spawn_file_actions_adddup2(&actions, above + i, i);
    for (int i = 0; i < count; i++) posix_spawn_file_actions_addclose(&actions, above + i);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                                 (own_session ? POSIX_SPAWN_SETSID : 0));
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    int status = posix_spawn(process, path, &actions, &attributes, arguments, environment);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return status;
}
static inline int apus_pidfd_open(pid_t process) { return (int)syscall(SYS_pidfd_open, process, 0); }
static inline int apus_pidfd_signal(int fd, int number) {
    return (int)syscall(SYS_pidfd_send_signal, fd, number, (void *)0, 0);
}
// Takes the end of a child; -1: not ended, or not a child.
static inline int apus_reap(pid_t process) {
    int status = 0;
    return waitpid(process, &status, WNOHANG) == process ? status : -1;
}
static inline int apus_peer(int fd, int32_t *process, uint32_t *user, uint32_t *group) {
    struct ucred credentials;
    socklen_t length = sizeof credentials;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) return -1;
    *process = credentials.pid;
    *user = credentials.uid;
    *group = credentials.gid;
    return 0;
}
static inline int apus_make_folder(const char *path, unsigned mode) { return mkdir(path, mode); }
static inline int apus_rename(const char *from, const char *to) { return rename(from, to); }
static inline int apus_fsync(int fd) { return fsync(fd); }
static inline int apus_chmod(const char *path, unsigned mode) { return chmod(path, mode); }
static inline int apus_link_to(const char *target, const char *path) { return symlink(target, path); }
static inline int apus_truncate(int fd, int64_t size) { return ftruncate(fd, size); }
// 0: nothing there, 1: a file, 2: a folder, 3: a socket, 4: a block device, 5: else
static inline int apus_path_kind(const char *path, int64_t *size, int64_t *allocated) {
    struct stat status;
    if (stat(path, &status) != 0) return 0;
    *size = status.st_size;
    *allocated = (int64_t)status.st_blocks * 512;
    if (S_ISREG(status.st_mode)) return 1;
    if (S_ISDIR(status.st_mode)) return 2;
    if (S_ISSOCK(status.st_mode)) return 3;
    return S_ISBLK(status.st_mode) ? 4 : 5;
}
// mode, owner, group; then seconds and nanoseconds of access, modification and change
static inline int apus_path_details(const char *path, int64_t values[9]) {
    struct stat status;
    if (stat(path, &status) != 0) return -1;
    values[0] = status.st_mode & 07777;
    values[1] = status.st_uid;
    values[2] = status.st_gid;
    values[3] = status.st_atim.tv_sec;
    values[4] = status.st_atim.tv_nsec;
    values[5] = status.st_mtim.tv_sec;
    values[6] = status.st_mtim.tv_nsec;
    values[7] = status.st_ctim.tv_sec;
    values[8] = status.st_ctim.tv_nsec;
    return 0;
}
// total and free blocks in bytes
static inline int apus_file_system(const char *path, uint64_t values[2]) {
    struct statvfs status;
    if (statvfs(path, &status) != 0) return -1;
    values[0] = (uint64_t)status.f_blocks * status.f_frsize;
    values[1] = (uint64_t)status.f_bfree * status.f_frsize;
    return 0;
}
static inline int64_t apus_seek(int fd, int64_t offset, int whence) { return lseek(fd, offset, whence); }
static inline int apus_remove_folder(const char *path) { return rmdir(path); }
static inline DIR *apus_open_folder(const char *path) { return opendir(path); }
static inline const char *apus_next_entry(DIR *folder) {
    struct dirent *entry = readdir(folder);
    return entry ? entry->d_name : (const char *)0;
}
static inline void apus_close_folder(DIR *folder) { closedir(folder); }
static inline int apus_host_name(char *buffer, size_t size) { return gethostname(buffer, size); }
static inline unsigned apus_user(void) { return geteuid(); }
static inline const char *apus_environment(const char *name) { return getenv(name); }
static inline int apus_home(char *buffer, size_t size) {
    const char *home = getenv("HOME");
    if (!home || !*home) {
        struct passwd *entry = getpwuid(geteuid());
        home = entry ? entry->pw_dir : "/";
    }
    snprintf(buffer, size, "%s", home);
    return 0;
}

#endif
