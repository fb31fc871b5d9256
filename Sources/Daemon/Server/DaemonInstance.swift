public import HostOS
internal import RPCWire

/// A daemon inside a process: its loop on a thread of its own. `apus daemon` is one of these, tests are many.
public final class DaemonInstance: Sendable {
    private let core: DaemonCore
    private let server: SocketServer
    private let listeners: [NetworkListener]
    private let thread: HostThread

    /// The folder of the sockets.
    public let sockets: String

    /// Reads what is on the disk, takes up machines that run, then opens the sockets: no client sees half of the
    /// domains. `emulators`: programs for domains that name none, best first. `usesBridges`: whether networks are bridges
    /// of the kernel; nil leaves it to the host. `listeners`: where else it can be reached. `access`: who may use
    /// it. `given`: Unix sockets that a service manager listens on, by their paths.
    public init(
        paths: DaemonPaths, emulators: [String], usesBridges: Bool? = nil,
        listeners: ListenerOptions = ListenerOptions(), access: AccessRules = AccessRules(),
        given: [String: Descriptor] = [:]
    ) throws(HostError) {
        // A client or a machine that has gone is an error of one write, not the end of the process.
        Signals.ignoreBrokenPipes()
        try paths.prepare()
        let loop = try EventLoop()
        core = try DaemonCore(paths: paths, loop: loop, emulators: emulators, usesBridges: usesBridges, access: access)
        sockets = paths.sockets
        // Monitors of machines that run answer on the loop.
        thread = try HostThread(name: "connections") { loop.run() }
        core.load()
        // The others first: whoever finds the socket may read where they are.
        var others: [NetworkListener] = []
        do throws(HostError) {
            if let place = listeners.tcp { others.append(try NetworkListener(core, place, nil)) }
            if let place = listeners.tls, let credentials = listeners.credentials {
                others.append(try NetworkListener(core, place, credentials))
            }
            // Where the kernel chose a port, this is where to read it.
            let list = others.flatMap(\.addresses)
            try HostFile.remove("\(paths.run)/listeners")
            if !list.isEmpty {
                let text = list.joined(separator: "\n") + "\n"
                try HostFile.replace("\(paths.run)/listeners", with: Array(text.utf8))
            }
            server = try SocketServer(core, given: given)
        } catch {
            for listener in others { listener.close() }
            throw error
        }
        self.listeners = others
        // The first client that defines something does not wait for what can be known before.
        core.workers.submit { [core] in _ = core.emulators.standard }
    }

    /// Where it listens besides its Unix sockets: `tcp://127.0.0.1:16509`.
    public var listeningAddresses: [String] { listeners.flatMap(\.addresses) }

    /// Connections of clients at this moment.
    public var sessionCount: Int { core.sessionCount }

    /// Whether nobody is connected and no machine runs.
    public var isIdle: Bool { core.sessionCount == 0 && !core.domains.list.all.contains { $0.isActive } }

    /// Numbers of the procedures of the remote program that are answered.
    public var answeredProcedures: [Int32] { core.handlers.numbers(.remote) }

    /// Closes sockets and connections. Machines go on. Call once.
    public func stop() {
        for listener in listeners { listener.close() }
        server.close()
        core.closeSessions()
        core.domains.leaveMachines()
        core.loop.post { [core] in core.loop.stop() }
        thread.join()
    }
}
