internal import GuestMemory

// The receive descriptors that only the 82574 has: extended ones, and those for packets in several buffers. Intel 317694,
// 7.1.4 to 7.1.6.
extension E1000Model {
    private static let filterControl: UInt32 = 0x5008
    private static let splitControl: UInt32 = 0x2170

    /// Whether descriptors are of the extended kind.
    var hasExtendedDescriptors: Bool { isExpress && self[Self.filterControl] & 0x8000 != 0 }
    /// Whether each has four buffers.
    private var splits: Bool { self[E1000Register.receiveControl] >> 10 & 3 == 1 }
    var descriptorSize: UInt32 { hasExtendedDescriptors && splits ? 32 : 16 }

    /// The sizes of a descriptor's buffers.
    private var bufferSizes: [Int] {
        let sizes = self[Self.splitControl]
        return [
            Int(sizes & 0x7F) * 128, Int(sizes >> 8 & 0x3F) * 1024, Int(sizes >> 16 & 0x3F) * 1024,
            Int(sizes >> 24 & 0x3F) * 1024,
        ]
    }
    /// Bytes that one descriptor takes.
    var extendedRoom: Int { splits ? bufferSizes.reduce(0, +) : bufferSize }

    /// Puts the frame in `scratch` into buffers, of which there are enough.
    mutating func storeExtended(status: UInt64, special: UInt64) {
        let size = UInt64(descriptorSize)
        let count = self[E1000Register.receiveLength] / descriptorSize
        let base =
            UInt64(self[E1000Register.receiveBaseHigh]) << 32 | UInt64(self[E1000Register.receiveBaseLow])
        let sizes = splits ? bufferSizes : [bufferSize]
        guard count > 0, sizes.reduce(0, +) > 0 else { return }
        var position = 0
        while position < scratch.count {
            let head = self[E1000Register.receiveHead]
            let place = GuestPhysical(base &+ UInt64(head) * size)
            var lengths = [0, 0, 0, 0]
            for (index, most) in sizes.enumerated() where position < scratch.count && most > 0 {
                let part = min(most, scratch.count - position)
                if let buffer = try? memory.load(place + UInt64(index * 8), as: UInt64.self) {
                    unsafe scratch.withUnsafeBytes { bytes in
                        // SAFETY: `part` bytes are left from `position` on.
                        unsafe try? memory.write(
                            GuestPhysical(buffer),
                            from: UnsafeRawBufferPointer(rebasing: bytes[position..<position + part]))
                    }
                }
                lengths[index] = part
                position += part
            }
            // Done, and the end of the packet; the tag that was taken out is in the upper word.
            var result = status | 1 | (position == scratch.count ? 2 : 0)
            result |= UInt64(lengths[0]) << 32 | special << 48
            if splits {
                let others = UInt64(lengths[1]) << 16 | UInt64(lengths[2]) << 32 | UInt64(lengths[3]) << 48
                try? memory.store(place + 16, others)
            }
            try? memory.store(place, UInt64(0))
            try? memory.store(place + 8, result)
            self[E1000Register.receiveHead] = head + 1 < count ? head + 1 : 0
        }
    }
}
