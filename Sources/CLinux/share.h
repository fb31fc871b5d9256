// Files of a shared folder, each by a descriptor of it (O_PATH) or by one name in a folder that is such a descriptor.
// Nothing here follows a symbolic link of the folder. Every function returns its result, or an error number below zero.
#ifndef APUS_SHARE_H
#define APUS_SHARE_H
#include "linux.h"
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

struct apus_share_status {
    uint64_t device, inode, links, special;
    uint32_t mode, owner, group;
    int64_t size, block_size, blocks;
    int64_t accessed, accessed_part, modified, modified_part, changed, changed_part;
};
struct apus_share_system {
    uint64_t type, block_size, blocks, free, available, files, free_files, id, name_length;
};

#define APUS_SHARE_ANSWER(call)                 \
    do {                                        \
        long answer;                            \
        do answer = (call);                     \
        while (answer < 0 && errno == EINTR);   \
        return answer < 0 ? -(long)errno : answer; \
    } while (0)

// The name under which the kernel knows a descriptor of this process: it leads to the file itself, a link too.
struct apus_share_name {
    char text[32];
};
static inline struct apus_share_name apus_share_name(int fd) {
    struct apus_share_name name;
    snprintf(name.text, sizeof name.text, "/proc/self/fd/%d", fd);
    return name;
}

static inline long apus_share_root(const void *path) {
    APUS_SHARE_ANSWER(open((const char *)path, O_PATH | O_DIRECTORY | O_CLOEXEC));
}
static inline long apus_share_child(int folder, const void *name) {
    APUS_SHARE_ANSWER(openat(folder, (const char *)name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
}
static inline long apus_share_create(int folder, const void *name, int flags, unsigned mode) {
    APUS_SHARE_ANSWER(openat(folder, (const char *)name,
                             flags | O_CREAT | O_EXCL | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC, mode));
}
// The file of a descriptor, opened anew. Only for regular files and folders.
static inline long apus_share_reopen(int fd, int flags) {
    APUS_SHARE_ANSWER(open(apus_share_name(fd).text, flags | O_NOCTTY | O_CLOEXEC));
}
static inline long apus_share_pin(int fd) { APUS_SHARE_ANSWER(open(apus_share_name(fd).text, O_PATH | O_CLOEXEC)); }
static inline void apus_share_fill(struct apus_share_status *result, const struct stat *status) {
    result->device = status->st_dev, result->inode = status->st_ino;
    result->links = status->st_nlink, result->special = status->st_rdev;
    result->mode = status->st_mode, result->owner = status->st_uid, result->group = status->st_gid;
    result->size = status->st_size, result->block_size = status->st_blksize, result->blocks = status->st_blocks;
    result->accessed = status->st_atim.tv_sec, result->accessed_part = status->st_atim.tv_nsec;
    result->modified = status->st_mtim.tv_sec, result->modified_part = status->st_mtim.tv_nsec;
    result->changed = status->st_ctim.tv_sec, result->changed_part = status->st_ctim.tv_nsec;
}
static inline long apus_share_status(int fd, struct apus_share_status *result) {
    struct stat status;
    if (fstat(fd, &status) != 0) return -(long)errno;
    apus_share_fill(result, &status);
    return 0;
}
static inline long apus_share_status_at(int folder, const void *name, struct apus_share_status *result) {
    struct stat status;
    if (fstatat(folder, (const char *)name, &status, AT_SYMLINK_NOFOLLOW) != 0) return -(long)errno;
    apus_share_fill(result, &status);
    return 0;
}
static inline long apus_share_system(int fd, struct apus_share_system *result) {
    struct statfs status;
    if (fstatfs(fd, &status) != 0) return -(long)errno;
    memset(result, 0, sizeof *result);
    result->type = (uint32_t)status.f_type, result->block_size = status.f_bsize;
    result->blocks = status.f_blocks, result->free = status.f_bfree, result->available = status.f_bavail;
    result->files = status.f_files, result->free_files = status.f_ffree;
    memcpy(&result->id, &status.f_fsid, sizeof result->id < sizeof status.f_fsid ? sizeof result->id : sizeof status.f_fsid);
    result->name_length = status.f_namelen;
    return 0;
}
static inline long apus_share_read(int fd, void *bytes, size_t count, int64_t offset) {
    APUS_SHARE_ANSWER(pread(fd, bytes, count, offset));
}
static inline long apus_share_write(int fd, const void *bytes, size_t count, int64_t offset) {
    APUS_SHARE_ANSWER(pwrite(fd, bytes, count, offset));
}
static inline long apus_share_entries(int fd, void *bytes, size_t count) {
    APUS_SHARE_ANSWER(syscall(SYS_getdents64, fd, bytes, count));
}
static inline long apus_share_seek(int fd, int64_t offset) { APUS_SHARE_ANSWER(lseek(fd, offset, SEEK_SET)); }
static inline long apus_share_sync(int fd, int only_data) { APUS_SHARE_ANSWER(only_data ? fdatasync(fd) : fsync(fd)); }
static inline long apus_share_resize(int fd, int64_t size) { APUS_SHARE_ANSWER(ftruncate(fd, size)); }
static inline long apus_share_make_folder(int folder, const void *name, unsigned mode) {
    APUS_SHARE_ANSWER(mkdirat(folder, (const char *)name, mode));
}
static inline long apus_share_make_link(const void *target, int folder, const void *name) {
    APUS_SHARE_ANSWER(symlinkat((const char *)target, folder, (const char *)name));
}
static inline long apus_share_make_special(int folder, const void *name, unsigned mode, unsigned major, unsigned minor) {
    APUS_SHARE_ANSWER(mknodat(folder, (const char *)name, mode, makedev(major, minor)));
}
static inline uint64_t apus_share_device(unsigned major, unsigned minor) { return makedev(major, minor); }
static inline long apus_share_add_name(int fd, int folder, const void *name) {
    APUS_SHARE_ANSWER(linkat(AT_FDCWD, apus_share_name(fd).text, folder, (const char *)name, AT_SYMLINK_FOLLOW));
}
static inline long apus_share_target(int fd, void *bytes, size_t count) {
    APUS_SHARE_ANSWER(readlinkat(fd, "", (char *)bytes, count));
}
static inline long apus_share_rename(int from, const void *name, int to, const void *new_name) {
    APUS_SHARE_ANSWER(renameat(from, (const char *)name, to, (const char *)new_name));
}
static inline long apus_share_remove(int folder, const void *name, int is_folder) {
    APUS_SHARE_ANSWER(unlinkat(folder, (const char *)name, is_folder ? AT_REMOVEDIR : 0));
}
static inline long apus_share_set_mode(int fd, unsigned mode) { APUS_SHARE_ANSWER(chmod(apus_share_name(fd).text, mode)); }
static inline long apus_share_set_owner(int fd, uint32_t owner, uint32_t group) {
    APUS_SHARE_ANSWER(fchownat(fd, "", owner, group, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW));
}
// Kinds of times: 0 as it is, 1 now, 2 as given.
static inline long apus_share_set_times(int fd, int access, int64_t accessed, int64_t accessed_part, int change,
                                        int64_t modified, int64_t modified_part) {
    struct timespec times[2] = {{accessed, accessed_part}, {modified, modified_part}};
    if (access != 2) times[0].tv_nsec = access == 1 ? UTIME_NOW : UTIME_OMIT;
    if (change != 2) times[1].tv_nsec = change == 1 ? UTIME_NOW : UTIME_OMIT;
    if (utimensat(fd, "", times, AT_EMPTY_PATH) == 0) return 0;
    APUS_SHARE_ANSWER(utimensat(AT_FDCWD, apus_share_name(fd).text, times, 0));
}
static inline long apus_share_attribute(int fd, const void *name, void *bytes, size_t count) {
    APUS_SHARE_ANSWER(getxattr(apus_share_name(fd).text, (const char *)name, bytes, count));
}
static inline long apus_share_attributes(int fd, void *bytes, size_t count) {
    APUS_SHARE_ANSWER(listxattr(apus_share_name(fd).text, (char *)bytes, count));
}
static inline long apus_share_set_attribute(int fd, const void *name, const void *bytes, size_t count, int flags) {
    APUS_SHARE_ANSWER(setxattr(apus_share_name(fd).text, (const char *)name, bytes, count, flags));
}
static inline long apus_share_remove_attribute(int fd, const void *name) {
    APUS_SHARE_ANSWER(removexattr(apus_share_name(fd).text, (const char *)name));
}
// Allows this process as many descriptors as it may have, up to `wanted`, and returns how many it then may have.
static inline long apus_share_descriptors(long wanted) {
    // As in `struct rlimit64`, which <sys/resource.h> would bring along with more than the C library's Swift module has.
    // RLIMIT_NOFILE is 7.
    uint64_t limit[2], target = (uint64_t)wanted;
    if (syscall(SYS_prlimit64, 0, 7, (void *)0, limit) != 0) return -(long)errno;
    if (limit[0] < target && limit[0] < limit[1]) {
        uint64_t more[2] = {limit[1] < target ? limit[1] : target, limit[1]};
        if (syscall(SYS_prlimit64, 0, 7, more, (void *)0) == 0) limit[0] = more[0];
    }
    return limit[0] < target ? (long)limit[0] : wanted;
}

#endif
