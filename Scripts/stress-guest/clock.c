/* Reads the monotonic clock on every processor at once: no thread may see less than another one has seen before. What
   it is once a second goes to the kernel's log, for the host to compare with its own. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static atomic_llong latest;
static int log_file;

static long long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}
static void say(const char *format, long long a, long long b) {
    char line[128];
    int length = snprintf(line, sizeof line, format, a, b);
    if (write(log_file, line, length) != length) _exit(2);
}

static void *watch(void *argument) {
    long processor = (long)argument;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    sched_setaffinity(0, sizeof set, &set);
    for (;;) {
        for (int i = 0; i < 2000; i++) {
            long long before = atomic_load(&latest), time = now();
            if (time < before) say("stress: fail clock: %lld ns after %lld ns", time, before);
            while (before < time && !atomic_compare_exchange_weak(&latest, &before, time)) continue;
        }
        usleep(20000);
    }
    return 0;
}

int main(void) {
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    log_file = open("/dev/kmsg", O_WRONLY);
    for (long i = 0; i < processors; i++) {
        pthread_t thread;
        pthread_create(&thread, 0, watch, (void *)i);
    }
    for (;;) {
        struct timespec real;
        clock_gettime(CLOCK_REALTIME, &real);
        say("stress: clock %lld %lld", now(), real.tv_sec * 1000000000LL + real.tv_nsec);
        usleep(1000000);
    }
}
