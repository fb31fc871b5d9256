// The host's x87 unit while it holds the registers of a guest. None of these waits for a pending exception but
// `apus_x87_set_control`, which must not be called with one. All keep MXCSR at the host's own value.

#ifndef APUS_X87_H
#define APUS_X87_H

#include <stdint.h>

#define APUS_XMM_CLOBBERS                                                                                   \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", \
        "xmm13", "xmm14", "xmm15"

// Loads the x87 part of an FXSAVE image of 512 bytes.
static inline void apus_x87_load(const void *image) {
    uint32_t host = 0x1f80;
    __asm__ volatile("fxrstor64 (%0); ldmxcsr %1" : : "r"(image), "m"(host) : "memory", APUS_XMM_CLOBBERS);
}
// Stores an FXSAVE image, and leaves the unit empty, as the ABI wants it.
static inline void apus_x87_save(void *image) { __asm__ volatile("fxsave64 (%0); fninit" : : "r"(image) : "memory"); }
static inline void apus_x87_discard(void) { __asm__ volatile("fninit"); }
static inline uint16_t apus_x87_status(void) {
    uint16_t status;
    __asm__ volatile("fnstsw %0" : "=a"(status));
    return status;
}
static inline void apus_x87_set_control(uint16_t control) { __asm__ volatile("fldcw %0" : : "m"(control)); }
static inline void apus_x87_clear(void) { __asm__ volatile("fnclex"); }

#endif
