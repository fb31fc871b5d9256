import BlockImage
import CLinux
import TestSupport
import Testing

/// What only few images have: chunks of DMG images of every kind, images that are the difference to another one.
@Suite struct RareFormatTests {
    /// Bytes of a fixed sequence: letters, and repetitions of what was before.
    private func text(_ count: Int) -> [UInt8] {
        var value: UInt32 = 1
        var bytes: [UInt8] = []
        while bytes.count < count {
            value = (value &* 1_103_515_245 &+ 12345) & 0x7fff_ffff
            let number = Int(value >> 16)
            if number % 2 == 0 && bytes.count > 400 {
                let distance = 1 + number % 397
                for _ in 0..<3 + number % 61 { bytes.append(bytes[bytes.count - distance]) }
            } else {
                bytes.append(UInt8(97 + (number >> 3) % 5))
            }
        }
        return Array(bytes.prefix(count))
    }

    private func decoded(_ text: String) -> [UInt8] {
        let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var (result, value, bits): ([UInt8], Int, Int) = ([], 0, 0)
        for letter in text.utf8 where letter != UInt8(ascii: "=") {
            value = (value << 6 | (letters.firstIndex(of: letter) ?? 0)) & 0xffff
            bits += 6
            guard bits >= 8 else { continue }
            bits -= 8
            result.append(UInt8(truncatingIfNeeded: value >> bits))
        }
        return result
    }

    /// `text(1024)` as Apple's LZFSE library packs it: a block of LZVN.
    private static let small = """
        YnZ4bgAEAABvAQAAQAFl72JkYmNiYWRhYWNkY2JjYwAI62JkYWJkZGFjYWRlAAzkZWJhYxAOCAGQBmVlQBNj5GVjZGIAMkAcZeZkY2Vi\
        Y2UQPxAbSEdh5GJhZWIAQAAJSEdlAAJACmIAL0ASYghKwHdkZGUAIgAkQAtjiFFlYQgByE1hYWRIY2JYm2VAAmUIZAANACaAOGFlCCcA\
        fxBvAFYANwCqGIqIqmJiAEQACUjiZAAESANkEI8AFwhOCHxI3WQIUIhmZGMACgCWSFdkAGoIwACnCEoQrgiNEE9AMGVIG2EAeVAlYlDl\
        Y0kFYRCQAEkJKAADSEpiCGsIDUlrYZEtYmIARkjEYgk2AH4ABggdaYph8AAAgzkh8BZIsmI4yf44PvAOOBXwFDly8Bc4VfAOCQcZmzhF\
        +QgfOFvwDglaCY1oKmXwAgAPUL1kOH3xYBxlOQv9OBv/ID84vPY4HPADOKrwE2guZfAPOSD35GRlYWMGAAAAAAAAAGJ2eCQ=
        """
    /// `text(5120)`: a block of LZFSE.
    private static let large = """
        YnZ4MgAUAAAQATAFAAsBQJnHr/fyFgJAmAAAAD9EoAHvwMmqIiAoisDJyYqaqPM0WJIj18jFydnFybo93Dend2c3V6cXJIOCaAAAAAAA\
        AA4AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAD+lp/lO/lZ3hgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAACJ\
        fKLR9xxvAtYuDO+WZFHk6ha6hZ4TbqVxI3qKoM94Il5LiZdFGhR0WgZ3nOV4Ho6QjTTbb59EhF6KUVS2A3h9A5ZwzuK2Cp/XFG6ZpZOj\
        GAAAAAAAAAAAAAAUAADjMf86qPIkC6NIoOgChfCdRKxEtmXjdrb/8pQmbD460wucVl34tjqrjwQOPw4FLXlANvTFiYpYUJCdGsXIbrD+\
        Ow7hwKQ0CkktDA4DZOqSykSSVWgjqOukAV3f/y79znltJBoDcf6xN03oWRD4A/ahqHKOF9YIBkDn4DcmLokTiWxjHTLT0eXisKpjilV1\
        PopjIM3I3pFrzTj9RSsisX8zahgyVH8Lhm7IgCHDf230Yg5nG5gRwcFqUMRtoheCzvbk4OrIKA6ccrO5BNzEq6OuCt8RQBsvtzJC6sEe\
        MKKAIz7QdpVekUdcoPIC1cgjibDxiGM3irG8mrDAs8LhWOmJNZAs78CfdhzAhWt8dwfC89qBWJdM9pUeebrp1ce22BbUbYgfiTa5zJgQ\
        8G6JhcBNIVgLzGN7glRw9a0LKEF9cJkgg0DlZ7K9E8EEz4B2fPOsKct9UEdie+DwGaqHPErv9uUGBgkx9D1PahQ0kAh2qmEI+AFCOWtL\
        6S+I99BGQkosBHkLUk+cV6DKweOfcPROQhMhEFmLEJX2kB+Sdk32JbM0p8JszKYtpJCmgyovJjoIUJZBnkM9/so3V19Wd489a8VPk+lX\
        xtTN+GSjj5Rc8wS6zwWx6fZoEHCBrlwxq5NVpsKdrK4hv6VGKVdSi5Qolv8DN7MIE311oHbVp8Uv2qaj5bG7NAqxCWJ2eCQ=
        """

    /// 512 bytes whose last 64 are the first again, then 512 zeroes, as ADC.
    private func adc(_ content: ArraySlice<UInt8>) -> [UInt8] {
        var packed: [UInt8] = []
        for start in stride(from: 0, to: 448, by: 64) { packed += [0x80 | 63] + content[start..<start + 64] }
        // A long copy of 64 bytes from 448 back; a zero; long copies of 67 and one of 38 from one back; a short of 4.
        packed += [0x40 | 60, 0x01, 0xbf, 0x80, 0]
        for _ in 0..<7 { packed += [0x40 | 63, 0, 0] }
        return packed + [0x40 | 34, 0, 0, 1 << 2, 0]
    }

    /// A chunk as a program of the host packs it; nil where that is not installed.
    private func packed(_ program: String, _ content: [UInt8], _ folder: Folder) -> [UInt8]? {
        guard unsafe access("/usr/bin/\(program)", X_OK) == 0 else { return nil }
        folder.write("plain", content)
        let words = ["/usr/bin/\(program)", "-kf", folder.file("plain")]
        guard Tool.run(words, { _ in "" }).status == 0 else { return nil }
        return folder.read(program == "xz" ? "plain.xz" : "plain.bz2")
    }

    @Test func everyKindOfChunk() throws {
        let folder = try Folder()
        let (small, large) = (text(1024), text(5120))
        let zeroes = [UInt8](repeating: 0, count: 512)
        var chunks = [
            LaidOut.Chunk(kind: 0x8000_0007, sectors: 2, stored: decoded(Self.small)),
            LaidOut.Chunk(kind: 0x8000_0007, sectors: 10, stored: decoded(Self.large)),
            LaidOut.Chunk(kind: 0x8000_0004, sectors: 2, stored: adc(small[...])),
            LaidOut.Chunk(kind: 0, sectors: 1, stored: []), LaidOut.Chunk(kind: 1, sectors: 2, stored: small),
        ]
        var disk = small + large + small[..<448] + small[..<64] + zeroes + zeroes + small
        let mixed = mixedBytes(300_032, seed: 4)
        for (program, kind) in [("bzip2", UInt32(0x8000_0006)), ("xz", 0x8000_0008)] {
            guard let stored = packed(program, mixed, folder) else { continue }
            chunks.append(LaidOut.Chunk(kind: kind, sectors: mixed.count / 512, stored: stored))
            disk += mixed
        }
        folder.write("disk.raw", disk)
        folder.write("disk.dmg", LaidOut.dmg(chunks))
        let same = folder.image("compare", "-f", "raw", "-F", "dmg", "@disk.raw", "@disk.dmg")
        #expect(same == Outcome(status: 0, output: "Images are identical.\n", errors: ""))
        // Each kind cut short, with a bit wrong, or said to be longer than it is, ends in an error or in other bytes.
        var numbers = SplitMix64(state: 9)
        let kinds = chunks.indices.filter { chunks[$0].kind > 1 }
        for round in 0..<FuzzRounds.times(120) {
            var bad = chunks
            let index = kinds[round % kinds.count]
            switch numbers.next() % 4 {
            case 0: bad[index].stored.removeLast(Int(numbers.next() % UInt64(bad[index].stored.count)))
            case 1: bad[index].sectors += 1
            default:
                let place = Int(numbers.next() % UInt64(bad[index].stored.count))
                bad[index].stored[place] ^= 1 << UInt8(numbers.next() % 8)
            }
            folder.write("bad.dmg", LaidOut.dmg([bad[index]]))
            let outcome = folder.image("convert", "-f", "dmg", "-O", "raw", "@bad.dmg", "@bad.raw")
            #expect(outcome.status == 0 || (outcome.status == 1 && !outcome.errors.isEmpty))
        }
    }

    @Test func unknownChunksAreNamed() throws {
        let folder = try Folder()
        folder.write("disk.dmg", LaidOut.dmg([LaidOut.Chunk(kind: 0x8000_0009, sectors: 1, stored: [1, 2, 3])]))
        let refused = folder.image("info", "-f", "dmg", "@disk.dmg")
        #expect(refused.status == 1)
        #expect(refused.errors.hasSuffix("a chunk of type 0x80000009 is not supported\n"), "\(refused.errors)")
    }

    /// An image that holds only what differs from another one is refused: what is below it would be missing. QEMU
    /// refuses VHDX too, and shows VPC with zeroes in place of what is below.
    @Test(arguments: ["vpc", "vhdx"]) func differencing(_ format: String) throws {
        let folder = try Folder()
        #expect(folder.image("create", "-q", "-f", format, "@disk", "8M").status == 0)
        var bytes = folder.read("disk")
        if format == "vpc" {
            for footer in [0, bytes.count - 512] {
                bytes.replaceSubrange(footer + 60..<footer + 68, with: [0, 0, 0, 4, 0, 0, 0, 0])
                let sum = ~bytes[footer..<footer + 512].reduce(UInt32(0)) { $0 &+ UInt32($1) }
                for index in 0..<4 {
                    bytes[footer + 64 + index] = UInt8(truncatingIfNeeded: sum >> UInt32(24 - 8 * index))
                }
            }
        } else {
            // File parameters ([MS-VHDX] 2.6.2.1): the block's size, then flags, of which the second says that there
            // is a parent.
            let name: [UInt8] = [
                0x37, 0x67, 0xa1, 0xca, 0x36, 0xfa, 0x43, 0x4d, 0xb3, 0xb6, 0x33, 0xf0, 0xaa, 0x44, 0xe7, 0x6b,
            ]
            let entry = try #require((1 << 20..<bytes.count - 32).first { bytes[$0..<$0 + 16].elementsEqual(name) })
            let place = (0..<3).reduce(0) { $0 | Int(bytes[entry + 16 + $1]) << (8 * $1) }
            bytes[entry / 65536 * 65536 + place + 4] |= 2
        }
        folder.write("disk", bytes)
        for words in [["info"], ["map"], ["check"], ["convert", "-O", "raw"]] {
            let refused = folder.image(
                words + ["-f", format, "@disk"] + (words[0] == "convert" ? ["@o"] : []))
            #expect(refused.status == 1)
            #expect(refused.errors.contains("a differencing \(format.uppercased()) image is not supported"))
        }
        if Tool.isThere && format == "vhdx" { #expect(folder.qemu("info", "-f", format, "@disk").status == 1) }
    }
}
