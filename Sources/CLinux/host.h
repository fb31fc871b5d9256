// What a look at the host asks for: files that can be used, room on a disk.
#ifndef APUS_HOST_H
#define APUS_HOST_H
#include "linux.h"
#include <sys/statvfs.h>

static inline int apus_can_use(const char *path, int for_writing) {
    return access(path, for_writing ? R_OK | W_OK : F_OK) == 0;
}
static inline int64_t apus_free_bytes(const char *path) {
    struct statvfs status;
    if (statvfs(path, &status) != 0) return -1;
    return (int64_t)status.f_bavail * (int64_t)status.f_frsize;
}

#endif
