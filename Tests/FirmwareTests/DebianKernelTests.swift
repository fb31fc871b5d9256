import Firmware
import GuestMemory
import Testing

/// The guest's kernel as `make guest` fetches it.
private let guestKernel =
    "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/") + "/guest/vmlinuz"

@Test(.enabled(if: HostFiles.read(guestKernel) != nil, "needs 'make guest'"))
func debiansKernelLoads() throws {
    let image = try #require(HostFiles.read(guestKernel))
    let guest = try TestGuest(ram: 128 << 20)
    var boot = BootRequest(kernel: ByteImage(name: "vmlinuz", bytes: image), memory: guest.map)
    boot.commandLine = "console=ttyS0"
    boot.modules = [BootModule(source: ByteImage(name: "initrd", bytes: [UInt8](repeating: 3, count: 4 << 20)))]

    let state = try KernelLoader.load(boot, into: guest.memory)

    #expect(state.mode == .long64)
    #expect(state.kernel.lowerBound == 0x100_0000)
    #expect(state.entry == 0x100_0200)
    #expect(state.initrd.lowerBound >= state.kernel.upperBound)
    let setup = (Int(image[0x1F1]) + 1) * 512
    #expect(try guest.bytes(0x100_0000, 1 << 20) == Array(image[setup..<(setup + 1 << 20)]))

    boot.memory = PCMemory.pc(ram: 16 << 20).map
    #expect(throws: LoadError.self) { try KernelLoader.load(boot, into: guest.memory) }
    boot.memory = guest.map
    boot.kernel = ByteImage(name: "vmlinuz", bytes: Array(image.prefix(image.count / 2)))
    #expect(throws: LoadError.self) { try KernelLoader.load(boot, into: guest.memory) }
}
