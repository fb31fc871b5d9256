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
    static let arguments = [
        "-m", "512", "-nographic", "-kernel", "\(folder)/vmlinuz", "-initrd", "\(folder)/initramfs.cpio.gz",
        "-append", "console=ttyS0",
    ]
    static func machine(_ arguments: [String]) throws -> GuestMachine {
        let machine = try GuestMachine(self.arguments + arguments)
        try machine.wait(for: "Type poweroff to end.")
        return machine
    }
    static func hasProgram(_ name: String) -> Bool { FileManager.default.isExecutableFile(atPath: "/usr/bin/\(name)") }
}

@Suite(.serialized, .enabled(if: Stock.isThere, "needs 'make guest/stock/initramfs.cpio.gz'"))
struct PeripheralTests {
    /// 16-bit samples of a WAV file, left ones.
    private static func left(_ path: String) throws -> [Int] {
        let data = try Data(contentsOf: URL(fileURLWithPath: path))
        return stride(from: 44, to: data.count - 3, by: 4).map {
            Int(Int16(bitPattern: UInt16(data[$0]) | UInt16(data[$0 + 1]) << 8))
        }
    }

    /// A guest plays a second of 441 Hz on each card; the files hold it, by amplitude and how often it crosses zero.
    @Test(.enabled(if: Stock.hasProgram("aplay"), "needs alsa-utils"))
    func aGuestPlaysATone() throws {
        let folder = try TemporaryFolder()
        let machine = try Stock.machine(
            ["-nic", "none", "-audiodev", "wav,id=a,path=\(folder.path("HDA"))"]
                + ["-audiodev", "wav,id=b,path=\(folder.path("ICH"))", "-device", "intel-hda"]
                + ["-device", "hda-duplex,audiodev=a", "-device", "AC97,audiodev=b"])
        // A square of 8000, a period of 100 frames at 44.1 kHz.
        _ = try machine.output(
            of:
                "for i in $(seq 50); do printf '\\100\\037'; done >/up; for i in $(seq 50); do printf '\\300\\340'; done"
                + " >/down; for i in $(seq 441); do cat /up /down; done >/tone")
        for card in ["HDA", "ICH"] {
            let number = try machine.output(of: "sed -n 's/^ *\\([0-9]\\) .*: \(card).*/\\1/p' /proc/asound/cards")
            let played = try machine.output(
                of: "amixer -q -c \(number) sset Master 100% unmute; amixer -q -c \(number) sset PCM 74% unmute 2>&-;"
                    + " aplay -q -D plughw:\(number) -t raw -f S16_LE -r 44100 -c 1 /tone; echo status $?")
            #expect(played == "status 0")
        }
        try machine.type("poweroff")
        #expect(try machine.status() == 0)
        for card in ["HDA", "ICH"] {
            let samples = try Self.left(folder.path(card))
            let loud = samples.filter { abs($0) > 4000 }
            // All of the second, less what a driver lets go at its ends, and little more.
            #expect((40_000...50_000).contains(loud.count), "\(card): \(loud.count) of \(samples.count)")
            #expect(samples.allSatisfy { abs($0) <= 8200 })
            let signs = loud.map { $0 > 0 }
            let crossings = zip(signs, signs.dropFirst()).count { $0 != $1 }
            #expect((840...940).contains(crossings), "\(card): \(crossings)")
        }
    }

    @Test(.enabled(if: Stock.hasProgram("swtpm"), "needs swtpm"))
    func watchdogsFireAndATPMAnswersOnQ35() throws {
        let folder = try TemporaryFolder()
        let (socket, tpm) = (folder.path("qmp"), try SoftwareTPM(folder))
        let machine = try Stock.machine(
            [
                "-M", "q35", "-device", "intel-iommu,dma-translation=off", "-device", "i6300esb", "-device", "ib700",
                "-nic", "none", "-action", "watchdog=none",
            ]
                + ["-qmp", "unix:\(socket),server=on,wait=off"] + tpm.arguments("tpm-crb"))
        let monitor = try MonitorClient(path: socket)
        // The kernel finds the unit, and leaves it alone.
        let unit = try machine.output(of: "dmesg | grep DMAR:")
        #expect(unit.contains("DRHD base: 0x000000fed90000"), "\(unit)")
        #expect(unit.contains("Not attempting DMA translation"), "\(unit)")
        try SoftwareTPM.check(machine, module: "tpm_crb")
        _ = try machine.output(of: "rmmod iTCO_wdt; rmmod i6300esb")
        for module in ["ib700wdt", "i6300esb", "iTCO_wdt"] {
            let log = try machine.output(of: "modprobe \(module); dmesg | tail -n 4")
            // A short time; the file stays open and nobody writes to it again.
            _ = try machine.output(of: "watchdog -T 4 -t 600 /dev/watchdog")
            let event = try monitor.wait(forEvent: "WATCHDOG", seconds: 120)
            #expect(event["action"] as? String == "none", "\(log)")
            if module != "iTCO_wdt" { _ = try machine.output(of: "killall -9 watchdog; sleep 1; rmmod \(module)") }
        }
        let status = try #require(try monitor.execute("query-status") as? [String: Any])
        #expect(status["status"] as? String == "running")
        try monitor.execute("quit")
        #expect(try machine.status() == 0)
    }

    @Test func cardsGetAnAddress() throws {
        let payload = Data((0..<(1 << 20)).map { _ in UInt8.random(in: 0...255) })
        let folder = try TemporaryFolder()
        try payload.write(to: URL(fileURLWithPath: folder.path("payload")))
        let sum = String(try runOnHost("sha256sum", folder.path("payload")).output.prefix(64))
        let server = try HostWebServer(["/payload": payload])
        let cards = [("e1000e", "e1000e"), ("rtl8139", "8139cp"), ("pcnet", "pcnet32")]
        let machine = try Stock.machine(
            cards.enumerated().flatMap { ["-nic", "user,model=\($1.0),net=10.0.\($0 + 3).0/24"] })
        // A word of the kernel's amid an answer would be taken for a part of it.
        _ = try machine.shell("dmesg -n 1")
        for (index, (_, driver)) in cards.enumerated() {
            let prefix = "10.0.\(index + 3)"
            let name = try machine.output(
                of: "for i in $(seq 600); do ip -4 -o addr | sed -n 's/.* \\(eth[0-9]\\)  *inet \(prefix).15.*/\\1/p'"
                    + " | grep . && break; sleep 0.1; done")
            #expect(name.hasPrefix("eth"), "\(driver)")
            #expect(try machine.output(of: "basename $(readlink /sys/class/net/\(name)/device/driver)") == driver)
            let fetched = try machine.output(of: "wget -qO - http://\(prefix).2:\(server.port)/payload | sha256sum")
            #expect(fetched == "\(sum)  -", "\(driver)")
        }
        #expect(try machine.output(of: "dmesg | grep -E 'Oops|BUG:|NETDEV WATCHDOG|Detected Hardware'") == "")
        try machine.type("poweroff")
        #expect(try machine.status() == 0)
    }

    /// All of them at work, half in one process and half in another that takes its state.
    @Test(.enabled(if: Stock.hasProgram("swtpm"), "needs swtpm"))
    func diskettesPrintersAndATPMOnPC() throws {
        let folder = try TemporaryFolder()
        let bytes = (0..<1_474_560).map { UInt8(truncatingIfNeeded: $0 / 512 &* 31 ^ $0) }
        let first = try folder.file("first.img", bytes)
        let second = try folder.file("second.img", [UInt8](repeating: 0x42, count: 1_474_560))
        let (socket, paper, state) = (folder.path("qmp"), folder.path("paper"), folder.path("state"))
        func arguments(_ tpm: SoftwareTPM) -> [String] {
            ["-nic", "none", "-fda", first, "-parallel", "file:\(paper)", "-qmp", "unix:\(socket),server=on,wait=off"]
                + tpm.arguments("tpm-tis")
        }
        let firstTPM = try SoftwareTPM(folder)
        var machine = try Stock.machine(arguments(firstTPM))
        var monitor = try MonitorClient(path: socket)
        try SoftwareTPM.check(machine, module: "tpm_tis")
        try SoftwareTPM.prepare(machine)
        let register = try SoftwareTPM.extend(machine)
        #expect(register.count == 64 && register != String(repeating: "0", count: 64))
        _ = try machine.output(
            of: "modprobe -a floppy parport_pc lp; for i in $(seq 300); do [ -e /dev/fd0 -a -e /dev/lp0 ] && break;"
                + " sleep 0.1; done")
        // The first sectors and some in the middle: all of a diskette takes a real one's while.
        let read = try machine.output(of: "dd if=/dev/fd0 bs=512 count=200 2>&- | sha256sum")
        let part = try folder.file("part", Array(bytes[..<102_400]))
        #expect(read == "\(try runOnHost("sha256sum", part).output.prefix(64))  -")
        _ = try machine.output(of: "seq 500 >/dev/lp0")
        let printed = try String(contentsOf: URL(fileURLWithPath: paper), encoding: .utf8)
        #expect(printed == (1...500).map { "\($0)\n" }.joined())

        try monitor.execute("migrate", ["uri": "file:\(state)"])
        let end = Date().addingTimeInterval(120)
        var status = ""
        while status != "completed", status != "failed", Date() < end {
            let reply = try monitor.execute("query-migrate") as? [String: Any]
            status = reply?["status"] as? String ?? ""
            Thread.sleep(forTimeInterval: 0.05)
        }
        #expect(status == "completed")
        try monitor.execute("quit")
        #expect(try machine.status() == 0)
        let other = try TemporaryFolder()
        let secondTPM = try SoftwareTPM(other)
        machine = try GuestMachine(
            Stock.arguments + arguments(secondTPM) + ["-incoming", "file:\(state)"])
        monitor = try MonitorClient(path: socket)
        #expect(try SoftwareTPM.register(machine) == register)
        _ = try machine.output(of: "head -c 20000 /dev/zero | tr '\\0' Z | dd of=/dev/fd0 bs=512 seek=100 conv=fsync")
        try monitor.execute("blockdev-change-medium", ["device": "floppy0", "filename": second, "format": "raw"])
        #expect(try machine.output(of: "head -c 51200 /dev/fd0 | tr -d B | wc -c") == "0")
        try monitor.execute("eject", ["device": "floppy0", "force": true])
        #expect(try machine.output(of: "head -c 512 /dev/fd0 >/dev/null 2>&1; echo $?") != "0")
        _ = try machine.output(of: "seq 1000 >/dev/lp0")
        try machine.type("poweroff")
        #expect(try machine.status() == 0)

        let written = try [UInt8](Data(contentsOf: URL(fileURLWithPath: first)))
        #expect(written[..<51_200] == bytes[..<51_200] && written[71_200...] == bytes[71_200...])
        #expect(written[51_200..<71_200].allSatisfy { $0 == 0x5A })
        let more = try String(contentsOf: URL(fileURLWithPath: paper), encoding: .utf8)
        #expect(more == (1...1000).map { "\($0)\n" }.joined())
    }
}
