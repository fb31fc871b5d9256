import Testing

/// Images of one chain that differ in size, and images that change theirs: nothing of what lies below, or was cut off,
/// comes to light.
@Suite(.enabled(if: Tool.isThere, "qemu-img and qemu-io are not installed"))
struct SizeTests {
    /// The bytes of a disk, by Debian's tool.
    private func content(_ folder: Folder, _ name: String) -> [UInt8] {
        #expect(folder.qemu("convert", "-O", "raw", "@\(name)", "@\(name).raw").status == 0)
        return folder.read("\(name).raw")
    }

    @Test(arguments: [
        "compat=1.1", "extended_l2=on", "cluster_size=512", "cluster_size=2M", "compat=0.10,cluster_size=4k",
    ])
    func growingOverALongerBaseShowsZeroes(_ options: String) throws {
        let folder = try Folder()
        #expect(folder.qemu("create", "-q", "-f", "qcow2", "@base", "4M").status == 0)
        #expect(folder.io("qcow2", "base", "write -P 7 0 4M").status == 0)
        // An end inside of a cluster, some of which is the image's own.
        let clone = ["create", "-q", "-f", "qcow2", "-o", options, "-b", "base", "-F", "qcow2", "@clone", "1000k"]
        #expect(folder.qemu(clone).status == 0)
        #expect(folder.io("qcow2", "clone", "write -P 8 990k 4k").status == 0)
        let before = content(folder, "clone")

        #expect(folder.image("resize", "@clone", "3M") == Outcome(status: 0, output: "Image resized.\n", errors: ""))

        let grown = content(folder, "clone")
        #expect(grown.count == 3 << 20)
        #expect(Array(grown.prefix(before.count)) == before)
        #expect(grown.dropFirst(before.count).allSatisfy { $0 == 0 })
        #expect(folder.qemu("check", "@clone").status == 0)
    }

    @Test(arguments: ["compat=1.1", "extended_l2=on", "compat=0.10"])
    func whatWasCutOffDoesNotComeBack(_ options: String) throws {
        let folder = try Folder()
        #expect(folder.qemu("create", "-q", "-f", "qcow2", "-o", options, "@disk", "2M").status == 0)
        #expect(folder.io("qcow2", "disk", "write -P 7 0 2M").status == 0)

        #expect(folder.image("resize", "--shrink", "@disk", "1000k").status == 0)
        #expect(folder.image("resize", "@disk", "2M").status == 0)

        let bytes = content(folder, "disk")
        #expect(bytes.prefix(1000 << 10).allSatisfy { $0 == 7 })
        #expect(bytes.dropFirst(1000 << 10).allSatisfy { $0 == 0 })
        #expect(folder.qemu("check", "@disk").status == 0)
    }

    /// What is behind the end of an image in the middle is zero, whatever the base has there.
    @Test func committingPastAShortImage() throws {
        let pair = try Pair()
        pair.same("create", "-q", "-f", "qcow2", "@a", "4M")
        pair.same("create", "-q", "-f", "qcow2", "-b", "a", "-F", "qcow2", "@b", "1M")
        pair.same("create", "-q", "-f", "qcow2", "-b", "b", "-F", "qcow2", "@c", "4M")
        pair.io("qcow2", "a", "write -P 1 0 4M")
        pair.io("qcow2", "b", "write -P 2 512k 64k")
        pair.io("qcow2", "c", "write -P 3 2M 64k")
        let before = content(pair.ours, "c")

        pair.same("commit", "-b", "a", "@c")

        #expect(content(pair.ours, "a") == before)
        #expect(content(pair.theirs, "a") == before)
    }
}
