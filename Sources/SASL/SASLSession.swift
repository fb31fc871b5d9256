internal import CSASL
public import HostOS
internal import Synchronization

/// One end of an exchange by which somebody proves who he is (RFC 4422), by Cyrus SASL's libsasl2, and then the layer
/// that keeps a connection secret, where one was agreed upon. Any thread; the exchange itself may wait for files and for
/// other hosts.
@safe public final class SASLSession: @unchecked Sendable {
    // Sendable: the connection is used under the lock alone, and an exchange by one thread at a time.

    /// What a connection needs.
    public enum Security: Sendable, Equatable {
        /// Nobody can read along already, by TLS of so many bits of key or within the host.
        case given(bits: UInt32)
        /// The exchange has to bring a layer of at least so many bits.
        case wanted(bits: UInt32)
    }

    /// What one end says next.
    public struct Answer: Sendable, Equatable {
        /// For the other end. Nil and nothing are different things.
        public var data: [UInt8]?
        /// Whether this end has all that it needs.
        public var isComplete: Bool
    }

    let connection: OpaquePointer
    let lock = Mutex(())
    /// Of a client: what the library was told, which it reads later.
    var texts: [UnsafeMutablePointer<CChar>] = unsafe []
    private let security: Security

    /// The library's lists of plug-ins know no threads.
    static let library = Mutex(())

    /// Results (sasl_errors(3)).
    static let (fine, goesOn, asks): (Int32, Int32, Int32) = (0, 1, 2)
    /// SASL_SUCCESS_DATA: the last word may come with the good news.
    static let flags: UInt32 = 4
    /// SASL_USERNAME, SASL_SSF, SASL_MAXOUTBUF; SASL_SSF_EXTERNAL, SASL_SEC_PROPS.
    private static let (userProperty, strengthProperty, sizeProperty): (Int32, Int32, Int32) = (0, 1, 2)
    private static let (outerStrength, wishes): (Int32, Int32) = (100, 101)
    /// SASL_SEC_NOPLAINTEXT, SASL_SEC_NOANONYMOUS.
    private static let (noPlainText, noAnonymous): (UInt32, UInt32) = (1, 16)
    /// The largest piece of a secured stream, both ways.
    public static let pieceSize = 32_768

    /// Whether the library is there.
    public static var isAvailable: Bool { apus_sasl_is_there() != 0 }

    /// Prepares the library once in a process, under the application's name that its configuration goes by.
    private static let serverStatus: Int32 = unsafe apus_sasl_server_init(nil, "libvirt")

    /// The end that has to be convinced. `local` and `remote` are addresses, of connections that have some. The library
    /// reads `libvirt.conf` in its folders (`/etc/sasl2`).
    public static func server(
        service: String, local: SocketAddress?, remote: SocketAddress?, _ security: Security
    ) throws(SASLError) -> SASLSession {
        guard isAvailable else { throw SASLError("SASL needs libsasl2, which cannot be opened") }
        var made: OpaquePointer?
        let status = library.withLock { _ -> Int32 in
            let status = serverStatus
            guard status == fine else { return status }
            // SAFETY: the library copies the texts, and stores one pointer.
            return unsafe apus_sasl_server_new(
                service, nil, nil, place(local), place(remote), nil, flags, &made)
        }
        guard status == fine, let made = unsafe made else { throw failure(status, nil) }
        return try unsafe SASLSession(made, security)
    }

    init(_ connection: OpaquePointer, _ security: Security) throws(SASLError) {
        unsafe self.connection = connection
        self.security = security
        var wanted = unsafe apus_sasl_security(
            minimum: 0, maximum: 0, buffer_size: UInt32(SASLSession.pieceSize), flags: SASLSession.noAnonymous,
            names: nil, values: nil)
        switch security {
        case .given(var bits):
            // SAFETY: the library copies the number.
            if unsafe apus_sasl_setprop(connection, Self.outerStrength, &bits) != Self.fine {
                throw error(-1)
            }
        case .wanted(let bits):
            unsafe wanted.minimum = bits
            unsafe wanted.maximum = 100_000
            unsafe wanted.flags |= Self.noPlainText
        }
        // SAFETY: the library copies the structure.
        guard unsafe apus_sasl_setprop(connection, Self.wishes, &wanted) == Self.fine else { throw error(-1) }
    }

    deinit {
        var connection: OpaquePointer? = unsafe self.connection
        unsafe apus_sasl_dispose(&connection)
        while let text = unsafe texts.popLast() {
            // A password is not left in memory that others get.
            var letter = unsafe text
            while unsafe letter.pointee != 0 {
                unsafe letter.pointee = 0
                unsafe letter += 1
            }
            unsafe text.deallocate()
        }
    }

    // MARK: - The end that has to be convinced

    /// The ways that are offered, with commas between.
    public func mechanisms() throws(SASLError) -> String {
        var (list, size, count): (UnsafePointer<CChar>?, UInt32, Int32) = (nil, 0, 0)
        let status = locked { unsafe apus_sasl_listmech(connection, nil, "", ",", "", &list, &size, &count) }
        guard status == Self.fine, let list = unsafe list, count > 0 else {
            throw status == Self.fine ? SASLError("SASL has no mechanism for this connection") : error(status)
        }
        // SAFETY: the text belongs to the connection, and stays until it is asked again.
        return unsafe String(cString: list)
    }

    /// What a client begins with.
    public func start(_ mechanism: String, _ data: [UInt8]?) throws(SASLError) -> Answer {
        try unsafe answer { result, size in
            // SAFETY: the data live for the call.
            unsafe Self.withBytes(data) { bytes, count in
                unsafe apus_sasl_server_start(connection, mechanism, bytes, count, &result, &size)
            }
        }
    }

    /// What a client says next.
    public func step(_ data: [UInt8]?) throws(SASLError) -> Answer {
        try unsafe answer { result, size in
            // SAFETY: as above.
            unsafe Self.withBytes(data) { bytes, count in
                unsafe apus_sasl_server_step(connection, bytes, count, &result, &size)
            }
        }
    }

    func answer(
        _ body: (inout UnsafePointer<CChar>?, inout UInt32) -> Int32
    ) throws(SASLError) -> Answer {
        var (result, size): (UnsafePointer<CChar>?, UInt32) = (nil, 0)
        let (status, data) = locked { () -> (Int32, [UInt8]?) in
            let status = unsafe body(&result, &size)
            // SAFETY: what the library gives lasts until its next call.
            return (status, status < 0 ? nil : unsafe Self.copy(result, size))
        }
        guard status == Self.fine || status == Self.goesOn else { throw error(status) }
        return Answer(data: data, isComplete: status == Self.fine)
    }

    // MARK: - Who it is, and how secret

    /// Who has proved who he is; nil before that.
    public var userName: String? {
        var value: UnsafeRawPointer?
        return lock.withLock { _ in
            guard unsafe apus_sasl_getprop(connection, Self.userProperty, &value) == Self.fine else { return nil }
            // SAFETY: the property is a text of the connection's.
            return unsafe value.map { unsafe String(cString: $0.assumingMemoryBound(to: CChar.self)) }
        }
    }

    private func number(_ property: Int32) -> UInt32 {
        var value: UnsafeRawPointer?
        return lock.withLock { _ in
            guard unsafe apus_sasl_getprop(connection, property, &value) == Self.fine else { return 0 }
            // SAFETY: the property is a number of the connection's.
            return unsafe value?.loadUnaligned(as: UInt32.self) ?? 0
        }
    }

    /// Whether bytes have to go through `encode` and `decode` from now on.
    public var hasLayer: Bool { number(Self.strengthProperty) > 0 }

    /// Refuses an exchange that was a success and yet is not as secret as it has to be.
    public func checkStrength() throws(SASLError) {
        guard case .wanted(let bits) = security else { return }
        let strength = number(Self.strengthProperty)
        guard strength >= bits else { throw SASLError("negotiation SSF \(strength) was not strong enough") }
    }

    /// Bytes as they go over the wire.
    public func encode(_ bytes: [UInt8]) throws(SASLError) -> [UInt8] {
        let limit = number(Self.sizeProperty)
        let piece = limit == 0 ? Self.pieceSize : min(Int(limit), Self.pieceSize)
        var whole: [UInt8] = []
        whole.reserveCapacity(bytes.count + 64)
        var offset = 0
        while offset < bytes.count {
            let part = Array(bytes[offset..<min(bytes.count, offset + piece)])
            whole += try unsafe transform(part) { (data, count, result, size) in
                unsafe apus_sasl_encode(connection, data, count, &result, &size)
            }
            offset += part.count
        }
        return whole
    }

    /// What came over the wire, as far as it is whole. An error ends the connection.
    public func decode(_ bytes: [UInt8]) throws(SASLError) -> [UInt8] {
        try unsafe transform(bytes) { (data, count, result, size) in
            unsafe apus_sasl_decode(connection, data, count, &result, &size)
        }
    }

    private func transform(
        _ bytes: [UInt8],
        _ body: (UnsafePointer<CChar>?, UInt32, inout UnsafePointer<CChar>?, inout UInt32) -> Int32
    ) throws(SASLError) -> [UInt8] {
        let (status, data) = lock.withLock { _ -> (Int32, [UInt8]?) in
            var (result, size): (UnsafePointer<CChar>?, UInt32) = (nil, 0)
            // SAFETY: the bytes live for the call, and what the library gives lasts until its next one.
            let status = unsafe bytes.withUnsafeBytes { raw in
                unsafe body(raw.baseAddress?.assumingMemoryBound(to: CChar.self), UInt32(raw.count), &result, &size)
            }
            return (status, status == Self.fine ? unsafe Self.copy(result, size) : nil)
        }
        guard status == Self.fine else { throw error(status) }
        return data ?? []
    }

    // MARK: - Helpers

    /// Under the connection's lock and the library's: an exchange may load plug-ins and open files.
    func locked<Result>(_ body: () -> Result) -> Result {
        Self.library.withLock { _ in lock.withLock { _ in body() } }
    }

    static func withBytes<Result>(
        _ data: [UInt8]?, _ body: (UnsafePointer<CChar>?, UInt32) -> Result
    ) -> Result {
        guard let data else { return body(nil, 0) }
        // One more, so that nothing is an address, too.
        let padded = data + [0]
        // SAFETY: the array lives for the call.
        return unsafe padded.withUnsafeBytes {
            unsafe body($0.baseAddress?.assumingMemoryBound(to: CChar.self), UInt32(data.count))
        }
    }

    private static func copy(_ bytes: UnsafePointer<CChar>?, _ count: UInt32) -> [UInt8]? {
        // SAFETY: the caller knows that so many bytes are there.
        unsafe bytes.map { unsafe Array(UnsafeRawBufferPointer(start: $0, count: Int(count))) }
    }

    func error(_ status: Int32) -> SASLError {
        let detail = lock.withLock { _ -> String? in
            // SAFETY: the text belongs to the connection.
            unsafe apus_sasl_errdetail(connection).map { unsafe String(cString: $0) }
        }
        return Self.failure(status, detail)
    }

    static func failure(_ status: Int32, _ detail: String?) -> SASLError {
        // SAFETY: the text is the library's own constant.
        let words = unsafe apus_sasl_errstring(status, nil, nil).map { unsafe String(cString: $0) } ?? "error \(status)"
        // The library's detail begins with its own category.
        let more = detail.map { text in
            text.split(separator: ": ", maxSplits: 1).dropFirst().first.map(String.init) ?? text
        }
        return SASLError(more.map { $0.isEmpty || $0 == words ? words : "\(words): \($0)" } ?? words)
    }

    /// An address as the library wants it: `127.0.0.1;16509`.
    static func place(_ address: SocketAddress?) -> String? {
        guard let text = address?.description, let colon = text.lastIndex(of: ":") else { return nil }
        return text[..<colon].filter { $0 != "[" && $0 != "]" } + ";" + text[text.index(after: colon)...]
    }
}
