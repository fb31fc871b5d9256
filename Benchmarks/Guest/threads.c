/* Two threads, which the guest's kernel puts on two vCPUs. */
#define _GNU_SOURCE
#include "work.h"

#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

struct part {
    uint64_t amount, result;
    int number;
};
static _Atomic uint64_t shared;
static _Atomic uint32_t turn;

static void pin(int number)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(number % (sysconf(_SC_NPROCESSORS_ONLN) > 1 ? 2 : 1), &set);
    sched_setaffinity(0, sizeof set, &set);
}

static void *compute(void *argument)
{
    struct part *part = argument;
    uint64_t state = 0x9e3779b97f4a7c15u + part->number, sum = 0;
    pin(part->number);
    for (uint64_t i = 0; i < part->amount; i++) sum += next_random(&state) >> 5;
    part->result = sum;
    return 0;
}

static void *contend(void *argument)
{
    struct part *part = argument;
    pin(part->number);
    for (uint64_t i = 0; i < part->amount; i++) {
        atomic_fetch_add(&shared, 1);
        uint64_t seen = atomic_load(&shared);
        while (!atomic_compare_exchange_weak(&shared, &seen, seen + 2)) {}
    }
    return 0;
}

/* Each waits on a futex until it is its turn: interrupts from one processor to the other. */
static void *hand_off(void *argument)
{
    struct part *part = argument;
    pin(part->number);
    for (uint64_t i = 0; i < part->amount; i++) {
        uint32_t mine = (uint32_t)(2 * i + part->number), now;
        while ((now = atomic_load(&turn)) != mine) syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, now, 0, 0, 0);
        atomic_store(&turn, mine + 1);
        syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0);
    }
    return 0;
}

static uint64_t two(uint64_t amount, void *(*body)(void *))
{
    struct part parts[2] = {{amount, 0, 0}, {amount, 0, 1}};
    pthread_t other;
    begin();
    if (pthread_create(&other, 0, body, &parts[1])) fail("pthread_create");
    body(&parts[0]);
    pthread_join(other, 0);
    return parts[0].result * 3 + parts[1].result + shared + turn;
}

uint64_t threads(uint64_t amount, const char *argument) { return (void)argument, two(amount, compute); }
uint64_t atomics(uint64_t amount, const char *argument) { return (void)argument, two(amount, contend); }
uint64_t handoffs(uint64_t amount, const char *argument) { return (void)argument, two(amount, hand_off); }
