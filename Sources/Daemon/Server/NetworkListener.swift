internal import HostOS
internal import Log
internal import RPCWire
internal import Synchronization
internal import TLS

/// A TCP socket for clients of other hosts, with TLS or without.
final class NetworkListener: Sendable {
    private let core: DaemonCore
    private let credentials: TLSCredentials?
    private let sources = Mutex<[EventSource]>([])
    /// `tcp://127.0.0.1:16509` and the like, one for each address of the host.
    let addresses: [String]

    /// Handshakes at one time; more are closed at once.
    private static let maximumHandshakes = 500

    /// Listens.
    init(_ core: DaemonCore, _ place: ListenerOptions.Place, _ credentials: TLSCredentials?) throws(HostError) {
        self.core = core
        self.credentials = credentials
        var addresses: [String] = []
        var listeners: [Descriptor] = []
        var failure: HostError?
        let found = try SocketAddress.resolve(host: place.host, port: "\(place.port)", listening: true)
        for address in found.prefix(place.port == 0 ? 1 : found.count) {
            do throws(HostError) {
                let listener = try Socket.listen(address, backlog: 512)
                addresses.append("\(credentials == nil ? "tcp" : "tls")://\(try Socket.localAddress(listener))")
                listeners.append(listener)
            } catch {
                // One socket may serve both families, and then the other address is taken.
                failure = error
            }
        }
        if listeners.isEmpty, let failure { throw failure }
        self.addresses = addresses
        for listener in listeners {
            let source = try core.loop.add(listener, EventLoop.Events.read) { [weak self] _ in self?.accept(listener) }
            sources.withLock { $0.append(source) }
        }
    }

    private func accept(_ listener: Descriptor) {
        do throws(HostError) {
            while let socket = try Socket.accept(listener) {
                Socket.setNoDelay(socket)
                guard let credentials else {
                    core.accept(FrameTransport(socket), ClientOrigin.tcp, readOnly: false)
                    continue
                }
                guard handshakes.withLock({ $0.count }) < NetworkListener.maximumHandshakes else { continue }
                do throws(TLSError) {
                    let session = try TLSSession(socket.rawValue, credentials, host: nil)
                    begin(Handshake(socket, session))
                } catch { core.log.warning("\(error)") }
            }
        } catch {
            core.log.warning("\(error)")
        }
    }

    func close() {
        for source in sources.withLock({ $0 }) { source.remove() }
        for handshake in handshakes.withLock({ Array($0.values) }) { end(handshake) }
    }

    // MARK: - Handshakes

    /// A client that has not yet proved who it is.
    private final class Handshake: Sendable {
        let socket: Descriptor
        let session: TLSSession
        let source = Mutex<EventSource?>(nil)
        let timer = Mutex<EventTimer?>(nil)

        init(_ socket: Descriptor, _ session: TLSSession) {
            self.socket = socket
            self.session = session
        }
    }

    private let handshakes = Mutex<[ObjectIdentifier: Handshake]>([:])
    /// How long a client may take.
    private static let patience: UInt64 = 30_000_000_000

    private func begin(_ handshake: Handshake) {
        handshakes.withLock { $0[ObjectIdentifier(handshake)] = handshake }
        let timer = core.loop.makeTimer { [weak self, weak handshake] in
            if let self, let handshake { end(handshake) }
        }
        handshake.timer.withLock { $0 = timer }
        timer.arm(after: NetworkListener.patience)
        do throws(HostError) {
            let source = try core.loop.add(handshake.socket, EventLoop.Events.read) { [weak self, weak handshake] _ in
                if let self, let handshake { goOn(handshake) }
            }
            handshake.source.withLock { $0 = source }
        } catch {
            core.log.warning("\(error)")
            end(handshake)
        }
    }

    private func goOn(_ handshake: Handshake) {
        do throws(TLSError) {
            switch try handshake.session.shakeHands() {
            case .wantsRead: try? handshake.source.withLock { $0 }?.modify(EventLoop.Events.read)
            case .wantsWrite: try? handshake.source.withLock { $0 }?.modify(EventLoop.Events.write)
            case .done:
                end(handshake)
                // libvirt's own word that the certificate was good enough.
                let word: [UInt8] = [1]
                // SAFETY: the array lives for the call.
                let sent = unsafe word.withUnsafeBytes { unsafe handshake.session.send($0) }
                guard case .moved(1) = sent else { return }
                core.accept(FrameTransport(handshake.socket, handshake.session), ClientOrigin.tls, readOnly: false)
            }
        } catch {
            core.log.info("A client over TLS was turned away: \(error)")
            end(handshake)
        }
    }

    private func end(_ handshake: Handshake) {
        handshake.source.withLock { $0.take() }?.remove()
        handshake.timer.withLock { $0.take() }?.cancel()
        handshakes.withLock { _ = $0.removeValue(forKey: ObjectIdentifier(handshake)) }
    }
}
