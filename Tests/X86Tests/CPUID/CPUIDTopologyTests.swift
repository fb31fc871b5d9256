import Testing
import X86

@Suite struct CPUIDTopologyTests {
    @Test(
        arguments: [
            ("1", [1, 1, 1, 1, 1, 1]), ("8", [8, 8, 1, 1, 8, 1]), ("8,sockets=2", [8, 8, 2, 1, 4, 1]),
            ("8,cores=2", [8, 8, 4, 1, 2, 1]), ("8,threads=2", [8, 8, 1, 1, 4, 2]),
            ("8,sockets=2,cores=2,threads=2", [8, 8, 2, 1, 2, 2]), ("8,sockets=2,cores=2", [8, 8, 2, 1, 2, 2]),
            ("2,maxcpus=8", [2, 8, 1, 1, 8, 1]), ("cpus=4,dies=2", [4, 4, 1, 2, 2, 1]),
            ("sockets=2,cores=3", [6, 6, 2, 1, 3, 1]), ("maxcpus=4", [4, 4, 1, 1, 4, 1]),
            ("cores=2,threads=2,cpus=3,maxcpus=4", [3, 4, 1, 1, 2, 2]),
        ] as [(String, [Int])])
    func completion(_ text: String, _ expected: [Int]) throws {
        let t = try Topology(parsing: text)
        #expect([t.cpus, t.maxcpus, t.sockets, t.dies, t.cores, t.threads] == expected)
    }

    @Test(arguments: [
        ("0", TopologyError.notPositive("cpus")), ("4,threads=0", .notPositive("threads")),
        ("", .notANumber(name: "cpus", value: "")), ("two", .notANumber(name: "cpus", value: "two")),
        ("-1", .notANumber(name: "cpus", value: "-1")), ("4,cores=+2", .notANumber(name: "cores", value: "+2")),
        ("4,8", .unknownProperty("8", nearest: nil)), ("4,core=2", .unknownProperty("core", nearest: "cores")),
        ("4,clusters=2", .unknownProperty("clusters", nearest: nil)),
        ("256", .tooMany(name: "maxcpus", value: 256, limit: 255)),
        ("99999999999999999999", .tooMany(name: "cpus", value: Int.max, limit: 255)),
        ("4,maxcpus=2", .fewerThanPresent(maxcpus: 2, cpus: 4)),
        ("8,sockets=2,cores=2,threads=3", .product(sockets: 2, dies: 1, cores: 2, threads: 3, maxcpus: 8)),
        ("2,sockets=4", .product(sockets: 4, dies: 1, cores: 0, threads: 1, maxcpus: 2)),
    ])
    func mistakes(_ text: String, _ expected: TopologyError) {
        #expect(throws: expected) { try Topology(parsing: text) }
    }

    @Test func twoSocketsOfTwoCoresOfTwoThreads() throws {
        let environment = try machine("8,sockets=2,cores=2,threads=2")
        let cpu = try resolved("qemu64", environment)
        let t = cpu.topology
        #expect((0..<8).map { t.apicID(of: $0) } == [0, 1, 2, 3, 4, 5, 6, 7])
        #expect(t.place(of: 5) == ProcessorPlace(socket: 1, die: 0, core: 0, thread: 1))
        #expect(cpu.leaf(1, apicID: 5).ebx == 0x0504_0800)
        #expect(cpu.leaf(1).edx & 1 << 28 != 0)
        #expect(cpu.leaf(0xB, 0, apicID: 5) == CPUIDRegisters(eax: 1, ebx: 2, ecx: 0x100, edx: 5))
        #expect(cpu.leaf(0xB, 1, apicID: 5) == CPUIDRegisters(eax: 2, ebx: 4, ecx: 0x201, edx: 5))
        #expect(cpu.leaf(0xB, 2, apicID: 5) == CPUIDRegisters(eax: 0, ebx: 0, ecx: 2, edx: 5))
        // AMD: legacy cores, and the truth by TopologyExtensions.
        #expect(cpu.has("cmp-legacy") && cpu.has("topoext"))
        #expect(cpu.leaf(0x8000_0008).ecx == 0x2003)
        #expect(cpu.leaf(0x8000_0000).eax == 0x8000_001E)
        #expect(cpu.leaf(0x8000_001E, apicID: 7) == CPUIDRegisters(eax: 7, ebx: 0x103, ecx: 1))
    }

    @Test func gapsBetweenIDs() throws {
        let t = try Topology(parsing: "18,sockets=2,cores=3,threads=3", limit: 255)
        #expect(t.threadWidth == 2 && t.packageShift == 4)
        #expect((0..<18).map { t.apicID(of: $0) } == [0, 1, 2, 4, 5, 6, 8, 9, 10, 16, 17, 18, 20, 21, 22, 24, 25, 26])
        #expect(Set((0..<18).map { t.apicID(of: $0) }).count == 18)
    }

    @Test func diesShowInLeaf1F() throws {
        let cpu = try resolved("Haswell", try machine("8,dies=2,cores=2,threads=2"))
        #expect(cpu.leaf(0).eax == 0x1F)
        #expect(cpu.leaf(0x1F, 0) == CPUIDRegisters(eax: 1, ebx: 2, ecx: 0x100))
        #expect(cpu.leaf(0x1F, 1) == CPUIDRegisters(eax: 2, ebx: 4, ecx: 0x201))
        #expect(cpu.leaf(0x1F, 2) == CPUIDRegisters(eax: 3, ebx: 8, ecx: 0x502))
        #expect(cpu.leaf(0x1F, 3) == CPUIDRegisters(ecx: 3))
        #expect(cpu.leaf(0xB, 1) == CPUIDRegisters(eax: 3, ebx: 8, ecx: 0x201))
        #expect(try resolved("Haswell").leaf(0).eax == 0xD)
    }

    @Test func oneProcessorHasNoHTT() throws {
        let cpu = try resolved("Haswell")
        #expect(cpu.leaf(1).edx & 1 << 28 == 0)
        #expect(cpu.leaf(1).ebx == 0x0800)
        #expect(cpu.leaf(0xB, 0) == CPUIDRegisters(eax: 0, ebx: 1, ecx: 0x100))
    }

    @Test func cachesOfIntel() throws {
        let cpu = try resolved("Haswell", try machine("8,sockets=2,cores=2,threads=2"))
        let l1 = cpu.leaf(4, 0)
        #expect(l1.eax == 1 | 1 << 5 | 1 << 8 | 1 << 14 | 1 << 26)
        #expect(l1.ebx == 63 | 7 << 22 && l1.ecx == 63)
        #expect(cpu.leaf(4, 3).eax == 3 | 3 << 5 | 1 << 8 | 3 << 14 | 1 << 26)
        #expect(cpu.leaf(4, 4) == CPUIDRegisters())
        #expect(cpu.leaf(2).eax == 0xFF01)
        #expect(cpu.leaf(0x8000_001D) == cpu.leaf(0xD))  // past the highest leaf
    }

    @Test func cachesOfAMD() throws {
        let cpu = try resolved("EPYC", try machine("4,threads=2"))
        #expect(cpu.leaf(4, 0) == CPUIDRegisters())
        #expect(cpu.leaf(0x8000_001D, 2).eax == 3 | 2 << 5 | 1 << 8 | 1 << 14)
        #expect(cpu.leaf(0x8000_001D, 2).ecx == 1023)
        #expect(cpu.leaf(0x8000_001D, 9) == CPUIDRegisters())
    }

    @Test func everySmallTopologyHasDistinctIDs() throws {
        for sockets in 1...3 {
            for dies in 1...2 {
                for cores in 1...5 {
                    for threads in 1...3 {
                        let t = try Topology(
                            parsing: "sockets=\(sockets),dies=\(dies),cores=\(cores),threads=\(threads)")
                        let ids = (0..<t.maxcpus).map { t.apicID(of: $0) }
                        #expect(Set(ids).count == t.maxcpus && ids == ids.sorted())
                    }
                }
            }
        }
    }
}
