/* User code whose time goes into loads and stores, and into the string instructions and vector code of a C library. */
#include "work.h"

#include <stdlib.h>
#include <string.h>

/* Follows pointers in an order that is random over 16 MiB: each load waits for the one before. */
uint64_t chase(uint64_t amount, const char *argument)
{
    enum { count = 1 << 18, stride = 8 };
    uint64_t *cells = malloc((uint64_t)count * stride * sizeof *cells);
    uint32_t *order = malloc(count * sizeof *order);
    uint64_t state = 0x2545f4914f6cdd1du, at = 0;
    (void)argument;
    if (!cells || !order) fail("malloc");
    for (uint32_t i = 0; i < count; i++) order[i] = i;
    for (uint32_t i = count - 1; i > 0; i--) {
        uint32_t j = next_random(&state) % (i + 1), other = order[i];
        order[i] = order[j];
        order[j] = other;
    }
    for (uint32_t i = 0; i < count; i++) {
        cells[(uint64_t)order[i] * stride] = (uint64_t)order[(i + 1) % count] * stride;
    }
    begin();
    for (uint64_t i = 0; i < amount; i++) at = cells[at];
    return at;
}

/* Copies of a mebibyte each, and of 200 bytes at odd places, by the C library. */
uint64_t copy(uint64_t amount, const char *argument)
{
    enum { size = 1 << 20, room = size + 64 };
    unsigned char *a = malloc(room), *b = malloc(room);
    (void)argument;
    if (!a || !b) fail("malloc");
    for (int i = 0; i < room; i++) a[i] = i * 7;
    memset(b, 0, room);
    begin();
    for (uint64_t turn = 0; turn < amount; turn++) {
        memcpy(b + turn % 16, a + turn % 13, size);
        for (int i = 0; i < 512; i++) memcpy(a + i * 1021 % size, b + i * 2039 % size, 200);
    }
    return mix(MIX_START, b, size);
}

/* Looks at bytes one by one, as parsers do, and by memchr. */
uint64_t scan(uint64_t amount, const char *argument)
{
    enum { size = 1 << 18 };
    char *text = malloc(size);
    uint64_t state = 0x9e3779b97f4a7c15u, lines = 0, words = 0, sum = 0;
    (void)argument;
    if (!text) fail("malloc");
    for (int i = 0; i < size; i++) {
        uint64_t r = next_random(&state) % 64;
        text[i] = r == 0 ? '\n' : r < 10 ? ' ' : 'a' + r % 26;
    }
    begin();
    for (uint64_t turn = 0; turn < amount; turn++) {
        int inside = 0;
        for (int i = 0; i < size; i++) {
            if (text[i] == '\n') lines++;
            if (text[i] == ' ' || text[i] == '\n') inside = 0;
            else if (!inside) inside = 1, words++;
        }
        for (const char *at = text; (at = memchr(at, '\n', text + size - at)); at++) sum += at - text;
    }
    return lines + words * 3 + sum;
}

static uint32_t rotated(uint32_t x, int n) { return (x >> n) | (x << (32 - n)); }

/* The compression function of SHA-256 (FIPS 180-4, section 6.2), its constants made at the start. */
uint64_t hash(uint64_t amount, const char *argument)
{
    uint32_t constants[64], state[8] = {1, 2, 3, 4, 5, 6, 7, 8}, words[64];
    uint64_t seed = 0x853c49e6748fea9bu;
    (void)argument;
    for (int i = 0; i < 64; i++) constants[i] = (uint32_t)next_random(&seed);
    for (int i = 0; i < 16; i++) words[i] = (uint32_t)next_random(&seed);
    begin();
    for (uint64_t block = 0; block < amount; block++) {
        words[block % 16] ^= (uint32_t)block;
        for (int i = 16; i < 64; i++) {
            uint32_t x = words[i - 15], y = words[i - 2];
            words[i] = words[i - 16] + words[i - 7] + (rotated(x, 7) ^ rotated(x, 18) ^ (x >> 3))
                + (rotated(y, 17) ^ rotated(y, 19) ^ (y >> 10));
        }
        uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
        uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
        for (int i = 0; i < 64; i++) {
            uint32_t t = h + (rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25)) + ((e & f) ^ (~e & g)) + constants[i]
                + words[i];
            uint32_t u = (rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
            h = g, g = f, f = e, e = d + t, d = c, c = b, b = a, a = t + u;
        }
        state[0] += a, state[1] += b, state[2] += c, state[3] += d;
        state[4] += e, state[5] += f, state[6] += g, state[7] += h;
    }
    return mix(MIX_START, state, sizeof state);
}
