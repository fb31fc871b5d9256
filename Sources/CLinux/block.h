// Block I/O of the kernel: io_uring, vectored I/O with flags, block-device ioctl numbers, OFD locks.
#ifndef APUS_LINUX_BLOCK_H
#define APUS_LINUX_BLOCK_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/io_uring.h>
#include <spawn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

// linux/fs.h, as constants: the importer does not see macros made of macros.
static const unsigned long apus_BLKROGET = _IO(0x12, 94);
static const unsigned long apus_BLKSSZGET = _IO(0x12, 104);
static const unsigned long apus_BLKGETSIZE64 = _IOR(0x12, 114, size_t);
static const unsigned long apus_BLKDISCARD = _IO(0x12, 119);
static const unsigned long apus_BLKZEROOUT = _IO(0x12, 127);
static const int apus_RWF_DSYNC = 2;
static const int apus_SEEK_DATA = 3;
static const int apus_SEEK_HOLE = 4;

static inline int apus_uring_setup(unsigned entries, struct io_uring_params *params) {
    return (int)syscall(SYS_io_uring_setup, entries, params);
}
static inline int apus_uring_enter(int fd, unsigned submit, unsigned wait, unsigned flags) {
    return (int)syscall(SYS_io_uring_enter, fd, submit, wait, flags, (void *)0, 0);
}
static inline int apus_uring_register(int fd, unsigned opcode, void *argument, unsigned count) {
    return (int)syscall(SYS_io_uring_register, fd, opcode, argument, count);
}
// True when the running kernel's io_uring knows every operation this program submits (all are in Linux 5.6).
static inline int apus_uring_supported(int fd) {
    union {
        struct io_uring_probe probe;
        uint8_t room[sizeof(struct io_uring_probe) + 64 * sizeof(struct io_uring_probe_op)];
    } reply;
    static const uint8_t wanted[] = {IORING_OP_NOP,   IORING_OP_READ,  IORING_OP_WRITE,    IORING_OP_READV,
                                     IORING_OP_WRITEV, IORING_OP_FSYNC, IORING_OP_FALLOCATE};
    memset(&reply, 0, sizeof reply);
    if (syscall(SYS_io_uring_register, fd, IORING_REGISTER_PROBE, &reply, 64) < 0) return 0;
    for (unsigned i = 0; i < sizeof wanted; i++)
        if (wanted[i] > reply.probe.last_op || !(reply.probe.ops[wanted[i]].flags & IO_URING_OP_SUPPORTED)) return 0;
    return 1;
}
static inline void apus_sqe_fill(struct io_uring_sqe *sqe, uint8_t opcode, int fd, uint64_t offset, uint64_t address,
                                 uint32_t length, uint32_t flags, uint64_t token) {
    memset(sqe, 0, sizeof *sqe);
    sqe->opcode = opcode;
    sqe->fd = fd;
    sqe->off = offset;
    sqe->addr = address;
    sqe->len = length;
    sqe->rw_flags = (int)flags;
    sqe->user_data = token;
}
// The entry's memory is one of the ring's registered buffers.
static inline void apus_sqe_buffer(struct io_uring_sqe *sqe, uint16_t index) { sqe->buf_index = index; }
static inline int apus_uring_register_buffers(int fd, const struct iovec *buffers, unsigned count) {
    return (int)syscall(SYS_io_uring_register, fd, IORING_REGISTER_BUFFERS, buffers, count);
}
static inline int apus_uring_unregister_buffers(int fd) {
    return (int)syscall(SYS_io_uring_register, fd, IORING_UNREGISTER_BUFFERS, (void *)0, 0);
}
// The ring's indices are shared with the kernel: one side stores with release, the other loads with acquire.
static inline uint32_t apus_ring_acquire(const uint32_t *word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }
static inline void apus_ring_release(uint32_t *word, uint32_t value) {
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static inline long apus_preadv(int fd, const struct iovec *parts, int count, int64_t offset) {
    return preadv(fd, parts, count, offset);
}
static inline long apus_pwritev(int fd, const struct iovec *parts, int count, int64_t offset, int flags) {
    return flags ? pwritev2(fd, parts, count, offset, flags) : pwritev(fd, parts, count, offset);
}
static inline int apus_fallocate(int fd, int mode, int64_t offset, int64_t length) {
    return fallocate(fd, mode, offset, length);
}
static inline int64_t apus_lseek(int fd, int64_t offset, int whence) { return lseek(fd, offset, whence); }
static inline long apus_copy_range(int from, int64_t *source, int to, int64_t *target, size_t count) {
    return copy_file_range(from, source, to, target, count, 0);
}
static inline int apus_ftruncate(int fd, int64_t length) { return ftruncate(fd, length); }
static inline int apus_ioctl_range(int fd, unsigned long request, uint64_t start, uint64_t length) {
    uint64_t range[2] = {start, length};
    return ioctl(fd, request, range);
}
static inline int apus_ioctl_u64(int fd, unsigned long request, uint64_t *value) { return ioctl(fd, request, value); }
static inline int apus_ioctl_int(int fd, unsigned long request, int *value) { return ioctl(fd, request, value); }
static inline int apus_fstat(int fd, struct stat *status) { return fstat(fd, status); }
static inline int apus_is_regular(const struct stat *status) { return S_ISREG(status->st_mode); }
static inline int apus_is_directory(const struct stat *status) { return S_ISDIR(status->st_mode); }
static inline int apus_is_block_device(const struct stat *status) { return S_ISBLK(status->st_mode); }
static inline int apus_is_character_device(const struct stat *status) { return S_ISCHR(status->st_mode); }

// A lock of one byte that belongs to the open file description: shared (read) or none.
static inline int apus_lock_byte(int fd, int64_t offset, int lock) {
    struct flock range = {.l_type = (short)(lock ? F_RDLCK : F_UNLCK), .l_whence = SEEK_SET, .l_start = offset,
                          .l_len = 1};
    return fcntl(fd, F_OFD_SETLK, &range);
}
// 1 when another open file description holds a lock of the byte, 0 when none does, -1 on an error.
static inline int apus_lock_test(int fd, int64_t offset) {
    struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = offset, .l_len = 1};
    if (fcntl(fd, F_OFD_GETLK, &range) < 0) return -1;
    return range.l_type != F_UNLCK;
}

#endif
