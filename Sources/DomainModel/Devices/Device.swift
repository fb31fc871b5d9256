/// One device, as a client attaches, detaches or changes it: the root of such a document is the device's own element.
public enum Device: Equatable, Sendable {
    case disk(Disk)
    case controller(Controller)
    case lease(Lease)
    case filesystem(FileSystem)
    case interface(NetworkInterface)
    case smartcard(SmartCard)
    case serial(SerialPort)
    case parallel(ParallelPort)
    case console(Console)
    case channel(Channel)
    case input(Input)
    case tpm(TPM)
    case graphics(Graphics)
    case sound(Sound)
    case audio(Audio)
    case video(Video)
    case hostdev(HostDevice)
    case redirdev(RedirectedDevice)
    case hub(Hub)
    case watchdog(Watchdog)
    case memballoon(MemoryBalloon)
    case rng(RandomGenerator)
    case nvram(NVRAMDevice)
    case panic(PanicDevice)
    case shmem(SharedMemory)
    case memory(MemoryDevice)
    case crypto(CryptoDevice)
    case iommu(IOMMU)
    case vsock(VSock)

    /// Reads the document of one device.
    ///
    /// - Throws: as `XMLDocument`; number 1 for an element that is no device.
    public init(xml: String, options: XMLOptions = []) throws(DefinitionError) {
        let tree = try XMLReader.parse(xml, document: "(device_definition)")
        let mapper = XMLMapper(reading: tree, options: options)
        switch tree.name {
        case "disk": self = .disk(try mapper.read(tree))
        case "controller": self = .controller(try mapper.read(tree))
        case "lease": self = .lease(try mapper.read(tree))
        case "filesystem": self = .filesystem(try mapper.read(tree))
        case "interface": self = .interface(try mapper.read(tree))
        case "smartcard": self = .smartcard(try mapper.read(tree))
        case "serial": self = .serial(try mapper.read(tree))
        case "parallel": self = .parallel(try mapper.read(tree))
        case "console": self = .console(try mapper.read(tree))
        case "channel": self = .channel(try mapper.read(tree))
        case "input": self = .input(try mapper.read(tree))
        case "tpm": self = .tpm(try mapper.read(tree))
        case "graphics": self = .graphics(try mapper.read(tree))
        case "sound": self = .sound(try mapper.read(tree))
        case "audio": self = .audio(try mapper.read(tree))
        case "video": self = .video(try mapper.read(tree))
        case "hostdev": self = .hostdev(try mapper.read(tree))
        case "redirdev": self = .redirdev(try mapper.read(tree))
        case "hub": self = .hub(try mapper.read(tree))
        case "watchdog": self = .watchdog(try mapper.read(tree))
        case "memballoon": self = .memballoon(try mapper.read(tree))
        case "rng": self = .rng(try mapper.read(tree))
        case "nvram": self = .nvram(try mapper.read(tree))
        case "panic": self = .panic(try mapper.read(tree))
        case "shmem": self = .shmem(try mapper.read(tree))
        case "memory": self = .memory(try mapper.read(tree))
        case "crypto": self = .crypto(try mapper.read(tree))
        case "iommu": self = .iommu(try mapper.read(tree))
        case "vsock": self = .vsock(try mapper.read(tree))
        default:
            throw DefinitionError(
                .internalError, "internal error: unknown device type '\(tree.name)'", line: tree.line)
        }
    }

    /// The device's document.
    public func xml(options: XMLOptions = []) -> String {
        var m = XMLMapper(writing: kind, options: options)
        switch self {
        case .disk(var value): m.write(&value)
        case .controller(var value): m.write(&value)
        case .lease(var value): m.write(&value)
        case .filesystem(var value): m.write(&value)
        case .interface(var value): m.write(&value)
        case .smartcard(var value): m.write(&value)
        case .serial(var value): m.write(&value)
        case .parallel(var value): m.write(&value)
        case .console(var value): m.write(&value)
        case .channel(var value): m.write(&value)
        case .input(var value): m.write(&value)
        case .tpm(var value): m.write(&value)
        case .graphics(var value): m.write(&value)
        case .sound(var value): m.write(&value)
        case .audio(var value): m.write(&value)
        case .video(var value): m.write(&value)
        case .hostdev(var value): m.write(&value)
        case .redirdev(var value): m.write(&value)
        case .hub(var value): m.write(&value)
        case .watchdog(var value): m.write(&value)
        case .memballoon(var value): m.write(&value)
        case .rng(var value): m.write(&value)
        case .nvram(var value): m.write(&value)
        case .panic(var value): m.write(&value)
        case .shmem(var value): m.write(&value)
        case .memory(var value): m.write(&value)
        case .crypto(var value): m.write(&value)
        case .iommu(var value): m.write(&value)
        case .vsock(var value): m.write(&value)
        }
        return XMLWriter.write(m.tree)
    }

    /// The name of the device's element.
    public var kind: String {
        switch self {
        case .disk: "disk"
        case .controller: "controller"
        case .lease: "lease"
        case .filesystem: "filesystem"
        case .interface: "interface"
        case .smartcard: "smartcard"
        case .serial: "serial"
        case .parallel: "parallel"
        case .console: "console"
        case .channel: "channel"
        case .input: "input"
        case .tpm: "tpm"
        case .graphics: "graphics"
        case .sound: "sound"
        case .audio: "audio"
        case .video: "video"
        case .hostdev: "hostdev"
        case .redirdev: "redirdev"
        case .hub: "hub"
        case .watchdog: "watchdog"
        case .memballoon: "memballoon"
        case .rng: "rng"
        case .nvram: "nvram"
        case .panic: "panic"
        case .shmem: "shmem"
        case .memory: "memory"
        case .crypto: "crypto"
        case .iommu: "iommu"
        case .vsock: "vsock"
        }
    }
}
