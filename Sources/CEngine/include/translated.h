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

// SIGSEGV, SIGBUS, SIGFPE: translated code that faults goes on in its fault stub; everything else meets the action
// that was there before. Async-signal-safe: plain memory only.
static inline void apus_fault_handler(int number, siginfo_t *_Nullable info, void *_Nullable context) {
    ucontext_t *c = (ucontext_t *)context;
    uint64_t table = apus_read_gs_base();
    if (table != 0) {
        struct apus_vcpu *v = (struct apus_vcpu *)(table - APUS_HEADER_BYTES);
        uint64_t rip = (uint64_t)c->uc_mcontext.gregs[16];
        if (rip - v->code_start < v->code_count) {
            v->fault_address_host = rip;
            c->uc_mcontext.gregs[16] = (greg_t)v->fault_stub;
            return;
        }
    }
    struct sigaction *previous = &apus_previous_actions[number & 63];
    if ((previous->sa_flags & SA_SIGINFO) && previous->sa_sigaction && previous->sa_sigaction != apus_fault_handler) {
        previous->sa_sigaction(number, info, context);
    } else {
        // The fault comes again, and meets that action.
        sigaction(number, previous, 0);
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
