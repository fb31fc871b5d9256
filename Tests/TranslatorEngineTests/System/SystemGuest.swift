import CEngine
import Execution
import GuestMemory
import HostOS
import Synchronization
import TranslatorEngine

/// A small guest without firmware, in the mode that the test asks for, and what it does at its ports.
///
/// Its exceptions go to handlers that write their vector to port 80H + 100H and sleep there, unless the test puts its
/// own code in their place: `handler(vector)`.
final class SystemGuest {
    /// Where things are in memory, everything where its linear address is.
    enum Place {
        static let code: UInt64 = 0x8000
        static let gdt: UInt64 = 0x6000
        static let tss: UInt64 = 0x6800
        static let idt: UInt64 = 0x7000
        static let handlers: UInt64 = 0xa000
        static let stack: UInt64 = 0x2_0000
        static let userStack: UInt64 = 0x3_0000
        static let tables: UInt64 = 0x4_0000
        static let data: UInt64 = 0x10_0000
        /// Device memory.
        static let device: UInt64 = 0xf000_0000
    }
    /// Selectors of the descriptor table.
    enum Selector {
        static let code: UInt16 = 0x08
        static let data: UInt16 = 0x10
        static let code64: UInt16 = 0x18
        static let userCode: UInt16 = 0x23
        static let userData: UInt16 = 0x2b
        static let userCode64: UInt16 = 0x33
        static let tss: UInt16 = 0x38
        /// And 50H and on: the test's own.
        static let free: UInt16 = 0x50
    }
    static let endPort: UInt16 = 0xf4
    static let vectorPort: UInt16 = 0x180

    enum End: Equatable { case port(UInt32), exception(UInt32), shutdown, timeOut, error(String) }
    enum Mode { case real, protected, long }

    let machine: GuestMachine
    let mode: Mode
    /// Writes to ports and device memory in order.
    var writes: [(address: UInt64, size: UInt8, value: UInt64)] = []
    /// Answers of ports and device memory.
    var answers: [UInt64: UInt64] = [:]
    /// What the PIC answers.
    var picVector: UInt8?
    /// Called at writes to ports other than those of the harness.
    var onWrite: ((UInt64, UInt64) -> Void)?

    var cpu: SoftwareProcessor { machine.cpu }

    init(
        _ mode: Mode, processors: Int = 1, threshold: UInt64? = nil,
        change: (inout SoftwareEngineRequest) -> Void = { _ in }
    ) throws {
        self.mode = mode
        machine = try GuestMachine(processors: processors, threshold: threshold, change: change)
        writeTables()
        var state = cpu.state
        state.waiting_for_sipi = 0
        state.rip = Place.code
        state.rflags = 2
        state.gpr.4 = mode == .real ? 0x7000 : Place.stack
        switch mode {
        case .real:
            setSegments(&state, code: (0, 0x9b), data: (0, 0x93), limit: 0xffff)
            state.idtr = apus_x86_table(base: 0, limit: 0x3ff, reserved: 0)
        case .protected:
            setSegments(&state, code: (Selector.code, 0xc9b), data: (Selector.data, 0xc93), limit: .max)
            state.cr0 = 0x11
        case .long:
            setSegments(&state, code: (Selector.code64, 0xa9b), data: (Selector.data, 0xc93), limit: .max)
            state.cr0 = 0x8001_0011
            state.cr4 = 0x620
            state.cr3 = Place.tables
            state.efer = 0xd01
        }
        if mode != .real {
            state.gdtr = apus_x86_table(base: Place.gdt, limit: 0xff, reserved: 0)
            state.idtr = apus_x86_table(base: Place.idt, limit: mode == .long ? 0xfff : 0x7ff, reserved: 0)
            state.segment.7 = apus_x86_segment(base: Place.tss, limit: 0x67, selector: Selector.tss, attributes: 0x8b)
        }
        cpu.state = state
    }

    private func setSegments(
        _ state: inout apus_x86_state, code: (UInt16, UInt16), data: (UInt16, UInt16), limit: UInt32
    ) {
        let d = apus_x86_segment(base: 0, limit: limit, selector: data.0, attributes: data.1)
        state.segment.0 = d
        state.segment.1 = apus_x86_segment(base: 0, limit: limit, selector: code.0, attributes: code.1)
        state.segment.2 = d
        state.segment.3 = d
        state.segment.4 = d
        state.segment.5 = d
    }

    private func writeTables() {
        let descriptors: [UInt64] = [
            0, 0x00cf_9b00_0000_ffff, 0x00cf_9300_0000_ffff, 0x00af_9b00_0000_ffff, 0x00cf_fb00_0000_ffff,
            0x00cf_f300_0000_ffff, 0x00af_fb00_0000_ffff, 0x0000_8b00_0000_0067 | Place.tss << 16, 0,
        ]
        for (index, value) in descriptors.enumerated() { machine.write64(Place.gdt + UInt64(index) * 8, value) }
        switch mode {
        case .real:
            for vector in UInt64(0)..<256 { machine.write32(vector * 4, UInt32(handler(vector))) }
        case .protected:
            machine.write32(Place.tss + 4, UInt32(Place.stack) - 0x1000)
            machine.write32(Place.tss + 8, UInt32(Selector.data))
            for vector in UInt64(0)..<256 { gate(vector, 0x8e) }
        case .long:
            machine.write64(Place.tss + 4, Place.stack - 0x1000)
            for vector in UInt64(0)..<256 { gate(vector, 0x8e) }
            // Identity: 1 GiB pages for the first four, for all rings.
            machine.write64(Place.tables, Place.tables + 0x1000 | 7)
            for index in UInt64(0)..<4 { machine.write64(Place.tables + 0x1000 + index * 8, index << 30 | 0x87) }
        }
        for vector in UInt64(0)..<256 { machine.write(handler(vector), report(vector)) }
    }

    /// `mov al, vector; mov dx, 180H; out dx, al; cli; hlt`, in any mode but with its own size of DX.
    private func report(_ vector: UInt64) -> [UInt8] {
        let load: [UInt8] = mode == .real ? [0xba, 0x80, 0x01] : [0x66, 0xba, 0x80, 0x01]
        return [0xb0, UInt8(vector)] + load + [0xee, 0xfa, 0xf4]
    }
    /// Where the handler of a vector is: 16 bytes.
    func handler(_ vector: UInt64) -> UInt64 { Place.handlers + vector * 16 }

    /// Makes an interrupt gate, type and privilege as in the descriptor's sixth byte.
    func gate(_ vector: UInt64, _ kind: UInt64, target: UInt64? = nil, ist: UInt64 = 0) {
        let offset = target ?? handler(vector)
        let selector = UInt64(mode == .long ? Selector.code64 : Selector.code)
        let words = offset & 0xffff | selector << 16 | ist << 32
        let low = words | kind << 40 | (offset >> 16 & 0xffff) << 48
        if mode == .long {
            machine.write64(Place.idt + vector * 16, low)
            machine.write64(Place.idt + vector * 16 + 8, offset >> 32)
        } else {
            machine.write64(Place.idt + vector * 8, low)
        }
    }
    /// Writes a descriptor of the GDT.
    func descriptor(_ selector: UInt16, _ value: UInt64) { machine.write64(Place.gdt + UInt64(selector & ~7), value) }

    func code(_ bytes: [UInt8], at address: UInt64 = Place.code) { machine.write(address, bytes) }
    /// `out 0xf4, al`: ends the run, followed by HLT.
    static let end: [UInt8] = [0xe6, 0xf4, 0xf4]

    /// Puts the processor into ring 3 with flat segments.
    func enterUser() {
        var state = cpu.state
        let long = mode == .long
        state.segment.1 = apus_x86_segment(
            base: 0, limit: .max, selector: long ? Selector.userCode64 : Selector.userCode, attributes: long ? 0xafb : 0xcfb)
        let data = apus_x86_segment(base: 0, limit: .max, selector: Selector.userData, attributes: 0xcf3)
        state.segment.0 = data
        state.segment.2 = data
        state.segment.3 = data
        state.gpr.4 = Place.userStack
        cpu.state = state
    }

    /// Runs the first processor to its end, at most two minutes.
    @discardableResult
    func run(seconds: UInt64 = 120) -> End {
        let watch = Watch(cpu: cpu, bell: Bell())
        let thread = try? HostThread(name: "watchdog") { watch.wait(seconds) }
        defer {
            watch.stop()
            thread?.join()
        }
        return loop(cpu, watch)
    }

    private func loop(_ cpu: SoftwareProcessor, _ watch: Watch) -> End {
        while true {
            switch cpu.run() {
            case .portWrite(Self.endPort, _, let value): return .port(value)
            case .portWrite(Self.vectorPort, _, let value): return .exception(value & 0xff)
            case .portWrite(let port, let size, let value):
                writes.append((UInt64(port), size, UInt64(value)))
                onWrite?(UInt64(port), UInt64(value))
            case .mmioWrite(let address, let size, let value):
                writes.append((address, size, value))
                onWrite?(address, value)
            case .portRead(let port, _): cpu.complete(read: answers[UInt64(port)] ?? 0xffff_ffff)
            case .mmioRead(let address, _): cpu.complete(read: answers[address] ?? .max)
            case .interruptAcknowledge:
                machine.engine.setExternalInterrupt(false)
                cpu.acknowledge(vector: picVector)
            case .shutdown: return .shutdown
            case .error(let words): return .error(words)
            case .interrupted: if watch.expired { return .timeOut }
            default: break
            }
        }
    }

    final class Watch: Sendable {
        let cpu: SoftwareProcessor
        let bell: Bell
        private let state = Atomic<Int>(0)
        init(cpu: SoftwareProcessor, bell: Bell) {
            self.cpu = cpu
            self.bell = bell
        }
        var expired: Bool { state.load(ordering: .acquiring) == 1 }
        func wait(_ seconds: UInt64) {
            bell.wait(nanoseconds: seconds * 1_000_000_000)
            if state.compareExchange(expected: 0, desired: 1, ordering: .acquiringAndReleasing).exchanged { cpu.kick() }
        }
        func stop() {
            _ = state.compareExchange(expected: 0, desired: 2, ordering: .acquiringAndReleasing)
            bell.ring()
        }
    }

    func gpr(_ number: Int) -> UInt64 {
        var state = cpu.state
        return unsafe withUnsafeBytes(of: &state.gpr) { unsafe $0.load(fromByteOffset: number * 8, as: UInt64.self) }
    }
}
