// Networks of the host: taps, bridges, packet sockets, multicast, and sends of more than one buffer.
#ifndef APUS_NET_H
#define APUS_NET_H
#include "io.h"
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/uio.h>

// Sends two pieces at once, as far as there is room.
static inline ssize_t apus_send_pair(int fd, const void *first, size_t first_count, const void *second,
                                     size_t second_count) {
    struct iovec vector[2] = { { (void *)first, first_count }, { (void *)second, second_count } };
    struct msghdr message;
    memset(&message, 0, sizeof message);
    message.msg_iov = vector;
    message.msg_iovlen = second_count ? 2 : 1;
    ssize_t result;
    do result = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT); while (result < 0 && errno == EINTR);
    return result;
}
static inline ssize_t apus_write_pair(int fd, const void *first, size_t first_count, const void *second,
                                      size_t second_count) {
    struct iovec vector[2] = { { (void *)first, first_count }, { (void *)second, second_count } };
    ssize_t result;
    do result = writev(fd, vector, 2); while (result < 0 && errno == EINTR);
    return result;
}
static inline ssize_t apus_send_to(int fd, const void *buffer, size_t count, const void *address, unsigned length) {
    ssize_t result;
    do result = sendto(fd, buffer, count, MSG_NOSIGNAL | MSG_DONTWAIT, (const struct sockaddr *)address, length);
    while (result < 0 && errno == EINTR);
    return result;
}
static inline ssize_t apus_receive_from(int fd, void *buffer, size_t count, void *address, unsigned *length) {
    ssize_t result;
    do result = recvfrom(fd, buffer, count, MSG_DONTWAIT, (struct sockaddr *)address, length);
    while (result < 0 && errno == EINTR);
    return result;
}
// Joins an IPv4 group, on the interface of `local` (0: any); our own sends come back to others of this host. Addresses
// are in the order of the network.
static inline int apus_join_group(int fd, uint32_t group, uint32_t local) {
    struct ip_mreq request;
    memset(&request, 0, sizeof request);
    request.imr_multiaddr.s_addr = group;
    request.imr_interface.s_addr = local;
    if (setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof request) != 0) return -1;
    struct in_addr interface = { local };
    if (local && setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &interface, sizeof interface) != 0) return -1;
    unsigned char loop = 1;
    return setsockopt(fd, IPPROTO_IP, IP_MULTICAST_LOOP, &loop, sizeof loop);
}
// Joins a group of IPv6 by an interface.
static inline int apus_join_group6(int fd, const uint8_t *group, const char *interface) {
    struct ipv6_mreq request;
    memset(&request, 0, sizeof request);
    memcpy(&request.ipv6mr_multiaddr, group, 16);
    request.ipv6mr_interface = if_nametoindex(interface);
    if (request.ipv6mr_interface == 0) return -1;
    return setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &request, sizeof request);
}
// Opens a tap; `name` (IFNAMSIZ bytes) may hold a pattern and gets the name. `headers`: 1 asks for vnet headers of 12
// bytes, and is 0 afterwards where the kernel has none. -1: errno says why.
static inline int apus_open_tap(char *name, int many, int *headers) {
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return -1;
    struct ifreq request;
    memset(&request, 0, sizeof request);
    unsigned features = 0;
    if (ioctl(fd, TUNGETFEATURES, &features) != 0) features = 0;
    if (*headers && !(features & IFF_VNET_HDR)) *headers = 0;
    request.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | (*headers ? IFF_VNET_HDR : 0) | (many ? IFF_MULTI_QUEUE : 0));
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    if (ioctl(fd, TUNSETIFF, &request) != 0) {
        int reason = errno;
        close(fd);
        errno = reason;
        return -1;
    }
    memcpy(name, request.ifr_name, IFNAMSIZ);
    int size = 12;
    if (*headers && ioctl(fd, TUNSETVNETHDRSZ, &size) != 0) *headers = 0;
    return fd;
}
// Whether a tap descriptor that somebody else made speaks vnet headers, which are then set to 12 bytes; -1: no tap.
static inline int apus_tap_headers(int fd) {
    struct ifreq request;
    memset(&request, 0, sizeof request);
    if (ioctl(fd, TUNGETIFF, &request) != 0) return -1;
    int size = 12;
    return request.ifr_flags & IFF_VNET_HDR && ioctl(fd, TUNSETVNETHDRSZ, &size) == 0;
}
static inline int apus_tap_offload(int fd, unsigned flags) { return ioctl(fd, TUNSETOFFLOAD, (unsigned long)flags); }
// Bytes of the header before each frame of a tap that has them: 10, or 12.
static inline int apus_tap_header_size(int fd, int size) { return ioctl(fd, TUNSETVNETHDRSZ, &size); }
static inline int apus_tap_send_buffer(int fd, int size) { return ioctl(fd, TUNSETSNDBUF, &size); }

// Interfaces by their ioctls (netdevice(7)); all return 0 or -1 with errno.

static inline int apus_link_socket(void) { return socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0); }
static inline void apus_link_name(struct ifreq *request, const char *name) {
    memset(request, 0, sizeof *request);
    strncpy(request->ifr_name, name, IFNAMSIZ - 1);
}
static inline int apus_bridge_add(int fd, const char *name) { return ioctl(fd, SIOCBRADDBR, name); }
static inline int apus_bridge_remove(int fd, const char *name) { return ioctl(fd, SIOCBRDELBR, name); }
static inline int apus_bridge_member(int fd, const char *bridge, const char *name, int joins) {
    struct ifreq request;
    apus_link_name(&request, bridge);
    request.ifr_ifindex = (int)if_nametoindex(name);
    if (request.ifr_ifindex == 0) return -1;
    return ioctl(fd, joins ? SIOCBRADDIF : SIOCBRDELIF, &request);
}
static inline int apus_link_up(int fd, const char *name, int up) {
    struct ifreq request;
    apus_link_name(&request, name);
    if (ioctl(fd, SIOCGIFFLAGS, &request) != 0) return -1;
    if (up) request.ifr_flags |= IFF_UP; else request.ifr_flags &= (short)~IFF_UP;
    return ioctl(fd, SIOCSIFFLAGS, &request);
}
static inline int apus_link_hardware(int fd, const char *name, const uint8_t *address) {
    struct ifreq request;
    apus_link_name(&request, name);
    request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
    memcpy(request.ifr_hwaddr.sa_data, address, 6);
    return ioctl(fd, SIOCSIFHWADDR, &request);
}
static inline int apus_link_mtu(int fd, const char *name, int mtu) {
    struct ifreq request;
    apus_link_name(&request, name);
    request.ifr_mtu = mtu;
    return ioctl(fd, SIOCSIFMTU, &request);
}
// `what` is SIOCSIFADDR or SIOCSIFNETMASK; the address is in the order of the network.
static inline int apus_link_address(int fd, const char *name, int mask, uint32_t address) {
    struct ifreq request;
    apus_link_name(&request, name);
    struct sockaddr_in *place = (struct sockaddr_in *)&request.ifr_addr;
    place->sin_family = AF_INET;
    place->sin_addr.s_addr = address;
    return ioctl(fd, mask ? SIOCSIFNETMASK : SIOCSIFADDR, &request);
}
static inline int apus_link_index(const char *name) { return (int)if_nametoindex(name); }
// A packet socket that takes all frames of an interface and sends there.
static inline int apus_packet_socket(const char *name, int promiscuous) {
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -1;
    struct sockaddr_ll address;
    memset(&address, 0, sizeof address);
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ALL);
    address.sll_ifindex = (int)if_nametoindex(name);
    int failed = address.sll_ifindex == 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0;
    if (!failed && promiscuous) {
        struct packet_mreq request;
        memset(&request, 0, sizeof request);
        request.mr_ifindex = address.sll_ifindex;
        request.mr_type = PACKET_MR_PROMISC;
        failed = setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request, sizeof request) != 0;
    }
    int one = 1;
    // Frames that this host sends on the interface are not the guest's to see again.
    setsockopt(fd, SOL_PACKET, 23 /* PACKET_IGNORE_OUTGOING */, &one, sizeof one);
    if (!failed) return fd;
    int reason = errno;
    close(fd);
    errno = reason;
    return -1;
}
// Closes all descriptors from one on (close_range(2)).
static inline void apus_close_from(unsigned first) { syscall(436 /* SYS_close_range */, first, ~0u, 0); }
// Keeps a socket to one interface.
static inline int apus_bind_device(int fd, const char *name) {
    return setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, (socklen_t)strlen(name));
}

#endif
