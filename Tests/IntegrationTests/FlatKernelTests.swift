import Foundation
import TestSupport
import Testing

/// Test kernels in both engines, with the output and the exit statuses of QEMU.
@Suite("Flat multiboot kernels", .serialized, .enabled(if: Runner.hasProgram, "there is no apus-vmm beside the tests"))
struct FlatKernelTests {
    /// The engines of this host.
    static let engines = Runner.hasKVM ? ["kvm", "tcg"] : ["tcg"]

    /// The machine that such kernels are run on.
    private static let machine = [
        "-m", "128", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-serial", "stdio", "-vga",
        "none",
    ]
    private static let debugExit = ["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]

    private func run(
        _ kernel: FlatKernel, _ engine: String, _ options: [String] = debugExit, program: String = Repository.program
    ) throws -> HostProgram {
        try Runner.withFolder { folder in
            let path = "\(folder)/kernel.flat"
            try Data(kernel.file).write(to: URL(fileURLWithPath: path))
            let module = "\(folder)/module"
            try Data("NR_CPUS=2\n".utf8).write(to: URL(fileURLWithPath: module))
            let options = options.map { $0.replacingOccurrences(of: "FOLDER", with: folder) }
            return try Runner.run(program, ["-accel", engine] + Self.machine + options + ["-kernel", path])
        }
    }

    /// The same on QEMU's software engine, where there is one: what Apus is to say.
    private func expectLikePeer(_ kernel: FlatKernel, _ outcome: HostProgram, _ options: [String] = debugExit) throws {
        guard Runner.hasPeer else { return }
        let peer = try run(kernel, "tcg", options, program: Runner.peer)
        #expect(outcome.status == peer.status)
        #expect(outcome.output == peer.output)
    }

    @Test("The status is that of isa-debug-exit", arguments: engines, [0, 1, 38, 63, 127, 0x1FF] as [UInt32])
    func status(engine: String, value: UInt32) throws {
        let outcome = try run(.exiting(value), engine)
        #expect(outcome.status == Int32(truncatingIfNeeded: (value << 1 | 1) & 0xFF))
        if engine == Self.engines[0] { try expectLikePeer(.exiting(value), outcome) }
    }

    @Test("The loader gives command line, memory and modules", arguments: engines)
    func multiboot(engine: String) throws {
        let kernel = FlatKernel("multiboot", FlatKernel.multiboot)
        let options = Self.debugExit + ["-append", "one two=3", "-initrd", "FOLDER/module"]
        let outcome = try run(kernel, engine, options)
        let lines = outcome.output.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        #expect(outcome.status == 1, "\(outcome)")
        #expect(lines.first == "2badb002")
        #expect(lines.contains("one two=3"))
        #expect(lines.contains("NR_CPUS=2"))
        // The third line is upper memory, of which each keeps as much for its tables as they need.
        guard Runner.hasPeer else { return }
        let peer = try run(kernel, "tcg", options, program: Runner.peer).output.split(separator: "\n")
        #expect(peer.enumerated().filter { $0.offset != 2 }.map { String($0.element) } == shown(lines))
    }

    private func shown(_ lines: [String]) -> [String] {
        lines.filter { !$0.isEmpty }.enumerated().filter { $0.offset != 2 }.map(\.element)
    }

    @Test("fw_cfg tells processors and memory", arguments: engines)
    func firmwareConfiguration(engine: String) throws {
        let kernel = FlatKernel("firmware", FlatKernel.firmware)
        let options = Self.debugExit + ["-smp", "3", "-m", "96"]
        let outcome = try run(kernel, engine, options)
        #expect(outcome.status == 1, "\(outcome)")
        #expect(outcome.output == "00000003\n06000000\n")
        try expectLikePeer(kernel, outcome, options)
    }

    @Test("pci-testdev counts writes that come to it", arguments: engines)
    func pciTestDevice(engine: String) throws {
        let kernel = FlatKernel("pci-testdev", FlatKernel.pciTest)
        let options = Self.debugExit + ["-device", "pci-testdev"]
        let outcome = try run(kernel, engine, options)
        #expect(outcome.status == 1, "\(outcome)")
        #expect(outcome.output.hasPrefix("00000010 mmio-no-eventfd\n00000000 mmio-wildcard-eventfd\n"))
        try expectLikePeer(kernel, outcome, options)
        // Without the device the kernel says so.
        #expect(try run(kernel, engine).status == 3)
    }

    @Test(
        "A virtio device answers its doorbells, with an exit or as events of the engine", arguments: engines,
        ["on", "off"])
    func virtio(engine: String, events: String) throws {
        let kernel = FlatKernel("virtio", FlatKernel.virtio)
        let options = Self.debugExit + ["-device", "virtio-rng-pci,ioeventfd=\(events)"]
        let outcome = try run(kernel, engine, options)
        #expect(outcome.status == 1, "\(outcome)")
        #expect(outcome.output == "000000400000000000000001\n", "\(outcome)")
        if engine == Self.engines[0] { try expectLikePeer(kernel, outcome, options) }
    }

    @Test("pc-testdev has a latch, memory, interrupt lines and a flush", arguments: engines)
    func pcTestDevice(engine: String) throws {
        let kernel = FlatKernel("pc-testdev", FlatKernel.pcTest)
        let options = Self.debugExit + ["-device", "pc-testdev"]
        let outcome = try run(kernel, engine, options)
        #expect(outcome.status == 1, "\(outcome)")
        #expect(outcome.output == "66775544\n00cafef00000005a\n000000100000600d\n")
    }

    @Test("testdev writes to its character device and ends with the bare value", arguments: engines)
    func oldTestDevice(engine: String) throws {
        try Runner.withFolder { folder in
            let outcome = try run(
                FlatKernel("testdev", FlatKernel.oldTest), engine,
                ["-chardev", "file,id=log,path=\(folder)/log", "-device", "testdev,chardev=log"])
            #expect(outcome.status == 42, "\(outcome)")
            #expect(outcome.output == "08000000\n")
            #expect(try String(contentsOfFile: "\(folder)/log", encoding: .utf8) == "OK")
        }
        let refused = try run(FlatKernel("testdev", FlatKernel.oldTest), engine, ["-device", "testdev"])
        #expect(refused.status == 1)
        #expect(refused.errors.contains("empty char device"))
    }

    @Test("All processors start by messages of the first", arguments: engines)
    func processors(engine: String) throws {
        let kernel = FlatKernel("processors", FlatKernel.processors)
        let options = Self.debugExit + ["-smp", "2"]
        let outcome = try run(kernel, engine, options)
        #expect(outcome.status == 1, "\(outcome)")
        #expect(outcome.output == "00000002\n")
        try expectLikePeer(kernel, outcome, options)
    }

    @Test(
        "KVM's own controllers, rings of dirty pages and guests that idle change nothing",
        .enabled(if: Runner.hasKVM, "this user cannot open /dev/kvm"),
        arguments: [
            "kvm,kernel-irqchip=on", "kvm,kernel-irqchip=split", "kvm,kernel-irqchip=off", "kvm,dirty-ring-size=4096",
        ])
    func variants(engine: String) throws {
        let options = Self.debugExit + ["-smp", "2", "-device", "pc-testdev", "-overcommit", "cpu-pm=on"]
        let outcome = try run(FlatKernel("processors", FlatKernel.processors), engine, options)
        #expect(outcome.output == "00000002\n", "\(outcome)")
        let lines = try run(FlatKernel("pc-testdev", FlatKernel.pcTest), engine, options)
        #expect(lines.output == "66775544\n00cafef00000005a\n000000100000600d\n", "\(lines)")
    }
}
