import Firmware
import GuestMemory
import Testing

/// The newest installed kernel, or the one in a downloaded package; nil where there is neither.
private func debianKernel() -> [UInt8]? {
    if let path = HostFiles.matches("/boot/vmlinuz-*").last, let bytes = HostFiles.read(path) { return bytes }
    guard let package = HostFiles.matches("/tmp/linux-image-*.deb").last,
        let directory = HostFiles.temporaryDirectory()
    else { return nil }
    defer { _ = HostFiles.run("rm -rf '\(directory)'") }
    guard HostFiles.run("dpkg-deb -x '\(package)' '\(directory)' 2>/dev/null") == 0,
        let path = HostFiles.matches(directory + "/boot/vmlinuz-*").last
    else { return nil }
    return HostFiles.read(path)
}

@Test(.enabled(if: !(HostFiles.matches("/boot/vmlinuz-*") + HostFiles.matches("/tmp/linux-image-*.deb")).isEmpty))
func debiansKernelLoads() throws {
    let image = try #require(debianKernel())
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
