// A VNC viewer that counts: asks for update after update by a Unix socket and prints how many came a second, and how
// many bytes each had. viewer PATH ENCODING SECONDS
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static int link_;
static uint8_t buffer[1 << 20];
static uint64_t total;

static uint8_t *take(size_t count) {
    for (size_t done = 0; done < count;) {
        ssize_t moved = read(link_, buffer + done, count - done);
        if (moved <= 0) { fprintf(stderr, "the server hung up\n"); exit(1); }
        done += (size_t)moved;
    }
    total += count;
    return buffer;
}
static void skip(size_t count) {
    while (count) {
        size_t part = count < sizeof buffer ? count : sizeof buffer;
        take(part);
        count -= part;
    }
}
static unsigned wide(const uint8_t *p) { return p[0] << 8 | p[1]; }
static unsigned long_(const uint8_t *p) { return (unsigned)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3]; }
static void say(const void *bytes, size_t count) { if (write(link_, bytes, count) != (ssize_t)count) exit(1); }
static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}
static unsigned compact(void) {
    unsigned sum = 0;
    for (int shift = 0; shift < 21; shift += 7) {
        uint8_t next = *take(1);
        sum |= (shift == 14 ? next : next & 0x7Fu) << shift;
        if (!(next & 0x80)) break;
    }
    return sum;
}
static void tight(unsigned w, unsigned h) {
    uint8_t kind = *take(1);
    size_t count;
    if (kind >> 4 == 8) { take(3); return; }
    if (kind >> 4 == 9) { skip(compact()); return; }
    if (kind & 0x40) {
        uint8_t filter = *take(1);
        if (filter == 1) {
            unsigned colours = *take(1) + 1u;
            skip(colours * 3);
            count = colours == 2 ? (size_t)(w + 7) / 8 * h : (size_t)w * h;
        } else {
            count = (size_t)w * h * 3;
        }
    } else {
        count = (size_t)w * h * 3;
    }
    skip(count < 12 ? count : compact());
}

int main(int argc, char **argv) {
    if (argc < 4) return 2;
    struct sockaddr_un place = {.sun_family = AF_UNIX};
    strncpy(place.sun_path, argv[1], sizeof place.sun_path - 1);
    link_ = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(link_, (struct sockaddr *)&place, sizeof place)) { perror("connect"); return 1; }
    int encoding = atoi(argv[2]);
    take(12);
    say("RFB 003.008\n", 12);
    skip(*take(1));
    say("\1", 1);
    take(4);
    say("\1", 1);
    uint8_t *head = take(24);
    unsigned width = wide(head), height = wide(head + 2);
    skip(long_(head + 20));
    uint8_t encodings[] = {2, 0, 0, 2, 0, 0, 0, (uint8_t)encoding, 0xFF, 0xFF, 0xFF, 0x21};
    say(encodings, sizeof encodings);
    double start = 0, end = 0;
    unsigned updates = 0;
    while (!end || now() < end) {
        uint8_t ask[] = {3, updates != 0, 0, 0, 0, 0, width >> 8, width, height >> 8, height};
        say(ask, sizeof ask);
        uint8_t type = *take(1);
        if (type != 0) { fprintf(stderr, "message %u\n", type); return 1; }
        take(1);
        unsigned count = wide(take(2)), isPicture = 0;
        for (unsigned index = 0; index < count; index++) {
            uint8_t *box = take(12);
            unsigned w = wide(box + 4), h = wide(box + 6), kind = long_(box + 8);
            if (kind == 0xFFFFFF21) { width = w; height = h; continue; }
            isPicture = 1;
            if (kind == 0) skip((size_t)w * h * 4);
            else if (kind == 6 || kind == 16) skip(long_(take(4)));
            else if (kind == 7) tight(w, h);
            else { fprintf(stderr, "encoding %d\n", (int)kind); return 1; }
        }
        if (!isPicture) continue;
        if (!end && width == 1024) {
            start = now();
            end = start + atof(argv[3]);
            updates = 0;
            total = 0;
        }
        updates++;
    }
    printf("%.1f updates/s, %.2f MB/s\n", updates / (now() - start), (double)total / 1e6 / (now() - start));
    return 0;
}
