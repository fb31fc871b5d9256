// The load of the network benchmark.
//
// netload sink PORT                     takes TCP streams and counts UDP packets, for ever
// netload tcp HOST PORT SECONDS         sends a TCP stream; prints MiB a second, as the sink took them
// netload udp HOST PORT SECONDS         sends UDP packets of 18 bytes, frames of 64 with the check sequence; prints the
//                                       packets a second that were sent, and that the sink saw
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static struct sockaddr_in place(const char *host, const char *port) {
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(atoi(port)) };
    inet_pton(AF_INET, host, &address.sin_addr);
    return address;
}

static char buffer[1 << 18];

// Tells how many UDP packets came since it was last asked ("Q"), or how many bytes of a stream ("T").
static int sink(const char *port) {
    struct sockaddr_in address = place("0.0.0.0", port);
    int one = 1, size = 8 << 20, listener = socket(AF_INET, SOCK_STREAM, 0), udp = socket(AF_INET, SOCK_DGRAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(udp, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    if (bind(listener, (void *)&address, sizeof address) || listen(listener, 8) || bind(udp, (void *)&address, sizeof address)) {
        perror("netload: bind");
        return 1;
    }
    uint64_t packets = 0;
    printf("netload: ready\n");
    fflush(stdout);
    for (;;) {
        struct pollfd wanted[2] = { { listener, POLLIN, 0 }, { udp, POLLIN, 0 } };
        poll(wanted, 2, -1);
        if (wanted[1].revents) while (recv(udp, buffer, sizeof buffer, MSG_DONTWAIT) > 0) packets++;
        if (!wanted[0].revents) continue;
        int peer = accept(listener, 0, 0);
        char kind = 0;
        if (peer < 0 || read(peer, &kind, 1) != 1) { close(peer); continue; }
        uint64_t count = 0;
        if (kind == 'Q') {
            while (recv(udp, buffer, sizeof buffer, MSG_DONTWAIT) > 0) packets++;
            count = packets;
            packets = 0;
        } else {
            for (ssize_t got; (got = read(peer, buffer, sizeof buffer)) > 0;) count += got;
        }
        if (write(peer, &count, sizeof count) != sizeof count) perror("netload: answer");
        close(peer);
    }
}

static int reach(struct sockaddr_in address, char kind) {
    for (int round = 0; round < 100; round++) {
        int peer = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(peer, (void *)&address, sizeof address) == 0 && write(peer, &kind, 1) == 1) return peer;
        close(peer);
        usleep(100000);
    }
    fprintf(stderr, "netload: no connection\n");
    exit(1);
}

static uint64_t answer(int peer) {
    uint64_t count = 0;
    shutdown(peer, SHUT_WR);
    if (read(peer, &count, sizeof count) != sizeof count) count = 0;
    close(peer);
    return count;
}

int main(int count, char **words) {
    signal(SIGPIPE, SIG_IGN);
    if (count == 3 && !strcmp(words[1], "sink")) return sink(words[2]);
    if (count != 5) return 2;
    struct sockaddr_in address = place(words[2], words[3]);
    double seconds = atof(words[4]), start, end;
    if (!strcmp(words[1], "tcp")) {
        int peer = reach(address, 'T');
        start = now();
        end = start + seconds;
        while (now() < end) if (write(peer, buffer, 1 << 16) <= 0) break;
        uint64_t bytes = answer(peer);
        printf("netload: tcp %.1f MiB/s\n", bytes / (now() - start) / 1048576);
    } else {
        answer(reach(address, 'Q'));
        int udp = socket(AF_INET, SOCK_DGRAM, 0);
        connect(udp, (void *)&address, sizeof address);
        struct iovec vector = { buffer, 18 };
        struct mmsghdr many[32];
        memset(many, 0, sizeof many);
        for (int index = 0; index < 32; index++) many[index].msg_hdr = (struct msghdr){ .msg_iov = &vector, .msg_iovlen = 1 };
        uint64_t sent = 0;
        start = now();
        end = start + seconds;
        while (now() < end) {
            int done = sendmmsg(udp, many, 32, 0);
            if (done > 0) sent += done;
        }
        double took = now() - start;
        usleep(300000);
        printf("netload: udp %.0f sent %.0f seen\n", sent / took, answer(reach(address, 'Q')) / took);
    }
    fflush(stdout);
    return 0;
}
