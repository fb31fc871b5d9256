/// All devices of a domain, by kind, each kind in the order of the document.
public struct Devices: XMLMappable {
    /// The program that runs the machine.
    public var emulator: String?
    public var disks: [Disk] = []
    public var controllers: [Controller] = []
    public var leases: [Lease] = []
    public var filesystems: [FileSystem] = []
    public var interfaces: [NetworkInterface] = []
    public var smartcards: [SmartCard] = []
    public var serials: [SerialPort] = []
    public var parallels: [ParallelPort] = []
    public var consoles: [Console] = []
    public var channels: [Channel] = []
    public var inputs: [Input] = []
    public var tpms: [TPM] = []
    public var graphics: [Graphics] = []
    public var sounds: [Sound] = []
    public var audios: [Audio] = []
    public var videos: [Video] = []
    public var hostdevs: [HostDevice] = []
    public var redirdevs: [RedirectedDevice] = []
    public var redirectionFilter: RedirectionFilter?
    public var hubs: [Hub] = []
    public var watchdogs: [Watchdog] = []
    public var memballoon: MemoryBalloon?
    public var rngs: [RandomGenerator] = []
    public var nvram: NVRAMDevice?
    public var panics: [PanicDevice] = []
    public var sharedMemories: [SharedMemory] = []
    public var memories: [MemoryDevice] = []
    public var cryptos: [CryptoDevice] = []
    public var iommu: IOMMU?
    public var vsock: VSock?
    public init() {}

    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.element("emulator", &emulator)
        try m.children("disk", &disks)
        try m.children("controller", &controllers)
        try m.children("lease", &leases)
        try m.children("filesystem", &filesystems)
        try m.children("interface", &interfaces)
        try m.children("smartcard", &smartcards)
        try m.children("serial", &serials)
        try m.children("parallel", &parallels)
        try m.children("console", &consoles)
        try m.children("channel", &channels)
        try m.children("input", &inputs)
        try m.children("tpm", &tpms)
        try m.children("graphics", &graphics)
        try m.children("sound", &sounds)
        try m.children("audio", &audios)
        try m.children("video", &videos)
        try m.children("hostdev", &hostdevs)
        try m.children("redirdev", &redirdevs)
        try m.child("redirfilter", &redirectionFilter)
        try m.children("hub", &hubs)
        try m.children("watchdog", &watchdogs)
        try m.child("memballoon", &memballoon)
        try m.children("rng", &rngs)
        try m.child("nvram", &nvram)
        try m.children("panic", &panics)
        try m.children("shmem", &sharedMemories)
        try m.children("memory", &memories)
        try m.children("crypto", &cryptos)
        try m.child("iommu", &iommu)
        try m.child("vsock", &vsock)
    }
}
