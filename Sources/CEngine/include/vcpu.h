// The working state of one processor of the software engine: the neutral state first, then what the interpreter (and
// later the translator) keeps beside it. Decoded instructions name registers by their offset in this structure.

#ifndef APUS_VCPU_H
#define APUS_VCPU_H

#include "local_apic.h"
#include "x86_state.h"

struct apus_vcpu;
struct apus_op;

// Handles by which Swift code names the processor it runs for and the decoded instruction it executes. One pointer
// each, passed in a register. They are safe by construction: only the engine makes them, and it keeps the processor
// and the arena of instructions alive while anything runs.
typedef struct __attribute__((swift_name("CPU"), swift_attr("@safe"))) apus_cpu_handle {
    struct apus_vcpu *_Nonnull vcpu;
} apus_cpu_handle;
typedef struct __attribute__((swift_name("MicroOp"), swift_attr("@safe"))) apus_op_handle {
    const struct apus_op *_Nullable op;
} apus_op_handle;

// Executes one decoded instruction. Returns the next one to execute, or a null handle to leave the loop (`status`
// says why).
typedef apus_op_handle (*apus_handler)(apus_cpu_handle, apus_op_handle);

// A place in the program (in entry.S): what is named by its distance from here means the same in every process of it.
extern const char apus_origin[] __attribute__((visibility("hidden")));

// One decoded instruction, 32 bytes.
struct apus_op {
    int64_t handler_place;  // of its handler, from apus_origin
    uint64_t imm;       // immediate; in direct branches the linked block's first op, or 0
    int32_t disp;       // displacement; in direct branches the target relative to the page
    uint16_t dst, src;  // byte offsets of registers in apus_vcpu
    uint8_t base, index, segment;  // registers of the effective address, in units of 8 bytes
    uint8_t scale;      // bits 0-1: shift of the index; the other bits: APUS_EA_*
    uint16_t offset;    // of this instruction in its page
    uint8_t length;     // of this instruction, 1...15
    uint8_t extra;      // meaning private to the handler
};

static inline apus_handler _Nonnull apus_op_handler(const struct apus_op *_Nonnull op) {
    return (apus_handler)(uintptr_t)(apus_origin + op->handler_place);
}
static inline int64_t apus_handler_place(apus_handler _Nonnull handler) { return (int64_t)((uintptr_t)handler - (uintptr_t)apus_origin); }

#define APUS_EA_SLOW 0xfc   // any of the following
#define APUS_EA_32 0x04     // truncate the effective address to 32 bits
#define APUS_EA_16 0x08     // truncate the effective address to 16 bits
#define APUS_EA_SEGMENTED 0x10  // check limit and type of the segment
#define APUS_EA_NEXT 0x20   // add the next instruction's offset in the page, which the displacement has no room for
#define APUS_EA_WIDE 0x40   // the displacement is `imm`

// A run of guest-physical RAM as the engine looks it up.
struct apus_ram_range {
    uint64_t start, count;
    uint8_t *_Nonnull host;
    uint8_t *_Nonnull page_flags;   // RAMBlock.PageFlag, one byte a page
    uint64_t *_Nonnull granules;    // one bit for 64 bytes that hold decoded code, one word a page
    uint64_t writable;
};

struct apus_tlb_entry {
    uint64_t read_tag;   // page | generation where reads are allowed
    uint64_t write_tag;  // the same for writes; with bit 11 where they are allowed but the page holds code
    uint64_t addend;     // host address minus linear address
    uint64_t physical;   // guest-physical page
};

#define APUS_TLB_BITS 12
#define APUS_TLB_SIZE (1 << APUS_TLB_BITS)

struct apus_jump_entry {
    uint64_t rip;
    uint64_t key;  // mode and generation
    uint64_t page_base;
    apus_op_handle op;
};

// Where translated code of a guest address is.
struct apus_code_entry {
    uint64_t rip;
    uint64_t key;
    uint64_t page_base;
    uint64_t code;       // executable address
};

#define APUS_JUMP_BITS 12
#define APUS_JUMP_SIZE (1 << APUS_JUMP_BITS)

// Why the loop was left (`status`).
#define APUS_STATUS_LOOKUP 0    // rip is set: find its block
#define APUS_STATUS_FAULT 1     // an exception is recorded
#define APUS_STATUS_EXIT 2      // `exit` is filled; rip is at the instruction that restarts, or after it
#define APUS_STATUS_STATE 3     // rip is set, and mode, mappings or pending events may have changed

struct apus_vcpu {
    struct apus_x86_state s;
    uint8_t padding[1536 - sizeof(struct apus_x86_state)];
    // 1536 and on, still within reach of an 8-bit index in units of 8
    uint64_t zero;        // always 0: the absent base, index or segment
    uint64_t page_base;   // rip = page_base + offset within the page being executed
    uint32_t pending;     // atomic: APUS_PENDING_*
    uint16_t arith;       // arithmetic flags: OF in bit 0, SF ZF AF PF CF as LAHF gives them in bits 8-15
    uint8_t status;
    uint8_t mode_index;   // which TLB: 0 kernel, 1 user, 2 kernel with user pages reachable
    uint64_t tlb_generation;  // low 12 bits of the tags
    struct apus_tlb_entry *_Nonnull tlb;  // of the current mode
    uint64_t jump_key;
    uint64_t code_generation; // rises with every flush of supervisor translations
    uint64_t user_generation; // the same of user mode's
    uint8_t local_supervisor; // supervisor mode fetched code by pages that are not global, or of the lower half
    struct apus_jump_entry *_Nonnull jumps;
    const struct apus_op *_Nullable link_from;  // the direct branch whose target is being looked up
    // Recorded exception (SDM volume 3, 6.15)
    uint32_t fault_error;
    uint8_t fault_vector;
    uint8_t fault_has_error;
    uint8_t cpl;
    uint8_t code_changed;     // this processor's store hit translated code
    uint64_t fault_address;   // for #PF
    uint64_t instructions;    // retired, counted at block ends
    uint64_t rip_mask;        // of the code segment: 64, 32 or 16 bits
    uint8_t fpu_blocked;      // APUS_FPU_*: why an instruction class must not run now
    uint8_t code_size;        // 2, 4 or 8
    uint8_t stack_size;       // 2, 4 or 8: width of rSP
    uint8_t paging;           // 0 none, 2 two-level, 3 PAE, 4 four-level
    uint8_t x87_live;         // APUS_X87_*: the host's x87 unit holds the registers, and `s.fx` is out of date
    uint64_t physical_mask;   // of page-table entries: bits 12 to the physical-address width
    uint8_t intel_vendor;     // the vendor decides SYSCALL in compatibility mode and SYSENTER in long mode
    uint64_t cr4_allowed, xcr0_allowed, efer_allowed;  // bits that CPUID offers
    uint64_t pdpte[4];        // PAE's four entries, loaded by writes of CR3
    uint64_t fetch_page, fetch_host;  // last code page looked up: linear | key, and its host address
    uint64_t fetched[64];  // hashed set of pages that code was fetched from
    uint64_t large_2m[16], large_1g;  // hashed sets of regions with entries of large pages in the TLBs
    uint8_t mode_changed;     // MXCSR's control bits changed in the middle of a block
    uint8_t nmi_pending, smi_pending, shutdown_pending, trap_armed;
    uint16_t keys_in_use;     // protection keys of pages that the TLBs have or had since the last flush
    uint8_t masked_events;    // interrupts wait for IF, NMI blocking or priority to change
    uint64_t linked_blocks, tlb_misses, exceptions, interrupts;  // counters
    uint8_t debugging;        // APUS_DEBUG_*
    uint8_t in_blocks;        // blocks run: what must run alone leaves first
    uint8_t verify_phase;     // a block is compared: 1 the interpreter runs it, 2 its code
    uint8_t runs_alone;       // the next instruction runs alone
    uint64_t tlb_flushes, ways_out[8];  // counters: full flushes, calls of translated code by APUS_WAY_*
    struct apus_ram_range *_Nonnull ranges;  // sorted
    uint64_t range_count;
    struct apus_tlb_entry *_Nonnull tlbs[3];
    // The exit handed to the machine, and the replies of this instruction's earlier accesses
    uint64_t exit_address, exit_value;
    uint32_t exit_reason, exit_size;
    uint32_t reply_count, reply_next;
    uint64_t replies[80];
    struct apus_local_apic apic;
    void *_Nullable engine;   // the Swift object, unretained
    // The translator. Translated code reaches this structure below the table that the GS base points to.
    struct apus_vcpu *_Nullable self_pointer;
    void *_Nullable flat_tables;  // the Swift object, unretained
    uint64_t flat_base;       // table of the current mode
    uint64_t flat_bases[3];   // by mode_index; 0 where there is no translator
    uint64_t gs_loaded;       // what the GS base is while translated code runs
    uint64_t (*_Nullable translated_slow)(struct apus_vcpu *_Nonnull, const struct apus_op *_Nonnull, uint64_t);
    uint64_t (*_Nullable translated_end)(struct apus_vcpu *_Nonnull, const struct apus_op *_Nonnull, uint64_t);
    uint64_t (*_Nullable translated_link)(struct apus_vcpu *_Nonnull, const struct apus_op *_Nonnull, uint64_t);
    uint64_t (*_Nullable translated_jump)(struct apus_vcpu *_Nonnull, const struct apus_op *_Nullable, uint64_t);
    uint64_t (*_Nullable translated_far)(struct apus_vcpu *_Nonnull, const struct apus_op *_Nonnull, uint64_t);
    uint64_t (*_Nullable translated_fault)(struct apus_vcpu *_Nonnull, const struct apus_op *_Nullable, uint64_t);
    uint64_t (*_Nullable translated_window)(struct apus_vcpu *_Nonnull, uint64_t, uint64_t);
    uint64_t (*_Nullable translated_promote)(struct apus_vcpu *_Nonnull, const struct apus_op *_Nonnull, uint64_t);
    uint64_t code_start, code_count;  // executable addresses of translated code
    uint64_t *_Nullable cache_log;    // addresses of inline caches that hold something
    uint32_t cache_count;             // how many, at most APUS_CACHE_LOG
    uint64_t translation_threshold;
    uint64_t enter_stub, fault_stub, fault_address_host;
    uint64_t index_mask;      // of a table's byte offset: address bits 12-47, times 16
    uint64_t temporary;
    struct apus_code_entry *_Nullable code_jumps;
    uint32_t translated_mxcsr;  // of translated code: plain control bits with the guest's flags
    uint64_t (*_Nullable translated_step)(struct apus_vcpu *_Nonnull, const struct apus_op *_Nonnull, uint64_t);
    // Counted instructions (`-icount`): a block begins where all of it fits before the limit
    uint64_t executed, execution_limit;
    const struct apus_op *_Nullable charged;  // the first op of the block that `executed` has as a whole
    uint64_t (*_Nullable translated_limit)(struct apus_vcpu *_Nonnull, const struct apus_op *_Nonnull, uint64_t);
    uint8_t counts_instructions;
    _Alignas(16) uint8_t scratch[1024];  // memory operands of host-executed instructions
};

#define APUS_CACHE_LOG 4096

#define APUS_FPU_X87 1    // CR0.EM or CR0.TS: #NM
#define APUS_FPU_SSE_UD 2 // CR0.EM set or CR4.OSFXSR clear: #UD
#define APUS_FPU_TS 4     // CR0.TS: #NM
#define APUS_FPU_AVX_UD 8 // CR4.OSXSAVE clear or XCR0 without AVX: #UD
#define APUS_FPU_EM 16

#define APUS_X87_UNMASKED 1 // some exception is not masked by the control word
#define APUS_X87_MASKED 2   // all are

#define APUS_PENDING_INTERRUPT 0x01  // the local APIC may have something to deliver
#define APUS_PENDING_EXTINT 0x02     // the PIC's line (level)
#define APUS_PENDING_NMI 0x04
#define APUS_PENDING_INIT 0x08
#define APUS_PENDING_SIPI 0x10
#define APUS_PENDING_KICK 0x20       // leave `run`
#define APUS_PENDING_TIMER 0x40      // the APIC timer's deadline may have passed
#define APUS_PENDING_CODE 0x80       // code pages were written by others: drop their blocks
#define APUS_PENDING_MEMORY 0x100    // the physical map changed
#define APUS_PENDING_SMI 0x200
#define APUS_PENDING_EOI 0x800       // the machine is to be told of ended interrupts
#define APUS_PENDING_STEP 0x400      // single step or debugger attention

#define APUS_DEBUG_STEP 1     // stop after each instruction
#define APUS_DEBUG_BREAK 2    // pages with breakpoints run instruction by instruction
#define APUS_DEBUG_WATCH 4    // accesses of watched pages are looked at
#define APUS_DEBUG_TRACE 8    // something is written to the log

#define APUS_WAY_SLOW 0      // an access that misses
#define APUS_WAY_STEP 1      // an instruction that the interpreter executes
#define APUS_WAY_END 2       // the same at a block's end
#define APUS_WAY_LINK 3
#define APUS_WAY_JUMP 4
#define APUS_WAY_FAR 5
#define APUS_WAY_FAULT 6
#define APUS_WAY_LOOKUP 7    // the loop looks a block up

#define APUS_TLB_CODE 0x800ull

// Points a zeroed structure at its tables: three TLBs in a row, the jump cache, the ranges.
static inline void apus_vcpu_connect(struct apus_vcpu *_Nonnull v, struct apus_tlb_entry *_Nonnull tlbs,
                                     struct apus_jump_entry *_Nonnull jumps, struct apus_ram_range *_Nonnull ranges) {
    for (int i = 0; i < 3; i++) v->tlbs[i] = tlbs + i * APUS_TLB_SIZE;
    v->tlb = tlbs;
    v->tlb_generation = 2;
    v->jumps = jumps;
    v->ranges = ranges;
}
static inline uint64_t apus_way_out(const struct apus_vcpu *_Nonnull v, int way) { return v->ways_out[way & 7]; }
static inline void apus_count_way(struct apus_vcpu *_Nonnull v, int way) { v->ways_out[way & 7]++; }
static inline uint64_t apus_flat_base(const struct apus_vcpu *_Nonnull v, int mode) { return v->flat_bases[mode]; }
static inline struct apus_local_apic *_Nonnull apus_vcpu_apic(struct apus_vcpu *_Nonnull v) { return &v->apic; }

static inline uint64_t apus_vcpu_executed(const struct apus_vcpu *_Nonnull v) { return __atomic_load_n(&v->executed, __ATOMIC_RELAXED); }
static inline uint32_t apus_vcpu_pending(const struct apus_vcpu *_Nonnull v) { return __atomic_load_n(&v->pending, __ATOMIC_RELAXED); }
static inline uint32_t apus_vcpu_post(struct apus_vcpu *_Nonnull v, uint32_t bits) { return __atomic_fetch_or(&v->pending, bits, __ATOMIC_SEQ_CST); }
static inline uint32_t apus_vcpu_clear(struct apus_vcpu *_Nonnull v, uint32_t bits) { return __atomic_fetch_and(&v->pending, ~bits, __ATOMIC_SEQ_CST); }

// Offsets that generated code and its handlers use; constants once inlined.
#define APUS_VCPU_OFFSET(name, member) \
    static inline long apus_offset_##name(void) { return (long)offsetof(struct apus_vcpu, member); }
APUS_VCPU_OFFSET(fx, s.fx)
APUS_VCPU_OFFSET(vectors, s.ymm)
APUS_VCPU_OFFSET(arith, arith)
APUS_VCPU_OFFSET(scratch, scratch)

_Static_assert(sizeof(struct apus_op) == 32, "an op is half a cache line");
_Static_assert(offsetof(struct apus_vcpu, zero) == 192 * 8 && offsetof(struct apus_vcpu, page_base) == 193 * 8,
               "decoded instructions name them by these indices");
_Static_assert(offsetof(struct apus_x86_state, segment) == 18 * 8, "and segment bases by 18 + 2n");

#endif
