internal import HostOS
internal import Log
internal import RPCWire
internal import SASL
internal import Synchronization

extension HandlerTable {
    /// Who a client is: what it has to go through, and going through it.
    mutating func addAuthentication() {
        add(Remote.AuthList.self, .loop) { (call, _) throws(LibvirtError) in
            // Who reaches a socket without one may use it: its permissions are the authentication.
            Remote.AuthList.Result(types: [call.session.state.withLock { $0.pending?.rawValue ?? 0 }])
        }
        add(Remote.AuthPolkit.self, .worker) { (call, _) throws(LibvirtError) in
            guard call.session.state.withLock({ $0.pending }) == .polkit else {
                throw SocketAccess.denied("client tried invalid PolicyKit init request")
            }
            try SocketAccess.ask(call.session.origin)
            call.session.state.withLock { $0.pending = nil }
            return Remote.AuthPolkit.Result(complete: 1)
        }
        add(Remote.AuthSASLInit.self, .worker) { (call, _) throws(LibvirtError) in
            .init(mechlist: try SASLService.begin(call.session))
        }
        add(Remote.AuthSASLStart.self, .worker) { (call, arguments) throws(LibvirtError) in
            try SASLService.goOn(call, arguments.nil, arguments.data) { (exchange, data) throws(SASLError) in
                // No mechanism has a longer name than 20 letters (RFC 4422).
                try exchange.start(String(arguments.mech.prefix(64)), data)
            }
        }
        add(Remote.AuthSASLStep.self, .worker) { (call, arguments) throws(LibvirtError) in
            try SASLService.goOn(call, arguments.nil, arguments.data) { (exchange, data) throws(SASLError) in
                try exchange.step(data)
            }
        }
    }
}

/// SASL's part of a session. What went wrong is for the log; a client is told that something did, and not whether there
/// is such a user.
private enum SASLService {
    /// Over TCP a layer has to keep everything secret; 112 bits are those of three DES keys, libvirt's own limit.
    private static let leastStrength: UInt32 = 112
    /// What TLS has at least, and more than that makes no difference.
    private static let strengthOfTLS: UInt32 = 128

    private static let refusal = LibvirtError(
        code: VirErrorNumber.authFailed, domain: VirErrorDomain.rpc,
        message: "authentication failed: authentication failed", detail: "authentication failed")

    /// The ways that are offered.
    static func begin(_ session: ClientSession) throws(LibvirtError) -> String {
        guard session.state.withLock({ $0.pending == .sasl && $0.exchange == nil }) else {
            session.daemon.log.info("A client tried an invalid SASL init request")
            throw refusal
        }
        let security: SASLSession.Security =
            switch session.origin {
            case .tcp: .wanted(bits: leastStrength)
            case .tls: .given(bits: strengthOfTLS)
            case .local: .given(bits: 0)
            }
        let addresses = session.addresses
        do throws(SASLError) {
            let exchange = try SASLSession.server(
                service: "libvirt", local: addresses?.local, remote: addresses?.remote, security)
            let list = try exchange.mechanisms()
            session.state.withLock { $0.exchange = exchange }
            return list
        } catch {
            // Nobody can come in this way until the operator does something.
            session.daemon.log.warning("SASL cannot be used: \(error)")
            throw refusal
        }
    }

    static func goOn(
        _ call: Call, _ isNil: Int32, _ data: [Int8],
        _ body: (SASLSession, [UInt8]?) throws(SASLError) -> SASLSession.Answer
    ) throws(LibvirtError) -> Remote.AuthSASLStart.Result {
        let session = call.session
        guard let exchange = session.state.withLock({ $0.pending == .sasl ? $0.exchange : nil }) else {
            session.daemon.log.info("A client tried an invalid SASL request")
            throw refusal
        }
        do throws(SASLError) {
            let answer = try body(exchange, isNil != 0 ? nil : data.map { UInt8(bitPattern: $0) })
            if answer.isComplete {
                try exchange.checkStrength()
                try admit(session, exchange)
                if exchange.hasLayer { call.secure(by: exchange) }
            }
            return .init(
                complete: answer.isComplete ? 1 : 0, nil: answer.data == nil ? 1 : 0,
                data: (answer.data ?? []).map { Int8(bitPattern: $0) })
        } catch {
            // It may begin anew.
            session.state.withLock { $0.exchange = nil }
            session.daemon.log.info("A client could not prove by SASL who it is: \(error)")
            throw refusal
        }
    }

    private static func admit(_ session: ClientSession, _ exchange: SASLSession) throws(SASLError) {
        let name = exchange.userName ?? ""
        guard session.daemon.access.serves(name) else {
            throw SASLError("'\(name)' is none of those who are served")
        }
        session.state.withLock { state in
            state.pending = nil
            state.exchange = nil
            state.limit?.cancel()
            state.limit = nil
        }
        session.daemon.log.info("SASL user '\(name)' was let in")
    }
}
