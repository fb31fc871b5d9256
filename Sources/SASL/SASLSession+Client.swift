internal import CSASL
public import HostOS
internal import Synchronization

/// The end that has to convince the other.
extension SASLSession {
    /// What a mechanism wants to know.
    public struct Question: Sendable, Equatable {
        public enum Kind: Sendable, Equatable {
            /// Whose name and password it is.
            case name
            /// As whom one wants to be seen, where that is somebody else.
            case user
            case password
            case realm
        }

        public var kind: Kind
        /// The mechanism's own words.
        public var prompt: String
    }

    private static let clientStatus: Int32 = apus_sasl_client_init(nil)
    /// SASL_CB_USER, SASL_CB_AUTHNAME, SASL_CB_PASS, SASL_CB_GETREALM.
    private static let questions: [(UInt, Question.Kind)] = [
        (0x4001, .user), (0x4002, .name), (0x4004, .password), (0x4008, .realm),
    ]

    /// The questions that we answer, for the library, which keeps the address.
    nonisolated(unsafe) private static let callbacks: UnsafePointer<apus_sasl_callback> = {
        // SAFETY: the memory stays until the process ends, and nobody writes to it any more.
        let list = UnsafeMutablePointer<apus_sasl_callback>.allocate(capacity: questions.count + 1)
        for (index, question) in questions.enumerated() {
            unsafe (list + index).initialize(to: apus_sasl_callback(id: question.0, function: nil, context: nil))
        }
        unsafe (list + questions.count).initialize(to: apus_sasl_callback(id: 0, function: nil, context: nil))
        return unsafe UnsafePointer(list)
    }()

    /// The end that convinces a host's service.
    public static func client(
        service: String, host: String, local: SocketAddress?, remote: SocketAddress?, _ security: Security
    ) throws(SASLError) -> SASLSession {
        guard isAvailable else { throw SASLError("SASL needs libsasl2, which cannot be opened") }
        var made: OpaquePointer?
        let status = library.withLock { _ -> Int32 in
            let status = clientStatus
            guard status == fine else { return status }
            // SAFETY: the library copies the texts, and keeps the callbacks, which stay.
            return unsafe apus_sasl_client_new(
                service, host, place(local), place(remote), callbacks, flags, &made)
        }
        guard status == fine, let made = unsafe made else { throw failure(status, nil) }
        return try unsafe SASLSession(made, security)
    }

    /// Begins with the best of the ways that are offered. `ask` answers questions; nil gives the exchange up.
    public func start(
        mechanisms: String, ask: (Question) -> String?
    ) throws(SASLError) -> (mechanism: String, answer: Answer) {
        var mechanism: UnsafePointer<CChar>?
        let answer = try unsafe asking(ask) { wanted, result, size in
            unsafe apus_sasl_client_start(connection, mechanisms, &wanted, &result, &size, &mechanism)
        }
        // SAFETY: the name is a constant of the mechanism's.
        guard let name = unsafe mechanism else { throw error(-4) }
        return (unsafe String(cString: name), answer)
    }

    /// Answers the other end.
    public func step(_ data: [UInt8]?, ask: (Question) -> String?) throws(SASLError) -> Answer {
        try unsafe asking(ask) { wanted, result, size in
            // SAFETY: the data live for the call.
            unsafe Self.withBytes(data) { bytes, count in
                unsafe apus_sasl_client_step(connection, bytes, count, &wanted, &result, &size)
            }
        }
    }

    private func asking(
        _ ask: (Question) -> String?,
        _ body: (
            inout UnsafeMutablePointer<apus_sasl_interact>?, inout UnsafePointer<CChar>?, inout UInt32
        ) -> Int32
    ) throws(SASLError) -> Answer {
        var wanted: UnsafeMutablePointer<apus_sasl_interact>?
        // A mechanism asks for a few things, and not for ever.
        for _ in 0..<16 {
            var status: Int32 = 0
            let answer = try unsafe answer { result, size in
                status = unsafe body(&wanted, &result, &size)
                return status == Self.asks ? Self.goesOn : status
            }
            guard status == Self.asks else { return answer }
            guard var question = unsafe wanted else { throw error(-1) }
            // SAFETY: the library's list ends with number 0, and it reads what is put into it at the next call.
            while unsafe question.pointee.id != 0 {
                let text = try unsafe text(for: question.pointee, ask)
                unsafe texts.append(text.start)
                unsafe question.pointee.result = UnsafeRawPointer(text.start)
                unsafe question.pointee.count = text.count
                unsafe question += 1
            }
        }
        throw error(-1)
    }

    private func text(
        for question: apus_sasl_interact, _ ask: (Question) -> String?
    ) throws(SASLError) -> (start: UnsafeMutablePointer<CChar>, count: UInt32) {
        guard let kind = Self.questions.first(where: { unsafe $0.0 == question.id })?.1 else {
            throw SASLError("SASL asks for something that is not known: \(unsafe question.id)")
        }
        // SAFETY: the texts are the library's for the time of the question.
        let prompt = unsafe question.prompt.map { unsafe String(cString: $0) } ?? ""
        let usual = unsafe question.usual_result.map { unsafe String(cString: $0) }
        guard let answer = ask(Question(kind: kind, prompt: prompt)) ?? usual ?? (kind == .user ? "" : nil) else {
            throw SASLError("no answer to '\(prompt)'")
        }
        let bytes = answer.utf8CString
        let copy = UnsafeMutablePointer<CChar>.allocate(capacity: bytes.count)
        for (index, byte) in bytes.enumerated() { unsafe copy[index] = byte }
        return unsafe (copy, UInt32(bytes.count - 1))
    }
}
