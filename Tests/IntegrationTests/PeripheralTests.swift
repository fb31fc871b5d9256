import Foundation
import TestSupport
import Testing

/// Debian's stock kernel with drivers that its cloud kernel lacks.
private enum Stock {
    static let folder = Repository.root.appendingPathComponent("guest/stock").path
    static var isThere: Bool {
        ["vmlinuz", "initramfs.cpio.gz"].allSatisfy { FileManager.default.fileExists(atPath: "\(folder)/\($0)") }
            && FileManager.default.fileExists(atPath: Repository.program)
    }
    static func machine(_ arguments: [String]) throws -> GuestMachine {
        let machine = try GuestMachine(
            ["-m", "512", "-nographic", "-kernel", "\(folder)/vmlinuz", "-initrd", "\(folder)/initramfs.cpio.gz"]
                + ["-append", "console=ttyS0"] + arguments)
        try machine.wait(for: "Type poweroff to end.")
        return machine
    }
    static func hasProgram(_ name: String) -> Bool { FileManager.default.isExecutableFile(atPath: "/usr/bin/\(name)") }
}

@Suite(.serialized, .enabled(if: Stock.isThere, "needs 'make guest/stock/initramfs.cpio.gz'"))
struct PeripheralTests {
    // MARK: Sound

    /// 16-bit samples of a WAV file, left ones.
    private static func left(_ path: String) throws -> [Int] {
        let data = try Data(contentsOf: URL(fileURLWithPath: path))
        return stride(from: 44, to: data.count - 3, by: 4).map {
            Int(Int16(bitPattern: UInt16(data[$0]) | UInt16(data[$0 + 1]) << 8))
        }
    }

    /// A guest plays a second of 441 Hz; the file holds it, by its amplitude and how often it crosses zero.
    @Test(
        .enabled(if: Stock.hasProgram("aplay"), "needs alsa-utils"),
        arguments: [
            ["-device", "intel-hda", "-device", "hda-duplex,audiodev=a"], ["-device", "AC97,audiodev=a"],
        ])
    func aGuestPlaysATone(_ devices: [String]) throws {
        let folder = try TemporaryFolder()
        let path = folder.path("tone.wav")
        let machine = try Stock.machine(["-nic", "none", "-audiodev", "wav,id=a,path=\(path)"] + devices)
        let cards = try machine.output(of: "cat /proc/asound/cards")
        #expect(cards.contains(devices[1] == "intel-hda" ? "HDA-Intel" : "ICH"), "\(cards)")
        _ = try machine.output(of: "amixer -q sset Master 100% unmute; amixer -q sset PCM 74% unmute 2>/dev/null")
        // A square of 8000, a period of 100 frames at 44.1 kHz.
        _ = try machine.output(
            of: "for i in $(seq 50); do printf '\\100\\037'; done >/up; for i in $(seq 50); do printf '\\300\\340'; done"
                + " >/down; for i in $(seq 441); do cat /up /down; done >/tone; wc -c </tone")
        #expect(try machine.output(of: "aplay -q -t raw -f S16_LE -r 44100 -c 1 /tone; echo status $?") == "status 0")
        try machine.type("poweroff")
        #expect(try machine.status() == 0)

        let samples = try Self.left(path)
        let loud = samples.filter { abs($0) > 4000 }
        // All of the second, less what a driver lets go at its ends, and no more.
        #expect((40_000...46_000).contains(loud.count), "\(loud.count) of \(samples.count)")
        let signs = loud.map { $0 > 0 }
        let crossings = zip(signs, signs.dropFirst()).count { $0 != $1 }
        #expect((840...900).contains(crossings), "\(crossings)")
    }

    // MARK: Watchdogs

    @Test(arguments: [
        ("i6300esb", ["-device", "i6300esb"]), ("ib700wdt", ["-device", "ib700"]), ("iTCO_wdt", ["-M", "q35"]),
    ])
    func watchdogsFire(_ module: String, _ arguments: [String]) throws {
        let folder = try TemporaryFolder()
        let socket = folder.path("qmp")
        let machine = try Stock.machine(
            arguments + ["-nic", "none", "-action", "watchdog=pause", "-qmp", "unix:\(socket),server=on,wait=off"])
        let monitor = try MonitorClient(path: socket)
        _ = try machine.output(of: "modprobe \(module); ls /dev/watchdog0")
        let identity = try machine.output(of: "cat /sys/class/watchdog/watchdog0/identity 2>/dev/null || dmesg | tail")
        // The shortest time that each takes; the file stays open and nobody writes to it again.
        try machine.type("watchdog -T 4 -t 600 -F /dev/watchdog0 & sleep 1; echo sta''rted")
        try machine.wait(for: "started")
        let event = try monitor.wait(forEvent: "WATCHDOG", seconds: 120)
        let data = try #require(event["data"] as? [String: Any], "\(identity)")
        #expect(data["action"] as? String == "pause")
        let status = try #require(try monitor.execute("query-status") as? [String: Any])
        #expect(status["status"] as? String == "watchdog")
        try monitor.execute("quit")
        #expect(try machine.status() == 0)
    }

    // MARK: Network cards

    @Test(arguments: [("e1000e", "e1000e"), ("rtl8139", "8139cp"), ("pcnet", "pcnet32")])
    func cardsGetAnAddress(_ model: String, _ driver: String) throws {
        let payload = Data((0..<(1 << 20)).map { _ in UInt8.random(in: 0...255) })
        let folder = try TemporaryFolder()
        try payload.write(to: URL(fileURLWithPath: folder.path("payload")))
        let sum = String(try runOnHost("sha256sum", folder.path("payload")).output.prefix(64))
        let server = try HostWebServer(["/payload": payload])
        let machine = try Stock.machine(["-nic", "user,model=\(model)"])
        let address = try machine.output(
            of: "for i in $(seq 600); do ip -4 -o addr show scope global | grep . && break; sleep 0.1; done")
        #expect(address.contains("inet 10.0.2.15/24"), "\(address)")
        let name = try machine.output(of: "basename $(readlink /sys/class/net/eth0/device/driver)")
        #expect(name == driver)
        let fetched = try machine.output(of: "wget -qO - http://10.0.2.2:\(server.port)/payload | sha256sum")
        #expect(fetched == "\(sum)  -")
        #expect(try machine.output(of: "dmesg | grep -E 'Oops|BUG:|NETDEV WATCHDOG|Hang'") == "")
        try machine.type("poweroff")
        #expect(try machine.status() == 0)
    }

    // MARK: Diskettes and printers

    @Test func disketteDrivesAndParallelPorts() throws {
        let folder = try TemporaryFolder()
        let bytes = (0..<1_474_560).map { UInt8(truncatingIfNeeded: $0 / 512 &* 31 ^ $0) }
        let first = try folder.file("first.img", bytes)
        let second = try folder.file("second.img", [UInt8](repeating: 0x42, count: 1_474_560))
        let (socket, paper) = (folder.path("qmp"), folder.path("paper"))
        let machine = try Stock.machine([
            "-nic", "none", "-fda", first, "-parallel", "file:\(paper)", "-qmp", "unix:\(socket),server=on,wait=off",
        ])
        let monitor = try MonitorClient(path: socket)
        _ = try machine.output(of: "modprobe floppy; modprobe parport_pc; modprobe lp; sleep 1")
        let sum = String(try runOnHost("sha256sum", first).output.prefix(64))
        #expect(try machine.output(of: "sha256sum </dev/fd0") == "\(sum)  -")
        _ = try machine.output(of: "head -c 20000 /dev/zero | tr '\\0' Z | dd of=/dev/fd0 bs=512 seek=100 conv=fsync")
        try monitor.execute("blockdev-change-medium", ["device": "floppy0", "filename": second, "format": "raw"])
        #expect(try machine.output(of: "tr -d B </dev/fd0 | wc -c; wc -c </dev/fd0") == "0\n1474560")
        try monitor.execute("eject", ["device": "floppy0", "force": true])
        #expect(try machine.output(of: "head -c 512 /dev/fd0 >/dev/null 2>&1; echo $?") != "0")
        _ = try machine.output(of: "seq 1000 >/dev/lp0")
        try machine.type("poweroff")
        #expect(try machine.status() == 0)

        let written = try [UInt8](Data(contentsOf: URL(fileURLWithPath: first)))
        #expect(written[..<51_200] == bytes[..<51_200] && written[71_200...] == bytes[71_200...])
        #expect(written[51_200..<71_200].allSatisfy { $0 == 0x5A })
        let printed = try String(contentsOf: URL(fileURLWithPath: paper), encoding: .utf8)
        #expect(printed == (1...1000).map { "\($0)\n" }.joined())
    }

    // MARK: TPM

    @Test(.enabled(if: Stock.hasProgram("swtpm"), "needs swtpm"), arguments: ["tpm-tis", "tpm-crb"])
    func tpms(_ model: String) throws {
        let folder = try TemporaryFolder()
        let control = folder.path("swtpm")
        let emulator = Process()
        emulator.executableURL = URL(fileURLWithPath: "/usr/bin/swtpm")
        emulator.arguments = [
            "socket", "--tpm2", "--tpmstate", "dir=\(folder.path)", "--ctrl", "type=unixio,path=\(control)",
        ]
        try emulator.run()
        defer { if emulator.isRunning { emulator.terminate() } }
        let end = Date().addingTimeInterval(60)
        while !FileManager.default.fileExists(atPath: control), Date() < end { Thread.sleep(forTimeInterval: 0.02) }
        let machine = try Stock.machine([
            "-nic", "none", "-chardev", "socket,id=c,path=\(control)", "-tpmdev", "emulator,id=t,chardev=c",
            "-device", "\(model),tpmdev=t",
        ])
        _ = try machine.output(of: "modprobe \(model == "tpm-tis" ? "tpm_tis" : "tpm_crb"); ls /dev/tpm0")
        #expect(try machine.output(of: "cat /sys/class/tpm/tpm0/tpm_version_major") == "2")
        #expect(try machine.output(of: "ls /sys/firmware/acpi/tables/TPM2") == "/sys/firmware/acpi/tables/TPM2")
        // TPM2_GetRandom of 16 bytes: a response of 28 bytes without an error, and not the same twice.
        let ask =
            "printf '\\200\\1\\0\\0\\0\\14\\0\\0\\1\\173\\0\\20' >/q; exec 3<>/dev/tpm0; cat /q >&3; head -c 28 <&3 | "
            + "hexdump -ve '1/1 \"%02x\"'; exec 3<&-"
        let answers = try (0..<2).map { _ in try machine.output(of: ask) }
        #expect(answers.allSatisfy { $0.hasPrefix("80010000001c000000000010") && $0.count == 56 }, "\(answers)")
        #expect(answers[0] != answers[1])
        try machine.type("poweroff")
        #expect(try machine.status() == 0)
    }
}
