import Testing

/// What scripts and users notice when they go from one tool to the other: lines that once differed.
@Suite(.enabled(if: Tool.isThere, "qemu-img and qemu-io are not installed"))
struct SameUseTests {
    /// `snapshot -d` takes names alone: another snapshot whose number is that name stays.
    @Test func snapshotsGoByName() throws {
        let pair = try Pair()
        pair.same("create", "-q", "-f", "qcow2", "@disk", "1M")
        for name in ["2", "one", "3"] { pair.same("snapshot", "-c", name, "@disk") }
        for name in ["1", "2", "3", "2"] {
            pair.same("snapshot", "-d", name, "@disk")
            pair.same("snapshot", "-l", "@disk")
        }
        pair.same("snapshot", "@disk")
    }

    /// Zeroes and discards hide what is below, even when the image was opened without it meanwhile.
    @Test(arguments: ["write -z 0 64k", "write -zu 64k 64k", "discard 128k 64k", "write -z 200k 10k"])
    func zeroesHideTheBase(_ command: String) throws {
        let folder = try Folder()
        #expect(folder.qemu("create", "-q", "-f", "qcow2", "@base", "1M").status == 0)
        #expect(folder.io("qcow2", "base", "write -P 7 0 1M").status == 0)
        for name in ["theirs", "ours"] {
            #expect(folder.qemu("create", "-q", "-f", "qcow2", "-b", "base", "-F", "qcow2", "@\(name)").status == 0)
            #expect(folder.io("qcow2", name, "write -P 8 96k 64k").status == 0)
        }
        let words = ["-c", command, "--image-opts"]
        let options = "driver=qcow2,backing=,file.filename="
        #expect(Tool.run([Tool.qemuIO!] + words + [options + folder.file("theirs")]) { _ in "" }.status == 0)
        #expect(folder.run("qemu-io", words + [options + folder.file("ours")]).status == 0)
        let same = folder.qemu("compare", "@theirs", "@ours")
        #expect(same == Outcome(status: 0, output: "Images are identical.\n", errors: ""))
        #expect(folder.qemu("check", "@ours").status == 0)
    }

    @Test func damageIsToldAndMended() throws {
        let pair = try Pair()
        pair.same("create", "-q", "-f", "qcow2", "@disk", "1M")
        pair.io("qcow2", "disk", "write 0 256k")
        let good = pair.ours.read("disk")
        // Reserved bits of an entry; no table of counts; a count too high, and one too low.
        for (place, byte) in [(262_150, UInt8(1)), (59, 0), (131_079, 5), (131_087, 0)] {
            for folder in [pair.theirs, pair.ours] {
                var bytes = good
                bytes[place] = byte
                folder.write("bad", bytes)
            }
            pair.same("check", "@bad")
            let (theirs, ours) = (
                pair.theirs.qemu("check", "-r", "all", "@bad"), pair.ours.image("check", "-r", "all", "@bad")
            )
            #expect(theirs.status == ours.status, "\(place): \(ours.errors)")
            // Where counts are made anew, the old tables' storage is given back without a word here.
            let told = theirs.errors.split(separator: "\n").filter { place != 131_087 || !$0.hasPrefix("Repairing") }
            #expect(told == ours.errors.split(separator: "\n"), "\(place)")
            #expect(pair.ours.qemu("check", "@bad").status == pair.theirs.qemu("check", "@bad").status)
        }
    }

    @Test func sizesOfEncryptedImages() throws {
        let pair = try Pair()
        let secret = ["measure", "--object", "secret,id=s,data=abc", "--size", "1G", "-O"]
        for words in [
            ["luks", "-o", "key-secret=s"], ["luks", "-o", "key-secret=s,cipher-alg=aes-128"], ["luks"],
            ["qcow2", "-o", "encrypt.format=luks,encrypt.key-secret=s"],
            ["qcow2", "-o", "encrypt.format=luks,encrypt.key-secret=s,cluster_size=2M"],
        ] {
            // QEMU's measures the host for the key's iterations, and fails where it gets too little time.
            var theirs = pair.theirs.qemu(secret + words)
            for _ in 0..<20 where theirs.errors.contains("Unable to get accurate CPU usage") {
                theirs = pair.theirs.qemu(secret + words)
            }
            guard !theirs.errors.contains("Unable to get accurate CPU usage") else { continue }
            #expect(theirs == pair.ours.image(secret + words), "\(words)")
        }
    }

    @Test func smallThings() throws {
        let pair = try Pair()
        pair.same("create", "-q", "-f", "qcow2", "@a", "1M")
        pair.same("create", "-q", "-f", "qcow2", "-b", "a", "-F", "qcow2", "@b")
        pair.same("create", "-q", "-f", "qcow2", "@empty", "0")
        pair.same("map", "--output=json", "@empty")
        pair.same("map", "--output=json", "-s", "1G", "@a")
        for options in ["", ",", "size=1M,", "size=1M,,"] {
            pair.same("create", "-f", "qcow2", "-o", options, "@o", "1M")
        }
        pair.same("create", "@o", " 1M")
        pair.same("amend", "-o", "backing_file=a", "@b")
        pair.same("amend", "-o", "backing_file=a,backing_fmt=qcow2", "@b")
        pair.same("amend", "-o", "help", "@b")
        pair.same("convert", "-c", "-O", "raw", "@a", "@packed.raw")
        #expect(pair.ours.read("packed.raw").isEmpty)
        pair.same("convert", "-c", "-O", "vmdk", "@a", "@packed.vmdk")
        pair.same("compare", "-p", "@a", "@b")
        pair.same("create", "--object", "nosuch,id=x", "-f", "raw", "@o", "1M")
        for options in [
            "cache-size=1M", "cache-size=1M,l2-cache-size=512k", "cache-size=1M,refcount-cache-size=256k",
            "cache-size=1M,l2-cache-size=2M", "cache-size=1M,l2-cache-size=1k,refcount-cache-size=1k",
            "cache-clean-interval=5,overlap-check=all,l2-cache-entry-size=4k", "overlap-check=x",
            "overlap-check.template=none,overlap-check.active-l2=on", "pass-discard-snapshot=off,pass-discard-other=on",
        ] {
            let line = ["compare", "--image-opts", "driver=qcow2,\(options),file.filename=@a"]
            let (theirs, ours) = (
                pair.theirs.qemu(line + ["driver=qcow2,file.filename=@b"]),
                pair.ours.image(line + ["driver=qcow2,file.filename=@b"])
            )
            #expect(theirs == ours, "\(options)")
        }
    }
}
