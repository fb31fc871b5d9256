/// A NOR flash chip with Intel's command set (JEDEC JESD68 for the query, Intel 251902 "28F640J3" for commands), one
/// byte wide, as UEFI firmware keeps its variables in: writes in, what reads show and what changes out. The bytes
/// themselves are the caller's.
package struct CFIFlashModel: Sendable {
    /// Bytes of an erase block.
    package static let blockSize: UInt64 = 4096
    /// The most bytes of a buffered program.
    static let bufferSize: UInt64 = 2048

    /// What reads show.
    package enum Mode: UInt8, Sendable {
        /// The bytes: the chip is memory.
        case array
        /// The status register.
        case status
        /// The identifier codes.
        case identifier
        /// The CFI query structure.
        case query
    }
    /// What the next write is.
    enum Expectation: UInt8 {
        case command
        /// The byte of a program command.
        case byte
        /// The confirmation of an erase.
        case eraseConfirmation
        /// The confirmation of a lock or unlock.
        case lockConfirmation
        /// The count of a buffered program.
        case bufferCount
        /// Its bytes.
        case bufferBytes
        /// Its confirmation.
        case bufferConfirmation
    }
    /// What is to be done with the bytes.
    package enum Effect: Equatable, Sendable {
        /// Nothing.
        case none
        /// Bytes from an offset on, all within the chip.
        case program(offset: UInt64, bytes: [UInt8])
        /// A block of all ones.
        case erase(offset: UInt64)
    }
    enum Status {
        static let ready: UInt8 = 0x80
        static let eraseError: UInt8 = 0x20
        static let programError: UInt8 = 0x10
    }

    /// Bytes of the chip, a multiple of the block size.
    package let size: UInt64
    package let isReadOnly: Bool
    package private(set) var mode = Mode.array
    var status = Status.ready
    var expectation = Expectation.command
    var buffer: [UInt8] = []
    var bufferStart: UInt64 = 0
    var bufferLeft = 0

    package init(size: UInt64, isReadOnly: Bool) {
        self.size = size
        self.isReadOnly = isReadOnly
    }

    /// After power-on.
    package mutating func reset() { self = CFIFlashModel(size: size, isReadOnly: isReadOnly) }

    /// What a byte reads as where the chip is not memory; nil where it is.
    package func read(_ offset: UInt64) -> UInt8? {
        switch mode {
        case .array: return nil
        case .status: return status
        case .identifier:
            // Maker and device; every block is unlocked.
            switch offset & 0xFF {
            case 0: return 0x89
            case 1: return 0x18
            default: return 0
            }
        case .query:
            let table = query
            let place = Int(offset & 0xFF)
            return place < table.count ? table[place] : 0
        }
    }

    /// A byte is written.
    package mutating func write(_ offset: UInt64, _ value: UInt8) -> Effect {
        guard offset < size else { return .none }
        switch expectation {
        case .command: command(offset, value)
        case .byte:
            expectation = .command
            return program(offset, [value])
        case .eraseConfirmation:
            expectation = .command
            guard value == 0xD0 else {
                status |= Status.eraseError | Status.programError
                return .none
            }
            status |= Status.ready
            guard !isReadOnly else {
                status |= Status.eraseError
                return .none
            }
            return .erase(offset: offset & ~(Self.blockSize - 1))
        case .lockConfirmation:
            expectation = .command
            status |= Status.ready
            if value == 0xFF { mode = .array }
        case .bufferCount:
            bufferLeft = Int(value) + 1
            buffer = []
            expectation = .bufferBytes
        case .bufferBytes:
            if buffer.isEmpty { bufferStart = offset }
            buffer.append(value)
            bufferLeft -= 1
            if bufferLeft <= 0 { expectation = .bufferConfirmation }
        case .bufferConfirmation:
            expectation = .command
            let bytes = buffer
            buffer = []
            guard value == 0xD0, UInt64(bytes.count) <= size - bufferStart else {
                status |= Status.programError | Status.eraseError
                return .none
            }
            return program(bufferStart, bytes)
        }
        return .none
    }

    private mutating func program(_ offset: UInt64, _ bytes: [UInt8]) -> Effect {
        status |= Status.ready
        guard !isReadOnly else {
            status |= Status.programError
            return .none
        }
        return .program(offset: offset, bytes: bytes)
    }

    private mutating func command(_ offset: UInt64, _ value: UInt8) {
        switch value {
        case 0x10, 0x40:
            mode = .status
            expectation = .byte
        case 0x20, 0x28:
            mode = .status
            expectation = .eraseConfirmation
        case 0x50:
            status = 0
            mode = .array
        case 0x60:
            mode = .status
            expectation = .lockConfirmation
        case 0x70: mode = .status
        case 0x90: mode = .identifier
        case 0x98: mode = .query
        case 0xE8:
            mode = .status
            status |= Status.ready
            expectation = .bufferCount
        // Read array, and whatever this chip does not know.
        default: mode = .array
        }
    }

    /// The query structure (JESD68, 2.3), one byte an address.
    private var query: [UInt8] {
        var table = [UInt8](repeating: 0, count: 0x52)
        table.replaceSubrange(0x10..<0x13, with: Array("QRY".utf8))
        // Intel's command set, its extended table at 0x31.
        table[0x13] = 0x01
        table[0x15] = 0x31
        table[0x1B] = 0x45
        table[0x1C] = 0x55
        // Times of program, buffered program and erase, as powers of two, and their limits.
        table[0x1F] = 0x07
        table[0x20] = 0x07
        table[0x21] = 0x0A
        table[0x23] = 0x04
        table[0x24] = 0x04
        table[0x25] = 0x04
        table[0x27] = UInt8(truncatingIfNeeded: 63 - max(size, 1).leadingZeroBitCount)
        // Eight bits wide; a buffer of 2^11 bytes; one region of blocks.
        table[0x2A] = 0x0B
        table[0x2C] = 1
        let blocks = size / Self.blockSize - 1
        table[0x2D] = UInt8(truncatingIfNeeded: blocks)
        table[0x2E] = UInt8(truncatingIfNeeded: blocks >> 8)
        table[0x2F] = UInt8(truncatingIfNeeded: Self.blockSize >> 8)
        table[0x30] = UInt8(truncatingIfNeeded: Self.blockSize >> 16)
        table.replaceSubrange(0x31..<0x34, with: Array("PRI".utf8))
        table[0x34] = 0x31
        table[0x35] = 0x30
        return table
    }

    /// Takes saved registers, of which no value is dangerous.
    mutating func restore(
        mode: UInt8, expectation: UInt8, status: UInt8, buffer: [UInt8], start: UInt64, left: Int
    ) -> Bool {
        guard let mode = Mode(rawValue: mode), let expectation = Expectation(rawValue: expectation),
            buffer.count <= Int(Self.bufferSize), start < size, (0...256).contains(left)
        else { return false }
        (self.mode, self.expectation, self.status) = (mode, expectation, status)
        (self.buffer, bufferStart, bufferLeft) = (buffer, start, left)
        return true
    }
}
