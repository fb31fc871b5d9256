internal import HostOS
internal import Log
import Synchronization

// The host's side: who connects to the path, and what the guest connects to. On the device's thread.
extension VirtioSocket {
    /// Clients of the path: what they want is read before the guest hears of them.
    func accept(_ listener: Descriptor) {
        while let socket = (try? Socket.accept(listener)) ?? nil {
            let client = HostSocket(socket)
            let isWelcome = state.withLock { state -> Bool in
                guard !state.hasEnded, state.clients.count < Self.mostClients else { return false }
                state.clients.append(client)
                return true
            }
            guard isWelcome else { continue }
            do throws(HostError) {
                try client.watch(thread) { [weak self, weak client] _ in
                    guard let self, let client else { return }
                    self.listen(client)
                }
                client.wait(for: [.read])
            } catch { forget(client) }
        }
    }

    private func forget(_ client: HostSocket) {
        state.withLock { state in state.clients.removeAll { $0 === client } }
        client.close()
    }

    /// A client has written: its line, or after that what the guest gets.
    private func listen(_ client: HostSocket) {
        do throws(HostError) {
            guard let port = try client.readRequest() else { return }
            let key = state.withLock { state -> SocketModel.Key? in
                state.clients.removeAll { $0 === client }
                // A guest without a driver refuses.
                guard state.interrupt != nil, let key = state.model.open(port: port) else { return nil }
                state.sockets[key] = client
                return key
            }
            guard let key else { return client.close() }
            client.wait(for: [])
            try rewatch(client, key)
            schedule()
        } catch { forget(client) }
    }

    /// From here on what happens to a socket is a connection's.
    private func rewatch(_ socket: HostSocket, _ key: SocketModel.Key) throws(HostError) {
        try socket.watch(thread) { [weak self, weak socket] events in
            guard let self, let socket else { return }
            self.look(socket, key, events)
        }
    }

    /// A connection's socket has something, or room, or has ended.
    private func look(_ socket: HostSocket, _ key: SocketModel.Key, _ events: EventLoop.Events) {
        if events.contains(.write) { flushed(socket.flush(), key) }
        if !events.isDisjoint(with: [.read, .hangUp, .error, .peerClosed]) {
            // The guest's buffers decide when it is read.
            socket.wait(for: [])
            state.withLock { state in
                if state.sockets[key] === socket { state.model.input(key) }
            }
            schedule()
        }
    }

    /// So much went to the host's socket; nil where that has gone.
    private func flushed(_ count: Int?, _ key: SocketModel.Key) {
        let gone = state.withLock { state -> HostSocket? in
            guard let count else {
                state.model.reset(key)
                return state.sockets.removeValue(forKey: key)
            }
            return state.model.forwarded(key, count) ? state.sockets.removeValue(forKey: key) : nil
        }
        gone?.close()
        schedule()
    }

    /// Does what a packet of the guest's asks for.
    func perform(_ effect: SocketModel.Effect, _ bytes: [UInt8]) {
        switch effect {
        case .nothing: break
        case .connect(let key): connect(key)
        case .accepted(let key):
            guard let socket = state.withLock({ $0.sockets[key] }) else { return }
            guard socket.greet("OK \(key.host)\n") else { return flushed(nil, key) }
            socket.wait(for: [.read])
        case .data(let key):
            guard let socket = state.withLock({ $0.sockets[key] }) else { return }
            flushed(socket.write(bytes), key)
        case .endOfOutput(let key): state.withLock({ $0.sockets[key] })?.endOutput()
        case .closed(let key): state.withLock({ $0.sockets.removeValue(forKey: key) })?.close()
        }
    }

    /// Connects to the host's program of a port. Unix sockets connect at once or not at all.
    private func connect(_ key: SocketModel.Key) {
        do throws(HostError) {
            let (descriptor, isConnected) = try Socket.startConnecting(try SocketAddress.unix("\(path)_\(key.host)"))
            guard isConnected else { throw HostError.noDescriptor("connect at once") }
            let socket = HostSocket(descriptor)
            let isWanted = state.withLock { state -> Bool in
                guard state.model.connections[key] != nil else { return false }
                state.sockets[key] = socket
                state.model.connected(key)
                return true
            }
            guard isWanted else { return }
            try rewatch(socket, key)
            socket.wait(for: [.read])
        } catch {
            log.debug("guest's connection to port \(key.host): \(error)")
            let gone = state.withLock { state -> HostSocket? in
                state.model.reset(key)
                return state.sockets.removeValue(forKey: key)
            }
            gone?.close()
        }
        schedule()
    }
}
