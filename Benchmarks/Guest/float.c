/* Floating point: vectors by SSE2, scalars by the C library, and the x87 unit. */
#include "work.h"

#include <emmintrin.h>
#include <math.h>
#include <stdlib.h>

/* Products of matrices of doubles, two elements an instruction. */
uint64_t matrix(uint64_t amount, const char *argument)
{
    enum { n = 96 };
    static double a[n][n] __attribute__((aligned(16))), b[n][n] __attribute__((aligned(16))),
        c[n][n] __attribute__((aligned(16)));
    (void)argument;
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < n; j++) a[i][j] = (i * 3 + j) % 17 / 16.0, b[i][j] = (i + j * 5) % 13 / 32.0, c[i][j] = 0;
    }
    begin();
    for (uint64_t turn = 0; turn < amount; turn++) {
        for (int i = 0; i < n; i++) {
            for (int k = 0; k < n; k++) {
                __m128d factor = _mm_set1_pd(a[i][k]);
                for (int j = 0; j < n; j += 2) {
                    __m128d sum = _mm_add_pd(_mm_load_pd(&c[i][j]), _mm_mul_pd(factor, _mm_load_pd(&b[k][j])));
                    _mm_store_pd(&c[i][j], sum);
                }
            }
        }
        a[turn % n][turn * 7 % n] += 0.125;
    }
    return mix(MIX_START, c, sizeof c);
}

uint64_t libm(uint64_t amount, const char *argument)
{
    double x = 0.5, sum = 0;
    (void)argument;
    begin();
    for (uint64_t i = 0; i < amount; i++) {
        x += 0.001;
        sum += sin(x) * exp(-x * 0.01) + log(x + 1) * cos(x * 3) + pow(x, 0.3) + sqrt(x) + atan(x);
        if (x > 100) x -= 99.5;
    }
    return mix(MIX_START, &sum, sizeof sum);
}

/* 80-bit numbers in the x87 unit: the force among points in a plane, step by step, and what of it is rounded away. */
uint64_t extended(uint64_t amount, const char *argument)
{
    enum { n = 16 };
    static long double place[n][2], speed[n][2];
    long double lost = 0;
    (void)argument;
    for (int i = 0; i < n; i++) place[i][0] = i * 3 % 7 - 3, place[i][1] = i * 5 % 11 - 5, speed[i][0] = speed[i][1] = 0;
    begin();
    for (uint64_t turn = 0; turn < amount; turn++) {
        for (int i = 0; i < n; i++) {
            long double force[2] = { 0, 0 };
            for (int j = 0; j < n; j++) {
                long double x = place[j][0] - place[i][0], y = place[j][1] - place[i][1];
                long double square = x * x + y * y + 0.25L, scale = 1 / (square * __builtin_sqrtl(square));
                force[0] += x * scale, force[1] += y * scale;
            }
            speed[i][0] += force[0] / 1024, speed[i][1] += force[1] / 1024;
        }
        for (int i = 0; i < n; i++) {
            place[i][0] += speed[i][0] / 64, place[i][1] += speed[i][1] / 64;
            lost += place[i][0] - (long double)(double)place[i][0];
        }
    }
    return mix(mix(MIX_START, &place[n - 1][1], 10), &lost, 10);
}
