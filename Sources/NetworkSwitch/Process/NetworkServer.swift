internal import DomainModel
internal import HostOS
internal import JSON
internal import Log
internal import Network
internal import Synchronization

/// The process of one network: `apus network serve`. Started by `NetworkClient.start`, and by nobody else.
enum NetworkServer {
    /// Runs until it is asked to end. `report` gets one line: "ready", or why not.
    static func run(_ name: String, _ paths: NetworkPaths, usesHost: Bool, report: Descriptor) -> Int32 {
        // A pipe of whoever started us would never end for its reader.
        ProcessDescriptors.closeInherited()
        Signals.ignoreBrokenPipes()
        HostThread.nameCurrent("net-\(name)")
        LogSink.standard.setProgram("apus network")
        do {
            let signals = try SignalDescriptor([Signals.terminate, Signals.interrupt, Signals.hangUp])
            // One process a network: the lock goes with it, whatever ends it.
            let lock = try PIDFile(paths.folder(name) + "/pid")
            let loop = try EventLoop()
            let xml = String(decoding: try HostFile.contents(paths.definition(name), limit: 4 << 20), as: UTF8.self)
            let plan = try NetworkPlan(try VirtualNetwork(xml: xml))
            guard plan.name == name else { throw NetworkError("the definition is of network '\(plan.name)'") }
            let network = try NetworkInstance(plan, paths: paths, loop: loop, onHost: usesHost)
            try network.open()
            let control = try ControlServer(network) { loop.stop() }
            let ending = try loop.add(signals.descriptor, [.read]) { _ in
                while let signal = signals.next() { if signal.signal != Signals.hangUp { loop.stop() } }
            }
            let guarding = Self.endWhenUnreachable(network, loop)
            try report.writeAll(Array("ready\n".utf8))
            withExtendedLifetime((control, ending, guarding)) { loop.run() }
            network.close()
            try? HostFile.remove(paths.definition(name))
            lock.remove()
            try? HostFile.removeFolder(paths.folder(name))
            return 0
        } catch {
            try? report.writeAll(Array("\(error)\n".utf8))
            return 1
        }
    }

    /// Ends a network whose control socket somebody has taken away with its folder: nobody could ever end it.
    private static func endWhenUnreachable(_ network: NetworkInstance, _ loop: EventLoop) -> Timer {
        let pause: UInt64 = 2_000_000_000
        let path = network.paths.control(network.name)
        let holder = Timer()
        let timer = loop.makeTimer { [weak holder] in
            guard HostFile.status(path).kind != .nothing else { return loop.stop() }
            holder?.timer.withLock { $0?.arm(after: pause) }
        }
        holder.timer.withLock { $0 = timer }
        timer.arm(after: pause)
        return holder
    }

    private final class Timer: Sendable {
        let timer = Mutex<EventTimer?>(nil)
    }
}
