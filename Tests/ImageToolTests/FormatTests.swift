import TestSupport
import BlockImage
import Testing

/// Every format both ways: what we write Debian's tool reads, and the other way round, bit for bit.
@Suite(.enabled(if: Tool.isThere, "qemu-img and qemu-io are not installed"))
struct FormatTests {
    static let ways: [[String]] = [
        ["qcow2"], ["qcow2", "-o", "cluster_size=512"], ["qcow2", "-o", "cluster_size=2M"],
        ["qcow2", "-o", "extended_l2=on,cluster_size=16k"], ["qcow2", "-o", "compat=0.10"],
        ["qcow2", "-o", "refcount_bits=1"], ["qcow2", "-o", "refcount_bits=64"], ["qcow2", "-c"],
        ["qcow2", "-c", "-o", "compression_type=zstd,cluster_size=4k"], ["qcow2", "-o", "data_file=@data"],
        ["vdi"], ["vdi", "-o", "static=on"], ["vpc"], ["vpc", "-o", "subformat=fixed"],
        ["vpc", "-o", "force_size=on"], ["vmdk"], ["vmdk", "-o", "subformat=monolithicFlat"],
        ["vmdk", "-o", "subformat=twoGbMaxExtentSparse"], ["vmdk", "-o", "subformat=twoGbMaxExtentFlat"],
        ["vmdk", "-o", "subformat=streamOptimized"], ["vmdk", "-o", "zeroed_grain=on"],
        ["vhdx"], ["vhdx", "-o", "subformat=fixed"], ["vhdx", "-o", "block_size=1M,block_state_zero=off"],
    ]

    @Test(arguments: ways) func bothWays(_ way: [String]) throws {
        let folder = try Folder()
        // A size that no cluster size divides.
        let bytes = mixedBytes(5_000_192, seed: UInt64(way.description.utf8.count))
        folder.write("disk.raw", bytes)
        let format = way[0]
        let convert = ["convert", "-f", "raw", "-O"] + way
        #expect(folder.image(convert + ["@disk.raw", "@ours"]).status == 0)
        // A VPC disk may be larger than asked for.
        let identical = format == "vpc" ? "identical" : "Images are identical.\n"
        let compare = ["compare", "-f", "raw", "-F", format, "@disk.raw"]
        let read = folder.qemu(compare + ["@ours"])
        #expect(read.status == 0 && read.output.contains(identical), "\(read)")
        if format == "qcow2" { #expect(folder.qemu("check", "-f", format, "@ours").status == 0) }
        #expect(folder.qemu(convert + ["@disk.raw", "@theirs"]).status == 0)
        let back = folder.image(compare + ["@theirs"])
        #expect(back.status == 0 && back.output.contains(identical), "\(back)")
        #expect(folder.image("convert", "-f", format, "-O", "raw", "@theirs", "@back.raw").status == 0)
        let isSame = folder.read("back.raw").prefix(bytes.count).elementsEqual(bytes)
        #expect(isSame)
        #expect([0, 63].contains(folder.image("check", "-f", format, "@theirs").status))
    }

    /// Our writes into images that Debian's tool made, in places chosen by a fixed sequence; a model in memory says
    /// what must come out.
    @Test(arguments: ["qcow2", "vdi", "vpc", "vmdk", "vhdx"]) func writesInPlace(_ format: String) throws {
        let folder = try Folder()
        let size = 4 << 20
        let options = format == "qcow2" ? ["-o", "extended_l2=on"] : format == "vpc" ? ["-o", "force_size=on"] : []
        #expect(folder.qemu(["create", "-q", "-f", format] + options + ["@disk", "\(size)"]).status == 0)
        var model = [UInt8](repeating: 0, count: size)
        var numbers = SplitMix64(state: 77)
        for round in 0..<12 {
            let start = Int(numbers.next() % UInt64(size - 1)) / 512 * 512
            let count = min(size - start, (Int(numbers.next() % 300_000) / 512 + 1) * 512)
            let bytes = mixedBytes(count, seed: UInt64(round))
            folder.write("part.raw", bytes)
            // Read by one tool, written by the other, in turn.
            let words = ["write -s \(folder.file("part.raw")) \(start) \(count)"]
            if round % 2 == 0 {
                #expect(folder.io(format, "disk", words[0]).status == 0)
            } else {
                #expect(try folder.overwrite("disk", format, bytes, at: UInt64(start)) == 0)
            }
            model.replaceSubrange(start..<start + count, with: bytes)
        }
        folder.write("model.raw", model)
        let compare = ["compare", "-f", "raw", "-F", format, "@model.raw", "@disk"]
        #expect(folder.qemu(compare).status == 0)
        #expect(folder.image(compare).status == 0)
        if format == "qcow2" { #expect(folder.qemu("check", "-f", format, "@disk").status == 0) }
    }

    /// Packed clusters in place of others, whose storage is used again.
    @Test func packedOverPacked() throws {
        let folder = try Folder()
        #expect(folder.image("create", "-q", "-f", "qcow2", "-o", "cluster_size=4k", "@disk", "2M").status == 0)
        for round in 0..<5 {
            folder.write("part.raw", mixedBytes(2 << 20, seed: UInt64(100 + round)))
            let packs = round % 2 == 0 ? ["-c"] : []
            let line = ["convert", "-n"] + packs + ["-f", "raw", "-O", "qcow2", "@part.raw", "@disk"]
            #expect(folder.image(line).status == 0)
            #expect(folder.qemu("compare", "-f", "raw", "@part.raw", "@disk").status == 0)
            #expect(folder.image("compare", "-f", "raw", "@part.raw", "@disk").status == 0)
            #expect(folder.qemu("check", "@disk").status == 0)
        }
    }

    /// Formats that are only read here: Debian's tool makes them.
    @Test(arguments: ["qed", "parallels"]) func readsWhatOthersMake(_ format: String) throws {
        let folder = try Folder()
        let bytes = mixedBytes(5_000_192, seed: 12)
        folder.write("disk.raw", bytes)
        #expect(folder.qemu("convert", "-f", "raw", "-O", format, "@disk.raw", "@disk").status == 0)
        #expect(folder.image("compare", "-f", "raw", "-F", format, "@disk.raw", "@disk").status == 0)
        for command in ["info", "check", "map"] {
            let (theirs, ours) = (
                folder.qemu(command, "--output=json", "@disk"), folder.image(command, "--output=json", "@disk")
            )
            #expect(theirs == ours)
        }
        #expect(folder.image("resize", "@disk", "10M").status == 1)
        if format == "qed" {
            #expect(folder.qemu("create", "-q", "-f", "qed", "-b", "disk", "-F", "qed", "@over").status == 0)
            #expect(folder.io("qed", "over", "write -P 3 1M 300k", "write -z 4M 512k").status == 0)
            #expect(folder.qemu("convert", "-O", "raw", "@over", "@over.raw").status == 0)
            #expect(folder.image("compare", "-f", "raw", "@over.raw", "@over").status == 0)
            #expect(folder.qemu("map", "--output=json", "@over") == folder.image("map", "--output=json", "@over"))
        }
    }

    /// Formats that nothing here can make: laid out by hand, read by both.
    /// The first version of the format, which Debian's tool still writes.
    @Test(
        .enabled(if: Tool.isThere, "qemu-img and qemu-io are not installed"),
        arguments: ["", "-c", "encrypted", "over"])
    func readsTheFirstQCow(_ kind: String) throws {
        let pair = try Pair()
        let secret = ["--object", "secret,id=s,data=hallo"]
        // Packed, Debian's tool writes the whole image and ends with status 1 all the same.
        let bytes =
            kind == "-c" ? (0..<2 << 20).map { UInt8(truncatingIfNeeded: $0 >> 9) } : mixedBytes(2 << 20, seed: 6)
        for folder in [pair.theirs, pair.ours] {
            folder.write("disk.raw", bytes)
            var words = ["convert"] + secret + ["-f", "raw", "-O", "qcow"]
            if kind == "-c" { words.append("-c") }
            if kind == "encrypted" { words += ["-o", "encrypt.format=aes,encrypt.key-secret=s"] }
            #expect(folder.qemu(words + ["@disk.raw", "@disk"]).status == (kind == "-c" ? 1 : 0))
            guard kind == "over" else { continue }
            #expect(folder.qemu("create", "-q", "-f", "qcow", "-b", "disk", "-F", "qcow", "@top").status == 0)
            #expect(folder.io("qcow", "top", "write -P 9 64k 10k").status == 0)
        }
        let top = kind == "over" ? "@top" : "@disk"
        pair.same("info", top)
        pair.same("info", "--output=json", top)
        let options = kind == "encrypted" ? ",encrypt.key-secret=s" : ""
        let words =
            ["convert"] + secret + ["-O", "raw", "--image-opts", "driver=qcow,file.filename=\(top)\(options)", "@out"]
        #expect(pair.ours.image(words).status == 0)
        #expect(pair.theirs.qemu(words).status == 0)
        #expect(pair.ours.read("out") == pair.theirs.read("out"))
        if kind != "over" { #expect(pair.ours.read("out") == bytes) }
        // Nonsense ends in an error, or in other bytes.
        var numbers = SplitMix64(state: 8)
        let good = pair.ours.read("disk")
        for _ in 0..<FuzzRounds.times(20) {
            var bad = good
            for _ in 0..<1 + numbers.next() % 4 {
                bad[Int(numbers.next() % 600)] = UInt8(truncatingIfNeeded: numbers.next())
            }
            pair.ours.write("bad", bad)
            let outcome = pair.ours.image("convert", "-f", "qcow", "-O", "raw", "@bad", "@bad.raw")
            #expect(outcome.status == 0 || (outcome.status == 1 && outcome.errors.hasPrefix("qemu-img: ")))
        }
    }

    @Test(arguments: ["bochs", "cloop", "dmg"]) func readsWhatIsLaidOut(_ format: String) throws {
        let folder = try Folder()
        let bytes = mixedBytes(1 << 20, seed: 13)
        folder.write("disk.raw", bytes)
        folder.write("disk.dmg", LaidOut.image(format, bytes) { ClusterPacker(.zlib)?.pack($0) ?? [] })
        let compare = ["compare", "-f", "raw", "-F", format, "@disk.raw", "@disk.dmg"]
        #expect(folder.qemu(compare).status == 0)
        #expect(folder.image(compare) == Outcome(status: 0, output: "Images are identical.\n", errors: ""))
        #expect(folder.qemu("info", "-f", format, "@disk.dmg").output.contains("file format: \(format)"))
        // Debian's says on the standard error that a module for another kind of packing is not installed.
        let told = folder.qemu("info", "-f", format, "@disk.dmg").output
        #expect(folder.image("info", "-f", format, "@disk.dmg").output == told)
        #expect(folder.image("check", "@disk.dmg").status == 63)
    }

    /// What stands in the log of a VHDX file is carried out before anything else.
    @Test func logOfVHDX() throws {
        let folder = try Folder()
        folder.image("create", "-q", "-f", "vhdx", "-o", "block_size=1M", "@disk", "8M")
        #expect(folder.io("vhdx", "disk", "write -P 5 0 1M").status == 0)
        folder.image("convert", "-O", "raw", "@disk", "@before.raw")
        // The table's sector goes into the log; in its place stands something else.
        var bytes = folder.read("disk")
        let table = 2 << 20
        let logged = LaidOut.vhdxLogEntry(Array(bytes[table..<table + 4096]), at: UInt64(table), fileSize: bytes.count)
        for index in 0..<64 { bytes[table + index] = 0 }
        bytes.replaceSubrange((1 << 20)..<(1 << 20) + logged.count, with: logged)
        for place in [64 << 10, 128 << 10] {
            var header = Array(bytes[place..<place + 4096])
            header.replaceSubrange(48..<64, with: LaidOut.logIdentifier)
            bytes.replaceSubrange(place..<place + 4096, with: LaidOut.sealed(header))
        }
        folder.write("disk", bytes)
        let refused = folder.image("info", "@disk")
        #expect(refused.status == 1 && refused.errors.contains("contains a log that needs to be replayed"))
        folder.write("theirs", bytes)
        #expect(folder.image("check", "-r", "all", "@disk").status == 0)
        #expect(folder.image("compare", "@before.raw", "@disk").status == 0)
        #expect(folder.qemu("compare", "@before.raw", "@disk").status == 0)
        #expect(folder.qemu("check", "-r", "all", "@theirs").status == 0)
        #expect(folder.image("compare", "@before.raw", "@theirs").status == 0)
    }

    @Test func sameWords() throws {
        let pair = try Pair()
        for format in ["vdi", "vpc", "vmdk"] {
            pair.same("create", "-f", format, "@v.\(format)", "100M")
            for command in ["info", "check", "map"] {
                pair.same(command, "@v.\(format)")
                pair.same(command, "--output=json", "@v.\(format)")
            }
            pair.io(format, "v.\(format)", "write -P 9 1M 3M", "write -P 8 77k 1k", "write -z 2M 100k")
            pair.same("map", "--output=json", "@v.\(format)")
            pair.same("create", "-f", format, "-o", "help")
            pair.same("snapshot", "-c", "x", "@v.\(format)")
            pair.same("resize", "@v.\(format)", "200M")
        }
        pair.same("create", "-f", "vmdk", "-b", "v.vmdk", "-F", "vmdk", "@over.vmdk")
        pair.io("vmdk", "over.vmdk", "write -P 4 3M 1M")
        pair.same("info", "--backing-chain", "@over.vmdk")
        pair.same("map", "--output=json", "@over.vmdk")
        for layout in ["monolithicFlat", "twoGbMaxExtentSparse", "twoGbMaxExtentFlat", "streamOptimized"] {
            pair.same("create", "-f", "vmdk", "-o", "subformat=\(layout)", "@\(layout).vmdk", "3G")
            pair.same("info", "--output=json", "@\(layout).vmdk")
            pair.same("map", "--output=json", "@\(layout).vmdk")
        }
        for line in [
            "-f vpc -o subformat=fixed", "-f vpc -o subformat=x", "-f vdi -o static=on", "-f vmdk -o subformat=x",
        ] {
            let words = ["create"] + line.split(separator: " ").map(String.init) + ["@x", "10M"]
            #expect(pair.theirs.qemu(words) == pair.ours.image(words), "\(line)")
        }
        pair.same("create", "-f", "vpc", "@big", "3T")
    }
}
