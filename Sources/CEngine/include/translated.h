// Entry into translated code, and the faults that it takes.

#ifndef APUS_TRANSLATED_H
#define APUS_TRANSLATED_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <ucontext.h>
#include "vcpu.h"

// The structure as translated code sees it ends where its table begins.
#define APUS_HEADER_BYTES ((sizeof(struct apus_vcpu) + 4095) & ~4095ul)

// Enters translated code with the C function `enter`, which the code cache begins with.
static inline uint64_t apus_enter_translated(struct apus_vcpu *_Nonnull v, uint64_t enter, uint64_t code) {
    return ((uint64_t (*)(struct apus_vcpu *, uint64_t))enter)(v, code);
}

// True where the kernel lets programs write the GS base (HWCAP2_FSGSBASE).
static inline bool apus_has_fsgsbase(void) { return (getauxval(26) & 2) != 0; }

static inline uint64_t apus_read_gs_base(void) {
    uint64_t value;
    __asm__ volatile("rdgsbase %0" : "=r"(value));
    return value;
}

extern struct sigaction apus_previous_actions[65];  // in entry.S

// Where translated code lies, of every processor of the process: what the GS base names is alive only while a thread is
// in one of them.
struct apus_code_region {
    uint64_t start, count;  // count 0 while the place is free
};
#define APUS_CODE_REGIONS 1024
extern struct apus_code_region apus_code_regions[APUS_CODE_REGIONS];  // in entry.S

// Enters a region; false where there are too many. Any thread.
static inline bool apus_add_code_region(uint64_t start, uint64_t count) {
    for (int i = 0; i < APUS_CODE_REGIONS; i++) {
        uint64_t free = 0;
        if (__atomic_compare_exchange_n(&apus_code_regions[i].start, &free, start, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
            __atomic_store_n(&apus_code_regions[i].count, count, __ATOMIC_SEQ_CST);
            return true;
        }
    }
    return false;
}
// Removes a region that no thread is in. Any thread.
static inline void apus_remove_code_region(uint64_t start) {
    for (int i = 0; i < APUS_CODE_REGIONS; i++) {
        if (__atomic_load_n(&apus_code_regions[i].start, __ATOMIC_SEQ_CST) != start) continue;
        __atomic_store_n(&apus_code_regions[i].count, 0, __ATOMIC_SEQ_CST);
        __atomic_store_n(&apus_code_regions[i].start, 0, __ATOMIC_SEQ_CST);
        return;
    }
}
static inline bool apus_is_translated(uint64_t rip) {
    for (int i = 0; i < APUS_CODE_REGIONS; i++) {
        uint64_t start = __atomic_load_n(&apus_code_regions[i].start, __ATOMIC_RELAXED);
        if (rip - start < __atomic_load_n(&apus_code_regions[i].count, __ATOMIC_RELAXED)) return true;
    }
    return false;
}

// SIGSEGV, SIGBUS, SIGFPE: translated code that faults goes on in its fault stub; everything else meets the action
// that was there before. Async-signal-safe: plain memory only.
static inline void apus_fault_handler(int number, siginfo_t *_Nullable info, void *_Nullable context) {
    ucontext_t *c = (ucontext_t *)context;
    uint64_t rip = (uint64_t)c->uc_mcontext.gregs[16];
    // A signal that somebody sent is no fault of the code that it met.
    bool is_fault = info && info->si_code > 0;
    if (is_fault && apus_is_translated(rip)) {
        struct apus_vcpu *v = (struct apus_vcpu *)(apus_read_gs_base() - APUS_HEADER_BYTES);
        v->fault_address_host = rip;
        c->uc_mcontext.gregs[16] = (greg_t)v->fault_stub;
        return;
    }
    struct sigaction *previous = &apus_previous_actions[number & 63];
    if ((previous->sa_flags & SA_SIGINFO) && previous->sa_sigaction && previous->sa_sigaction != apus_fault_handler) {
        previous->sa_sigaction(number, info, context);
    } else {
        // The fault comes again, and meets that action; what was sent does not come again by itself.
        sigaction(number, previous, 0);
        if (!is_fault) raise(number);
    }
}

// Puts the handler in place. Once a process.
static inline void apus_install_fault_handler(void) {
    struct sigaction action = {0};
    action.sa_sigaction = apus_fault_handler;
    action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
    sigaction(SIGSEGV, &action, &apus_previous_actions[SIGSEGV]);
    sigaction(SIGBUS, &action, &apus_previous_actions[SIGBUS]);
    sigaction(SIGFPE, &action, &apus_previous_actions[SIGFPE]);
}

#endif
