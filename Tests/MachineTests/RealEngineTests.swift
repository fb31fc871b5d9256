import GuestMemory
import HostOS
import KVMEngine
import Machine
import Synchronization
import Testing

/// Whole machines on engines that run a real guest.
@Suite(.serialized)
struct RealEngineTests {
    /// A machine with a time-out of ten seconds.
    private func run(_ configuration: MachineConfiguration) throws -> (status: Int32, events: [MachineEvent.Kind]) {
        let loop = try EventLoop()
        let machine = try VirtualMachine(configuration, loop: loop)
        let log = Log()
        _ = machine.subscribe { event in log.events.withLock { $0.append(event.kind) } }
        let limit = loop.makeTimer { loop.stop() }
        limit.arm(after: 120_000_000_000)
        try machine.start()
        loop.run()
        limit.cancel()
        machine.close()
        return (machine.exitStatus, log.events.withLock { $0 })
    }
    private final class Log: Sendable {
        let events = Mutex<[MachineEvent.Kind]>([])
    }

    @Test(
        "Interrupts of the PIC and of the IOAPIC, output, a reset, and the guest's own exit status",
        arguments: [AcceleratorConfiguration.Kind.kvm, .translator])
    func interruptsAndReset(engine: AcceleratorConfiguration.Kind) throws {
        if engine == .kvm {
            do throws(KVMError) { _ = try KVMDevice() } catch {
                print("Skipped on KVM: \(error)")
                return
            }
        }
        let padding = [UInt8](repeating: 0, count: 4096 - Self.kernel.count)
        try Samples.withFolder(["kernel": Self.kernel + padding]) { folder in
            var configuration = Samples.configuration(.pc)
            configuration.accelerators = [AcceleratorConfiguration(kind: engine)]
            configuration.boot.kernel = "\(folder)/kernel"
            configuration.devices = [DeviceConfiguration(driver: "isa-debug-exit")]
            configuration.characterDevices = [
                CharacterDeviceConfiguration(
                    id: "serial0", kind: .file(path: "\(folder)/out", append: false, input: nil))
            ]
            configuration.serialPorts = ["serial0"]

            let (status, events) = try run(configuration)

            #expect(status == 0x2A << 1 | 1)
            #expect(events == [.resume, .reset(.guestReset), .shutdown(.guestShutdown)])
            #expect(try HostFile.contents("\(folder)/out") == Array("OKOK".utf8))
        }
    }

    @Test("Memory that KVM refuses in the middle of a run stops the machine, and monitors hear of it")
    func refusedMemory() throws {
        do throws(KVMError) { _ = try KVMDevice() } catch {
            print("Skipped: \(error)")
            return
        }
        // A multiboot header, and a jump to itself.
        let spin = Array(Self.kernel.prefix(32)) + [0xEB, 0xFE] + [UInt8](repeating: 0, count: 4096 - 34)
        try Samples.withFolder(["kernel": spin]) { folder in
            var configuration = Samples.configuration(.pc)
            configuration.accelerators = [AcceleratorConfiguration(kind: .kvm)]
            configuration.boot.kernel = "\(folder)/kernel"
            let memory = Mutex<AddressSpace?>(nil)
            let loop = try EventLoop()
            let machine = try VirtualMachine(configuration, loop: loop) { request throws(MachineBuildError) in
                memory.withLock { $0 = request.memory }
                return try EngineChoice().make(request)
            }
            let log = Log()
            _ = machine.subscribe { event in
                log.events.withLock { $0.append(event.kind) }
                if event.kind == .stop { loop.stop() }
            }
            let limit = loop.makeTimer { loop.stop() }
            limit.arm(after: 120_000_000_000)
            let block = try RAMBlock(name: "far", size: 0x1000)
            let adder = loop.makeTimer {
                // Beyond what any processor addresses.
                _ = memory.withLock { $0 }?.add(
                    FlatView.Range(start: GuestPhysical(1 << 58), count: 0x1000, block: block))
            }
            adder.arm(after: 50_000_000)
            try machine.start()
            loop.run()
            #expect(log.events.withLock { $0 } == [.resume, .stop])
            #expect(machine.runState == .internalError)
            machine.close()
        }
    }

    /// A multiboot kernel: counts five ticks of the PIT by the PIC and five by the IOAPIC, says OK, and resets the
    /// machine; the second time it ends it with status 2AH. Its handlers return by POPF and RET, for a KVM that
    /// emulates ring 0 does not know IRET in 32-bit mode.
    static let kernel: [UInt8] = [
        0x02, 0xB0, 0xAD, 0x1B, 0x00, 0x00, 0x01, 0x00, 0xFE, 0x4F, 0x51, 0xE4,
        0x00, 0x00, 0x10, 0x00, 0x00, 0x00, 0x10, 0x00, 0x00, 0x10, 0x10, 0x00,
        0x00, 0x10, 0x10, 0x00, 0x20, 0x00, 0x10, 0x00,
        0xBC, 0x00, 0x00, 0x09, 0x00,  // mov esp,0x90000
        0xB8, 0x0E, 0x01, 0x10, 0x00,  // mov eax,offset tick
        0xBF, 0x00, 0x01, 0x20, 0x00,  // mov edi,offset idt + 0x100
        0xE8, 0xC2, 0x00, 0x00, 0x00,  // call gate
        0xB8, 0x28, 0x01, 0x10, 0x00,  // mov eax,offset tick2
        0xBF, 0x80, 0x01, 0x20, 0x00,  // mov edi,offset idt + 0x180
        0xE8, 0xB3, 0x00, 0x00, 0x00,  // call gate
        0x0F, 0x01, 0x1D, 0x42, 0x01, 0x10, 0x00,  // lidt [table]
        0xB0, 0x11,  // mov al,0x11
        0xE6, 0x20,  // out 0x20,al
        0xE6, 0xA0,  // out 0xa0,al
        0xB0, 0x20,  // mov al,0x20
        0xE6, 0x21,  // out 0x21,al
        0xB0, 0x28,  // mov al,0x28
        0xE6, 0xA1,  // out 0xa1,al
        0xB0, 0x04,  // mov al,4
        0xE6, 0x21,  // out 0x21,al
        0xB0, 0x02,  // mov al,2
        0xE6, 0xA1,  // out 0xa1,al
        0xB0, 0x01,  // mov al,1
        0xE6, 0x21,  // out 0x21,al
        0xE6, 0xA1,  // out 0xa1,al
        0xB0, 0xFF,  // mov al,0xff
        0xE6, 0xA1,  // out 0xa1,al
        0xB0, 0xFE,  // mov al,0xfe
        0xE6, 0x21,  // out 0x21,al
        0xB0, 0x34,  // mov al,0x34
        0xE6, 0x43,  // out 0x43,al
        0xB0, 0xA9,  // mov al,0xa9
        0xE6, 0x40,  // out 0x40,al
        0xB0, 0x04,  // mov al,4
        0xE6, 0x40,  // out 0x40,al
        0xFB,  // sti
        0xF4,  // hlt
        0x83, 0x3D, 0x3A, 0x01, 0x10, 0x00, 0x05,  // cmp dword ptr [ticks],5
        0x72, 0xF6,  // jb w1
        0xFA,  // cli
        0xB0, 0xFF,  // mov al,0xff
        0xE6, 0x21,  // out 0x21,al
        0xBB, 0x00, 0x00, 0xE0, 0xFE,  // mov ebx,0xfee00000
        0xC7, 0x83, 0xF0, 0x00, 0x00, 0x00, 0xFF, 0x01, 0x00, 0x00,  // mov dword ptr [ebx+0xf0],0x1ff
        0xBA, 0x00, 0x00, 0xC0, 0xFE,  // mov edx,0xfec00000
        0xC7, 0x02, 0x15, 0x00, 0x00, 0x00,  // mov dword ptr [edx],0x15
        0xC7, 0x42, 0x10, 0x00, 0x00, 0x00, 0x00,  // mov dword ptr [edx+0x10],0
        0xC7, 0x02, 0x14, 0x00, 0x00, 0x00,  // mov dword ptr [edx],0x14
        0xC7, 0x42, 0x10, 0x30, 0x00, 0x00, 0x00,  // mov dword ptr [edx+0x10],0x30
        0xFB,  // sti
        0xF4,  // hlt
        0x83, 0x3D, 0x3E, 0x01, 0x10, 0x00, 0x05,  // cmp dword ptr [ticks2],5
        0x72, 0xF6,  // jb w2
        0xFA,  // cli
        0x66, 0xBA, 0xF8, 0x03,  // mov dx,0x3f8
        0xB0, 0x4F,  // mov al,0x4f
        0xEE,  // out dx,al
        0xB0, 0x4B,  // mov al,0x4b
        0xEE,  // out dx,al
        0x81, 0x3D, 0x00, 0x00, 0x30, 0x00, 0x34, 0x12, 0x00, 0x00,  // cmp dword ptr [0x300000],0x1234
        0x74, 0x13,  // je done
        0xC7, 0x05, 0x00, 0x00, 0x30, 0x00, 0x34, 0x12, 0x00, 0x00,  // mov dword ptr [0x300000],0x1234
        0x66, 0xBA, 0xF9, 0x0C,  // mov dx,0xcf9
        0xB0, 0x06,  // mov al,6
        0xEE,  // out dx,al
        0xEB, 0xFE,  // jmp hang
        0x66, 0xBA, 0x01, 0x05,  // mov dx,0x501
        0xB0, 0x2A,  // mov al,0x2a
        0xEE,  // out dx,al
        0xEB, 0xF5,  // jmp hang
        0x66, 0x89, 0x07,  // mov [edi],ax
        0x66, 0x8C, 0xC9,  // mov cx,cs
        0x66, 0x89, 0x4F, 0x02,  // mov [edi+2],cx
        0x66, 0xC7, 0x47, 0x04, 0x00, 0x8E,  // mov word ptr [edi+4],0x8e00
        0xC1, 0xE8, 0x10,  // shr eax,16
        0x66, 0x89, 0x47, 0x06,  // mov [edi+6],ax
        0xC3,  // ret
        0xFF, 0x05, 0x3A, 0x01, 0x10, 0x00,  // inc dword ptr [ticks]
        0xB0, 0x20,  // mov al,0x20
        0xE6, 0x20,  // out 0x20,al
        0x8B, 0x0C, 0x24,  // mov ecx,[esp]
        0x87, 0x4C, 0x24, 0x08,  // xchg ecx,[esp+8]
        0x89, 0x4C, 0x24, 0x04,  // mov [esp+4],ecx
        0x83, 0xC4, 0x04,  // add esp,4
        0x9D,  // popfd
        0xC3,  // ret
        0xFF, 0x05, 0x3E, 0x01, 0x10, 0x00,  // inc dword ptr [ticks2]
        0xC7, 0x83, 0xB0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,  // mov dword ptr [ebx+0xb0],0
        0xEB, 0xDE,  // jmp back
        0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00,
        0xFF, 0x07,
        0x00, 0x00, 0x20, 0x00,
    ]
}
