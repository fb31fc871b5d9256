// The neutral state of one x86-64 processor, the same for every engine: what a saved machine holds.
// It is valid whenever the processor is outside `run`. All fields are architectural (Intel SDM volume 1, 3.2-3.4;
// volume 3, 2.1-2.6); none depends on an engine, a host pointer or a time of the host.

#ifndef APUS_X86_STATE_H
#define APUS_X86_STATE_H

#include <stddef.h>
#include <stdint.h>

// One segment register with its hidden part. `attributes` holds descriptor bits 40-47 in bits 0-7
// (type, S, DPL, P) and bits 52-55 in bits 8-11 (AVL, L, D/B, G), as AMD's VMCB packs them.
// `limit` is in bytes (granularity applied).
struct apus_x86_segment {
    uint64_t base;
    uint32_t limit;
    uint16_t selector;
    uint16_t attributes;
};

#define APUS_SEG_ES 0
#define APUS_SEG_CS 1
#define APUS_SEG_SS 2
#define APUS_SEG_DS 3
#define APUS_SEG_FS 4
#define APUS_SEG_GS 5
#define APUS_SEG_LDTR 6
#define APUS_SEG_TR 7

struct apus_x86_table {
    uint64_t base;
    uint32_t limit;
    uint32_t reserved;
};

struct apus_x86_vector {
    _Alignas(16) uint64_t lane[4];  // 16: the most that Swift imports
};

struct apus_x86_state {
    // 0: rax rcx rdx rbx rsp rbp rsi rdi r8..r15, in encoding order
    uint64_t gpr[16];
    uint64_t rip;
    uint64_t rflags;
    // 144: es cs ss ds fs gs ldtr tr
    struct apus_x86_segment segment[8];
    struct apus_x86_table gdtr;
    struct apus_x86_table idtr;
    // 304
    uint64_t cr0, cr2, cr3, cr4, xcr0, efer;
    uint64_t dr[8];  // dr4 and dr5 unused
    // 416: model-specific registers
    uint64_t star, lstar, cstar, sfmask, kernel_gs_base;
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
    uint64_t pat, tsc_aux, tsc_adjust, misc_enable, spec_ctrl, debugctl, xss;
    uint64_t mtrr_def_type, mtrr_fixed[11], mtrr_base[8], mtrr_mask[8];
    // Guest TSC = host TSC + tsc_offset while the machine runs; engines rewrite it when a state is loaded.
    uint64_t tsc_offset;
    // kvm-clock and its companions (Linux, Documentation/virt/kvm/x86/msr.rst)
    uint64_t kvm_system_time, kvm_wall_clock, kvm_steal_time, kvm_pv_eoi, kvm_poll_control;
    // Pending and blocking events
    uint8_t halted;             // HLT until an event
    uint8_t waiting_for_sipi;   // after INIT, until a start-up IPI
    uint8_t nmi_blocked;        // between an NMI and IRET
    uint8_t interrupt_shadow;   // after STI or MOV SS, one instruction long
    uint8_t smm;                // APUS_SMM_*
    uint8_t reserved_events[3];
    // x87 and MMX: the first 160 bytes of FXSAVE's 64-bit layout (control, status, tag, pointers, MXCSR, st0-st7)
    _Alignas(16) uint8_t fx[160];
    // ymm0..ymm15, the xmm registers in the low halves
    struct apus_x86_vector ymm[16];
    uint32_t pkru, pkrs;  // rights of protection keys: of user pages, and of supervisor pages (IA32_PKRS)
    // KVM's asynchronous page faults: the area with its flags, and the vector
    uint64_t kvm_async_pf, kvm_async_pf_vector;
    uint64_t smbase, smi_count;  // system management: where its memory begins, and how often it was entered
};

#define APUS_SMM_ACTIVE 1       // in system management mode
#define APUS_SMM_NMI_BLOCKED 2  // NMIs were blocked when it was entered

// What a processor outside `run` has yet to take, or has taken and not wholly delivered.
struct apus_x86_events {
    uint8_t nmi_pending, smi_pending;
    uint8_t init_pending, sipi_pending, sipi_vector;
    uint8_t interrupt_injected, interrupt_vector, interrupt_soft;  // left the controller, not yet in its handler
    uint8_t exception_pending, exception_injected, exception_vector, exception_has_error, exception_has_payload;
    uint32_t exception_error;
    uint64_t exception_payload;  // CR2 or bits of DR6 that are set at delivery
};

#define APUS_FX_FCW 0
#define APUS_FX_FSW 2
#define APUS_FX_FTW 4
#define APUS_FX_FOP 6
#define APUS_FX_FIP 8
#define APUS_FX_FDP 16
#define APUS_FX_MXCSR 24
#define APUS_FX_ST 32

#endif
