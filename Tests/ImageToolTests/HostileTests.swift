import BlockImage
import CLinux
import HostOS
import TestSupport
import Testing

/// Damaged and hostile images: every run ends in a result or an error, and memory stays bounded.
@Suite struct HostileTests {
    /// A small image of a kind, its bytes, and where its metadata is.
    private func image(_ name: String, _ folder: Folder) -> [UInt8] {
        let size = "1M"
        let part = mixedBytes(300_000 / 512 * 512, seed: 3)
        folder.write("part.raw", part)
        switch name {
        case "qcow2": folder.image("convert", "-O", "qcow2", "-o", "cluster_size=4k", "@part.raw", "@good")
        case "packed": folder.image("convert", "-c", "-O", "qcow2", "-o", "cluster_size=4k", "@part.raw", "@good")
        case "zstd":
            folder.image(
                "convert", "-c", "-O", "qcow2", "-o", "compression_type=zstd,cluster_size=4k", "@part.raw", "@good")
        case "extended":
            folder.image("convert", "-O", "qcow2", "-o", "extended_l2=on,cluster_size=16k", "@part.raw", "@good")
        case "snapshots":
            folder.image("convert", "-O", "qcow2", "-o", "cluster_size=512", "@part.raw", "@good")
            folder.image("snapshot", "-c", "one", "@good")
            folder.image("bitmap", "--add", "@good", "bits")
        case "stream":
            folder.image("convert", "-O", "vmdk", "-o", "subformat=streamOptimized", "@part.raw", "@good")
        case "descriptor":
            folder.image("create", "-q", "-f", "vmdk", "-o", "subformat=monolithicFlat", "@good", size)
        case "fixed": folder.image("create", "-q", "-f", "vpc", "-o", "subformat=fixed", "@good", size)
        case "bochs", "cloop", "dmg": return LaidOut.image(name, part) { ClusterPacker(.zlib)?.pack($0) ?? [] }
        case "qed", "parallels": folder.qemu("convert", "-f", "raw", "-O", name, "@part.raw", "@good")
        default: folder.image("convert", "-O", name, "@part.raw", "@good")
        }
        return folder.read("good")
    }

    private func format(_ name: String) -> String {
        switch name {
        case "packed", "zstd", "extended", "snapshots": "qcow2"
        case "stream", "descriptor": "vmdk"
        case "fixed": "vpc"
        default: name
        }
    }

    static let kinds = [
        "qcow2", "packed", "zstd", "extended", "snapshots", "vdi", "vpc", "fixed", "vmdk", "stream", "descriptor",
        "vhdx", "bochs", "cloop", "dmg", "qed", "parallels",
    ]

    @Test(arguments: kinds) func mutations(_ kind: String) throws {
        let folder = try Folder()
        // Nothing here makes these two.
        if ["qed", "parallels"].contains(kind) && !Tool.isThere { return }
        let good = image(kind, folder)
        try #require(good.count > 300)
        let format = format(kind)
        var numbers = SplitMix64(state: 0xb10c + UInt64(kind.utf8.count))
        for _ in 0..<FuzzRounds.times(60) {
            var bytes = good
            for _ in 0..<1 + Int(numbers.next() % 4) {
                // Mostly in the first sectors, where headers are; else in what looks like a table.
                let range = numbers.next() % 3 == 0 ? bytes.count : min(bytes.count, 1024)
                var at = Int(numbers.next() % UInt64(range))
                // A UDIF image has its trailer at the end; VHDX's structures lie on multiples of 64 KiB.
                if kind == "dmg" && numbers.next() % 2 == 0 { at = bytes.count - 1 - at % 2000 }
                if kind == "vhdx" { at = Int(numbers.next() % UInt64(bytes.count)) / 65536 * 65536 + at % 256 }
                switch numbers.next() % 4 {
                case 0: bytes[at] ^= 1 << UInt8(numbers.next() % 8)
                case 1: bytes[at] = 0xff
                case 2: bytes[at] = UInt8(truncatingIfNeeded: numbers.next())
                default:
                    for index in at..<min(bytes.count, at + 8) { bytes[index] = numbers.next() % 2 == 0 ? 0xff : 0 }
                }
            }
            if numbers.next() % 10 == 0 { bytes = Array(bytes.prefix(Int(numbers.next() % UInt64(bytes.count)))) }
            folder.write("bad", bytes)
            for words in [["info"], ["check"], ["map", "--output=json"], ["compare", "@part.raw", "-F"]] {
                let line = words[0] == "compare" ? words + [format, "@bad"] : words + ["-f", format, "@bad"]
                let outcome = folder.image(line)
                #expect(outcome.status >= 0)
                #expect(outcome.status == 0 || !outcome.errors.isEmpty || !outcome.output.isEmpty, "\(line)")
            }
            let isUntouched = folder.read("bad") == bytes
            #expect(isUntouched, "reading changed the image")
            // Then somebody writes to it.
            var writers = [["convert", "-n", "-O", format, "@part.raw", "@bad"], ["check", "-r", "all", "@bad"]]
            if format == "qcow2" {
                writers += [
                    ["snapshot", "-c", "x", "@bad"], ["snapshot", "-d", "one", "@bad"],
                    ["snapshot", "-a", "one", "@bad"], ["resize", "@bad", "2M"],
                    ["resize", "--shrink", "@bad", "64k"], ["amend", "-o", "refcount_bits=32", "@bad"],
                    ["amend", "-o", "compat=0.10", "@bad"], ["bitmap", "--clear", "@bad", "bits"],
                    ["bitmap", "--add", "@bad", "more"], ["convert", "-n", "-c", "-O", "qcow2", "@part.raw", "@bad"],
                    ["commit", "@bad"], ["rebase", "-b", "", "@bad"],
                ]
            }
            for _ in 0..<2 {
                let writer = writers[Int(numbers.next() % UInt64(writers.count))]
                #expect(folder.image(writer).status >= 0)
                folder.image("check", "-f", format, "@bad")
            }
        }
        let status = String(decoding: (try? HostFile.contents("/proc/self/status")) ?? [], as: UTF8.self)
        let peak = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }?.split(separator: " ")
        let kibibytes = peak.flatMap { $0.count > 1 ? Int($0[1]) : nil }
        #expect((kibibytes ?? 0) < 2 << 20, "over 2 GiB of memory")
    }

    @Test func namesOfFields() throws {
        let folder = try Folder()
        folder.image("create", "-q", "-f", "qcow2", "@good", "1M")
        let good = folder.read("good")
        let cases: [(Int, [UInt8], String)] = [
            (4, [0, 0, 0, 9], "Unsupported qcow2 version 9"), (20, [0, 0, 0, 40], "Unsupported cluster size: 2^40"),
            (8, [0, 0, 1], "Invalid backing file offset"), (36, [0xff, 0xff], "Active L1 table too large"),
            (36, [0, 0, 0, 0], "L1 table is too small"),
            (40, [0, 0, 0, 0, 0, 0, 0, 9], "Active L1 table offset invalid"),
            (48, [0, 0, 0, 0, 0, 0, 0, 9], "Reference count table offset invalid"),
            (56, [0xff], "Reference count table too large"),
            (56, [0, 0, 0, 0], "Image does not contain a reference count table"),
            (60, [0xff], "Snapshot table too large"), (72, [0x80], "Unsupported qcow2 feature(s)"),
            (96, [0, 0, 0, 7], "Reference count entry width too large; may not exceed 64 bits"),
            (100, [0, 0, 0, 8], "qcow2 header too short"), (100, [0, 0xff, 0, 0], "qcow2 header exceeds cluster size"),
            (112, [0xe2, 0x79, 0x2a, 0xca, 0, 0, 0, 99], "ERROR: ext_backing_format: len=99 too large"),
            (112, [1, 2, 3, 4, 0xff, 0, 0, 0], "Header extension too large"),
            (32, [0, 0, 0, 9], "Unsupported encryption method 9"),
        ]
        for (at, bytes, text) in cases {
            var bad = good
            bad.replaceSubrange(at..<at + bytes.count, with: bytes)
            folder.write("bad", bad)
            let outcome = folder.image("info", "-f", "qcow2", "@bad")
            #expect(outcome.status == 1)
            #expect(outcome.errors.hasPrefix("qemu-img: Could not open 'bad': \(text)"), "\(outcome.errors)")
            #expect(outcome.errors.split(separator: "\n").count == 1)
        }
    }

    @Test func loopsAreFound() throws {
        let folder = try Folder()
        folder.image("create", "-q", "-f", "qcow2", "-u", "-b", "two", "-F", "qcow2", "@one", "1M")
        folder.image("create", "-q", "-f", "qcow2", "-u", "-b", "one", "-F", "qcow2", "@two", "1M")
        #expect(folder.image("info", "@one").status == 0)
        let chain = folder.image("info", "--backing-chain", "@one")
        #expect(chain.status == 1 && chain.errors.contains("creates an infinite loop"))
        let convert = folder.image("convert", "@one", "@out")
        #expect(convert.status == 1 && convert.errors.contains("the backing images below it are a loop"))
        #expect(convert.errors.utf8.count < 200, "said once, not for each image")
    }

    @Test func damageIsFoundAndMended() throws {
        let folder = try Folder()
        folder.write("part.raw", mixedBytes(200_192, seed: 8))
        folder.image("convert", "-O", "qcow2", "@part.raw", "@good")
        let good = folder.read("good")
        // The count of a cluster in use goes to 0, that of a free one to 1.
        let block = 0x20000
        for (index, value, status) in [(5, 0, 2), (20, 1, 0), (4, 3, 2)] as [(Int, UInt8, Int32)] {
            var bad = good
            bad[block + index * 2 + 1] = value
            folder.write("bad", bad)
            let found = folder.image("check", "@bad")
            if Tool.isThere {
                let theirs = folder.qemu("check", "@bad")
                #expect(found.status == theirs.status && found.output == theirs.output, "\(found) \(theirs)")
            }
            #expect(found.status == status)
            let mended = folder.image("check", "-r", "all", "@bad")
            #expect(mended.status == 0, "\(mended)")
            #expect(folder.image("check", "@bad").status == 0)
            #expect(folder.image("compare", "@part.raw", "@bad").status == 0)
            if Tool.isThere { #expect(folder.qemu("check", "@bad").status == 0) }
        }
    }
}
