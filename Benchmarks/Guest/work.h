/* The workloads that the benchmark runs in both guests: one static program, `work NAME AMOUNT [ARGUMENT]`. */
#ifndef WORK_H
#define WORK_H

#include <stdint.h>

/* A workload prepares itself, calls begin(), does `amount` units of work, and returns a number that depends on all of
   it: the host compares the numbers of both machines, so that a wrong result never counts as a fast one. */
typedef uint64_t workload(uint64_t amount, const char *argument);

/* Tells the host that the time starts now. */
void begin(void);
/* Ends the program with a message and errno's text; the host then counts the run as failed. */
_Noreturn void fail(const char *what);
/* The next number of a fixed pseudo-random sequence (xorshift). */
uint64_t next_random(uint64_t *state);
/* Mixes bytes into a checksum (FNV-1a); start with MIX_START. */
uint64_t mix(uint64_t sum, const void *bytes, uint64_t count);
#define MIX_START 0xcbf29ce484222325u

workload integer, sieve, sort, bytecode, calls, indirect;
workload chase, copy, scan, hash;
workload matrix, libm, extended;
workload faults, forks, execs, pipes, syscalls, command;
workload threads, atomics, handoffs;
workload disk_read, disk_write, disk_random, net_receive, net_send, net_turns;

#endif
