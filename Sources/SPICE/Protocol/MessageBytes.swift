/// Bytes of a message, which are put together number by number. All of SPICE's numbers are little-endian.
package struct MessageBytes {
    package private(set) var bytes: [UInt8] = []

    package init(capacity: Int = 0) { bytes.reserveCapacity(capacity) }

    /// Appends numbers of one type.
    package mutating func append<Number: FixedWidthInteger>(_ numbers: Number...) {
        for number in numbers {
            for shift in stride(from: 0, to: Number.bitWidth, by: 8) {
                bytes.append(UInt8(truncatingIfNeeded: number >> shift))
            }
        }
    }
    /// Appends bytes as they are.
    package mutating func append(contentsOf more: [UInt8]) { bytes += more }
    package mutating func append(contentsOf more: UnsafeRawBufferPointer) {
        // SAFETY: the caller's bytes, for as long as the call.
        unsafe bytes.append(contentsOf: more)
    }
    /// Writes a number over bytes that are there.
    package mutating func set(_ number: UInt32, at place: Int) {
        for index in 0..<4 { bytes[place + index] = UInt8(truncatingIfNeeded: number >> UInt32(index * 8)) }
    }
}

/// What a client said that no client says.
package struct ProtocolViolation: Error, Equatable {
    package let reason: String
    package init(_ reason: String) { self.reason = reason }
}

/// Takes the numbers of a message one after the other.
package struct MessageFields {
    private let bytes: ArraySlice<UInt8>
    private var place: Int

    package init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
        place = bytes.startIndex
    }
    package init(_ bytes: [UInt8]) { self.init(bytes[...]) }

    /// The next number. Throws where the message ends before it.
    package mutating func next<Number: FixedWidthInteger>(
        _: Number.Type = Number.self
    ) throws(ProtocolViolation) -> Number {
        let count = Number.bitWidth / 8
        guard bytes.endIndex - place >= count else { throw ProtocolViolation("a message that ends too early") }
        var number: Number = 0
        for index in 0..<count { number |= Number(truncatingIfNeeded: bytes[place + index]) << (index * 8) }
        place += count
        return number
    }
}
