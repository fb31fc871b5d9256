// vhost: virtio devices whose rings the kernel works (linux/vhost.h). All return 0 or -1 with errno, but where it says so.
#ifndef APUS_VHOST_H
#define APUS_VHOST_H
#include "io.h"
#include <linux/vhost.h>

#define APUS_VHOST_REGIONS 64

static inline int apus_vhost_set_owner(int fd) { return ioctl(fd, VHOST_SET_OWNER, NULL); }
static inline int apus_vhost_features(int fd, uint64_t *features) { return ioctl(fd, VHOST_GET_FEATURES, features); }
static inline int apus_vhost_set_features(int fd, uint64_t features) {
    return ioctl(fd, VHOST_SET_FEATURES, &features);
}
// Regions as threes: the address that descriptors use, bytes, the address in this process.
static inline int apus_vhost_set_memory(int fd, const uint64_t *regions, unsigned count) {
    struct { struct vhost_memory head; struct vhost_memory_region regions[APUS_VHOST_REGIONS]; } table;
    memset(&table, 0, sizeof table);
    if (count > APUS_VHOST_REGIONS) return errno = E2BIG, -1;
    table.head.nregions = count;
    for (unsigned i = 0; i < count; i++) {
        table.regions[i].guest_phys_addr = regions[3 * i];
        table.regions[i].memory_size = regions[3 * i + 1];
        table.regions[i].userspace_addr = regions[3 * i + 2];
    }
    return ioctl(fd, VHOST_SET_MEM_TABLE, &table);
}
static inline int apus_vhost_set_size(int fd, unsigned ring, unsigned size) {
    struct vhost_vring_state state = { ring, size };
    return ioctl(fd, VHOST_SET_VRING_NUM, &state);
}
static inline int apus_vhost_set_base(int fd, unsigned ring, unsigned base) {
    struct vhost_vring_state state = { ring, base };
    return ioctl(fd, VHOST_SET_VRING_BASE, &state);
}
static inline int apus_vhost_base(int fd, unsigned ring) {
    struct vhost_vring_state state = { ring, 0 };
    return ioctl(fd, VHOST_GET_VRING_BASE, &state);
}
static inline int apus_vhost_set_addresses(int fd, unsigned ring, uint64_t descriptors, uint64_t used,
                                           uint64_t available) {
    struct vhost_vring_addr address = { ring, 0, descriptors, used, available, 0 };
    return ioctl(fd, VHOST_SET_VRING_ADDR, &address);
}
static inline int apus_vhost_set_kick(int fd, unsigned ring, int event) {
    struct vhost_vring_file file = { ring, event };
    return ioctl(fd, VHOST_SET_VRING_KICK, &file);
}
static inline int apus_vhost_set_call(int fd, unsigned ring, int event) {
    struct vhost_vring_file file = { ring, event };
    return ioctl(fd, VHOST_SET_VRING_CALL, &file);
}
// The tap that a ring's frames go to or come from; -1 for none, which waits until what was begun is done.
static inline int apus_vhost_set_network(int fd, unsigned ring, int tap) {
    struct vhost_vring_file file = { ring, tap };
    return ioctl(fd, VHOST_NET_SET_BACKEND, &file);
}
static inline int apus_vhost_set_guest(int fd, uint64_t cid) { return ioctl(fd, VHOST_VSOCK_SET_GUEST_CID, &cid); }
static inline int apus_vhost_set_running(int fd, int running) { return ioctl(fd, VHOST_VSOCK_SET_RUNNING, &running); }
#endif
