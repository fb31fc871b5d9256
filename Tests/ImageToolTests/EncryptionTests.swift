import BlockImage
import TestSupport
import Testing

/// Encrypted images, made and read by both tools.
@Suite(.enabled(if: Tool.isThere, "qemu-img and qemu-io are not installed"))
struct EncryptionTests {
    static let secrets = ["--object", "secret,id=s,data=hallo", "--object", "secret,id=t,data=welt"]

    /// A way to encrypt: the format, its options for a new image, and how it is opened.
    struct Way: Sendable, CustomStringConvertible {
        var format: String
        var options: String
        var key: String
        var description: String { "\(format) \(options)" }

        static let all: [Way] = [
            Way(format: "luks", options: "key-secret=s,iter-time=10", key: "key-secret=s"),
            Way(
                format: "luks",
                options: "key-secret=s,iter-time=10,cipher-alg=aes-128,cipher-mode=cbc,ivgen-alg=essiv,hash-alg=sha1",
                key: "key-secret=s"),
            Way(
                format: "luks", options: "key-secret=s,iter-time=10,cipher-alg=aes-256,cipher-mode=cbc,hash-alg=sha512",
                key: "key-secret=s"),
            Way(
                format: "qcow2", options: "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10",
                key: "encrypt.key-secret=s"),
            Way(
                format: "qcow2",
                options: "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10,extended_l2=on,"
                    + "preallocation=metadata",
                key: "encrypt.key-secret=s"),
            Way(
                format: "qcow2", options: "encrypt.format=aes,encrypt.key-secret=s,cluster_size=4k",
                key: "encrypt.key-secret=s"),
        ]
        /// Ciphers that few images have.
        static let rare: [Way] = [
            "serpent-256", "twofish-192", "aes-192", "serpent-128,cipher-mode=ctr", "cast5-128,cipher-mode=cbc",
            "twofish-256,cipher-mode=cbc,ivgen-alg=essiv", "aes-256,cipher-mode=ecb", "cast5-128,cipher-mode=ctr",
            "serpent-192,ivgen-alg=plain,ivgen-hash-alg=sha1", "twofish-128,ivgen-alg=essiv,ivgen-hash-alg=md5",
            "serpent-256,cipher-mode=ecb,ivgen-alg=essiv",
        ].map { Way(format: "luks", options: "key-secret=s,iter-time=10,cipher-alg=\($0)", key: "key-secret=s") }

        func image(_ name: String) -> String { "driver=\(format),\(key),file.filename=@\(name)" }
    }

    private func compare(_ way: Way, _ folder: Folder, _ name: String) {
        let words =
            ["compare"] + EncryptionTests.secrets + [
                "--image-opts", way.image(name), "driver=raw,file.filename=@disk.raw",
            ]
        let (ours, theirs) = (folder.image(words), folder.qemu(words))
        #expect(ours.status == 0, "\(way), ours: \(ours)")
        #expect(theirs.status == 0, "\(way), theirs: \(theirs)")
    }

    @Test(arguments: Way.all + Way.rare)
    func bothReadWhatOursWrites(_ way: Way) throws {
        let folder = try Folder()
        folder.write("disk.raw", mixedBytes(3 << 20, seed: 7) + [UInt8](repeating: 0, count: 1 << 20))
        let made = folder.image(
            ["convert"] + EncryptionTests.secrets + ["-O", way.format, "-o", way.options, "@disk.raw", "@disk"])
        #expect(made.status == 0, "\(made.errors)")
        compare(way, folder, "disk")
        guard way.format == "qcow2" else { return }
        let words = ["check"] + EncryptionTests.secrets + ["--image-opts", way.image("disk")]
        #expect(folder.image(words).status == 0)
        #expect(folder.qemu(words).status == 0)
        // What lies in the file is not what the guest sees.
        #expect(folder.image(words).output == folder.qemu(words).output)
    }

    @Test(arguments: [Way.all[4], Way.all[5], Way.rare[0]])
    func bothReadWhatTheirsWrites(_ way: Way) throws {
        let folder = try Folder()
        folder.write("disk.raw", mixedBytes(3 << 20, seed: 8) + [UInt8](repeating: 0, count: 1 << 20))
        // Theirs fails now and then for want of processor time, and each try takes seconds.
        var made = Outcome(status: 1, output: "", errors: "")
        for _ in 0..<2 where made.status != 0 {
            made = folder.qemu(
                ["convert"] + EncryptionTests.secrets + ["-O", way.format, "-o", way.options, "@disk.raw", "@disk"])
        }
        guard made.status == 0 || !made.errors.contains("CPU usage") else { return }
        try #require(made.status == 0, "\(made.errors)")
        compare(way, folder, "disk")
        // And ours goes on writing there, within sectors too.
        let graph = BlockGraph()
        defer { graph.closeAll() }
        graph.secrets.set("s", Array("hallo".utf8))
        var options = [
            "driver": way.format, "file.driver": "file", "file.filename": folder.file("disk"), "discard": "unmap",
        ]
        options[way.format == "luks" ? "key-secret" : "encrypt.key-secret"] = "s"
        let node = try graph.open(options)
        var bytes = folder.read("disk.raw")
        var numbers = SplitMix64(state: 3)
        for _ in 0..<60 {
            let count = 1 + Int(numbers.next() % 90000)
            let start = Int(numbers.next() % UInt64(bytes.count - count))
            switch numbers.next() % 3 {
            case 0:
                #expect(
                    node.performAndWait(.writeZeroes(mayUnmap: true), offset: UInt64(start), length: UInt64(count)) == 0
                )
                bytes.replaceSubrange(start..<start + count, with: [UInt8](repeating: 0, count: count))
            default:
                let new = (0..<count).map { _ in UInt8(truncatingIfNeeded: numbers.next()) }
                #expect(node.writeAndWait(at: UInt64(start), bytes: new) == 0)
                bytes.replaceSubrange(start..<start + count, with: new)
            }
            let at = Int(numbers.next() % UInt64(bytes.count - 3000))
            #expect(node.bytesAndWait(at: UInt64(at), count: 3000).bytes == Array(bytes[at..<at + 3000]))
        }
        graph.closeAll()
        folder.write("disk.raw", bytes)
        compare(way, folder, "disk")
    }

    @Test func keySlots() throws {
        for way in [Way.all[0], Way.all[3]] {
            let folder = try Folder()
            let prefix = way.format == "luks" ? "" : "encrypt."
            folder.image(["create"] + EncryptionTests.secrets + ["-f", way.format, "-o", way.options, "@disk", "1M"])
            func amend(_ options: String, key: String = "s") -> Outcome {
                let image = "driver=\(way.format),\(prefix)key-secret=\(key),file.filename=@disk"
                return folder.image(["amend"] + EncryptionTests.secrets + ["-o", options, "--image-opts", image])
            }
            func opens(_ key: String) -> Bool {
                let image = "driver=\(way.format),\(prefix)key-secret=\(key),file.filename=@disk"
                let words = ["map"] + EncryptionTests.secrets + ["--output=json", "--image-opts", image]
                let (ours, theirs) = (folder.image(words), folder.qemu(words))
                #expect(ours.status == theirs.status, "\(ours) \(theirs)")
                #expect(ours.errors == theirs.errors)
                return ours.status == 0
            }
            #expect(opens("s") && !opens("t"))
            for option in ["cipher-alg=aes-128", "foo=1", "iter-time=x", "key-secret=s", "state=foo", "format=luks"] {
                let image = "driver=\(way.format),\(prefix)key-secret=s,file.filename=@disk"
                let words = ["amend"] + EncryptionTests.secrets + ["-o", prefix + option, "--image-opts", image]
                #expect(folder.image(words) == folder.qemu(words), "\(prefix)\(option)")
            }
            let added = amend("\(prefix)state=active,\(prefix)new-secret=t,\(prefix)keyslot=3,\(prefix)iter-time=10")
            #expect(added.status == 0, "\(added.errors)")
            #expect(opens("s") && opens("t"))
            #expect(
                amend("\(prefix)state=active,\(prefix)new-secret=t,\(prefix)keyslot=3").errors
                    == "qemu-img: Refusing to overwrite active keyslot 3 - please erase it first\n")
            #expect(amend("\(prefix)state=inactive,\(prefix)old-secret=s").status == 0)
            #expect(!opens("s") && opens("t"))
            let last = amend("\(prefix)state=inactive,\(prefix)keyslot=3", key: "t")
            #expect(last.status == 1 && last.errors.contains("refusing operation"), "\(last)")
            #expect(opens("t"))
            // Both tools tell the same of it.
            #expect(
                folder.image("info", "--output=json", "@disk").output
                    == folder.qemu("info", "--output=json", "@disk").output)
        }
    }

    @Test func errorsAndHelp() throws {
        let pair = try Pair()
        pair.same("create", "-f", "luks", "-o", "help")
        pair.same("amend", "-f", "luks", "-o", "help")
        pair.same("create", "-f", "luks", "@disk", "1M")
        pair.same("create", "-f", "luks", "-o", "key-secret=x", "@disk", "1M")
        for options in [
            "cipher-alg=des", "cipher-alg=rot13", "cipher-mode=ofb", "cipher-alg=cast5-128", "ivgen-alg=tea",
            "cipher-alg=cast5-128,cipher-mode=cbc,ivgen-alg=essiv", "ivgen-alg=essiv,ivgen-hash-alg=sha1",
            "cipher-alg=twofish-256,ivgen-alg=essiv,ivgen-hash-alg=sha512",
        ] {
            let words =
                ["create"] + EncryptionTests.secrets + ["-f", "luks", "-o", "key-secret=s,iter-time=1,\(options)"]
            let (ours, theirs) = (pair.ours.image(words + ["@odd", "64k"]), pair.theirs.qemu(words + ["@odd", "64k"]))
            // Theirs may fail for want of processor time.
            if !theirs.errors.contains("CPU usage") { #expect(ours == theirs, "\(options)") }
        }
        pair.same("create", "-f", "qcow2", "-o", "encrypt.format=luks", "@disk", "1M")
        let folder = try Folder()
        folder.image(["create"] + EncryptionTests.secrets + ["-f", "luks", "-o", Way.all[0].options, "@disk", "1M"])
        for words in [
            ["map", "@disk"], ["map", "--image-opts", "driver=luks,key-secret=x,file.filename=@disk"],
            ["map", "--object", "secret,id=x,data=no", "--image-opts", "driver=luks,key-secret=x,file.filename=@disk"],
            ["info", "@disk"], ["info", "--output=json", "@disk"],
        ] {
            let (ours, theirs) = (folder.image(words), folder.qemu(words))
            #expect(ours == theirs, "\(words)")
        }
        #expect(
            folder.image(["resize"] + EncryptionTests.secrets + ["--image-opts", Way.all[0].image("disk"), "3M"]).status
                == 0)
        #expect(folder.qemu("info", "@disk").output.contains("virtual size: 3 MiB"))
    }

    @Test func hostileLUKSHeaders() throws {
        let folder = try Folder()
        folder.image(["create"] + EncryptionTests.secrets + ["-f", "luks", "-o", Way.all[0].options, "@good", "64k"])
        let good = folder.read("good")
        var numbers = SplitMix64(state: 5)
        for round in 0..<30 {
            var bytes = Array(good.prefix(592)) + good.dropFirst(592)
            for _ in 0..<1 + numbers.next() % 3 {
                let at = Int(numbers.next() % 592)
                // Iterations are numbers that may be large: to try them all would take the time they say.
                let isCount = (164..<168).contains(at) || (at >= 208 && (at - 208) % 48 >= 4 && (at - 208) % 48 < 8)
                if !isCount { bytes[at] = UInt8(truncatingIfNeeded: numbers.next()) }
            }
            if round % 10 == 0 { bytes = Array(bytes.prefix(Int(numbers.next() % 600))) }
            folder.write("bad", bytes)
            let found = folder.image(["map"] + EncryptionTests.secrets + ["--image-opts", Way.all[0].image("bad")])
            #expect(found.status == 0 || (found.status == 1 && found.errors.hasPrefix("qemu-img: ")), "round \(round)")
        }
    }

    @Test func manyVolumesAtOnceNeverFailForWantOfTime() async throws {
        let folder = try Folder()
        await withTaskGroup(of: Int32.self) { group in
            for number in 0..<12 {
                group.addTask {
                    folder.image(
                        ["create"] + EncryptionTests.secrets
                            + ["-f", "luks", "-o", "key-secret=s,iter-time=\(1 + number)", "@disk\(number)", "1M"]
                    ).status
                }
            }
            for await status in group { #expect(status == 0) }
        }
    }
}
