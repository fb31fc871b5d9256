internal import DomainModel
internal import HostOS
internal import RPCWire
internal import Synchronization

extension HandlerTable {
    /// Calls after which bytes flow.
    mutating func addStreams() {
        add(Remote.DomainOpenConsole.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            let force = arguments.flags & VirDomainConsoleFlags.force != 0
            try HandlerTable.openConsole(
                call, arguments.dom, arguments.devName, ["console", "serial", "parallel"], force)
        }
        add(Remote.DomainOpenChannel.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            let force = arguments.flags & VirDomainChannelFlags.force != 0
            try HandlerTable.openConsole(call, arguments.dom, arguments.name, ["channel"], force)
        }
    }

    private static func openConsole(
        _ call: Call, _ reference: RemoteDomain, _ name: String?, _ kinds: [String], _ force: Bool
    ) throws(LibvirtError) {
        let domain = try call.domain(reference)
        _ = try domain.running()
        let tree = domain.state.withLock { $0.current }
        let devices = kinds.flatMap { DomainFigures.devices(tree, $0) }
        let found =
            name.map { name in
                devices.first { $0.child("alias")?["name"] == name || $0.child("target")?["name"] == name }
            } ?? devices.first
        guard let device = found else {
            throw LibvirtError.internalError("cannot find character device \(name ?? "(null)")")
        }
        let alias = device.child("alias")?["name"] ?? name ?? ""
        guard let path = device.child("source")?["path"] else {
            throw LibvirtError.internalError("character device \(alias) is not using a PTY")
        }
        let terminal = try call.driver.onHost { () throws(HostError) -> Descriptor in
            switch device["type"] ?? "pty" {
            case "unix": return try Socket.connect(SocketAddress.unix(path))
            default: return try HostFile.open(path, HostFile.Mode.readWrite, nonBlocking: true)
            }
        }
        let session = call.session
        let log = ConsoleLog(ConsoleLog.path(call.driver.folder(domain), alias))
        let stream = ConsoleStream(session, call.header, terminal, log: log) { ended in
            domain.state.withLock { if $0.consoles[path] === ended { $0.consoles[path] = nil } }
        }
        let former = domain.state.withLock { state -> ConsoleStream? in
            if let former = state.consoles[path], !force { return former }
            defer { state.consoles[path] = stream }
            return state.consoles[path]
        }
        if let former, !force {
            _ = former
            throw LibvirtError.operationFailed("Active console session exists for this domain")
        }
        let loop = session.daemon.loop
        if let former { loop.post { former.takenOver() } }
        call.afterReply { loop.post { stream.start(loop) } }
    }
}
