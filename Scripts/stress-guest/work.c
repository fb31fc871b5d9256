/* What the stress guest compiles again and again: arithmetic of every kind with one known result. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state = 88172645463325252u;
static uint64_t next(void) {
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

static int compare(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static uint64_t sorted(void) {
    static uint64_t values[20000];
    uint64_t sum = 0;
    for (int i = 0; i < 20000; i++) values[i] = next();
    qsort(values, 20000, sizeof values[0], compare);
    for (int i = 0; i < 20000; i++) sum = sum * 31 + values[i] % (uint64_t)(i + 1);
    return sum;
}

static int primes(int limit) {
    char *sieve = calloc(limit, 1);
    int count = 0;
    for (int i = 2; i < limit; i++) {
        if (sieve[i]) continue;
        count++;
        for (long j = (long)i * i; j < limit; j += i) sieve[j] = 1;
    }
    free(sieve);
    return count;
}

static double product(void) {
    static double a[64][64], b[64][64], c[64][64];
    double trace = 0;
    for (int i = 0; i < 64; i++)
        for (int j = 0; j < 64; j++) a[i][j] = (i * 7 + j * 3) % 11 - 5, b[i][j] = (i * 5 + j) % 13 / 4.0;
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 64; i++)
            for (int j = 0; j < 64; j++) {
                c[i][j] = 0;
                for (int k = 0; k < 64; k++) c[i][j] += a[i][k] * b[k][j];
            }
        for (int i = 0; i < 64; i++) trace += c[i][i];
        a[round][round] += 1;
    }
    return trace;
}

static float waves(void) {
    static float x[4096], y[4096];
    for (int i = 0; i < 4096; i++) x[i] = (float)(i % 97) * 0.5f, y[i] = 1;
    for (int round = 0; round < 50; round++)
        for (int i = 0; i < 4096; i++) y[i] = y[i] * 0.5f + x[i];
    float most = 0;
    for (int i = 0; i < 4096; i++) if (y[i] > most) most = y[i];
    return most;
}

static uint32_t words(void) {
    char text[400] = "";
    uint32_t hash = 5381;
    for (int i = 0; i < 3000; i++) {
        snprintf(text, sizeof text, "%d:%x:%.3f:%s", i, i * 2654435761u, i / 7.0, i & 1 ? "odd" : "even");
        for (char *c = text; *c; c++) hash = hash * 33 + (unsigned char)*c;
        if (strlen(text) != strcspn(text, "!")) return 0;
    }
    return hash;
}

static uint64_t divided(void) {
    uint64_t sum = 0;
    for (int i = 0; i < 100000; i++) {
        uint64_t a = next(), b = next() >> (i & 63) | 1;
        sum += a / b ^ a % b ^ (uint64_t)((int64_t)a / (int64_t)(b >> 1 | 1));
        sum = sum << (i & 15) | sum >> ((64 - (i & 15)) & 63);
    }
    return sum;
}

static int queens(int n, unsigned columns, unsigned left, unsigned right) {
    int count = 0;
    unsigned all = (1u << n) - 1, free = all & ~(columns | left | right);
    if (columns == all) return 1;
    while (free) {
        unsigned bit = free & -free;
        free ^= bit;
        count += queens(n, columns | bit, (left | bit) << 1, (right | bit) >> 1);
    }
    return count;
}

int main(void) {
    printf("%016llx %d %.6f %.4f", (unsigned long long)sorted(), primes(200000), product(), waves());
    printf(" %08x %016llx %d\n", words(), (unsigned long long)divided(), queens(9, 0, 0, 0));
    return 0;
}
