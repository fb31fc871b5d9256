internal import CLinux
internal import SystemPackage

/// A thread of the host with a name, outside Swift's cooperative pool: processors and I/O workers block.
public final class HostThread: Sendable {
    private let handle: pthread_t

    private final class Start: Sendable {
        let name: String
        let body: @Sendable () -> Void
        init(name: String, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }

    /// Starts a thread. `name` is cut to the 15 bytes that Linux keeps.
    public init(name: String, stackSize: Int = 1 << 20, body: @escaping @Sendable () -> Void) throws(HostError) {
        // SAFETY: the attribute and handle outlive the call; `Start` is retained for the thread and released by it.
        var attributes = pthread_attr_t()
        unsafe pthread_attr_init(&attributes)
        defer { unsafe pthread_attr_destroy(&attributes) }
        unsafe pthread_attr_setstacksize(&attributes, stackSize)
        let start = unsafe Unmanaged.passRetained(Start(name: String(name.prefix(15)), body: body))
        var thread = pthread_t()
        let status = unsafe pthread_create(
            &thread, &attributes,
            { argument in
                guard let argument = unsafe argument else { return nil }
                let start = unsafe Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
                _ = unsafe start.name.withCString { unsafe apus_set_thread_name($0) }
                start.body()
                return nil
            }, start.toOpaque())
        guard status == 0 else {
            unsafe start.release()
            throw HostError("start thread '\(name)'", Errno(rawValue: status))
        }
        handle = thread
    }

    /// Waits for the thread's end. Call once, from another thread.
    public func join() {
        // SAFETY: the handle is this object's own and joined once.
        _ = pthread_join(handle, nil)
    }

    /// Names the calling thread; the first thread's name is the process's, as `ps` shows it. Cut to 15 bytes.
    public static func nameCurrent(_ name: String) {
        // SAFETY: the C string lives for the call.
        _ = unsafe String(name.prefix(15)).withCString { unsafe apus_set_thread_name($0) }
    }

    /// The calling thread's Linux id, as `taskset -p` and `ps -L` use it.
    public static var currentID: Int32 { apus_gettid() }
}
