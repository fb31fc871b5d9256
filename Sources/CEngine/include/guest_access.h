// Access to memory that a guest may change at any moment. Plain loads in Swift may be merged, repeated or removed by
// the optimiser; these are performed exactly once, at any alignment, and never torn into something else by the
// compiler (x86 itself guarantees that naturally aligned accesses are single-copy atomic: SDM volume 3, 9.1.1).

#ifndef APUS_GUEST_ACCESS_H
#define APUS_GUEST_ACCESS_H

#include <stdbool.h>
#include <stdint.h>

typedef uint16_t __attribute__((aligned(1), may_alias)) apus_u16;
typedef uint32_t __attribute__((aligned(1), may_alias)) apus_u32;
typedef uint64_t __attribute__((aligned(1), may_alias)) apus_u64;

static inline uint8_t apus_load8(const void *p) { return *(const volatile uint8_t *)p; }
static inline uint16_t apus_load16(const void *p) { return *(const volatile apus_u16 *)p; }
static inline uint32_t apus_load32(const void *p) { return *(const volatile apus_u32 *)p; }
static inline uint64_t apus_load64(const void *p) { return *(const volatile apus_u64 *)p; }

static inline void apus_store8(void *p, uint8_t v) { *(volatile uint8_t *)p = v; }
static inline void apus_store16(void *p, uint16_t v) { *(volatile apus_u16 *)p = v; }
static inline void apus_store32(void *p, uint32_t v) { *(volatile apus_u32 *)p = v; }
static inline void apus_store64(void *p, uint64_t v) { *(volatile apus_u64 *)p = v; }

// Word-sized atomics on naturally aligned addresses, for page-table entries, rings and pending masks.
static inline uint32_t apus_atomic_load32(const void *p) { return __atomic_load_n((const uint32_t *)p, __ATOMIC_ACQUIRE); }
static inline uint64_t apus_atomic_load64(const void *p) { return __atomic_load_n((const uint64_t *)p, __ATOMIC_ACQUIRE); }
static inline uint16_t apus_atomic_load16(const void *p) { return __atomic_load_n((const uint16_t *)p, __ATOMIC_ACQUIRE); }
static inline void apus_atomic_store16(void *p, uint16_t v) { __atomic_store_n((uint16_t *)p, v, __ATOMIC_RELEASE); }
static inline void apus_atomic_store32(void *p, uint32_t v) { __atomic_store_n((uint32_t *)p, v, __ATOMIC_RELEASE); }
static inline void apus_atomic_store64(void *p, uint64_t v) { __atomic_store_n((uint64_t *)p, v, __ATOMIC_RELEASE); }
static inline uint32_t apus_atomic_or32(void *p, uint32_t v) { return __atomic_fetch_or((uint32_t *)p, v, __ATOMIC_SEQ_CST); }
static inline uint32_t apus_atomic_and32(void *p, uint32_t v) { return __atomic_fetch_and((uint32_t *)p, v, __ATOMIC_SEQ_CST); }
static inline uint32_t apus_atomic_exchange32(void *p, uint32_t v) { return __atomic_exchange_n((uint32_t *)p, v, __ATOMIC_SEQ_CST); }
static inline uint64_t apus_atomic_or64(void *p, uint64_t v) { return __atomic_fetch_or((uint64_t *)p, v, __ATOMIC_SEQ_CST); }
static inline uint64_t apus_atomic_and64(void *p, uint64_t v) { return __atomic_fetch_and((uint64_t *)p, v, __ATOMIC_SEQ_CST); }
static inline uint8_t apus_atomic_or8(void *p, uint8_t v) { return __atomic_fetch_or((uint8_t *)p, v, __ATOMIC_SEQ_CST); }
static inline uint8_t apus_atomic_and8(void *p, uint8_t v) { return __atomic_fetch_and((uint8_t *)p, v, __ATOMIC_SEQ_CST); }
static inline uint8_t apus_atomic_load8(const void *p) { return __atomic_load_n((const uint8_t *)p, __ATOMIC_ACQUIRE); }
// True where `*p` was `expected` and is now `desired`.
static inline bool apus_atomic_cas32(void *p, uint32_t expected, uint32_t desired) {
    return __atomic_compare_exchange_n((uint32_t *)p, &expected, desired, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}
static inline bool apus_atomic_cas64(void *p, uint64_t expected, uint64_t desired) {
    return __atomic_compare_exchange_n((uint64_t *)p, &expected, desired, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}
static inline void apus_fence(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

// STOS by the host: `count` elements of `size` bytes.
static inline void apus_fill_elements(void *target, uint64_t value, long count, int size) {
    uint8_t *t = (uint8_t *)target;
    switch (size) {
    case 1: __builtin_memset(t, (int)(value & 0xff), (unsigned long)count); return;
    case 2: for (long i = 0; i < count; i++) ((apus_u16 *)t)[i] = (uint16_t)value; return;
    case 4: for (long i = 0; i < count; i++) ((apus_u32 *)t)[i] = (uint32_t)value; return;
    default: for (long i = 0; i < count; i++) ((apus_u64 *)t)[i] = value; return;
    }
}
// MOVS where the target overlaps the source ahead of it: strictly one element after the other.
static inline void apus_copy_elements(void *target, const void *source, long count, int size) {
    uint8_t *t = (uint8_t *)target;
    const uint8_t *s = (const uint8_t *)source;
    switch (size) {
    case 1: for (long i = 0; i < count; i++) apus_store8(t + i, apus_load8(s + i)); return;
    case 2: for (long i = 0; i < count; i++) apus_store16(t + 2 * i, apus_load16(s + 2 * i)); return;
    case 4: for (long i = 0; i < count; i++) apus_store32(t + 4 * i, apus_load32(s + 4 * i)); return;
    default: for (long i = 0; i < count; i++) apus_store64(t + 8 * i, apus_load64(s + 8 * i)); return;
    }
}

static inline uint64_t apus_rdtsc(void) {
#if defined(__x86_64__)
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return ((uint64_t)high << 32) | low;
#else
    return 0;
#endif
}

struct apus_cpuid_result { uint32_t eax, ebx, ecx, edx; };
static inline struct apus_cpuid_result apus_host_cpuid(uint32_t leaf, uint32_t subleaf) {
    struct apus_cpuid_result r = {0, 0, 0, 0};
#if defined(__x86_64__)
    __asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(subleaf));
#endif
    return r;
}
static inline void apus_pause(void) {
#if defined(__x86_64__)
    __asm__ volatile("pause");
#endif
}

static inline bool apus_equal(const void *a, const void *b, long count) { return __builtin_memcmp(a, b, (unsigned long)count) == 0; }

// A processor that waits: for a moment, and for a time slice.
static inline void apus_spin(void) { __asm__ volatile("pause"); }
int sched_yield(void);
static inline void apus_yield(void) { sched_yield(); }

#endif
