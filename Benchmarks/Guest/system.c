/* What goes through the guest's kernel: page faults, processes, pipes, system calls, and commands of its user land. */
#include "work.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Touches fresh pages: each is a fault that the kernel answers with a zeroed page. */
uint64_t faults(uint64_t amount, const char *argument)
{
    enum { pages = 2048, page = 4096 };
    uint64_t sum = 0;
    (void)argument;
    begin();
    for (uint64_t turn = 0; turn < amount; turn++) {
        char *memory = mmap(0, pages * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) fail("mmap");
        madvise(memory, pages * page, MADV_NOHUGEPAGE);
        for (int i = 0; i < pages; i++) memory[i * page + i % page] = 1;
        for (int i = 0; i < pages; i++) sum += memory[i * page + i % page];
        if (munmap(memory, pages * page)) fail("munmap");
    }
    return sum;
}

static uint64_t children(uint64_t amount, int exec)
{
    uint64_t sum = 0;
    begin();
    for (uint64_t i = 0; i < amount; i++) {
        int status = 0;
        pid_t child = fork();
        if (child < 0) fail("fork");
        if (child == 0) {
            if (exec) execl("/proc/self/exe", "work", "nothing", (char *)0);
            _exit(exec ? 1 : 0);
        }
        if (waitpid(child, &status, 0) != child || status) fail("waitpid");
        sum++;
    }
    return sum;
}

uint64_t forks(uint64_t amount, const char *argument) { return (void)argument, children(amount, 0); }
uint64_t execs(uint64_t amount, const char *argument) { return (void)argument, children(amount, 1); }

/* A byte goes to another process and comes back. */
uint64_t pipes(uint64_t amount, const char *argument)
{
    int there[2], back[2];
    unsigned char byte = 1;
    uint64_t sum = 0;
    (void)argument;
    if (pipe(there) || pipe(back)) fail("pipe");
    pid_t child = fork();
    if (child < 0) fail("fork");
    if (child == 0) {
        close(there[1]);
        while (read(there[0], &byte, 1) == 1) {
            byte = byte * 5 + 1;
            if (write(back[1], &byte, 1) != 1) break;
        }
        _exit(0);
    }
    begin();
    for (uint64_t i = 0; i < amount; i++) {
        if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1) fail("pipe");
        sum = sum * 3 + byte;
    }
    close(there[1]);
    waitpid(child, 0, 0);
    return sum;
}

uint64_t syscalls(uint64_t amount, const char *argument)
{
    uint64_t sum = 0;
    (void)argument;
    begin();
    for (uint64_t i = 0; i < amount; i++) sum += syscall(SYS_getppid) > 0;
    return sum;
}

/* Runs a shell's command `amount` times; what it writes is the result. */
uint64_t command(uint64_t amount, const char *argument)
{
    uint64_t sum = MIX_START;
    begin();
    for (uint64_t i = 0; i < amount; i++) {
        char buffer[4096];
        size_t count;
        FILE *output = popen(argument, "r");
        if (!output) fail("popen");
        while ((count = fread(buffer, 1, sizeof buffer, output)) > 0) sum = mix(sum, buffer, count);
        if (pclose(output)) fail("command");
    }
    return sum;
}
