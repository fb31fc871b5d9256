/* Threads, signals, changing mappings and code that is written anew: ends with 0 where nothing went wrong. */
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 6, TURNS = 20000 };

static atomic_long counter;
static long guarded;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static volatile double junk;
static atomic_int alarms;

static void fail(const char *what, long a, long b) {
    printf("%s: %ld, not %ld\n", what, a, b);
    fflush(stdout);
    _exit(1);
}

/* Clobbers vector registers, which the kernel restores. */
static void on_alarm(int number) {
    char text[256];
    (void)number;
    memset(text, 0x55, sizeof text);
    junk = junk * 1.5 + text[17];
    atomic_fetch_add(&alarms, 1);
}

static __thread sigjmp_buf escape;
static void on_fault(int number) { siglongjmp(escape, number); }

/* Code that is overwritten between its calls. */
static void jit(void) {
    unsigned char *code = mmap(0, 8192, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (code == MAP_FAILED) fail("mmap", 0, 1);
    for (int i = 0; i < 3000; i++) {
        unsigned char *at = code + i % 61 * 64 + 4000 * (i & 1);
        at[0] = 0xb8; /* mov eax, i; ret */
        memcpy(at + 1, &i, 4);
        at[5] = 0xc3;
        for (int round = 0; round < 20 + (i % 100 == 0) * 200; round++) {
            int got = ((int (*)(void))at)();
            if (got != i) fail("written code", got, i);
        }
    }
    munmap(code, 8192);
}

/* Pages that vanish and come back while other threads run: their processors must forget them. */
static void pages(unsigned seed) {
    for (int i = 0; i < 150; i++) {
        volatile long *page = mmap(0, 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        for (int j = 0; j < 2048; j += 256) page[j] = seed + j;
        mprotect((void *)page, 4096, PROT_NONE);
        int got = sigsetjmp(escape, 1);
        if (got == 0) {
            page[1] = 1;
            fail("a store to a page that is not there", 0, SIGSEGV);
        }
        if (got != SIGSEGV) fail("signal", got, SIGSEGV);
        mprotect((void *)page, 4096, PROT_READ | PROT_WRITE);
        madvise((void *)(page + 512), 4096, MADV_DONTNEED);
        for (int j = 0; j < 2048; j += 256) {
            long expected = j >= 512 && j < 1024 ? 0 : (long)seed + j;
            if (page[j] != expected) fail("a page's word", page[j], expected);
        }
        munmap((void *)page, 16384);
    }
}

static double series(int n) {
    double sum = 0;
    for (int i = 1; i <= n; i++) sum += 1.0 / ((double)i * i);
    return sum;
}

static void *work(void *argument) {
    long number = (long)argument;
    double first = series(5000);
    for (int i = 0; i < TURNS; i++) {
        atomic_fetch_add(&counter, 1);
        if (i % 16 == 0) {
            pthread_mutex_lock(&mutex);
            guarded += 3;
            pthread_mutex_unlock(&mutex);
        }
        if (i % 500 == 0 && series(5000) != first) fail("a sum beside signals", i, 0);
    }
    jit();
    pages((unsigned)number * 7919);
    for (int i = 0; i < 10; i++) {
        pid_t child = fork();
        int status;
        if (child == 0) _exit(series(1000) > 1.6 ? 42 : 1);
        if (child < 0 || waitpid(child, &status, 0) != child) fail("fork", child, 1);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 42) fail("status of a child", status, 42 << 8);
    }
    return 0;
}

/* A byte goes round between two processes. */
static void ping(void) {
    int there[2], back[2], status;
    unsigned char byte;
    if (pipe(there) || pipe(back)) fail("pipe", 0, 1);
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < 3000; i++) {
            if (read(there[0], &byte, 1) != 1) _exit(1);
            byte++;
            if (write(back[1], &byte, 1) != 1) _exit(1);
        }
        _exit(0);
    }
    for (int i = 0; i < 3000; i++) {
        byte = i;
        ssize_t sent = write(there[1], &byte, 1), got = read(back[0], &byte, 1);
        if (sent != 1 || got != 1 || byte != (unsigned char)(i + 1)) fail("ping-pong", byte, (i + 1) & 255);
    }
    if (waitpid(child, &status, 0) != child || status) fail("status of ping", status, 0);
}

int main(void) {
    pthread_t threads[THREADS];
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    struct itimerval every = {{0, 3000}, {0, 3000}}, never = {{0, 0}, {0, 0}};
    /* Six of them leave something to the compilers. */
    if (nice(10) != 10) fail("nice", 0, 10);
    sigaction(SIGALRM, &action, 0);
    action.sa_handler = on_fault;
    action.sa_flags = SA_NODEFER;
    sigaction(SIGSEGV, &action, 0);
    setitimer(ITIMER_REAL, &every, 0);
    for (long i = 0; i < THREADS; i++) pthread_create(&threads[i], 0, work, (void *)(i + 1));
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], 0);
    ping();
    setitimer(ITIMER_REAL, &never, 0);
    if (counter != THREADS * TURNS) fail("counter", counter, THREADS * TURNS);
    if (guarded != THREADS * (TURNS / 16) * 3) fail("guarded counter", guarded, THREADS * (TURNS / 16) * 3);
    if (alarms == 0) fail("alarms", 0, 1);
    printf("ok\n");
    return 0;
}
