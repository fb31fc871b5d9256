import HostOS
import TestSupport
import Testing

@Suite("Labels of SELinux")
struct SecurityContextTests {
    @Test("Labels are read in their parts, and nothing else is one")
    func reading() throws {
        let label = try #require(SecurityContext("system_u:system_r:svirt_t:s0:c12,c310\n"))
        #expect(label.user == "system_u" && label.role == "system_r" && label.type == "svirt_t")
        #expect(label.range == "s0:c12,c310")
        #expect(label.description == "system_u:system_r:svirt_t:s0:c12,c310")
        #expect(SecurityContext("u:r:t\0rest")?.description == "u:r:t")
        for text in ["", "kernel", "a:b", "::", "a::c", "a:b:c:", "a:b:c d", "a:b:c:s0\"x", "a:b:/c", "ä:b:c"] {
            #expect(SecurityContext(text) == nil, "\(text)")
        }
        #expect(SecurityContext(String(repeating: "a", count: 4095) + ":b:c") == nil)
    }

    @Test(
        "A daemon hands on the categories that it has",
        arguments: [
            ("s0", "s0", 0, 1023, 1024), ("s0-s0:c0.c1023", "s0", 0, 1023, 1024), ("s0-s15:c0.c1023", "s0", 0, 1023, 1024),
            ("s0:c5", "s0", 5, 5, 1), ("s1:c1,c7.c9-s3:c1,c7.c9,c20", "s1", 1, 20, 5), ("s0:c9.c3", "s0", -1, -1, 0),
            ("s0:c0.c70000", "s0", -1, -1, 0), ("s0:x", "s0", -1, -1, 0),
        ])
    func levels(range: String, sensitivity: String, first: Int, last: Int, count: Int) throws {
        let levels = try #require(SecurityContext("u:r:t:\(range)")?.levels)
        #expect(levels.sensitivity == sensitivity && levels.categories.count == count)
        #expect(levels.categories.min() ?? -1 == first && levels.categories.max() ?? -1 == last)
    }

    @Test("Each level that is chosen is free, until none is")
    func choice() throws {
        var random = SplitMix64(state: 7)
        let own = try #require(SecurityContext("u:r:t:s0-s0:c3.c8"))
        var taken: Set<String> = []
        while let level = own.freeLevel(besides: taken, using: &random) {
            #expect(!taken.contains(level))
            taken.insert(level)
            guard taken.count < 20 else { break }
        }
        // Pairs of six, each in the order that the kernel writes them in.
        #expect(taken.count == 15 && taken.contains("s0:c3,c8") && !taken.contains("s0:c8,c3"))
        for range in ["s0:c5", "s0:x"] {
            #expect(SecurityContext("u:r:t:\(range)")?.freeLevel(besides: [], using: &random) == nil)
        }
        #expect(SecurityContext("u:r:t")?.freeLevel(besides: [], using: &random) == nil)
    }

    @Test("Nonsense is no label, or one of bounded size that reads as it is written")
    func nonsense() {
        var random = SplitMix64(state: 0x5E11)
        let alphabet = Array("abcs0123456789:.,-_ \n\0\"ü".unicodeScalars)
        for _ in 0..<FuzzRounds.times(5000) {
            var text = ""
            for _ in 0..<random.next() % 40 {
                text.unicodeScalars.append(alphabet[Int(random.next() % UInt64(alphabet.count))])
            }
            if random.next() % 2 == 0 { text = "u:r:t:s0" + text }
            guard let label = SecurityContext(text) else { continue }
            #expect(SecurityContext(label.description) == label)
            #expect((label.levels?.categories.count ?? 0) <= 131_072)
            if let level = label.freeLevel(besides: [], using: &random) { #expect(level.contains(":c")) }
        }
    }
}
