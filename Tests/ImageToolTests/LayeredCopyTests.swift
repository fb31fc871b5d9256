import Testing

/// Copies in which the images below take part: nothing of one base shows in the place of another.
@Suite(.enabled(if: Tool.isThere, "qemu-img and qemu-io are not installed"))
struct LayeredCopyTests {
    /// A clone of one base, and another base of the same size.
    private func pair() throws -> Pair {
        let pair = try Pair()
        for name in ["a", "x"] { pair.same("create", "-q", "-f", "qcow2", "@\(name)", "4M") }
        pair.io("qcow2", "a", "write -P 1 0 3M")
        pair.io("qcow2", "x", "write -P 9 0 4M")
        pair.same("create", "-q", "-f", "qcow2", "-b", "a", "-F", "qcow2", "@clone")
        pair.io("qcow2", "clone", "write -P 2 1M 64k", "write -z 2M 64k")
        return pair
    }

    /// A target that is there, with an image of its own below, gets all of the source, unless `-B` says otherwise.
    @Test func intoAnImageOverAnotherBase() throws {
        let pair = try pair()
        pair.same("create", "-q", "-f", "qcow2", "-b", "x", "-F", "qcow2", "@target")
        pair.io("qcow2", "target", "write -P 5 512k 64k")
        pair.same("convert", "-n", "-O", "qcow2", "@clone", "@target")
        let same = Outcome(status: 0, output: "Images are identical.\n", errors: "")
        #expect(pair.ours.qemu("compare", "@clone", "@target") == same)
        pair.same("rebase", "-u", "-b", "a", "-F", "qcow2", "@target")
        pair.same("convert", "-n", "-B", "@a", "-O", "qcow2", "@clone", "@target")
        pair.same("compare", "@clone", "@target")
    }

    /// Space that is reserved in advance shows what is below until it is written.
    @Test func reservedClonesShowTheirBase() throws {
        let pair = try pair()
        pair.same(
            "create", "-q", "-f", "qcow2", "-o", "extended_l2=on,preallocation=metadata", "-b", "a", "-F", "qcow2",
            "@reserved")
        pair.same("map", "--output=json", "@reserved")
        #expect(pair.ours.qemu("compare", "@a", "@reserved").output == "Images are identical.\n")
        pair.io("qcow2", "reserved", "write -P 3 0 2k")
        #expect(pair.ours.image("compare", "@a", "@reserved").output == "Content mismatch at offset 0!\n")
        #expect(pair.ours.qemu("check", "@reserved").status == 0)
    }

    /// What passes a `blkdebug` node above a clone comes from all of its images.
    @Test func nodesAboveAChain() throws {
        let pair = try pair()
        for options in [
            "driver=blkdebug,image.driver=qcow2,image.file.filename=", "driver=raw,file.driver=qcow2,file.file.filename=",
        ] {
            let words = ["convert", "-O", "raw", "--image-opts", options + "@clone", "@copy"]
            #expect(pair.ours.image(words).status == 0, "\(options)")
            #expect(pair.ours.qemu("compare", "@clone", "@copy").output == "Images are identical.\n", "\(options)")
        }
    }

    /// A base may be named in another way than the images do.
    @Test func commitsIntoABaseOfAnotherName() throws {
        for name in ["@a", "./a"] {
            let pair = try pair()
            pair.same("create", "-q", "-f", "qcow2", "-b", "clone", "-F", "qcow2", "@top")
            pair.io("qcow2", "top", "write -P 3 3M 64k")
            pair.same("commit", "-b", name, "@top")
            #expect(pair.ours.qemu("compare", "@a", "@top").output == "Images are identical.\n", "\(name)")
        }
    }

    /// `--salvage` goes on where tables cannot be read, too, and says what is lost unless it is to be quiet.
    @Test(arguments: ["read_aio", "l2_load"]) func salvage(_ event: String) throws {
        let pair = try pair()
        let words = [
            "--image-opts", "driver=qcow2,file.driver=blkdebug,file.image.filename=@x,file.inject-error.0.event=\(event)",
            "-O", "raw", "@copy",
        ]
        // The other tool tells of each request that was under way; which of them is the first to fail, nobody knows.
        let (theirs, ours) = (pair.theirs.qemu(["convert"] + words), pair.ours.image(["convert"] + words))
        func wordsOf(_ errors: String) -> [String] {
            errors.split(separator: "\n").map { $0.filter { !$0.isNumber } }
        }
        #expect(ours.status == 1 && wordsOf(ours.errors).first == wordsOf(theirs.errors).first, "\(ours.errors)")
        #expect(wordsOf(ours.errors).count == 1)
        let quiet = pair.ours.image(["convert", "--salvage", "-q"] + words)
        #expect(quiet == Outcome(status: 0, output: "", errors: ""))
        #expect(pair.ours.read("copy") == [UInt8](repeating: 0, count: 4 << 20))
        let told = pair.ours.image(["convert", "--salvage"] + words)
        #expect(told.status == 0)
        #expect(told.errors.contains("qemu-img: warning: error while reading offset 1048576: Input/output error\n"))
    }

    @Test func bitmapsThatCannotBeCopied() throws {
        let pair = try pair()
        pair.same("bitmap", "--add", "@a", "b")
        pair.same("convert", "--bitmaps", "-O", "qcow2", "@a", "@x", "@copy")
        pair.same("convert", "--bitmaps", "-O", "qcow2", "-o", "compat=0.10", "@a", "@copy")
    }
}
