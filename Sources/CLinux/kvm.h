// /dev/kvm: request numbers as constants (they are macros that Swift does not show), the shared run page by accessors
// (it is a union), and the signal that fetches a thread out of KVM_RUN. Linux, Documentation/virt/kvm/api.rst.
#ifndef APUS_KVM_H
#define APUS_KVM_H
#include "linux.h"
#include <grp.h>
#include <linux/kvm.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#define APUS_KVM_NUMBER(name) static const unsigned long APUS_##name = (unsigned long)(name);
// Of the device
APUS_KVM_NUMBER(KVM_GET_API_VERSION)
APUS_KVM_NUMBER(KVM_CREATE_VM)
APUS_KVM_NUMBER(KVM_GET_MSR_INDEX_LIST)
APUS_KVM_NUMBER(KVM_CHECK_EXTENSION)
APUS_KVM_NUMBER(KVM_GET_VCPU_MMAP_SIZE)
APUS_KVM_NUMBER(KVM_GET_SUPPORTED_CPUID)
// Of a virtual machine
APUS_KVM_NUMBER(KVM_CREATE_VCPU)
APUS_KVM_NUMBER(KVM_SET_USER_MEMORY_REGION)
APUS_KVM_NUMBER(KVM_SET_TSS_ADDR)
APUS_KVM_NUMBER(KVM_SET_IDENTITY_MAP_ADDR)
APUS_KVM_NUMBER(KVM_SET_BOOT_CPU_ID)
APUS_KVM_NUMBER(KVM_GET_DIRTY_LOG)
APUS_KVM_NUMBER(KVM_CLEAR_DIRTY_LOG)
APUS_KVM_NUMBER(KVM_ENABLE_CAP)
APUS_KVM_NUMBER(KVM_SET_GSI_ROUTING)
APUS_KVM_NUMBER(KVM_IRQFD)
APUS_KVM_NUMBER(KVM_IOEVENTFD)
APUS_KVM_NUMBER(KVM_SIGNAL_MSI)
APUS_KVM_NUMBER(KVM_IRQ_LINE)
APUS_KVM_NUMBER(KVM_CREATE_IRQCHIP)
APUS_KVM_NUMBER(KVM_CREATE_PIT2)
APUS_KVM_NUMBER(KVM_GET_CLOCK)
APUS_KVM_NUMBER(KVM_SET_CLOCK)
APUS_KVM_NUMBER(KVM_REGISTER_COALESCED_MMIO)
APUS_KVM_NUMBER(KVM_UNREGISTER_COALESCED_MMIO)
APUS_KVM_NUMBER(KVM_RESET_DIRTY_RINGS)
APUS_KVM_NUMBER(KVM_X86_SET_MSR_FILTER)
APUS_KVM_NUMBER(KVM_GET_IRQCHIP)
APUS_KVM_NUMBER(KVM_SET_IRQCHIP)
APUS_KVM_NUMBER(KVM_GET_PIT2)
APUS_KVM_NUMBER(KVM_SET_PIT2)
// Of a virtual processor
APUS_KVM_NUMBER(KVM_RUN)
APUS_KVM_NUMBER(KVM_GET_REGS)
APUS_KVM_NUMBER(KVM_SET_REGS)
APUS_KVM_NUMBER(KVM_GET_SREGS)
APUS_KVM_NUMBER(KVM_SET_SREGS)
APUS_KVM_NUMBER(KVM_TRANSLATE)
APUS_KVM_NUMBER(KVM_INTERRUPT)
APUS_KVM_NUMBER(KVM_NMI)
APUS_KVM_NUMBER(KVM_GET_MSRS)
APUS_KVM_NUMBER(KVM_SET_MSRS)
APUS_KVM_NUMBER(KVM_SET_CPUID2)
APUS_KVM_NUMBER(KVM_GET_FPU)
APUS_KVM_NUMBER(KVM_SET_FPU)
APUS_KVM_NUMBER(KVM_GET_LAPIC)
APUS_KVM_NUMBER(KVM_SET_LAPIC)
APUS_KVM_NUMBER(KVM_GET_MP_STATE)
APUS_KVM_NUMBER(KVM_SET_MP_STATE)
APUS_KVM_NUMBER(KVM_GET_VCPU_EVENTS)
APUS_KVM_NUMBER(KVM_SET_VCPU_EVENTS)
APUS_KVM_NUMBER(KVM_GET_DEBUGREGS)
APUS_KVM_NUMBER(KVM_SET_DEBUGREGS)
APUS_KVM_NUMBER(KVM_GET_XSAVE)
APUS_KVM_NUMBER(KVM_SET_XSAVE)
APUS_KVM_NUMBER(KVM_GET_XSAVE2)
APUS_KVM_NUMBER(KVM_GET_XCRS)
APUS_KVM_NUMBER(KVM_SET_XCRS)
APUS_KVM_NUMBER(KVM_GET_NESTED_STATE)
APUS_KVM_NUMBER(KVM_SET_NESTED_STATE)
APUS_KVM_NUMBER(KVM_GET_TSC_KHZ)
APUS_KVM_NUMBER(KVM_SET_TSC_KHZ)
APUS_KVM_NUMBER(KVM_SET_GUEST_DEBUG)
APUS_KVM_NUMBER(KVM_KVMCLOCK_CTRL)
APUS_KVM_NUMBER(KVM_SET_DEVICE_ATTR)
APUS_KVM_NUMBER(KVM_GET_DEVICE_ATTR)
APUS_KVM_NUMBER(KVM_HAS_DEVICE_ATTR)
// Bits that the header makes by shifts
static const uint32_t APUS_KVM_IOEVENTFD_DATAMATCH = 1u << kvm_ioeventfd_flag_nr_datamatch;
static const uint32_t APUS_KVM_IOEVENTFD_PIO = 1u << kvm_ioeventfd_flag_nr_pio;
static const uint32_t APUS_KVM_IOEVENTFD_DEASSIGN = 1u << kvm_ioeventfd_flag_nr_deassign;

static inline int apus_ioctl_at(int fd, unsigned long request, void *argument) { return ioctl(fd, request, argument); }
// 0, or the value of errno.
static inline int apus_kvm_enter(int fd) { return ioctl(fd, KVM_RUN, 0) < 0 ? errno : 0; }

// The run page. Other threads write `immediate_exit` alone.
static inline void apus_kvm_immediate_exit(void *page, uint8_t on) {
    __atomic_store_n(&((struct kvm_run *)page)->immediate_exit, on, __ATOMIC_SEQ_CST);
}
static inline void apus_kvm_clear_immediate_exit(void *page) {
    uint8_t *flag = &((struct kvm_run *)page)->immediate_exit;
    if (__atomic_load_n(flag, __ATOMIC_RELAXED)) __atomic_store_n(flag, 0, __ATOMIC_SEQ_CST);
}
static inline uint32_t apus_kvm_reason(const void *page) { return ((const struct kvm_run *)page)->exit_reason; }
static inline void apus_kvm_request_window(void *page, uint8_t on) {
    ((struct kvm_run *)page)->request_interrupt_window = on;
}
static inline int apus_kvm_takes_interrupt(const void *page) {
    const struct kvm_run *run = (const struct kvm_run *)page;
    return run->ready_for_interrupt_injection && run->if_flag;
}
static inline int apus_kvm_interrupt_flag(const void *page) { return ((const struct kvm_run *)page)->if_flag; }
static inline uint64_t apus_kvm_cr8(const void *page) { return ((const struct kvm_run *)page)->cr8; }
static inline void apus_kvm_set_cr8(void *page, uint64_t value) { ((struct kvm_run *)page)->cr8 = value; }
static inline uint64_t apus_kvm_apic_base(const void *page) { return ((const struct kvm_run *)page)->apic_base; }
struct apus_kvm_io {
    uint8_t is_write, size;
    uint16_t port;
    uint32_t count;
    uint64_t offset;
};
static inline struct apus_kvm_io apus_kvm_get_io(const void *page) {
    const struct kvm_run *run = (const struct kvm_run *)page;
    struct apus_kvm_io io = {run->io.direction == KVM_EXIT_IO_OUT, run->io.size, run->io.port, run->io.count,
        run->io.data_offset};
    return io;
}
struct apus_kvm_mmio {
    uint64_t address;
    uint32_t length;
    uint32_t is_write;
};
static inline struct apus_kvm_mmio apus_kvm_get_mmio(const void *page) {
    const struct kvm_run *run = (const struct kvm_run *)page;
    struct apus_kvm_mmio mmio = {run->mmio.phys_addr, run->mmio.len, run->mmio.is_write};
    return mmio;
}
static const uint64_t APUS_KVM_MMIO_DATA = offsetof(struct kvm_run, mmio.data);
static inline uint8_t apus_kvm_eoi_vector(const void *page) { return ((const struct kvm_run *)page)->eoi.vector; }
static inline uint32_t apus_kvm_system_event(const void *page) {
    return ((const struct kvm_run *)page)->system_event.type;
}
static inline uint64_t apus_kvm_hardware_reason(const void *page) {
    return ((const struct kvm_run *)page)->hw.hardware_exit_reason;
}
static inline uint32_t apus_kvm_suberror(const void *page) { return ((const struct kvm_run *)page)->internal.suberror; }
static inline uint32_t apus_kvm_error_count(const void *page) { return ((const struct kvm_run *)page)->internal.ndata; }
static inline uint64_t apus_kvm_error_word(const void *page, uint32_t index) {
    return index < 16 ? ((const struct kvm_run *)page)->internal.data[index] : 0;
}
struct apus_kvm_debug {
    uint32_t exception;
    uint64_t pc, dr6, dr7;
};
static inline struct apus_kvm_debug apus_kvm_get_debug(const void *page) {
    const struct kvm_run *run = (const struct kvm_run *)page;
    struct apus_kvm_debug debug = {run->debug.arch.exception, run->debug.arch.pc, run->debug.arch.dr6,
        run->debug.arch.dr7};
    return debug;
}
static inline uint32_t apus_kvm_msr_index(const void *page) { return ((const struct kvm_run *)page)->msr.index; }
static inline uint64_t apus_kvm_msr_value(const void *page) { return ((const struct kvm_run *)page)->msr.data; }
static inline void apus_kvm_msr_answer(void *page, uint64_t value) {
    ((struct kvm_run *)page)->msr.data = value;
    ((struct kvm_run *)page)->msr.error = 0;
}
static inline void apus_kvm_msr_refuse(void *page) { ((struct kvm_run *)page)->msr.error = 1; }

// Denies reads or writes (KVM_MSR_FILTER_*) of one model-specific register, which then come out, and allows the rest.
static inline int apus_kvm_filter_msr(int fd, uint32_t number, uint32_t accesses) {
    uint8_t denied = 0;
    struct kvm_msr_filter filter;
    memset(&filter, 0, sizeof filter);
    filter.flags = KVM_MSR_FILTER_DEFAULT_ALLOW;
    filter.ranges[0].flags = accesses;
    filter.ranges[0].nmsrs = 1;
    filter.ranges[0].base = number;
    filter.ranges[0].bitmap = &denied;
    return ioctl(fd, KVM_X86_SET_MSR_FILTER, &filter);
}

// A ring of written pages, of a processor (struct kvm_dirty_gfn). The flags go from dirty to harvested.
static const size_t APUS_KVM_DIRTY_RING_PAGE = KVM_DIRTY_LOG_PAGE_OFFSET;
static inline int apus_kvm_dirty_take(void *ring, uint32_t index, uint32_t *slot, uint64_t *page) {
    struct kvm_dirty_gfn *entry = (struct kvm_dirty_gfn *)ring + index;
    if (!(__atomic_load_n(&entry->flags, __ATOMIC_ACQUIRE) & KVM_DIRTY_GFN_F_DIRTY)) return 0;
    *slot = entry->slot & 0xFFFF;
    *page = entry->offset;
    __atomic_store_n(&entry->flags, KVM_DIRTY_GFN_F_RESET, __ATOMIC_RELEASE);
    return 1;
}

// The ring of writes that KVM keeps back (struct kvm_coalesced_mmio_ring). `page` is a page.
struct apus_kvm_coalesced {
    uint64_t address, value;
    uint32_t length, is_port;
};
static inline int apus_kvm_coalesced_any(const void *page) {
    const struct kvm_coalesced_mmio_ring *ring = (const struct kvm_coalesced_mmio_ring *)page;
    return __atomic_load_n(&ring->first, __ATOMIC_RELAXED) != __atomic_load_n(&ring->last, __ATOMIC_ACQUIRE);
}
static inline int apus_kvm_coalesced_take(void *page, struct apus_kvm_coalesced *entry) {
    struct kvm_coalesced_mmio_ring *ring = (struct kvm_coalesced_mmio_ring *)page;
    uint32_t room = (4096 - sizeof *ring) / sizeof(struct kvm_coalesced_mmio);
    uint32_t first = ring->first;
    if (first >= room || first == __atomic_load_n(&ring->last, __ATOMIC_ACQUIRE)) return 0;
    struct kvm_coalesced_mmio *kept = (struct kvm_coalesced_mmio *)(ring + 1) + first;
    entry->address = kept->phys_addr;
    entry->length = kept->len <= 8 ? kept->len : 8;
    entry->is_port = kept->pio;
    entry->value = 0;
    memcpy(&entry->value, kept->data, entry->length);
    __atomic_store_n(&ring->first, (first + 1) % room, __ATOMIC_RELEASE);
    return 1;
}

// The signal that makes KVM_RUN return: its handler does nothing, and is installed without SA_RESTART.
static inline int apus_kvm_kick_signal(void) { return SIGRTMIN + 3; }
static inline void apus_kvm_kick_handler(int signal) { (void)signal; }
static inline int apus_kvm_prepare_kicks(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = apus_kvm_kick_handler;
    return sigaction(apus_kvm_kick_signal(), &action, 0);
}
static inline int apus_kvm_unblock_kicks(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, apus_kvm_kick_signal());
    return pthread_sigmask(SIG_UNBLOCK, &set, 0);
}
static inline void apus_kvm_kick(int thread) { (void)syscall(SYS_tgkill, getpid(), thread, apus_kvm_kick_signal()); }
static inline uintptr_t apus_thread_token(void) { return (uintptr_t)pthread_self(); }

// The name of the group that a file belongs to; 0, or -1 where that cannot be told.
static inline int apus_file_group(const char *path, char *name, size_t size) {
    struct stat status;
    struct group entry, *found = 0;
    char buffer[4096];
    if (stat(path, &status) != 0 || getgrgid_r(status.st_gid, &entry, buffer, sizeof buffer, &found) != 0) return -1;
    if (!found || strlen(entry.gr_name) >= size) return -1;
    strcpy(name, entry.gr_name);
    return 0;
}

#endif
