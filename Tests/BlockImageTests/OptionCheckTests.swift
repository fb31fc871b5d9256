import BlockImage
import TestSupport
import Testing

/// Options that do not fit together, or not the image: each is refused, in QEMU's words.
@Suite struct OptionCheckTests {
    private func refusal(_ options: [String: String], version: String = "3") throws -> String? {
        let file = TestFile()
        let graph = BlockGraph()
        defer { graph.closeAll() }
        try graph.makeImage(file.path, format: "qcow2", size: 1 << 20)
        if version == "2" {
            let node = try graph.open(["driver": "qcow2", "file.driver": "file", "file.filename": file.path])
            try (node as? QCow2Node)?.downgrade()
            graph.closeAll()
        }
        let name = options["driver"] == nil ? "file.filename" : "image.filename"
        do throws(BlockError) {
            try graph.open(
                ["driver": "qcow2", name.replacing("filename", with: "driver"): "file", name: file.path]
                    .merging(options) { $1 })
        } catch { return "\(error)" }
        return nil
    }

    @Test func cachesOfQCow2() throws {
        let words = "L2 cache entry size must be a power of two between 512 and the cluster size (65536)"
        for size in ["1000", "256", "128k"] { #expect(try refusal(["l2-cache-entry-size": size]) == words) }
        for size in ["512", "64k"] { #expect(try refusal(["l2-cache-entry-size": size]) == nil) }
        #expect(try refusal(["cache-clean-interval": "5000000000"]) == "Cache clean interval too big")
        #expect(try refusal(["lazy-refcounts": "on"]) == nil)
        let lazy = try refusal(["lazy-refcounts": "on"], version: "2")
        #expect(lazy == "Lazy refcounts require a qcow2 image with at least qemu 1.1 compatibility level")
    }

    @Test func overlapChecks() throws {
        #expect(try refusal(["overlap-check": "all", "overlap-check.template": "all"]) == nil)
        let both = try refusal(["overlap-check": "all", "overlap-check.template": "none"])
        #expect(
            both
                == "Conflicting values for qcow2 options 'overlap-check' ('all') and 'overlap-check.template' ('none')")
        #expect(try refusal(["overlap-check.foo": "on"])?.contains("'overlap-check.foo'") == true)
        #expect(try refusal(["overlap-check.template": "foo"])?.contains("'foo'") == true)
    }

    @Test(arguments: ["luks", "foo"]) func encryptionOfAnImageWithout(format: String) throws {
        let words = "No encryption in image header, but options specified format '\(format)'"
        for more in [[:], ["x-describe": "on"]] {
            #expect(try refusal(["encrypt.format": format].merging(more) { $1 }) == words)
        }
        #expect(try refusal(["encrypt.key-secret": "nobody"]) == nil)
        #expect(try refusal(["encrypt.foo": "x"])?.contains("'encrypt.foo'") == true)
    }

    @Test(
        arguments: [
            ("max-transfer", "1000"), ("max-write-zero", "8192"), ("opt-discard", "3"), ("max-discard", "4G"),
        ]) func limitsOfBlkdebug(name: String, value: String) throws
    {
        let size = name == "max-write-zero" ? ["opt-write-zero": "16384"] : [:]
        let options = ["driver": "blkdebug", "align": "4096", name: value].merging(size) { $1 }
        #expect(try refusal(options)?.hasPrefix("Cannot meet constraints with \(name)") == true)
    }
}
