// Arithmetic with x86's own flags, by the host's own instructions: every flag, the undefined ones included, is what
// this processor gives. `flags` has the form that LAHF and SETO leave in AX: OF in bit 0; CF PF AF ZF SF in bits 8, 10,
// 12, 14, 15. It is read for CF (ADC, SBB, RCL, RCR, INC, DEC) and where an instruction leaves flags alone.

#ifndef APUS_ALU_H
#define APUS_ALU_H

#include <stdbool.h>
#include <stdint.h>

#define APUS_ALU_BINARY(name, insn, bits, suffix)                                                           \
    static inline uint##bits##_t apus_##name##bits(uint##bits##_t a, uint##bits##_t b, uint16_t *flags) {   \
        uint16_t f;                                                                                         \
        __asm__(insn suffix " %2, %1; lahf; seto %%al" : "=&a"(f), "+&q"(a) : "q"(b) : "cc");               \
        *flags = f;                                                                                         \
        return a;                                                                                           \
    }
#define APUS_ALU_CARRY(name, insn, bits, suffix)                                                            \
    static inline uint##bits##_t apus_##name##bits(uint##bits##_t a, uint##bits##_t b, uint16_t *flags) {   \
        uint16_t f = *flags;                                                                                \
        __asm__("btw $8, %%ax; " insn suffix " %2, %1; lahf; seto %%al" : "+&a"(f), "+&q"(a) : "q"(b) : "cc"); \
        *flags = f;                                                                                         \
        return a;                                                                                           \
    }
#define APUS_ALU_UNARY(name, insn, bits, suffix)                                                            \
    static inline uint##bits##_t apus_##name##bits(uint##bits##_t a, uint16_t *flags) {                     \
        uint16_t f = *flags;                                                                                \
        __asm__("btw $8, %%ax; " insn suffix " %1; lahf; seto %%al" : "+&a"(f), "+&q"(a) : : "cc");          \
        *flags = f;                                                                                         \
        return a;                                                                                           \
    }
// Shifts and rotates by a count of 1 and more (the caller masks it and leaves count 0 alone).
#define APUS_ALU_SHIFT(name, insn, bits, suffix)                                                            \
    static inline uint##bits##_t apus_##name##bits(uint##bits##_t a, uint8_t count, uint16_t *flags) {      \
        uint16_t f = *flags;                                                                                \
        __asm__("addb $0x7f, %%al; sahf; " insn suffix " %%cl, %1; lahf; seto %%al"                          \
                : "+&a"(f), "+&q"(a) : "c"(count) : "cc");                                                   \
        *flags = f;                                                                                         \
        return a;                                                                                           \
    }
#define APUS_ALU_DOUBLE_SHIFT(name, insn, bits, suffix)                                                     \
    static inline uint##bits##_t apus_##name##bits(uint##bits##_t a, uint##bits##_t b, uint8_t count,       \
                                                   uint16_t *flags) {                                       \
        uint16_t f = *flags;                                                                                \
        __asm__("addb $0x7f, %%al; sahf; " insn suffix " %%cl, %2, %1; lahf; seto %%al"                      \
                : "+&a"(f), "+&q"(a) : "q"(b), "c"(count) : "cc");                                           \
        *flags = f;                                                                                         \
        return a;                                                                                           \
    }
#define APUS_ALU_SIZES(kind, name, insn)                                                                    \
    kind(name, insn, 8, "b")                                                                                \
    kind(name, insn, 16, "w")                                                                               \
    kind(name, insn, 32, "l")                                                                               \
    kind(name, insn, 64, "q")
#define APUS_ALU_WIDE(kind, name, insn)                                                                     \
    kind(name, insn, 16, "w")                                                                               \
    kind(name, insn, 32, "l")                                                                               \
    kind(name, insn, 64, "q")

APUS_ALU_SIZES(APUS_ALU_BINARY, add, "add")
APUS_ALU_SIZES(APUS_ALU_BINARY, or, "or")
APUS_ALU_SIZES(APUS_ALU_CARRY, adc, "adc")
APUS_ALU_SIZES(APUS_ALU_CARRY, sbb, "sbb")
APUS_ALU_SIZES(APUS_ALU_BINARY, and, "and")
APUS_ALU_SIZES(APUS_ALU_BINARY, sub, "sub")
APUS_ALU_SIZES(APUS_ALU_BINARY, xor, "xor")
APUS_ALU_SIZES(APUS_ALU_BINARY, cmp, "cmp")
APUS_ALU_SIZES(APUS_ALU_BINARY, test, "test")
APUS_ALU_SIZES(APUS_ALU_UNARY, inc, "inc")
APUS_ALU_SIZES(APUS_ALU_UNARY, dec, "dec")
APUS_ALU_SIZES(APUS_ALU_UNARY, neg, "neg")
APUS_ALU_SIZES(APUS_ALU_SHIFT, rol, "rol")
APUS_ALU_SIZES(APUS_ALU_SHIFT, ror, "ror")
APUS_ALU_SIZES(APUS_ALU_SHIFT, rcl, "rcl")
APUS_ALU_SIZES(APUS_ALU_SHIFT, rcr, "rcr")
APUS_ALU_SIZES(APUS_ALU_SHIFT, shl, "shl")
APUS_ALU_SIZES(APUS_ALU_SHIFT, shr, "shr")
APUS_ALU_SIZES(APUS_ALU_SHIFT, sar, "sar")
APUS_ALU_WIDE(APUS_ALU_DOUBLE_SHIFT, shld, "shld")
APUS_ALU_WIDE(APUS_ALU_DOUBLE_SHIFT, shrd, "shrd")

// Two-operand instructions that read `b` and may leave the destination alone (BSF and BSR of zero).
#define APUS_ALU_SCAN(name, insn, bits, suffix)                                                             \
    static inline uint##bits##_t apus_##name##bits(uint##bits##_t a, uint##bits##_t b, uint16_t *flags) {   \
        uint16_t f = *flags;                                                                                \
        __asm__("addb $0x7f, %%al; sahf; " insn suffix " %2, %1; lahf; seto %%al"                            \
                : "+&a"(f), "+&r"(a) : "r"(b) : "cc");                                                       \
        *flags = f;                                                                                         \
        return a;                                                                                           \
    }
APUS_ALU_WIDE(APUS_ALU_SCAN, bsf, "bsf")
APUS_ALU_WIDE(APUS_ALU_SCAN, bsr, "bsr")
APUS_ALU_WIDE(APUS_ALU_SCAN, tzcnt, "tzcnt")
APUS_ALU_WIDE(APUS_ALU_SCAN, lzcnt, "lzcnt")
APUS_ALU_WIDE(APUS_ALU_SCAN, popcnt, "popcnt")
APUS_ALU_WIDE(APUS_ALU_SCAN, imul, "imul")
// BT and its writing forms on a register; `b` is masked by the instruction.
APUS_ALU_WIDE(APUS_ALU_SCAN, bt, "bt")
APUS_ALU_WIDE(APUS_ALU_SCAN, bts, "bts")
APUS_ALU_WIDE(APUS_ALU_SCAN, btr, "btr")
APUS_ALU_WIDE(APUS_ALU_SCAN, btc, "btc")

// Widening multiplications; `high` receives the upper half. AMD's processors leave four flags as they were.
#define APUS_ALU_MULTIPLY(name, insn, bits, suffix)                                                         \
    static inline uint##bits##_t apus_##name##bits(uint##bits##_t a, uint##bits##_t b, uint##bits##_t *high, \
                                                   uint16_t *flags) {                                       \
        uint##bits##_t h, l;                                                                                \
        uint64_t keep, wide = a;                                                                            \
        uint16_t f = *flags;                                                                                \
        __asm__("movw %3, %%ax; addb $0x7f, %%al; sahf; movq %4, %%rax; " insn suffix " %5; movq %%rax, %2; " \
                "lahf; seto %%al; movw %%ax, %3; movq %2, %%rax"                                            \
                : "=&a"(l), "=&d"(h), "=&r"(keep), "+&r"(f) : "r"(wide), "r"(b) : "cc");                     \
        *high = h;                                                                                          \
        *flags = f;                                                                                         \
        return l;                                                                                           \
    }
APUS_ALU_WIDE(APUS_ALU_MULTIPLY, mul_wide, "mul")
APUS_ALU_WIDE(APUS_ALU_MULTIPLY, imul_wide, "imul")
// The 8-bit forms: AX = AL * b.
#define APUS_ALU_MULTIPLY8(name, insn)                                                                      \
    static inline uint16_t apus_##name##8(uint8_t a, uint8_t b, uint16_t *flags) {                          \
        uint16_t wide, f = *flags;                                                                          \
        __asm__("addb $0x7f, %%al; sahf; movb %2, %%al; " insn "b %3; movw %%ax, %1; lahf; seto %%al"        \
                : "+&a"(f), "=&r"(wide) : "q"(a), "q"(b) : "cc");                                            \
        *flags = f;                                                                                         \
        return wide;                                                                                        \
    }
APUS_ALU_MULTIPLY8(mul_wide, "mul")
APUS_ALU_MULTIPLY8(imul_wide, "imul")

// Divisions; the caller has made sure that the quotient fits. 64-bit only: the others are done in wider integers.
static inline uint64_t apus_div64(uint64_t high, uint64_t low, uint64_t divisor, uint64_t *remainder) {
    __asm__("divq %2" : "+a"(low), "+d"(high) : "r"(divisor) : "cc");
    *remainder = high;
    return low;
}
static inline uint64_t apus_idiv64(uint64_t high, uint64_t low, uint64_t divisor, uint64_t *remainder) {
    __asm__("idivq %2" : "+a"(low), "+d"(high) : "r"(divisor) : "cc");
    *remainder = high;
    return low;
}

static inline uint32_t apus_crc32_8(uint32_t a, uint8_t b) { __asm__("crc32b %1, %0" : "+r"(a) : "q"(b)); return a; }
static inline uint32_t apus_crc32_16(uint32_t a, uint16_t b) { __asm__("crc32w %1, %0" : "+r"(a) : "r"(b)); return a; }
static inline uint32_t apus_crc32_32(uint32_t a, uint32_t b) { __asm__("crc32l %1, %0" : "+r"(a) : "r"(b)); return a; }
static inline uint64_t apus_crc32_64(uint64_t a, uint64_t b) { __asm__("crc32q %1, %0" : "+r"(a) : "r"(b)); return a; }

// RDRAND and RDSEED: false where the host had no number ready.
static inline bool apus_rdrand64(uint64_t *v) {
    uint8_t ok;
    __asm__ volatile("rdrand %0; setc %1" : "=r"(*v), "=q"(ok) : : "cc");
    return ok;
}
static inline bool apus_rdseed64(uint64_t *v) {
    uint8_t ok;
    __asm__ volatile("rdseed %0; setc %1" : "=r"(*v), "=q"(ok) : : "cc");
    return ok;
}

#endif
