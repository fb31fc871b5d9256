import Foundation
import Testing

/// Debian's stock kernel with the project's initramfs: its drivers use the devices that the cloud kernel has none for.
enum StockKernel {
    static let kernel = Repository.root.appendingPathComponent("guest/stock/vmlinuz").path
    static let initramfs = Repository.root.appendingPathComponent("guest/stock/initramfs.cpio.gz").path
    static var isThere: Bool {
        [kernel, initramfs, Repository.program].allSatisfy { FileManager.default.fileExists(atPath: $0) }
    }

    /// A machine with a shell on its console and a monitor.
    static func boot(_ folder: TemporaryFolder, _ arguments: [String]) throws -> (GuestMachine, MonitorClient) {
        let machine = try GuestMachine(
            [
                "-m", "256", "-nodefaults", "-display", "none", "-serial", "stdio", "-kernel", kernel, "-initrd",
                initramfs,
            ]
                + ["-append", "console=ttyS0", "-qmp", "unix:\(folder.path("qmp")),server=on,wait=off"] + arguments)
        let monitor = try MonitorClient(path: folder.path("qmp"), seconds: 60)
        try machine.wait(for: "Type poweroff to end.", seconds: 300)
        try machine.type("exec env PS1= sh +m")
        // The kernel's own words stay out of what commands print. Nobody here loads what comes later.
        _ = try machine.output(of: "dmesg -n 1; modprobe -a sd_mod usb_storage usbhid hid_generic evdev")
        return (machine, monitor)
    }
}

/// USB controllers, and what is connected to them.
@Suite(.serialized, .enabled(if: StockKernel.isThere, "needs 'make guest/stock/initramfs.cpio.gz'"))
struct USBGuestTests {
    /// Waits in the guest until a command prints something.
    private func eventually(_ machine: GuestMachine, _ command: String) throws -> String {
        try machine.output(
            of: "for i in $(seq 120); do r=$(\(command)); [ -n \"$r\" ] && break; sleep 0.5; done; echo \"$r\"")
    }

    @Test(arguments: ["xhci", "ehci"])
    func devicesAreFoundAndUsed(_ kind: String) throws {
        let folder = try TemporaryFolder()
        let content = Data((0..<(2 << 20)).map { _ in UInt8.random(in: 0...255) })
        let disk = folder.path("stick.raw")
        try content.write(to: URL(fileURLWithPath: disk))
        var arguments = ["-M", "q35"]
        if kind == "xhci" {
            arguments += ["-device", "qemu-xhci,id=usb,p2=8,p3=8", "-device", "usb-hub,id=hub,bus=usb.0,port=3"]
        } else {
            arguments += ["-device", "ich9-usb-ehci1,id=usb,addr=1d.7,multifunction=on"]
            for number in 0..<3 {
                arguments += [
                    "-device",
                    "ich9-usb-uhci\(number + 1),masterbus=usb.0,firstport=\(number * 2),addr=1d.\(number),multifunction=on",
                ]
            }
            arguments += ["-device", "usb-hub,id=hub,bus=usb.0,port=3"]
        }
        arguments += [
            "-drive", "file=\(disk),if=none,id=stick,format=raw", "-device", "usb-storage,drive=stick,bus=usb.0",
            "-device", "usb-tablet,bus=usb.0",
        ]
        let (machine, monitor) = try StockKernel.boot(folder, arguments)
        #expect(try eventually(machine, "cat /sys/block/sda/size 2>/dev/null") == "4096")
        let sum = try runOnHost("sha256sum", disk).output.prefix(64)
        #expect(try machine.output(of: "sha256sum </dev/sda").hasPrefix(sum))
        // Of one USB 3, of the other USB 2.
        let speed = try machine.output(of: "cat /sys/block/sda/device/../../../../speed")
        #expect(speed == (kind == "xhci" ? "5000" : "480"))
        let written = try machine.output(
            of:
                "dd if=/dev/urandom of=/tmp/x bs=64k count=8 2>/dev/null; dd if=/tmp/x of=/dev/sda conv=fsync 2>/dev/null;"
                + " sha256sum </tmp/x")
        let head = try runOnHost("sh", "-c", "head -c 524288 '\(disk)' | sha256sum").output
        #expect(written.prefix(64) == head.prefix(64))

        // Behind the hub a keyboard comes, is typed at, and goes.
        #expect(try eventually(machine, "grep -l 'USB Hub' /sys/bus/usb/devices/*/product") != "")
        try monitor.execute("device_add", ["driver": "usb-kbd", "bus": "usb.0", "port": "3.2", "id": "keys"])
        let found = try eventually(
            machine, "grep -A5 'USB Keyboard' /proc/bus/input/devices | grep -o 'event[0-9]*' | head -1")
        #expect(found.hasPrefix("event"))
        try machine.type(
            "timeout 60 dd if=/dev/input/\(found) bs=24 count=3 2>/dev/null | hexdump -v -e '24/1 \"%02x\" \"\\n\"'; echo read''done"
        )
        while !machine.console.contains("readdone") {
            try monitor.execute("send-key", ["keys": [["type": "qcode", "data": "a"]]])
            Thread.sleep(forTimeInterval: 0.2)
        }
        // A key of Linux's number 30; what came first may be its going up.
        #expect(machine.console.contains("01001e00"))
        try monitor.execute("device_del", ["id": "keys"])
        try monitor.wait(forEvent: "DEVICE_DELETED", seconds: 60)
        #expect(try eventually(machine, "grep -q 'USB Keyboard' /proc/bus/input/devices || echo gone") == "gone")
        let log = try machine.output(
            of: "dmesg | grep -iE 'Oops|BUG:|WARNING:|I/O error|xhci.*(died|error)|not responding' | head -5")
        #expect(log == "")
        try machine.type("poweroff")
        #expect(try machine.status() == 0)
    }
}

/// The virtio GPU and input devices.
@Suite(
    .serialized, .enabled(if: StockKernel.isThere, "needs 'make guest/stock/initramfs.cpio.gz'"))
struct GraphicsGuestTests {
    @Test func theDriverShowsItsFramebuffer() throws {
        let folder = try TemporaryFolder()
        let (machine, monitor) = try StockKernel.boot(
            folder,
            [
                "-device", "virtio-gpu-pci,id=gpu,xres=800,yres=600", "-device", "virtio-keyboard-pci", "-device",
                "virtio-tablet-pci", "-device", "virtio-mouse-pci", "-vnc", "unix:\(folder.path("vnc"))",
            ])
        #expect(
            try machine.output(
                of: "cat /sys/class/graphics/fb0/virtual_size; cat /sys/class/drm/card0-Virtual-1/modes | head -1")
                == "800,600\n800x600")
        // Paints over all, of which the console's cursor may stay. Two rows at once: Linux 6.1 takes what ends at the
        // end of the row that it begins in for nothing.
        _ = try machine.output(
            of: "yes pqr | tr -d '\\n' | head -c 1920000 >/paint; dd if=/paint of=/dev/fb0 bs=6400 2>&-")
        func shot() throws -> Pixmap {
            try monitor.execute("screendump", ["filename": folder.path("screen.ppm")])
            return try #require(Pixmap(ppm: try Data(contentsOf: URL(fileURLWithPath: folder.path("screen.ppm")))))
        }
        let end = Date().addingTimeInterval(60)
        var picture = try shot()
        while picture.bytes.count(where: { $0 == 0 }) > 2000 || picture.bytes.last != 0x72, Date() < end {
            Thread.sleep(forTimeInterval: 0.1)
            picture = try shot()
        }
        #expect((picture.width, picture.height) == (800, 600))
        #expect(Array(picture.bytes.suffix(3)) == [0x71, 0x70, 0x72])
        // A viewer sees the same, and wants another size, of which the driver hears. Its console has modes up to the
        // size that it began with.
        let viewer = try RawViewer(path: folder.path("vnc"), encodings: [-308])
        try viewer.look()
        #expect((viewer.picture.width, viewer.picture.height) == (800, 600))
        // All but the cursor, which may blink in between: 8 times 16 pixels.
        #expect(zip(viewer.picture.bytes, picture.bytes).count { $0 != $1 } <= 8 * 16 * 3)
        try viewer.want(width: 720, height: 560)
        let mode = try machine.output(
            of:
                "for i in $(seq 120); do r=$(head -1 /sys/class/drm/card0-Virtual-1/modes); [ $r = 720x560 ] && break; sleep 0.5; done; echo $r"
        )
        #expect(mode == "720x560")

        // Keys and places arrive.
        let names = try machine.output(of: "grep -c 'QEMU Virtio' /proc/bus/input/devices")
        #expect(names == "3")
        let node = try machine.output(
            of: "grep -A5 'Virtio Tablet' /proc/bus/input/devices | grep -o 'event[0-9]*' | head -1")
        try machine.type(
            "timeout 60 dd if=/dev/input/\(node) bs=24 count=1 2>/dev/null | hexdump -v -e '24/1 \"%02x\" \"\\n\"'; echo read''done"
        )
        var x = 100
        #expect(try monitor.human("mouse_set 1") == "")
        while !machine.console.contains("readdone"), x < 30000 {
            x += 100
            try monitor.execute(
                "input-send-event", ["events": [["type": "abs", "data": ["axis": "x", "value": x]]]])
            Thread.sleep(forTimeInterval: 0.2)
        }
        #expect(machine.console.contains("03000000"))
        try machine.type("poweroff")
        #expect(try machine.status() == 0)
    }
}
