public import SASL

/// A client's whole exchange over libvirt's protocol: `AUTH_SASL_START`, then `AUTH_SASL_STEP` until both ends have all
/// that they need.
public struct SASLExchange<Failure: Error> {
    private let session: SASLSession
    private let ask: (SASLSession.Question) -> String?
    private let fail: (SASLError) -> Failure
    /// No mechanism takes more.
    private static var maximumSteps: Int { 64 }

    /// - Parameters:
    ///   - ask: answers what a mechanism wants to know; nil gives the exchange up.
    ///   - fail: an error in the caller's terms.
    public init(
        _ session: SASLSession, ask: @escaping (SASLSession.Question) -> String?,
        fail: @escaping (SASLError) -> Failure
    ) {
        self.session = session
        self.ask = ask
        self.fail = fail
    }

    /// Convinces a daemon that offers `mechanisms`, of which the best is taken, or the one that is `wanted`.
    public func run(
        mechanisms: String, wanted: String?,
        start: (Remote.AuthSASLStart.Arguments) throws(Failure) -> Remote.AuthSASLStart.Result,
        step: (Remote.AuthSASLStep.Arguments) throws(Failure) -> Remote.AuthSASLStart.Result,
        refuse: (String) -> Failure
    ) throws(Failure) {
        let offered = mechanisms.split { $0 == "," || $0 == " " }.map(String.init)
        if let wanted, !offered.contains(wanted) {
            throw refuse("SASL mechanism \(wanted) not supported by server")
        }
        let (mechanism, first) = try own { () throws(SASLError) in
            try session.start(mechanisms: wanted ?? offered.joined(separator: ","), ask: ask)
        }
        var mine = first
        var theirs = try start(
            .init(mech: mechanism, nil: first.data == nil ? 1 : 0, data: SASLExchange.signed(first.data)))
        for _ in 0..<Self.maximumSteps {
            let data: [UInt8]? = theirs.nil != 0 ? nil : theirs.data.map { UInt8(bitPattern: $0) }
            // Where both are content there is nothing more to look at, but the last word where there is one.
            if mine.isComplete, theirs.complete != 0, data?.isEmpty ?? true { break }
            mine = try own { () throws(SASLError) in try session.step(data, ask: ask) }
            if mine.isComplete, theirs.complete != 0 { break }
            theirs = try step(.init(nil: mine.data == nil ? 1 : 0, data: SASLExchange.signed(mine.data)))
        }
        guard mine.isComplete, theirs.complete != 0 else { throw refuse("the exchange does not end") }
        try own { () throws(SASLError) in try session.checkStrength() }
    }

    private func own<Result>(_ body: () throws(SASLError) -> Result) throws(Failure) -> Result {
        do throws(SASLError) { return try body() } catch { throw fail(error) }
    }

    private static func signed(_ data: [UInt8]?) -> [Int8] { (data ?? []).map { Int8(bitPattern: $0) } }
}
