// Locked read-modify-write on guest memory: a guest's atomics are the host's atomics. Flags as in alu.h.
#ifndef APUS_LOCKED_H
#define APUS_LOCKED_H
#include "alu.h"

#define APUS_LOCKED_BINARY(name, insn, suffix, type, reg)                                                   \
    static inline void apus_lock_##name(void *p, type b, uint16_t *flags) {                                 \
        uint16_t f = *flags;                                                                                \
        __asm__ volatile("btw $8, %%ax; lock " insn suffix " %2, %1; lahf; seto %%al"                       \
                         : "+a"(f), "+m"(*(volatile type *)p)                                               \
                         : reg(b)                                                                           \
                         : "cc", "memory");                                                                 \
        *flags = f;                                                                                         \
    }
#define APUS_LOCKED_SIZES(name, insn)                                                                       \
    APUS_LOCKED_BINARY(name##8, insn, "b", uint8_t, "q")                                                    \
    APUS_LOCKED_BINARY(name##16, insn, "w", uint16_t, "r")                                                  \
    APUS_LOCKED_BINARY(name##32, insn, "l", uint32_t, "r")                                                  \
    APUS_LOCKED_BINARY(name##64, insn, "q", uint64_t, "r")

APUS_LOCKED_SIZES(add, "add")
APUS_LOCKED_SIZES(or, "or")
APUS_LOCKED_SIZES(adc, "adc")
APUS_LOCKED_SIZES(sbb, "sbb")
APUS_LOCKED_SIZES(and, "and")
APUS_LOCKED_SIZES(sub, "sub")
APUS_LOCKED_SIZES(xor, "xor")

#define APUS_LOCKED_UNARY(name, insn, suffix, type)                                                         \
    static inline void apus_lock_##name(void *p, uint16_t *flags) {                                         \
        uint16_t f = *flags;                                                                                \
        __asm__ volatile("btw $8, %%ax; lock " insn suffix " %1; lahf; seto %%al"                           \
                         : "+a"(f), "+m"(*(volatile type *)p)                                               \
                         :                                                                                  \
                         : "cc", "memory");                                                                 \
        *flags = f;                                                                                         \
    }
#define APUS_LOCKED_UNARY_SIZES(name, insn)                                                                 \
    APUS_LOCKED_UNARY(name##8, insn, "b", uint8_t)                                                          \
    APUS_LOCKED_UNARY(name##16, insn, "w", uint16_t)                                                        \
    APUS_LOCKED_UNARY(name##32, insn, "l", uint32_t)                                                        \
    APUS_LOCKED_UNARY(name##64, insn, "q", uint64_t)
APUS_LOCKED_UNARY_SIZES(inc, "inc")
APUS_LOCKED_UNARY_SIZES(dec, "dec")
APUS_LOCKED_UNARY_SIZES(neg, "neg")

// NOT changes no flag.
#define APUS_LOCKED_NOT(bits, suffix)                                                                       \
    static inline void apus_lock_not##bits(void *p) {                                                       \
        __asm__ volatile("lock not" suffix " %0" : "+m"(*(volatile uint##bits##_t *)p) : : "memory");       \
    }
APUS_LOCKED_NOT(8, "b")
APUS_LOCKED_NOT(16, "w")
APUS_LOCKED_NOT(32, "l")
APUS_LOCKED_NOT(64, "q")

// XCHG with memory: the old value. (Locked with or without the prefix.)
#define APUS_LOCKED_XCHG(bits)                                                                              \
    static inline uint##bits##_t apus_lock_xchg##bits(void *p, uint##bits##_t v) {                          \
        __asm__ volatile("xchg %0, %1" : "+q"(v), "+m"(*(volatile uint##bits##_t *)p) : : "memory");        \
        return v;                                                                                           \
    }
APUS_LOCKED_XCHG(8)
APUS_LOCKED_XCHG(16)
APUS_LOCKED_XCHG(32)
APUS_LOCKED_XCHG(64)

// XADD: the old value.
#define APUS_LOCKED_XADD(bits, suffix)                                                                      \
    static inline uint##bits##_t apus_lock_xadd##bits(void *p, uint##bits##_t v, uint16_t *flags) {         \
        uint16_t f = *flags;                                                                                \
        __asm__ volatile("lock xadd" suffix " %1, %2; lahf; seto %%al"                                      \
                         : "+a"(f), "+q"(v), "+m"(*(volatile uint##bits##_t *)p)                            \
                         :                                                                                  \
                         : "cc", "memory");                                                                 \
        *flags = f;                                                                                         \
        return v;                                                                                           \
    }
APUS_LOCKED_XADD(8, "b")
APUS_LOCKED_XADD(16, "w")
APUS_LOCKED_XADD(32, "l")
APUS_LOCKED_XADD(64, "q")

// CMPXCHG: the accumulator after it. Flags are those of the comparison.
#define APUS_LOCKED_CMPXCHG(bits, suffix)                                                                   \
    static inline uint##bits##_t apus_lock_cmpxchg##bits(void *p, uint##bits##_t accumulator,               \
                                                         uint##bits##_t v, uint16_t *flags) {               \
        uint##bits##_t a = accumulator;                                                                     \
        uint16_t f;                                                                                         \
        uint64_t wide = a;                                                                                  \
        __asm__ volatile("lock cmpxchg" suffix " %3, %2; movq %%rax, %1; lahf; seto %%al"                   \
                         : "=&a"(f), "=&r"(wide), "+m"(*(volatile uint##bits##_t *)p)                       \
                         : "q"(v), "0"(a)                                                                   \
                         : "cc", "memory");                                                                 \
        *flags = f;                                                                                         \
        return (uint##bits##_t)wide;                                                                        \
    }
APUS_LOCKED_CMPXCHG(8, "b")
APUS_LOCKED_CMPXCHG(16, "w")
APUS_LOCKED_CMPXCHG(32, "l")
APUS_LOCKED_CMPXCHG(64, "q")

// CMPXCHG8B/16B: true where the exchange was made; `low` and `high` receive the memory's value where not.
static inline bool apus_lock_cmpxchg8b(void *p, uint32_t *low, uint32_t *high, uint32_t new_low, uint32_t new_high) {
    uint64_t expected = ((uint64_t)*high << 32) | *low, desired = ((uint64_t)new_high << 32) | new_low, old = expected;
    uint8_t equal;
    __asm__ volatile("lock cmpxchgq %3, %2; sete %1"
                     : "+a"(old), "=q"(equal), "+m"(*(volatile uint64_t *)p) : "r"(desired) : "cc", "memory");
    *low = (uint32_t)old; *high = (uint32_t)(old >> 32);
    return equal;
}
static inline bool apus_lock_cmpxchg16b(void *p, uint64_t *low, uint64_t *high, uint64_t new_low, uint64_t new_high) {
    uint8_t equal;
    __asm__ volatile("lock cmpxchg16b %3; sete %2"
                     : "+a"(*low), "+d"(*high), "=q"(equal), "+m"(*(volatile unsigned __int128 *)p)
                     : "b"(new_low), "c"(new_high) : "cc", "memory");
    return equal;
}

// BTS, BTR, BTC on the word that holds the bit: CF is the old bit, the other flags as the host leaves them.
#define APUS_LOCKED_BIT(name, insn, bits, suffix)                                                           \
    static inline void apus_lock_##name##bits(void *p, uint##bits##_t bit, uint16_t *flags) {               \
        uint16_t f = *flags;                                                                                \
        bit &= bits - 1;                                                                                    \
        __asm__ volatile("addb $0x7f, %%al; sahf; lock " insn suffix " %2, %1; lahf; seto %%al"             \
                         : "+a"(f), "+m"(*(volatile uint##bits##_t *)p) : "r"(bit) : "cc", "memory");       \
        *flags = f;                                                                                         \
    }
#define APUS_LOCKED_BIT_SIZES(name, insn)                                                                   \
    APUS_LOCKED_BIT(name, insn, 16, "w")                                                                    \
    APUS_LOCKED_BIT(name, insn, 32, "l")                                                                    \
    APUS_LOCKED_BIT(name, insn, 64, "q")
APUS_LOCKED_BIT_SIZES(bts, "bts")
APUS_LOCKED_BIT_SIZES(btr, "btr")
APUS_LOCKED_BIT_SIZES(btc, "btc")

#endif
