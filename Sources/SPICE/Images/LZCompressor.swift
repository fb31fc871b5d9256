/// SPICE's LZ coding of pixels, as its clients decode it (`LZ_RGB` images): runs of literal pixels, and references to
/// pixels before.
///
/// A byte below 32 is followed by one more literal pixel than it says, three bytes each. Another has the length of a
/// reference in its upper three bits (7: more follows, in bytes of 255 and a last one below) and bits 8 to 12 of the
/// distance less one in its lower five; the distance's low byte ends it. A distance less one from 8,191 on is coded as that
/// number, and what is more follows in 16 bits, the high byte first.
package struct LZCompressor {
    private static let hashBits = 14
    private static let near = 8191
    private static let far = near + 65535
    private static let headerSize = 28
    /// "LZ  ", version 1.1, and images of 32 bits.
    private static let head: [UInt32] = [0x2020_5A4C, 0x0001_0001, 8]

    /// Where three pixels stood last, by their hash, counted over all images: what is before `base` is of another image.
    private var places = [UInt64](repeating: 0, count: 1 << hashBits)
    private var base: UInt64 = 1
    private var output: [UInt8] = []

    package init() {}

    /// The pixels of an image, row after row from the top, coded with their header; nil where that takes no less than the
    /// pixels themselves.
    package mutating func compress(_ pixels: [UInt32], width: Int, height: Int) -> [UInt8]? {
        precondition(pixels.count == width * height)
        let limit = pixels.count * 4
        output = []
        output.reserveCapacity(min(limit, 1 << 20) + Self.headerSize)
        for word in Self.head + [UInt32(width), UInt32(height), UInt32(width * 4), 1] {
            for shift in [24, 16, 8, 0] as [UInt32] { output.append(UInt8(truncatingIfNeeded: word >> shift)) }
        }
        let base = base
        self.base += UInt64(pixels.count)
        // SAFETY: both buffers live for the call, and every index is compared with their counts.
        let isShort = unsafe pixels.withUnsafeBufferPointer { pixels in
            unsafe places.withUnsafeMutableBufferPointer { places in
                unsafe Self.code(pixels, places, base, limit: limit, into: &output)
            }
        }
        return isShort ? output : nil
    }

    private static func code(
        _ pixels: UnsafeBufferPointer<UInt32>, _ places: UnsafeMutableBufferPointer<UInt64>, _ base: UInt64,
        limit: Int, into output: inout [UInt8]
    ) -> Bool {
        let count = pixels.count
        var place = 0
        var literals = 0
        while place < count {
            var length = 0
            var distance = 0
            if place + 3 <= count {
                // SAFETY: the three pixels from here on are there, and the one before where `place` is not 0.
                let (first, second, third) = unsafe (
                    pixels[place] & 0xFF_FFFF, pixels[place + 1] & 0xFF_FFFF, pixels[place + 2] & 0xFF_FFFF
                )
                if place > 0, first == second, second == third, unsafe pixels[place - 1] & 0xFF_FFFF == first {
                    (length, distance) = (3, 1)
                } else {
                    let mixed = first &* 0x9E37_79B1 ^ second &* 0x85EB_CA77 ^ third &* 0xC2B2_AE3D
                    let hash = Int(mixed >> (32 - UInt32(hashBits)))
                    // SAFETY: a hash has as many bits as the table has places.
                    let last = unsafe places[hash]
                    unsafe places[hash] = base + UInt64(place)
                    let found = last >= base ? Int(last - base) : -1
                    // SAFETY: what the table holds is a place before this one, with two more behind it.
                    if found >= 0, place - found - 1 <= far, unsafe pixels[found] & 0xFF_FFFF == first,
                        unsafe pixels[found + 1] & 0xFF_FFFF == second, unsafe pixels[found + 2] & 0xFF_FFFF == third
                    {
                        (length, distance) = (3, place - found)
                    }
                }
            }
            guard length > 0 else {
                place += 1
                literals += 1
                continue
            }
            // SAFETY: the loop ends with the pixels.
            while place + length < count,
                unsafe (pixels[place + length] ^ pixels[place + length - distance]) & 0xFF_FFFF == 0
            { length += 1 }
            unsafe append(literals: pixels, place - literals, literals, to: &output)
            append(length: length, distance: distance - 1, to: &output)
            if output.count >= limit { return false }
            place += length
            literals = 0
        }
        unsafe append(literals: pixels, place - literals, literals, to: &output)
        return output.count < limit
    }

    private static func append(
        literals pixels: UnsafeBufferPointer<UInt32>, _ start: Int, _ count: Int, to output: inout [UInt8]
    ) {
        var place = start
        while place < start + count {
            let part = min(32, start + count - place)
            output.append(UInt8(part - 1))
            for index in place..<place + part {
                // SAFETY: within the literals, which are pixels that were gone through.
                let pixel = unsafe pixels[index]
                output.append(UInt8(truncatingIfNeeded: pixel))
                output.append(UInt8(truncatingIfNeeded: pixel >> 8))
                output.append(UInt8(truncatingIfNeeded: pixel >> 16))
            }
            place += part
        }
    }

    private static func append(length: Int, distance: Int, to output: inout [UInt8]) {
        let isFar = distance >= near
        output.append(UInt8(min(length, 7) << 5 | (isFar ? 31 : distance >> 8)))
        if length >= 7 {
            var more = length - 7
            while more >= 255 {
                output.append(255)
                more -= 255
            }
            output.append(UInt8(more))
        }
        if isFar {
            output.append(255)
            output.append(UInt8((distance - near) >> 8))
            output.append(UInt8((distance - near) & 255))
        } else {
            output.append(UInt8(distance & 255))
        }
    }
}
