// System calls of descriptors, sockets, terminals and processes, under names that no Swift method hides; each retries
// when a signal interrupts it. Macros and variadic functions that `import Glibc` does not show are functions here.
#ifndef APUS_IO_H
#define APUS_IO_H
#include "linux.h"
#include <arpa/inet.h>
#include <errno.h>
#include <ftw.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>

#define APUS_RETRY(result, call) \
    do result = (call); while (result < 0 && errno == EINTR)

static inline ssize_t apus_read(int fd, void *buffer, size_t count) {
    ssize_t result;
    APUS_RETRY(result, read(fd, buffer, count));
    return result;
}
static inline ssize_t apus_write(int fd, const void *buffer, size_t count) {
    ssize_t result;
    APUS_RETRY(result, write(fd, buffer, count));
    return result;
}
static inline int apus_close(int fd) { return close(fd); }
static inline int apus_dup(int fd) { return fcntl(fd, F_DUPFD_CLOEXEC, 3); }
static inline int apus_pipe(int fds[2]) { return pipe2(fds, O_CLOEXEC); }
static inline int apus_eventfd(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }
static inline int apus_poll(struct pollfd *fds, unsigned long count, int timeout) { return poll(fds, count, timeout); }

// 0 for a regular file, 1 for a socket, 2 for a terminal, 3 for a pipe, 4 for anything else, -1 on an error.
static inline int apus_descriptor_kind(int fd) {
    struct stat status;
    if (fstat(fd, &status) != 0) return -1;
    if (S_ISREG(status.st_mode)) return 0;
    if (S_ISSOCK(status.st_mode)) return 1;
    if (S_ISCHR(status.st_mode) && isatty(fd)) return 2;
    if (S_ISFIFO(status.st_mode)) return 3;
    return 4;
}
// The size in bytes of a file or block device, or -1.
static inline int64_t apus_file_size(int fd) {
    struct stat status;
    if (fstat(fd, &status) != 0) return -1;
    if (!S_ISBLK(status.st_mode)) return status.st_size;
    off_t position = lseek(fd, 0, SEEK_CUR), end = lseek(fd, 0, SEEK_END);
    if (end >= 0 && position >= 0) lseek(fd, position, SEEK_SET);
    return end;
}
static inline int apus_same_file(int fd, const char *path) {
    struct stat opened, named;
    return fstat(fd, &opened) == 0 && stat(path, &named) == 0 && opened.st_dev == named.st_dev
        && opened.st_ino == named.st_ino;
}
static inline int apus_is_socket(const char *path) {
    struct stat status;
    return lstat(path, &status) == 0 && S_ISSOCK(status.st_mode);
}
static inline int apus_remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place) {
    (void)status, (void)kind, (void)place;
    return remove(path);
}
// Removes a folder and all in it, without following links.
static inline int apus_remove_tree(const char *path) { return nftw(path, apus_remove_entry, 16, FTW_DEPTH | FTW_PHYS); }
// A write lock on the whole file, held by this process until it closes any descriptor of the file.
static inline int apus_lock_file(int fd) {
    struct flock lock;
    memset(&lock, 0, sizeof lock);
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    return fcntl(fd, F_SETLK, &lock);
}

// epoll

// Tells when a file is written to.
static inline int apus_watch_file(const char *path) {
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (fd < 0) return -1;
    if (inotify_add_watch(fd, path, IN_MODIFY) >= 0) return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}
static inline int apus_epoll_create(void) { return epoll_create1(EPOLL_CLOEXEC); }
static inline int apus_epoll_control(int epoll, int operation, int fd, uint32_t events, uint64_t token) {
    struct epoll_event event;
    memset(&event, 0, sizeof event);
    event.events = events;
    event.data.u64 = token;
    return epoll_ctl(epoll, operation, fd, &event);
}
static inline int apus_epoll_wait(int epoll, struct epoll_event *events, int count, int timeout) {
    int result;
    APUS_RETRY(result, epoll_wait(epoll, events, count, timeout));
    return result;
}
static inline int apus_timerfd(void) { return timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK); }
// Expires at the absolute time in nanoseconds; 0 disarms.
static inline int apus_timerfd_arm(int fd, uint64_t deadline) {
    struct itimerspec time;
    memset(&time, 0, sizeof time);
    time.it_value.tv_sec = (time_t)(deadline / 1000000000u);
    time.it_value.tv_nsec = (long)(deadline % 1000000000u);
    return timerfd_settime(fd, TFD_TIMER_ABSTIME, &time, 0);
}

// Signals. A set is a mask with bit n-1 for signal n.

static inline void apus_signal_set(sigset_t *set, uint64_t mask) {
    sigemptyset(set);
    for (int number = 1; number <= 64; number++)
        if (mask >> (number - 1) & 1) sigaddset(set, number);
}
static inline int apus_signal_block(uint64_t mask, int block) {
    sigset_t set;
    apus_signal_set(&set, mask);
    return pthread_sigmask(block ? SIG_BLOCK : SIG_UNBLOCK, &set, 0);
}
static inline int apus_signalfd(uint64_t mask) {
    sigset_t set;
    apus_signal_set(&set, mask);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}
static inline void apus_signal_ignore(int number) { signal(number, SIG_IGN); }
// Installs a one-shot handler where the default action is in force. 1 if it did.
static inline int apus_signal_once(int number, void (*handler)(int)) {
    struct sigaction old, action;
    if (sigaction(number, 0, &old) != 0 || old.sa_flags & SA_SIGINFO || old.sa_handler != SIG_DFL) return 0;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    action.sa_flags = SA_RESETHAND;
    return sigaction(number, &action, 0) == 0;
}
// Installs a handler over the action that is in force, which is stored. 0 if the signal is ignored, or not to be had.
static inline int apus_signal_over(int number, void (*handler)(int, siginfo_t *, void *), struct sigaction *previous) {
    struct sigaction action;
    if (sigaction(number, 0, previous) != 0) return 0;
    if (!(previous->sa_flags & SA_SIGINFO) && previous->sa_handler == SIG_IGN) return 0;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = handler;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    return sigaction(number, &action, 0) == 0;
}
// Has the action that such a handler lies over take the signal. Where that is the default one, or brings it back, the
// process ends: a fault comes again by itself, all else is raised once more. Async-signal-safe.
static inline void apus_signal_pass(
    int number, siginfo_t *info, void *context, const struct sigaction *previous) {
    int faults = number == SIGSEGV || number == SIGBUS || number == SIGILL || number == SIGFPE;
    struct sigaction current;
    if (previous->sa_flags & SA_SIGINFO)
        previous->sa_sigaction(number, info, context);
    else if (previous->sa_handler != SIG_DFL)
        previous->sa_handler(number);
    else
        sigaction(number, previous, 0);
    if (faults && info && info->si_code > 0) return;
    if (sigaction(number, 0, &current) != 0) return;
    if (!(current.sa_flags & SA_SIGINFO) && current.sa_handler == SIG_DFL) raise(number);
}

// Processes

static inline int apus_fork(void) { return fork(); }
static inline void apus_exit_now(int status) { _exit(status); }
// Pins a thread (0: the caller) to the processors in `mask`, an array of `words` 64-bit words.
static inline int apus_set_affinity(int thread, const uint64_t *mask, size_t words) {
    return sched_setaffinity(thread, words * 8, (const cpu_set_t *)mask);
}
static inline int apus_get_affinity(int thread, uint64_t *mask, size_t words) {
    return (int)syscall(SYS_sched_getaffinity, thread, words * 8, mask);
}
static inline ssize_t apus_getrandom(void *buffer, size_t count) {
    ssize_t result;
    APUS_RETRY(result, getrandom(buffer, count, 0));
    return result;
}
static inline uint64_t apus_physical_memory(void) {
    struct sysinfo info;
    return sysinfo(&info) == 0 ? (uint64_t)info.totalram * info.mem_unit : 0;
}

// Sockets. Addresses are bytes of a sockaddr.

static inline int apus_socket(int family, int datagram) {
    return socket(family, (datagram ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
}
static inline int apus_socketpair(int fds[2]) { return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds); }
static inline int apus_bind(int fd, const void *address, unsigned length) {
    return bind(fd, (const struct sockaddr *)address, length);
}
static inline int apus_listen(int fd, int backlog) { return listen(fd, backlog); }
static inline int apus_connect(int fd, const void *address, unsigned length) {
    return connect(fd, (const struct sockaddr *)address, length);
}
static inline int apus_accept(int fd) {
    int result;
    APUS_RETRY(result, accept4(fd, 0, 0, SOCK_CLOEXEC));
    return result;
}
static inline int apus_socket_name(int fd, void *address, unsigned *length) {
    return getsockname(fd, (struct sockaddr *)address, length);
}
static inline int apus_socket_option(int fd, int level, int option, int value) {
    return setsockopt(fd, level, option, &value, sizeof value);
}
// The pending error of a socket, 0 for none.
static inline int apus_socket_error(int fd) {
    int value = 0;
    socklen_t length = sizeof value;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &value, &length) == 0 ? value : errno;
}
static inline int apus_shutdown(int fd, int how) { return shutdown(fd, how); }
static inline ssize_t apus_send(int fd, const void *buffer, size_t count) {
    ssize_t result;
    APUS_RETRY(result, send(fd, buffer, count, MSG_NOSIGNAL | MSG_DONTWAIT));
    return result;
}
// Receives bytes and up to `limit` passed descriptors, whose number it stores; surplus ones the kernel closes.
static inline ssize_t apus_receive(int fd, void *buffer, size_t count, int *fds, int limit, int *received) {
    union { char bytes[CMSG_SPACE(16 * sizeof(int))]; struct cmsghdr alignment; } control;
    struct iovec vector = { buffer, count };
    struct msghdr message;
    memset(&message, 0, sizeof message);
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    if (limit > 16) limit = 16;
    if (limit > 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE((size_t)limit * sizeof(int));
    }
    *received = 0;
    ssize_t result;
    APUS_RETRY(result, recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC));
    if (result < 0 || limit <= 0) return result;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(&message); part; part = CMSG_NXTHDR(&message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
        int count = (int)((part->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        for (int index = 0; index < count; index++) {
            int passed;
            memcpy(&passed, CMSG_DATA(part) + (size_t)index * sizeof(int), sizeof passed);
            if (*received < limit) fds[(*received)++] = passed; else close(passed);
        }
    }
    return result;
}
// Sends bytes with one descriptor attached.
static inline ssize_t apus_send_descriptor(int fd, const void *buffer, size_t count, int passed) {
    union { char bytes[CMSG_SPACE(sizeof(int))]; struct cmsghdr alignment; } control;
    struct iovec vector = { (void *)buffer, count };
    struct msghdr message;
    memset(&message, 0, sizeof message);
    memset(&control, 0, sizeof control);
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    struct cmsghdr *part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(part), &passed, sizeof passed);
    ssize_t result;
    APUS_RETRY(result, sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT));
    return result;
}
// The same with up to 16 descriptors, of which there may be none.
static inline ssize_t apus_send_descriptors(int fd, const void *buffer, size_t count, const int *passed, size_t number) {
    union { char bytes[CMSG_SPACE(16 * sizeof(int))]; struct cmsghdr alignment; } control;
    struct iovec vector = { (void *)buffer, count };
    struct msghdr message;
    if (number > 16) {
        errno = EINVAL;
        return -1;
    }
    memset(&message, 0, sizeof message);
    memset(&control, 0, sizeof control);
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    if (number > 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(number * sizeof(int));
        struct cmsghdr *part = CMSG_FIRSTHDR(&message);
        part->cmsg_level = SOL_SOCKET;
        part->cmsg_type = SCM_RIGHTS;
        part->cmsg_len = CMSG_LEN(number * sizeof(int));
        memcpy(CMSG_DATA(part), passed, number * sizeof(int));
    }
    ssize_t result;
    APUS_RETRY(result, sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT));
    return result;
}
// Resolves a host and service; the list is freed with freeaddrinfo. `family` 0 means any.
static inline int apus_resolve(const char *host, const char *service, int family, int datagram, int passive,
                               struct addrinfo **list) {
    struct addrinfo hints;
    memset(&hints, 0, sizeof hints);
    hints.ai_family = family;
    hints.ai_socktype = datagram ? SOCK_DGRAM : SOCK_STREAM;
    hints.ai_flags = passive ? AI_PASSIVE : 0;
    return getaddrinfo(host, service, &hints, list);
}

// Terminals

static inline int apus_terminal_get(int fd, struct termios *modes) { return tcgetattr(fd, modes); }
static inline int apus_terminal_set(int fd, const struct termios *modes) { return tcsetattr(fd, TCSANOW, modes); }
// What a serial console wants of a user's terminal: bytes as they are typed, no echo, output untouched but for
// newlines; control characters make signals if `signals`.
static inline void apus_terminal_raw(struct termios *modes, int signals) {
    modes->c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    modes->c_oflag |= OPOST;
    modes->c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | IEXTEN);
    if (signals) modes->c_lflag |= ISIG; else modes->c_lflag &= ~(tcflag_t)ISIG;
    modes->c_cflag = (modes->c_cflag & ~(tcflag_t)(CSIZE | PARENB)) | CS8;
    modes->c_cc[VMIN] = 1;
    modes->c_cc[VTIME] = 0;
}
// The size of a terminal in characters; 0 on success.
static inline int apus_window_size(int fd, int *columns, int *rows) {
    struct winsize size;
    if (ioctl(fd, TIOCGWINSZ, &size) != 0) return -1;
    *columns = size.ws_col;
    *rows = size.ws_row;
    return 0;
}
// Opens a pseudo-terminal in raw mode and closes its user's side again. Returns the master, and the user's path.
static inline int apus_pty(char *path, size_t size) {
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), user, error;
    if (master < 0) return -1;
    if (grantpt(master) != 0 || unlockpt(master) != 0 || (error = ptsname_r(master, path, size)) != 0
        || (user = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC)) < 0) {
        error = errno;
        close(master);
        errno = error;
        return -1;
    }
    struct termios modes;
    if (tcgetattr(user, &modes) == 0) {
        cfmakeraw(&modes);
        tcsetattr(user, TCSANOW, &modes);
    }
    close(user);
    return master;
}

#undef APUS_RETRY
#endif
