// State of one local APIC (Intel SDM volume 3, chapter 11). `irr` may be set by any thread with the atomic functions;
// every other field belongs to the processor's own thread.

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
    uint32_t esr, esr_shadow;
    uint32_t icr_low, icr_high;
    uint32_t lvt[7];            // timer, thermal, performance, LINT0, LINT1, error, CMCI
    uint32_t timer_divide, timer_initial;
    uint64_t timer_start_ns;    // virtual time at which the current count began
    uint64_t timer_deadline_ns; // virtual time of the next expiry; 0 = none
    uint64_t tsc_deadline;      // IA32_TSC_DEADLINE, guest TSC; 0 = disarmed
};

#define APUS_LVT_TIMER 0
#define APUS_LVT_THERMAL 1
#define APUS_LVT_PERFORMANCE 2
#define APUS_LVT_LINT0 3
#define APUS_LVT_LINT1 4
#define APUS_LVT_ERROR 5
#define APUS_LVT_CMCI 6

#endif
