internal import HostOS
internal import RPCWire
internal import SASL
internal import Synchronization

/// One call while it is answered.
struct Call: Sendable {
    let session: ClientSession
    let header: RPCHeader
    /// What came with it.
    let descriptors: [Descriptor]
    private let after = AfterReply()

    init(session: ClientSession, header: RPCHeader, descriptors: [Descriptor]) {
        self.session = session
        self.header = header
        self.descriptors = descriptors
    }

    private final class AfterReply: Sendable {
        let work = Mutex<[@Sendable () -> Void]>([])
        let descriptors = Mutex<[Descriptor]>([])
        let layer = Mutex<SASLSession?>(nil)
    }

    /// Runs `work` once the answer is sent, and not if the call fails: a stream begins after it.
    func afterReply(_ work: @escaping @Sendable () -> Void) { after.work.withLock { $0.append(work) } }

    /// Sends a descriptor with the answer.
    func pass(_ descriptor: Descriptor) { after.descriptors.withLock { $0.append(descriptor) } }

    /// Sends whatever follows the answer through a layer.
    func secure(by layer: SASLSession) { after.layer.withLock { $0 = layer } }

    var layer: SASLSession? { after.layer.withLock { $0 } }

    var passedDescriptors: [Descriptor] { after.descriptors.withLock { $0 } }

    func runAfterReply() {
        for work in after.work.withLock({ $0 }) { work() }
    }
}

/// Who answers which procedure, and where.
struct HandlerTable: Sendable {
    /// Which thread.
    enum Place: Sendable {
        /// The connections' loop: only what never waits, not even for another thread's slow work.
        case loop
        /// A worker.
        case worker
    }

    struct Handler: Sendable {
        let place: Place
        let run: @Sendable (Call, [UInt8]) throws(LibvirtError) -> [UInt8]
    }

    private var handlers: [RPCProgram: [Handler?]] = [:]

    /// Enters who answers a procedure.
    mutating func add<Procedure: RPCProcedure>(
        _ procedure: Procedure.Type, _ place: Place,
        _ body: @escaping @Sendable (Call, Procedure.Arguments) throws(LibvirtError) -> Procedure.Result
    ) {
        enter(
            Procedure.program, Procedure.number,
            Handler(place: place) { call, payload throws(LibvirtError) in
                let arguments: Procedure.Arguments
                do throws(XDRError) {
                    var reader = XDRReader(payload)
                    arguments = try Procedure.Arguments(from: &reader)
                } catch {
                    throw LibvirtError.rpc("Unable to decode message payload")
                }
                let result = try body(call, arguments)
                do throws(XDRError) {
                    var writer = XDRWriter(capacity: 128)
                    try result.write(to: &writer)
                    return writer.bytes
                } catch {
                    throw LibvirtError.rpc("Unable to encode message payload: \(error)")
                }
            })
    }

    /// Enters who answers a procedure without results.
    mutating func add<Procedure: RPCProcedure>(
        _ procedure: Procedure.Type, _ place: Place,
        _ body: @escaping @Sendable (Call, Procedure.Arguments) throws(LibvirtError) -> Void
    ) where Procedure.Result == NoPayload {
        add(procedure, place) { (call, arguments) throws(LibvirtError) -> NoPayload in
            try body(call, arguments)
            return NoPayload()
        }
    }

    private mutating func enter(_ program: RPCProgram, _ number: Int32, _ handler: Handler) {
        var list = handlers[program] ?? []
        while list.count <= Int(number) { list.append(nil) }
        // Two answers to one call: the earlier would never be heard.
        precondition(list[Int(number)] == nil, "Procedure \(number) is entered twice")
        list[Int(number)] = handler
        handlers[program] = list
    }

    /// Who answers, if anybody does.
    func handler(_ program: RPCProgram, _ number: Int32) -> Handler? {
        guard number >= 0, let list = handlers[program], Int(number) < list.count else { return nil }
        return list[Int(number)]
    }

    /// The numbers of a program that are answered.
    func numbers(_ program: RPCProgram) -> [Int32] {
        (handlers[program] ?? []).enumerated().compactMap { $1 == nil ? nil : Int32($0) }
    }
}
