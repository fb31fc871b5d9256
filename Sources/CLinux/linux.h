// What `import Glibc` does not show: system-call numbers, ioctl numbers and inline wrappers of variadic functions.
#ifndef APUS_LINUX_H
#define APUS_LINUX_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <features.h>
// Swift's own Glibc module is built without _GNU_SOURCE, and a type must have the same members in both.
#pragma push_macro("__USE_XOPEN")
#undef __USE_XOPEN
#include <sys/select.h>
#pragma pop_macro("__USE_XOPEN")
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/memfd.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

static inline int apus_memfd_create(const char *name, unsigned flags) {
    return (int)syscall(SYS_memfd_create, name, flags);
}
// Where pages of a range come from (mbind(2)); `mask` has `bits` bits.
static inline long apus_mbind(void *address, unsigned long count, int mode, const unsigned long *mask, unsigned long bits) {
    return syscall(SYS_mbind, address, count, mode, mask, bits, 0UL);
}
// Writes a byte's own value to it.
static inline void apus_touch(void *byte) { __atomic_fetch_add((unsigned char *)byte, 0, __ATOMIC_RELAXED); }
static inline int apus_gettid(void) { return (int)syscall(SYS_gettid); }
// Sleeps while `*word == expected`, at most until the relative time-out (NULL: for ever).
static inline long apus_futex_wait(const uint32_t *word, uint32_t expected, const struct timespec *timeout) {
    return syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, timeout, (void *)0, 0);
}
static inline long apus_futex_wake(const uint32_t *word, int count) {
    return syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, (void *)0, (void *)0, 0);
}
static inline uint32_t apus_bell_set(uint32_t *word) { return __atomic_exchange_n(word, 1, __ATOMIC_SEQ_CST); }
static inline uint32_t apus_bell_load(const uint32_t *word) { return __atomic_load_n(word, __ATOMIC_SEQ_CST); }
static inline void apus_bell_clear(uint32_t *word) { __atomic_store_n(word, 0, __ATOMIC_SEQ_CST); }
static inline int apus_errno(void) { return errno; }
static inline int apus_set_thread_name(const char *name) { return pthread_setname_np(pthread_self(), name); }
static inline int apus_ioctl(int fd, unsigned long request, uintptr_t argument) { return ioctl(fd, request, argument); }
static inline int apus_open(const char *path, int flags, unsigned mode) { return open(path, flags, mode); }
static inline int apus_fcntl(int fd, int command, long argument) { return fcntl(fd, command, argument); }

#endif
