/* Disk and network through virtio. The guest's page cache is passed by: what is measured is the way to the host. */
#define _GNU_SOURCE
#include "work.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { disk_size = 64 << 20, large = 256 << 10, small = 4 << 10 };

static int open_disk(void)
{
    int disk = open("/dev/vda", O_RDWR | O_DIRECT);
    if (disk < 0) fail("/dev/vda");
    return disk;
}

static unsigned char *buffer(uint64_t size)
{
    unsigned char *memory;
    if (posix_memalign((void **)&memory, 4096, size)) fail("memory");
    for (uint64_t i = 0; i < size; i++) memory[i] = i * 11 >> 3;
    return memory;
}

uint64_t disk_read(uint64_t amount, const char *argument)
{
    unsigned char *data = buffer(large);
    int disk = open_disk();
    uint64_t sum = 0;
    (void)argument;
    begin();
    for (uint64_t i = 0; i < amount; i++) {
        if (pread(disk, data, large, i * large % disk_size) != large) fail("read");
        sum = sum * 3 + data[i % large];
    }
    return sum;
}

uint64_t disk_write(uint64_t amount, const char *argument)
{
    unsigned char *data = buffer(large);
    int disk = open_disk();
    (void)argument;
    begin();
    for (uint64_t i = 0; i < amount; i++) {
        if (pwrite(disk, data, large, i * large % disk_size) != large) fail("write");
    }
    if (fsync(disk)) fail("fsync");
    return amount;
}

uint64_t disk_random(uint64_t amount, const char *argument)
{
    unsigned char *data = buffer(small);
    int disk = open_disk();
    uint64_t state = 0x9e3779b97f4a7c15u;
    (void)argument;
    begin();
    for (uint64_t i = 0; i < amount; i++) {
        uint64_t at = next_random(&state) % (disk_size / small) * small;
        if (i % 4 == 3 ? pwrite(disk, data, small, at) != small : pread(disk, data, small, at) != small) fail("disk");
    }
    return state;
}

/* Connects to the benchmark's server on the host, `PORT` of the address that the NAT gives the host, and says what it
   wants: a letter and a count. */
static int ask(const char *port, char what, uint64_t count)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
    int one = 1, connection = socket(AF_INET, SOCK_STREAM, 0);
    unsigned char request[9] = {what};
    address.sin_addr.s_addr = inet_addr("10.0.2.2");
    memcpy(request + 1, &count, 8);
    if (connection < 0 || connect(connection, (void *)&address, sizeof address)) fail("connect");
    setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (write(connection, request, sizeof request) != sizeof request) fail("request");
    return connection;
}

/* `amount` units of 64 KiB from the host. */
uint64_t net_receive(uint64_t amount, const char *argument)
{
    enum { unit = 64 << 10 };
    unsigned char *data = buffer(unit);
    uint64_t left = amount * unit, sum = 0;
    ssize_t count;
    begin();
    int connection = ask(argument, 'r', left);
    while (left && (count = read(connection, data, unit)) > 0) {
        for (ssize_t i = 0; i < count; i += 61) sum += data[i] != 0x5a;
        left -= count;
    }
    if (left) fail("receive");
    return sum;
}

/* `amount` units of 64 KiB to the host, which answers with one byte at the end. */
uint64_t net_send(uint64_t amount, const char *argument)
{
    enum { unit = 64 << 10 };
    unsigned char *data = buffer(unit), answer;
    begin();
    int connection = ask(argument, 's', amount * unit);
    for (uint64_t left = amount * unit; left;) {
        ssize_t count = write(connection, data, left < unit ? left : unit);
        if (count <= 0) fail("send");
        left -= count;
    }
    if (read(connection, &answer, 1) != 1) fail("answer");
    return answer;
}

/* A byte to the host and back, `amount` times. */
uint64_t net_turns(uint64_t amount, const char *argument)
{
    unsigned char byte = 7;
    begin();
    int connection = ask(argument, 't', amount);
    for (uint64_t i = 0; i < amount; i++) {
        if (write(connection, &byte, 1) != 1 || read(connection, &byte, 1) != 1) fail("turn");
    }
    return byte;
}
