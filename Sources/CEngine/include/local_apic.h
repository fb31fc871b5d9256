// State of one local APIC (Intel SDM volume 3, chapter 11). `irr`, `tmr` and `esr_shadow` may be changed by any thread
// with the atomic functions; every other field is written by the processor's own thread alone, and those that senders
// of interrupts look at (base, id, ldr, dfr, svr, tpr, isr, lvt) may be read by any thread with the functions below.

#ifndef APUS_LOCAL_APIC_H
#define APUS_LOCAL_APIC_H

#include <stdint.h>

struct apus_local_apic {
    uint32_t irr[8];            // atomic: requested, not yet in service
    uint32_t tmr[8];            // atomic: 1 = level-triggered
    uint32_t isr[8];
    uint64_t base;              // IA32_APIC_BASE: address, BSP (8), x2APIC (10), enable (11)
    uint32_t id;                // initial APIC ID
    uint32_t tpr;
    uint32_t ldr, dfr;          // xAPIC logical destination; derived in x2APIC mode
    uint32_t svr;
    uint32_t esr;               // as last latched by a write
    uint32_t esr_shadow;        // atomic: errors since then
    uint32_t icr_low, icr_high;
    uint32_t lvt[7];            // timer, thermal, performance, LINT0, LINT1, error, CMCI
    uint32_t timer_divide, timer_initial;
    uint64_t timer_deadline_ns; // virtual time at which the count reaches zero; 0 = stopped
    uint64_t tsc_deadline;      // IA32_TSC_DEADLINE, guest TSC; 0 = disarmed
};

#define APUS_LVT_TIMER 0
#define APUS_LVT_THERMAL 1
#define APUS_LVT_PERFORMANCE 2
#define APUS_LVT_LINT0 3
#define APUS_LVT_LINT1 4
#define APUS_LVT_ERROR 5
#define APUS_LVT_CMCI 6

static inline uint32_t *_Nonnull apus_apic_irr(struct apus_local_apic *_Nonnull a) { return a->irr; }
static inline uint32_t *_Nonnull apus_apic_tmr(struct apus_local_apic *_Nonnull a) { return a->tmr; }
static inline uint32_t *_Nonnull apus_apic_isr(struct apus_local_apic *_Nonnull a) { return a->isr; }
static inline uint32_t *_Nonnull apus_apic_lvt(struct apus_local_apic *_Nonnull a) { return a->lvt; }
static inline uint32_t *_Nonnull apus_apic_esr_shadow(struct apus_local_apic *_Nonnull a) { return &a->esr_shadow; }

// Fields that one thread writes and all may read.
#define APUS_APIC_SHARED(type, field)                                                                       \
    static inline type apus_apic_##field(const struct apus_local_apic *_Nonnull a) {                        \
        return __atomic_load_n(&a->field, __ATOMIC_RELAXED);                                                \
    }                                                                                                       \
    static inline void apus_apic_set_##field(struct apus_local_apic *_Nonnull a, type v) {                  \
        __atomic_store_n(&a->field, v, __ATOMIC_RELAXED);                                                   \
    }
APUS_APIC_SHARED(uint64_t, base)
APUS_APIC_SHARED(uint32_t, id)
APUS_APIC_SHARED(uint32_t, tpr)
APUS_APIC_SHARED(uint32_t, ldr)
APUS_APIC_SHARED(uint32_t, dfr)
APUS_APIC_SHARED(uint32_t, svr)

#endif
