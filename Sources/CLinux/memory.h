// Memory that comes when it is touched (userfaultfd(2)), and files that are memory and are changed no more.
#ifndef APUS_MEMORY_H
#define APUS_MEMORY_H
#include "linux.h"
#include <linux/userfaultfd.h>
#include <stddef.h>
#include <sys/stat.h>

// A descriptor that hears of faults of this process, those inside the kernel too: allowed to the privileged, and to
// all where vm.unprivileged_userfaultfd is 1 or /dev/userfaultfd may be opened.
static inline int apus_fault_descriptor(void) {
    int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        int device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
        if (device < 0) return -1;
        fd = ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
        int reason = errno;
        close(device);
        errno = reason;
        if (fd < 0) return -1;
    }
    struct uffdio_api api = {.api = UFFD_API};
    if (ioctl(fd, UFFDIO_API, &api) != 0) {
        int reason = errno;
        close(fd);
        errno = reason;
        return -1;
    }
    return fd;
}
static inline int apus_fault_watch(int fd, void *start, size_t count) {
    struct uffdio_register range = {
        .range = {.start = (uintptr_t)start, .len = count}, .mode = UFFDIO_REGISTER_MODE_MISSING};
    return ioctl(fd, UFFDIO_REGISTER, &range);
}
static inline int apus_fault_unwatch(int fd, void *start, size_t count) {
    struct uffdio_range range = {.start = (uintptr_t)start, .len = count};
    return ioctl(fd, UFFDIO_UNREGISTER, &range);
}
// Fills pages that are not there yet, and wakes who waits for them. Bytes that were filled, or -1 with the reason.
static inline long apus_fault_fill(int fd, void *target, const void *source, size_t count) {
    struct uffdio_copy copy = {.dst = (uintptr_t)target, .src = (uintptr_t)source, .len = count};
    if (ioctl(fd, UFFDIO_COPY, &copy) == 0) return (long)count;
    return copy.copy > 0 ? (long)copy.copy : -1;
}
static inline long apus_fault_zero(int fd, void *target, size_t count) {
    struct uffdio_zeropage zero = {.range = {.start = (uintptr_t)target, .len = count}};
    if (ioctl(fd, UFFDIO_ZEROPAGE, &zero) == 0) return (long)count;
    return zero.zeropage > 0 ? (long)zero.zeropage : -1;
}
// Wakes who waits for pages that are there.
static inline int apus_fault_wake(int fd, void *start, size_t count) {
    struct uffdio_range range = {.start = (uintptr_t)start, .len = count};
    return ioctl(fd, UFFDIO_WAKE, &range);
}
// The address of the next fault; 0 for an event of another kind, -1 where there is none.
static inline long apus_fault_next(int fd) {
    struct uffd_msg message;
    if (read(fd, &message, sizeof message) != (long)sizeof message) return -1;
    return message.event == UFFD_EVENT_PAGEFAULT ? (long)message.arg.pagefault.address : 0;
}

static inline long apus_pread(int fd, void *buffer, size_t count, int64_t offset) {
    return pread(fd, buffer, count, offset);
}
static inline long apus_pwrite(int fd, const void *buffer, size_t count, int64_t offset) {
    return pwrite(fd, buffer, count, offset);
}
// Keeps a memory file's size as it is: who maps it is safe from others who would cut it short.
static inline int apus_seal_size(int fd) { return fcntl(fd, 1033 /* F_ADD_SEALS */, 2 | 4 /* SHRINK, GROW */); }
// Nobody writes a memory file or changes its size from now on.
static inline int apus_seal(int fd) {
    return fcntl(fd, 1033 /* F_ADD_SEALS */, 1 | 2 | 4 | 8 /* SEAL, SHRINK, GROW, WRITE */);
}
static inline int apus_is_sealed(int fd) {
    int seals = fcntl(fd, 1034 /* F_GET_SEALS */);
    return seals >= 0 && (seals & (2 | 8)) == (2 | 8);
}
static inline int apus_is_plain_file(int fd) {
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}
// Room in a pipe, in bytes; as much as is allowed.
static inline int apus_pipe_size(int fd, int count) { return fcntl(fd, 1031 /* F_SETPIPE_SZ */, count); }

#endif
