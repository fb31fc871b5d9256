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
    @Test(arguments: ["qcow2", "vdi", "vpc", "vmdk"]) func writesInPlace(_ format: String) throws {
        let folder = try Folder()
        let size = 4 << 20
        let options = format == "qcow2" ? ["-o", "extended_l2=on"] : format == "vpc" ? ["-o", "force_size=on"] : []
        #expect(folder.qemu(["create", "-q", "-f", format] + options + ["@disk", "\(size)"]).status == 0)
        var model = [UInt8](repeating: 0, count: size)
        var numbers = Numbers(state: 77)
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
        for line in ["-f vpc -o subformat=fixed", "-f vpc -o subformat=x", "-f vdi -o static=on", "-f vmdk -o subformat=x"] {
            let words = ["create"] + line.split(separator: " ").map(String.init) + ["@x", "10M"]
            #expect(pair.theirs.qemu(words) == pair.ours.image(words), "\(line)")
        }
        pair.same("create", "-f", "vpc", "@big", "3T")
    }
}
