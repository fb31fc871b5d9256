import BlockImage
import DeviceModel
import Devices
import GuestMemory
import TestSupport
import Testing
import VirtQueue

/// Every device against drivers that write nonsense into rings, buffers and configuration. Whatever they do, a reset
/// brings a working device back.
@Suite struct RandomDriverTests {
    enum Kind: CaseIterable, Sendable {
        case entropy
        case console
        case block
        case net
        case balloon
        case scsi
        case gpu
        case keyboard
        case share
    }
    private let folder: ShareFolder
    init() throws { folder = try ShareFolder() }

    private func make(_ kind: Kind, _ memory: AddressSpace) throws -> any VirtioDevice {
        let inline = InlineScheduler()
        return switch kind {
        case .entropy: VirtioEntropy(scheduler: inline) { bytes in for index in bytes.indices { bytes[index] = 7 } }
        case .console:
            VirtioConsole(
                ports: (0..<3).map { .init(id: $0, name: "p", isConsole: $0 == 0, backend: FakeCharacters()) },
                scheduler: inline)
        case .block: VirtioBlock(.init(queueCount: 2), backend: FakeDisk(sectors: 64), schedulers: [inline])
        case .net: VirtioNet(.init(macAddress: []), backend: FakeNetwork(), scheduler: inline)
        case .scsi:
            VirtioSCSI(
                (0..<2).map {
                    SCSIPlace(
                        target: $0, lun: 0, properties: SCSIUnitProperties(isCD: $0 == 1), backend: FakeDisk(sectors: 64))
                },
                scheduler: inline)
        case .gpu: VirtioGPU(VirtioGPUProperties(), scheduler: inline)
        case .keyboard: VirtioInput(.keyboard, scheduler: inline)
        case .share: try folder.device()
        case .balloon: VirtioBalloon(.init(hasFreePageReporting: true), memory: memory, scheduler: inline)
        }
    }

    @Test(arguments: Kind.allCases, [false, true]) func nonsense(_ kind: Kind, _ packed: Bool) throws {
        let memory = try makeMemory()
        let device = try make(kind, memory)
        let transport = MMIOTransport(device, memory, rings: VirtioRingOptions(isPacked: packed))
        var random = SplitMix64(state: packed ? 21 : 42)
        var failures = 0
        for _ in 0..<FuzzRounds.times(250) {
            let queues = try transport.start(
                memory, features: random.next() | 1 << 17 | (packed ? VirtioFeature.packedRing : 0))
            if transport.status != 0xF { continue }
            let count = min(queues.count, 8)
            for _ in 0..<12 {
                let index = Int(random.next() % UInt64(count))
                // A plausible buffer with random content...
                let address = 0xC0_0000 + random.next() % 0x1000
                for word in UInt64(0)..<8 {
                    try memory.store(
                        GuestPhysical(address + word * 8),
                        random.next() % 3 == 0 ? random.next() : random.next() % 16)
                }
                func piece() -> DriverQueue.Piece { .init(address, UInt32(random.next() % 80 + 1)) }
                _ = queues[index].add(
                    readable: (0..<random.next() % 3).map { _ in piece() },
                    writable: (0..<random.next() % 3).map { _ in piece() })
                // ... and now and then a ring that is not plausible at all.
                if random.next() % 4 == 0 {
                    let place = 0x10000 * UInt64(index + 1) + random.next() % 0x160 & ~1
                    try memory.store(GuestPhysical(place), UInt16(truncatingIfNeeded: random.next()))
                }
                transport.setConfiguration(
                    Int(random.next() % 64), [1, 2, 4][Int(random.next() % 3)],
                    UInt32(truncatingIfNeeded: random.next()))
                transport.notify(index)
                if random.next() % 32 == 0 {
                    transport.transport.pause()
                    let state = transport.transport.exportState()
                    try transport.transport.importState(state)
                    transport.transport.resume()
                }
            }
            if transport.status & 0x40 != 0 { failures += 1 }
        }
        #expect(failures > 0, "Some of it must have been noticed")
        _ = try transport.start(memory)
        #expect(transport.status == 0xF)
    }
}
