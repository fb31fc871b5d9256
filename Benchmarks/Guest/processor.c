/* User code that stays in registers and the first cache: what an engine's translation of plain code is worth. */
#include "work.h"

#include <stdlib.h>
#include <string.h>

/* Arithmetic of every kind that a compiler emits: shifts, multiplication, division, conditions. */
uint64_t integer(uint64_t amount, const char *argument)
{
    uint64_t a = 0x9e3779b97f4a7c15u, b = 1, sum = 0;
    (void)argument;
    begin();
    for (uint64_t i = 0; i < amount; i++) {
        a ^= a << 13;
        a ^= a >> 7;
        a ^= a << 17;
        b = b * 6364136223846793005u + 1442695040888963407u;
        sum += (a >> 33) * (uint32_t)b;
        if (sum & 1) sum = (sum << 5) | (sum >> 59);
        else sum += i;
        if ((i & 15) == 0) sum ^= a / ((b >> 40) + 1);
    }
    return sum;
}

uint64_t sieve(uint64_t amount, const char *argument)
{
    enum { limit = 1 << 20 };
    unsigned char *composite = malloc(limit);
    uint64_t primes = 0;
    (void)argument;
    if (!composite) fail("malloc");
    begin();
    for (uint64_t turn = 0; turn < amount; turn++) {
        memset(composite, 0, limit);
        for (uint64_t i = 2; i < limit; i++) {
            if (composite[i]) continue;
            primes++;
            for (uint64_t j = i * i; j < limit; j += i) composite[j] = 1;
        }
    }
    return primes;
}

static void quicksort(uint32_t *low, uint32_t *high)
{
    while (high - low > 12) {
        uint32_t pivot = low[(high - low) / 2], *i = low, *j = high;
        while (i <= j) {
            while (*i < pivot) i++;
            while (*j > pivot) j--;
            if (i <= j) {
                uint32_t other = *i;
                *i++ = *j;
                *j-- = other;
            }
        }
        quicksort(low, j);
        low = i;
    }
    for (uint32_t *i = low + 1; i <= high; i++) {
        uint32_t value = *i, *j = i;
        for (; j > low && j[-1] > value; j--) *j = j[-1];
        *j = value;
    }
}

uint64_t sort(uint64_t amount, const char *argument)
{
    enum { count = 1 << 17 };
    uint32_t *values = malloc(count * sizeof *values);
    uint64_t state = 88172645463325252u, sum = MIX_START;
    (void)argument;
    if (!values) fail("malloc");
    memset(values, 0, count * sizeof *values);
    begin();
    for (uint64_t turn = 0; turn < amount; turn++) {
        for (int i = 0; i < count; i++) values[i] = (uint32_t)next_random(&state);
        quicksort(values, values + count - 1);
        for (int i = 1; i < count; i++) {
            if (values[i - 1] > values[i]) return 0;
        }
        sum = sum * 31 + values[count / 2];
    }
    return sum;
}

/* An interpreter of a made-up stack machine, as scripting languages have one. */
uint64_t bytecode(uint64_t amount, const char *argument)
{
    enum { PUSH, ADD, MULTIPLY, XOR, DUPLICATE, SWAP, ROTATE, DECREMENT, JUMP_IF, STOP };
    /* sum = rotate((sum + 7) * 5 ^ counter), until the counter at the bottom is zero. */
    static const unsigned char program[] = {
        PUSH, 7, ADD, PUSH, 5, MULTIPLY, SWAP, DUPLICATE, ROTATE, XOR, SWAP, DECREMENT, SWAP, JUMP_IF, 0, STOP,
    };
    uint64_t stack[16], *top = stack + 1;
    const unsigned char *at = program;
    (void)argument;
    stack[0] = amount;
    stack[1] = 1;
    begin();
    for (;;) {
        switch (*at++) {
        case PUSH: *++top = *at++; break;
        case ADD: top--; top[0] += top[1]; break;
        case MULTIPLY: top--; top[0] *= top[1]; break;
        case XOR: top--; top[0] ^= top[1]; break;
        case DUPLICATE: top[1] = top[0]; top++; break;
        case SWAP: { uint64_t other = top[0]; top[0] = top[-1]; top[-1] = other; break; }
        case ROTATE: { uint64_t third = top[-2]; top[-2] = top[-1]; top[-1] = top[0]; top[0] = third; break; }
        case DECREMENT: top[0]--; break;
        case JUMP_IF: if (top[-1]) at = program + *at; else at++; break;
        default: return top[0];
        }
    }
}

__attribute__((noinline)) static uint64_t fibonacci(uint64_t n)
{
    return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

uint64_t calls(uint64_t amount, const char *argument)
{
    uint64_t sum = 0;
    (void)argument;
    begin();
    for (uint64_t i = 0; i < amount; i++) {
        uint64_t n = 24;
        /* The compiler must not know that each turn gives the same. */
        __asm__ volatile("" : "+r"(n));
        sum += fibonacci(n);
    }
    return sum;
}

#define STEP(n) static uint64_t step##n(uint64_t x) { return (x ^ (n * 0x9e3779b9u)) * (2 * n + 3) + (x >> 29); }
STEP(0) STEP(1) STEP(2) STEP(3) STEP(4) STEP(5) STEP(6) STEP(7)
STEP(8) STEP(9) STEP(10) STEP(11) STEP(12) STEP(13) STEP(14) STEP(15)

/* Calls through a table at places that no predictor or inline cache can know. */
uint64_t indirect(uint64_t amount, const char *argument)
{
    static uint64_t (*const volatile table[16])(uint64_t) = {
        step0, step1, step2, step3, step4, step5, step6, step7,
        step8, step9, step10, step11, step12, step13, step14, step15,
    };
    uint64_t sum = 1;
    (void)argument;
    begin();
    for (uint64_t i = 0; i < amount; i++) sum = table[(sum >> 17) & 15](sum);
    return sum;
}
