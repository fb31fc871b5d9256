internal import CLinux
internal import CSlirp
internal import HostOS
internal import Synchronization

/// One instance of libslirp, and what it wants of its host. One thread at a time, for the whole life.
///
/// The library keeps a few facts of the host (its name servers) in globals, so instances of one process take turns.
@safe final class SlirpInstance {
    private static let library = Mutex<Void>(())

    private let handle: OpaquePointer
    private let host: Host

    /// What the library's callbacks see. It outlives the library's instance.
    @safe final class Host {
        var polls: [pollfd] = []
        var timers: [Timer] = []
        /// Frames of the library for the guest. They go on after the library's call, with no lock held.
        var frames = FrameQueue(capacity: 1 << 20)
        var dropped: UInt64 = 0
        let complain: (String) -> Void
        // The library keeps the address of its table of callbacks.
        let callbacks: UnsafeMutablePointer<SlirpCb>

        init(complain: @escaping (String) -> Void) {
            self.complain = complain
            unsafe callbacks = .allocate(capacity: 1)
            unsafe callbacks.initialize(to: slirpCallbacks())
        }

        deinit { unsafe callbacks.deallocate() }
    }

    /// A timer of the library; `deadline` is in milliseconds of its clock.
    @safe final class Timer {
        let id: SlirpTimerId
        let argument: UnsafeMutableRawPointer?
        var deadline: Int64?

        init(id: SlirpTimerId, argument: UnsafeMutableRawPointer?) {
            self.id = id
            unsafe self.argument = argument
        }
    }

    /// Makes the guest's network, with the forwards of the configuration.
    init(_ configuration: UserNetworkConfiguration, complain: @escaping (String) -> Void) throws(UserNetworkError) {
        try configuration.validate()
        let host = Host(complain: complain)
        self.host = host
        var words = SlirpStrings()
        var config = unsafe slirpConfig(configuration, &words)
        // SAFETY: the strings live until the call has copied them; `host` lives as long as the instance.
        var made: OpaquePointer?
        SlirpInstance.library.withLock { _ in
            unsafe made = slirp_new(&config, host.callbacks, Unmanaged.passUnretained(host).toOpaque())
        }
        words.free()
        guard let made = unsafe made else { throw UserNetworkError.host("Cannot make the user network") }
        unsafe handle = made
        for forward in configuration.hostForwards { try add(forward) }
        for forward in configuration.guestForwards { try add(forward) }
    }

    deinit {
        // SAFETY: the last call on this handle.
        SlirpInstance.library.withLock { _ in unsafe slirp_cleanup(handle) }
    }

    // MARK: - Forwards

    func add(_ forward: HostForward) throws(UserNetworkError) {
        let (status, reason) = SlirpInstance.library.withLock { _ in
            let status = unsafe slirp_add_hostfwd(
                handle, forward.isUDP ? 1 : 0, address(forward.hostAddress), Int32(forward.hostPort),
                address(forward.guestAddress), Int32(forward.guestPort))
            return (status, apus_errno())
        }
        guard status == 0 else {
            throw UserNetworkError.cannotForward("\(forward)", reason: unsafe String(cString: strerror(reason)))
        }
    }

    func remove(_ key: HostForwardKey) throws(UserNetworkError) {
        let status = SlirpInstance.library.withLock { _ in
            unsafe slirp_remove_hostfwd(handle, key.isUDP ? 1 : 0, address(key.hostAddress), Int32(key.hostPort))
        }
        guard status == 0 else { throw UserNetworkError.noSuchForward("\(key)") }
    }

    private func add(_ forward: GuestForward) throws(UserNetworkError) {
        var guest = address(forward.address)
        let status = SlirpInstance.library.withLock { _ -> Int32 in
            switch forward.target {
            case .command(let command): unsafe slirp_add_exec(handle, command, &guest, Int32(forward.port))
            case .unix(let path): unsafe slirp_add_unix(handle, path, &guest, Int32(forward.port))
            }
        }
        guard status == 0 else {
            throw UserNetworkError.cannotForward("\(forward.address):\(forward.port)", reason: "the address is taken")
        }
    }

    /// The connections, as `info usernet` prints them.
    func connectionInfo() -> String {
        SlirpInstance.library.withLock { _ in
            // SAFETY: the text is the caller's to free; GLib's allocator is malloc since 2.46.
            guard let text = unsafe slirp_connection_info(handle) else { return "" }
            defer { unsafe free(text) }
            return unsafe String(cString: text)
        }
    }

    // MARK: - Frames

    /// Gives the network a frame of the guest's.
    func input(_ frame: UnsafeRawBufferPointer) {
        guard let base = frame.baseAddress else { return }
        // SAFETY: the frame is valid for the call.
        SlirpInstance.library.withLock { _ in
            unsafe slirp_input(handle, base.assumingMemoryBound(to: UInt8.self), Int32(frame.count))
        }
    }

    var hasFrames: Bool { !host.frames.isEmpty }

    /// The first frame for the guest; its length, or 0.
    func copyFirstFrame(into buffer: UnsafeMutableRawBufferPointer) -> Int {
        unsafe host.frames.copyFirst(into: buffer)
    }
    func removeFirstFrame() { host.frames.removeFirst() }
    func removeAllFrames() { host.frames.removeAll() }

    // MARK: - Sleep

    /// Waits for the library's sockets and timers and for `wake`, and lets the library work on what happened.
    func sleep(until wake: Descriptor) {
        var timeout = UInt32.max
        // SAFETY: the callbacks only append to `polls` and read it during the calls.
        host.polls = [pollfd(fd: wake.rawValue, events: Int16(POLLIN), revents: 0)]
        SlirpInstance.library.withLock { _ in
            unsafe slirp_pollfds_fill(
                handle, &timeout, { unsafe slirpAddPoll($0, $1, $2) }, Unmanaged.passUnretained(host).toOpaque())
        }
        let now = slirpMilliseconds()
        for timer in host.timers {
            if let deadline = timer.deadline { timeout = min(timeout, UInt32(clamping: max(0, deadline - now))) }
        }
        let wait = timeout > UInt32(Int32.max) ? -1 : Int32(timeout)
        let status = unsafe host.polls.withUnsafeMutableBufferPointer {
            unsafe apus_poll($0.baseAddress, UInt($0.count), wait)
        }
        SlirpInstance.library.withLock { _ in
            unsafe slirp_pollfds_poll(
                handle, status < 0 ? 1 : 0, { unsafe slirpPollResult($0, $1) },
                Unmanaged.passUnretained(host).toOpaque())
        }
        fireTimers()
    }

    private func fireTimers() {
        let now = slirpMilliseconds()
        for timer in host.timers {
            guard let deadline = timer.deadline, deadline <= now else { continue }
            timer.deadline = nil
            SlirpInstance.library.withLock { _ in unsafe slirp_handle_timer(handle, timer.id, timer.argument) }
        }
    }
}

private func address(_ address: IPv4Address?) -> in_addr { in_addr(s_addr: (address?.rawValue ?? 0).bigEndian) }
