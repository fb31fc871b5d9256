/* Fills some MiB (the argument) in two processes with patterns, forks, changes, moves, and reads them again: 0 where
   every word is as it should be. More than there is goes to swap. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORDS = 512 };

static uint64_t pattern(uint64_t page, uint64_t word, uint64_t salt) {
    uint64_t x = (page * WORDS + word + 1) * 0x9e3779b97f4a7c15u ^ salt;
    x ^= x >> 29;
    return x * 0xbf58476d1ce4e5b9u;
}
/* Every 37th word, and all of every 16th page. */
static uint64_t step(uint64_t page) { return page % 16 == 0 ? 1 : 37; }

static void fill(uint64_t *at, uint64_t from, uint64_t to, uint64_t salt) {
    for (uint64_t page = from; page < to; page++)
        for (uint64_t word = 0; word < WORDS; word += step(page)) at[page * WORDS + word] = pattern(page, word, salt);
}
static void check(const uint64_t *at, uint64_t from, uint64_t to, uint64_t salt, const char *when) {
    for (uint64_t page = from; page < to; page++)
        for (uint64_t word = 0; word < WORDS; word += step(page)) {
            uint64_t got = at[page * WORDS + word], expected = pattern(page, word, salt);
            if (got == expected) continue;
            printf("%s: page %llu, word %llu: %016llx, not %016llx\n", when, (unsigned long long)page,
                (unsigned long long)word, (unsigned long long)got, (unsigned long long)expected);
            fflush(stdout);
            _exit(1);
        }
}

static void use(uint64_t pages, uint64_t salt) {
    size_t size = pages * 4096;
    uint64_t *at = mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    int status;
    if (at == MAP_FAILED) exit(2);
    fill(at, 0, pages, salt);
    pid_t child = fork();
    if (child == 0) {
        fill(at, pages / 3, pages / 2, ~salt);
        check(at, pages / 3, pages / 2, ~salt, "the child's own");
        check(at, 0, pages / 3, salt, "what the child shares");
        _exit(0);
    }
    check(at, pages / 4, pages, salt, "beside a child");
    if (waitpid(child, &status, 0) != child || status) {
        printf("the child's status is %d\n", status);
        exit(1);
    }
    uint64_t *moved = mremap(at, size, size + (64 << 20), MREMAP_MAYMOVE);
    if (moved == MAP_FAILED) exit(2);
    mprotect(moved, size / 2, PROT_READ);
    check(moved, 0, pages, salt, "after a move");
    mprotect(moved, size / 2, PROT_READ | PROT_WRITE);
    madvise(moved, size / 2, MADV_DONTNEED);
    for (uint64_t page = 0; page < pages / 2; page++)
        if (moved[page * WORDS] || moved[page * WORDS + WORDS - 1]) exit(3);
    fill(moved, 0, pages / 8, ~salt);
    check(moved, 0, pages / 8, ~salt, "anew");
    check(moved, pages / 2, pages, salt, "the rest");
}

int main(int count, char **arguments) {
    uint64_t pages = (count > 1 ? strtoull(arguments[1], 0, 10) : 64) * 256 / 2;
    int status, result = 0;
    pid_t child = fork();
    if (child < 0) return 2;
    use(pages, child ? 0x1234567 : 0x89abcdef01);
    if (child == 0) return 0;
    if (waitpid(child, &status, 0) != child || status) {
        printf("the other process's status is %d\n", status);
        result = 1;
    }
    if (!result) printf("ok\n");
    return result;
}
