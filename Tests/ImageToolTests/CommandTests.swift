import Testing

/// The commands that change what is there, beside Debian's.
@Suite(.enabled(if: Tool.isThere, "qemu-img and qemu-io are not installed"))
struct CommandTests {
    /// Three images, one over the other, and what the topmost shows.
    private func chain() throws -> Pair {
        let pair = try Pair()
        pair.same("create", "-q", "-f", "qcow2", "@a.qcow2", "64M")
        pair.same("create", "-q", "-f", "qcow2", "-b", "a.qcow2", "-F", "qcow2", "@b.qcow2")
        pair.same("create", "-q", "-f", "qcow2", "-b", "b.qcow2", "-F", "qcow2", "@c.qcow2")
        pair.io("qcow2", "a.qcow2", "write -P 1 0 1M", "write -P 2 5M 70k", "write -z 2M 1M")
        pair.io("qcow2", "b.qcow2", "write -P 3 512k 1M", "write -z 5M 64k", "write -P 4 20M 1M")
        pair.io("qcow2", "c.qcow2", "write -P 5 768k 1M", "write -z 5M 16k", "write -P 4 30M 1M")
        pair.same("convert", "-O", "raw", "@c.qcow2", "@c.raw")
        return pair
    }

    @Test func commit() throws {
        let pair = try chain()
        pair.same("commit", "@c.qcow2")
        pair.same("compare", "@b.qcow2", "@c.raw")
        pair.same("compare", "@c.qcow2", "@c.raw")
        pair.same("map", "--output=json", "@c.qcow2", "-l", "512k")
        pair.same("commit", "-b", "@a.qcow2", "@c.qcow2")
        pair.same("compare", "@a.qcow2", "@c.raw")
        for name in ["a", "b", "c"] { #expect(pair.ours.qemu("check", "@\(name).qcow2").status == 0) }
        for line in [["@a.qcow2"], ["-b", "@nix", "@c.qcow2"], ["@nofile"], []] {
            #expect(pair.theirs.qemu(["commit"] + line) == pair.ours.image(["commit"] + line))
        }
    }

    @Test func rebase() throws {
        let pair = try chain()
        pair.same("rebase", "-b", "a.qcow2", "-F", "qcow2", "@c.qcow2")
        pair.same("info", "@c.qcow2")
        pair.same("compare", "@c.qcow2", "@c.raw")
        pair.same("map", "--output=json", "@c.qcow2")
        pair.same("rebase", "-b", "", "@c.qcow2")
        pair.same("compare", "@c.qcow2", "@c.raw")
        pair.same("check", "@c.qcow2")
        pair.same("rebase", "-u", "-b", "nowhere", "-F", "raw", "@c.qcow2")
        pair.same("info", "@c.qcow2")
        pair.same("rebase", "-u", "-b", "", "@c.qcow2")
        pair.same("info", "@c.qcow2")
        let wrong = [
            ["@c.qcow2"], ["-b", "nofile", "-F", "qcow2", "@b.qcow2"], ["-u", "-b", "x", "@b.qcow2"],
            ["-b", "a.qcow2", "-F", "foo", "@b.qcow2"],
        ]
        for line in wrong { #expect(pair.theirs.qemu(["rebase"] + line) == pair.ours.image(["rebase"] + line)) }
    }

    @Test func measureAndCopy() throws {
        let pair = try chain()
        let targets = [
            "", "cluster_size=4k", "extended_l2=on", "preallocation=full", "compat=0.10", "refcount_bits=1",
            "cluster_size=2M,refcount_bits=64",
        ]
        for target in targets {
            for source in [["--size", "1G"], ["--size", "5000"], ["--size", "3T"], ["@a.qcow2"], ["@c.raw"]] {
                let words = ["measure", "-O", "qcow2"] + (target.isEmpty ? [] : ["-o", target]) + source
                #expect(pair.theirs.qemu(words) == pair.ours.image(words), "\(words)")
            }
        }
        pair.same("measure", "--output=json", "-O", "qcow2", "@a.qcow2")
        pair.same("measure", "@c.raw")
        for line in ["", "--size 1G @a.qcow2", "-f qcow2 --size 1G", "-O vmdk --size 1G", "-O foo --size 1G"] {
            let words = ["measure"] + line.split(separator: " ").map(String.init)
            #expect(pair.theirs.qemu(words) == pair.ours.image(words), "\(line)")
        }
        for (name, more) in [("1", []), ("2", ["bs=1M", "count=3", "skip=1"]), ("3", ["bs=100", "count=7"])] {
            let words = ["dd", "if=@c.raw", "of=@d\(name).raw"] + more
            #expect(pair.theirs.qemu(words) == pair.ours.image(words))
            let isSame = pair.theirs.read("d\(name).raw") == pair.ours.read("d\(name).raw")
            #expect(isSame)
        }
        pair.same("dd", "-O", "qcow2", "if=@c.raw", "of=@d.qcow2", "bs=64k", "skip=3")
        pair.same("compare", "@d.qcow2", "@c.raw")
        for line in ["if=@c.raw", "if=@c.raw of=@x foo=1", "if=@c.raw of=@x bs=0", "if=@c.raw of=@x bs=1M skip=1000"] {
            let words = ["dd"] + line.split(separator: " ").map(String.init)
            #expect(pair.theirs.qemu(words) == pair.ours.image(words), "\(line)")
        }
    }

    @Test func amend() throws {
        let pair = try chain()
        pair.same("convert", "-O", "qcow2", "@c.qcow2", "@d.qcow2")
        let changes = [
            "compat=0.10", "compat=1.1", "lazy_refcounts=on", "refcount_bits=64", "refcount_bits=1", "size=70M",
            "cluster_size=4k", "foo=1", "backing_file=x", "compat=0.10",
        ]
        for change in changes {
            pair.same("amend", "-o", change, "@d.qcow2")
            pair.same("info", "@d.qcow2")
            #expect(pair.ours.qemu("check", "@d.qcow2").status == 0, "\(change)")
            pair.same("compare", "@d.qcow2", "@c.raw")
        }
        pair.same("amend", "@d.qcow2")
        pair.same("amend", "-f", "qcow2", "-o", "help")
        pair.same("amend", "-f", "raw", "-o", "size=1M", "@c.raw")
    }

    @Test func bitmaps() throws {
        let pair = try chain()
        pair.same("bitmap", "--add", "@a.qcow2", "b0")
        pair.same("bitmap", "--add", "-g", "4k", "@a.qcow2", "b1")
        pair.same("bitmap", "--add", "--disable", "@a.qcow2", "b2")
        pair.same("info", "--output=json", "@a.qcow2")
        pair.same("bitmap", "--remove", "@a.qcow2", "b1")
        for line in ["--add @a.qcow2 b0", "--remove @a.qcow2 nix", "@a.qcow2 b0", "--add -g 100 @a.qcow2 x"] {
            let words = ["bitmap"] + line.split(separator: " ").map(String.init)
            #expect(pair.theirs.qemu(words) == pair.ours.image(words), "\(line)")
        }
        // What our writer changes is marked in a bitmap that Debian's tools made, and survives.
        #expect(pair.ours.qemu("bitmap", "--add", "@b.qcow2", "made").status == 0)
        #expect(pair.ours.image("dd", "if=@c.raw", "of=@part.raw", "bs=1M", "count=1").status == 0)
        #expect(pair.ours.image("convert", "-n", "-O", "qcow2", "@part.raw", "@b.qcow2").status == 0)
        #expect(pair.ours.qemu("check", "@b.qcow2").status == 0)
        #expect(pair.ours.qemu("info", "@b.qcow2").output.contains("name: made"))
        #expect(!pair.ours.qemu("info", "@b.qcow2").output.contains("in-use"))
        // A disk that grows takes its bitmaps along.
        #expect(pair.ours.image("resize", "@b.qcow2", "9G").status == 0)
        #expect(pair.ours.qemu("check", "@b.qcow2").status == 0)
        #expect(pair.ours.qemu("bitmap", "--clear", "@b.qcow2", "made").status == 0)
        pair.io("qcow2", "a.qcow2", "write -P 7 10M 1M")
        pair.same("bitmap", "--merge", "b0", "@a.qcow2", "b2")
        pair.same("convert", "--bitmaps", "-O", "qcow2", "@a.qcow2", "@copy.qcow2")
        pair.same("info", "--output=json", "@copy.qcow2")
        for name in ["a", "copy"] { #expect(pair.ours.qemu("check", "@\(name).qcow2").status == 0) }
        pair.same("convert", "--bitmaps", "-O", "raw", "@a.qcow2", "@x.raw")
        pair.same("measure", "-O", "qcow2", "@a.qcow2")
    }
}
