import Machine
import MachineControl
import Testing

/// Values of devices that fit their types and yet cannot be, as `-device` gives them.
private let wrongValues: [(device: String, words: String)] = [
    ("virtio-blk-pci,drive=d,queue-size=3", "invalid queue-size property (3), must be a power of 2 (max 1024)"),
    ("virtio-blk-pci,drive=d,queue-size=2048", "invalid queue-size property (2048), must be a power of 2 (max 1024)"),
    ("virtio-blk-pci,drive=d,queue-size=2", "invalid queue-size property (2), must be > 2"),
    ("virtio-blk-pci,drive=d,num-queues=0", "num-queues property must be larger than 0"),
    ("virtio-blk-pci,drive=d,num-queues=2000", "invalid num-queues property (2000), must be at most 1024"),
    (
        "virtio-blk-pci,drive=d,logical_block_size=3",
        "Property .logical_block_size doesn't take value 3 (minimum: 512, maximum: 2097152)"
    ),
    (
        "ide-hd,drive=d,physical_block_size=4M",
        "Property .physical_block_size doesn't take value 4194304 (minimum: 512, maximum: 2097152)"
    ),
    (
        "nvme,drive=d,serial=a,logical_block_size=1000",
        "Property .logical_block_size doesn't take value '1000', it's not a power of 2"
    ),
    (
        "virtio-blk-pci,drive=d,logical_block_size=4096,physical_block_size=512",
        "logical_block_size > physical_block_size not supported"
    ),
    ("virtio-blk-pci,drive=d,min_io_size=3", "min_io_size must be a multiple of logical_block_size"),
    ("virtio-blk-pci,drive=d,discard_granularity=3", "discard_granularity must be a multiple of logical_block_size"),
    ("virtio-blk-pci,drive=d,cyls=1,heads=300,secs=1", "heads must be between 1 and 255"),
    (
        "virtio-blk-pci,drive=d,max-discard-sectors=0",
        "invalid max-discard-sectors property (0), must be between 1 and 4194303"
    ),
    ("virtio-blk-pci,drive=d,scsi=on", "Please set scsi=off for virtio-blk devices in order to use virtio 1.0"),
    (
        "virtio-rng-pci,disable-legacy=on,disable-modern=on",
        "device cannot work as neither modern nor legacy mode is enabled; set either disable-modern or disable-legacy to off"
    ),
    ("virtio-rng-pci,period=0,max-bytes=100", "'period' parameter expects a positive integer"),
    (
        "virtio-net-pci,netdev=n,rx_queue_size=100",
        "Invalid rx_queue_size (= 100), must be a power of 2 between 256 and 1024."
    ),
    (
        "virtio-net-pci,netdev=n,tx_queue_size=2048",
        "Invalid tx_queue_size (= 2048), must be a power of 2 between 256 and 1024"
    ),
    ("virtio-net-pci,netdev=n,duplex=none", "'duplex' must be 'half' or 'full'"),
    ("virtio-scsi-pci,num_queues=0", "Invalid number of queues (= 0), must be a positive integer less than 1022."),
    ("virtio-scsi-pci,virtqueue_size=2", "invalid virtqueue_size property (= 2), must be > 2"),
    (
        "virtserialport,nr=0",
        "Port number 0 on virtio-serial devices reserved for virtconsole devices for backward compatibility."
    ),
    ("virtio-serial-pci,max_ports=0", "Maximum number of serial ports not specified"),
    ("pvpanic -device pvpanic", "duplicate fw_cfg file name: etc/pvpanic-port"),
    ("vmcoreinfo -device vmcoreinfo", "at most one vmcoreinfo device is permitted"),
    ("vmgenid -device vmgenid", "at most one vmgenid device is permitted"),
]

@Test(arguments: wrongValues)
func valuesThatCannotBeAreRefusedInQEMUsWords(device: String, words: String) {
    let text = failure("-drive if=none,id=d,file=/x,format=raw -netdev user,id=n -device \(device)")
    #expect(text.hasSuffix(": " + words) && text.hasPrefix("-device "), "\(text)")
}

@Test(arguments: [
    "virtio-blk-pci,drive=d,queue-size=1024,num-queues=65535", "virtio-blk-pci,drive=d,scsi=on,disable-modern=on",
    "virtio-blk-pci,drive=d,logical_block_size=4096,physical_block_size=4096,min_io_size=8192",
    "virtio-blk-pci,drive=d,logical_block_size=4096", "virtio-blk-pci,drive=d,cyls=16,heads=16,secs=63",
    "virtio-net-pci,netdev=n,rx_queue_size=256,tx_queue_size=1024,duplex=full,speed=1000",
    "virtio-rng-pci,max-bytes=0", "pvpanic -device vmcoreinfo -device vmgenid",
])
func valuesThatQEMUTakesAreTaken(device: String) {
    guard case .machine = request("-drive if=none,id=d,file=/x,format=raw -netdev user,id=n -device \(device)") else {
        Issue.record("\(device)")
        return
    }
}

@Test func globalsObeyTheSameRules() {
    let text = failure("-global virtio-rng-pci.period=0 -device virtio-rng-pci")
    #expect(text == "-device virtio-rng-pci: 'period' parameter expects a positive integer")
    guard case .machine = request("-global virtio-rng-pci.period=0") else {
        Issue.record("a default of a device that is not there")
        return
    }
}

private let wrongOptions: [(String, String)] = [
    ("-display none,foo=1", "-display none,foo=1: Parameter 'foo' is unexpected"),
    ("-display none,gl=on", "-display none,gl=on: OpenGL is not supported by the display"),
    ("-machine pc,nohpet", "-machine pc,nohpet: Expected '=' after parameter 'nohpet'"),
    (
        "-object memory-backend-file,id=m,size=1M,mem-path=/x,align=3",
        "-object memory-backend-file,id=m,size=1M,mem-path=/x,align=3: alignment 0x3 must be multiples of page size 0x1000"
    ),
    (
        "-object memory-backend-file,id=m,size=1M,mem-path=/x,align=12K",
        "-object memory-backend-file,id=m,size=1M,mem-path=/x,align=12K: alignment 0x3000 must be a power of two"
    ),
]

@Test(arguments: wrongOptions)
func optionsThatAreWrongInDetailAreRefused(line: String, expected: String) {
    #expect(failure(line) == expected)
}

@Test func whatQEMUPassesOverIsPassedOver() throws {
    #expect(try machine("-cpu qemu64,").processorModel == "qemu64,")
    #expect(try machine("-display none,full-screen=off,gl=off").display == .none)
    let card = try machine("-nic model=virtio-net-pci")
    #expect(card.nics.map(\.model) == ["virtio-net-pci"] && card.networks.map(\.kind) == [.user])
    guard case .machine(let configuration, let warnings) = request("-accel foo -accel tcg") else {
        Issue.record("no machine")
        return
    }
    #expect(configuration.accelerators.map(\.kind) == [.translator])
    #expect(
        warnings == [
            "qemu-system-x86_64: warning: -accel foo: invalid accelerator 'foo'; valid: tcg, translator, kvm, auto"
        ])
}

private let lonely: [(String, [String])] = [
    ("-netdev user,id=n", ["netdev n has no peer"]),
    ("-nodefaults -device e1000", ["nic e1000.0 has no peer"]),
    ("-device e1000", ["nic e1000.1 has no peer"]),
    ("-device virtio-net-pci,id=a -device virtio-net-pci", ["nic a has no peer", "nic virtio-net-pci.1 has no peer"]),
    ("-netdev user,id=n -device e1000,netdev=n", []),
    ("-nic user", []),
    ("-net nic", ["hub 0 is not connected to host network"]),
    ("-net user", ["hub 0 with no nics"]),
    ("-netdev user,id=n -netdev hubport,id=h,hubid=0,netdev=n", []),
]

@Test(arguments: lonely)
func lonelyNetworksAreTold(line: String, expected: [String]) {
    guard case .machine(_, let warnings) = request(line) else {
        Issue.record("\(request(line))")
        return
    }
    #expect(warnings == expected.map { "qemu-system-x86_64: warning: \($0)" })
}

@Test func longLinesStayWhole() {
    let names = (0..<100).map { "feature-\($0)" }.joined(separator: ",,")
    guard case .machine(_, let warnings) = request("-global \(names).a=1") else {
        Issue.record("no machine")
        return
    }
    #expect(warnings.first?.hasSuffix("feature-99'") == true)
}
