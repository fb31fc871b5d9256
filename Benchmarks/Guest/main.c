#include "work.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    workload *run;
} workloads[] = {
    {"integer", integer},     {"sieve", sieve},         {"sort", sort},           {"bytecode", bytecode},
    {"calls", calls},         {"indirect", indirect},   {"chase", chase},         {"copy", copy},
    {"scan", scan},           {"hash", hash},           {"matrix", matrix},       {"libm", libm},
    {"extended", extended},
    {"faults", faults},       {"forks", forks},         {"execs", execs},         {"pipes", pipes},
    {"syscalls", syscalls},   {"command", command},     {"threads", threads},     {"atomics", atomics},
    {"handoffs", handoffs},   {"disk-read", disk_read}, {"disk-write", disk_write}, {"disk-random", disk_random},
    {"net-receive", net_receive}, {"net-send", net_send}, {"net-turns", net_turns},
};

void begin(void)
{
    puts("begin");
    fflush(stdout);
}

void fail(const char *what)
{
    printf("failed %s: %s\n", what, strerror(errno));
    exit(1);
}

uint64_t next_random(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *state = x;
}

uint64_t mix(uint64_t sum, const void *bytes, uint64_t count)
{
    const unsigned char *at = bytes;
    while (count--) sum = (sum ^ *at++) * 0x100000001b3u;
    return sum;
}

int main(int count, char **arguments)
{
    /* What the workload `execs` starts again and again. */
    if (count == 2 && !strcmp(arguments[1], "nothing")) return 0;
    if (count < 3) {
        fputs("usage: work NAME AMOUNT [ARGUMENT]\n", stderr);
        return 2;
    }
    for (unsigned i = 0; i < sizeof workloads / sizeof *workloads; i++) {
        if (strcmp(workloads[i].name, arguments[1])) continue;
        uint64_t result = workloads[i].run(strtoull(arguments[2], 0, 10), count > 3 ? arguments[3] : "");
        printf("end %016llx\n", (unsigned long long)result);
        return 0;
    }
    printf("failed no workload %s\n", arguments[1]);
    return 2;
}
