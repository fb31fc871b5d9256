internal import CLinux
internal import CSlirp
internal import HostOS

// The functions that libslirp calls. Each gets the `SlirpInstance.Host` of its instance, on the instance's thread.

// SAFETY, for all of them: the library passes the pointer that it was made with, to a `Host` that outlives it.
private func host(_ opaque: UnsafeMutableRawPointer?) -> SlirpInstance.Host? {
    guard let opaque = unsafe opaque else { return nil }
    return unsafe Unmanaged<SlirpInstance.Host>.fromOpaque(opaque).takeUnretainedValue()
}

/// The library's clock in milliseconds.
func slirpMilliseconds() -> Int64 { Int64(HostClock.monotonic / 1_000_000) }

/// The table of functions for an instance.
func slirpCallbacks() -> SlirpCb {
    var table = SlirpCb()
    unsafe table.send_packet = { bytes, count, opaque in
        guard let host = unsafe host(opaque), let bytes = unsafe bytes, count > 0 else { return 0 }
        // A guest that does not take its frames loses them, as on a cable; TCP sends again.
        if unsafe !host.frames.push(UnsafeRawBufferPointer(start: bytes, count: count)) { host.dropped &+= 1 }
        return count
    }
    unsafe table.guest_error = { text, opaque in
        guard let host = unsafe host(opaque), let text = unsafe text else { return }
        host.complain(unsafe String(cString: text))
    }
    unsafe table.clock_get_ns = { _ in Int64(HostClock.monotonic) }
    unsafe table.timer_new_opaque = { id, argument, opaque in
        guard let host = unsafe host(opaque) else { return nil }
        let timer = unsafe SlirpInstance.Timer(id: id, argument: argument)
        host.timers.append(timer)
        return unsafe Unmanaged.passUnretained(timer).toOpaque()
    }
    unsafe table.timer_free = { timer, opaque in
        guard let host = unsafe host(opaque), let timer = unsafe timer else { return }
        host.timers.removeAll { unsafe Unmanaged.passUnretained($0).toOpaque() == timer }
    }
    unsafe table.timer_mod = { timer, deadline, _ in
        guard let timer = unsafe timer else { return }
        // SAFETY: the library names a timer that it has not freed, which `timers` keeps alive.
        unsafe Unmanaged<SlirpInstance.Timer>.fromOpaque(timer).takeUnretainedValue().deadline = deadline
    }
    // Sockets are asked for before each sleep, and the thread that would be woken is the caller.
    unsafe table.register_poll_fd = { _, _ in }
    unsafe table.unregister_poll_fd = { _, _ in }
    unsafe table.notify = { _ in }
    unsafe table.init_completed = { _, _ in }
    return table
}

/// Notes a socket that the library waits for; returns its index.
func slirpAddPoll(_ descriptor: Int32, _ events: Int32, _ opaque: UnsafeMutableRawPointer?) -> Int32 {
    guard let host = unsafe host(opaque) else { return -1 }
    var wanted: Int32 = 0
    if events & Int32(SLIRP_POLL_IN) != 0 { wanted |= POLLIN }
    if events & Int32(SLIRP_POLL_OUT) != 0 { wanted |= POLLOUT }
    if events & Int32(SLIRP_POLL_PRI) != 0 { wanted |= POLLPRI }
    if events & Int32(SLIRP_POLL_ERR) != 0 { wanted |= POLLERR }
    if events & Int32(SLIRP_POLL_HUP) != 0 { wanted |= POLLHUP }
    host.polls.append(pollfd(fd: descriptor, events: Int16(truncatingIfNeeded: wanted), revents: 0))
    return Int32(host.polls.count - 1)
}

/// What happened at the socket of an index.
func slirpPollResult(_ index: Int32, _ opaque: UnsafeMutableRawPointer?) -> Int32 {
    guard let host = unsafe host(opaque), host.polls.indices.contains(Int(index)) else { return 0 }
    let seen = Int32(host.polls[Int(index)].revents)
    var events: Int32 = 0
    if seen & POLLIN != 0 { events |= Int32(SLIRP_POLL_IN) }
    if seen & POLLOUT != 0 { events |= Int32(SLIRP_POLL_OUT) }
    if seen & POLLPRI != 0 { events |= Int32(SLIRP_POLL_PRI) }
    if seen & POLLERR != 0 { events |= Int32(SLIRP_POLL_ERR) }
    if seen & POLLHUP != 0 { events |= Int32(SLIRP_POLL_HUP) }
    return events
}

/// C strings that live until `free`.
@safe struct SlirpStrings {
    private var strings: [UnsafeMutablePointer<CChar>] = unsafe []
    private var lists: [UnsafeMutablePointer<UnsafePointer<CChar>?>] = unsafe []

    mutating func string(_ text: String?) -> UnsafePointer<CChar>? {
        guard let text, let copy = unsafe strdup(text) else { return nil }
        unsafe strings.append(copy)
        return unsafe UnsafePointer(copy)
    }

    /// A list of strings with a null pointer behind it; nil if there are none.
    mutating func list(_ texts: [String]) -> UnsafeMutablePointer<UnsafePointer<CChar>?>? {
        if texts.isEmpty { return nil }
        let list = UnsafeMutablePointer<UnsafePointer<CChar>?>.allocate(capacity: texts.count + 1)
        unsafe list.initialize(repeating: nil, count: texts.count + 1)
        for (index, text) in texts.enumerated() { unsafe list[index] = string(text) }
        unsafe lists.append(list)
        return unsafe list
    }

    mutating func free() {
        for index in unsafe strings.indices { unsafe CLinux.free(strings[index]) }
        for index in unsafe lists.indices { unsafe lists[index].deallocate() }
        unsafe strings = []
        unsafe lists = []
    }
}

/// The library's form of a configuration. Its strings live in `words`.
func slirpConfig(_ configuration: UserNetworkConfiguration, _ words: inout SlirpStrings) -> SlirpConfig {
    var config = unsafe SlirpConfig()
    let mask = IPv4Address.mask(configuration.prefixLength)
    unsafe config.version = 4
    unsafe config.restricted = configuration.isRestricted ? 1 : 0
    unsafe config.in_enabled = configuration.hasIPv4
    unsafe config.vnetwork.s_addr = (configuration.network.rawValue & mask).bigEndian
    unsafe config.vnetmask.s_addr = mask.bigEndian
    unsafe config.vhost.s_addr = configuration.effectiveHost.rawValue.bigEndian
    unsafe config.vdhcp_start.s_addr = configuration.effectiveDHCPStart.rawValue.bigEndian
    unsafe config.vnameserver.s_addr = configuration.effectiveDNS.rawValue.bigEndian
    unsafe config.in6_enabled = configuration.hasIPv6
    let network = configuration.ipv6Network
    unsafe config.vprefix_addr6 = address(network)
    unsafe config.vprefix_len = UInt8(clamping: configuration.ipv6PrefixLength)
    unsafe config.vhost6 = address(configuration.ipv6Host ?? network.withLastByte(2))
    unsafe config.vnameserver6 = address(configuration.ipv6DNS ?? network.withLastByte(3))
    unsafe config.vhostname = words.string(configuration.hostname)
    unsafe config.tftp_server_name = words.string(configuration.tftpServerName)
    unsafe config.tftp_path = words.string(configuration.tftpFolder)
    unsafe config.bootfile = words.string(configuration.bootFile)
    unsafe config.vdnssearch = words.list(configuration.dnsSearch)
    unsafe config.vdomainname = words.string(configuration.domainName)
    return unsafe config
}

private func address(_ address: IPv6Address) -> in6_addr {
    var result = in6_addr()
    // SAFETY: both have 16 bytes.
    unsafe withUnsafeMutableBytes(of: &result) { unsafe $0.copyBytes(from: address.bytes.prefix($0.count)) }
    return result
}
