import BlockImage
import CLinux
import TestSupport
import Testing

/// Images that are made where there is no new file: in exports of an NBD server, on block devices. What was there before
/// must not show.
@Suite(.enabled(if: Tool.isThere && Tool.isBuilt, "qemu-utils is not installed, or apus-img not built"))
struct NewPlaceTests {
    private static let garbage = [UInt8](repeating: 0xa5, count: 24 << 20)

    @Test(arguments: ["raw", "qcow2", "vdi", "vpc"])
    func imagesAreMadeInExports(_ format: String) throws {
        let folder = try Folder()
        folder.write("disk.raw", mixedBytes(3 << 20, seed: 31))
        folder.write("place", Self.garbage)
        let server = try Server(["/usr/bin/qemu-nbd"], folder, ["-f", "raw", folder.file("place")])
        let name = "nbd+unix:///?socket=\(server.socket)"
        try fill(folder, format, name)
    }

    @Test(
        .enabled(if: HostPlaces.canLoop, "no right to make loop devices"),
        arguments: ["raw", "qcow2", "vdi", "vpc"])
    func imagesAreMadeOnDevices(_ format: String) throws {
        let folder = try Folder()
        folder.write("disk.raw", mixedBytes(3 << 20, seed: 32))
        folder.write("place", Self.garbage)
        let made = Tool.run(["/usr/sbin/losetup", "-f", "--show", folder.file("place")]) {
            String(decoding: $0, as: UTF8.self)
        }
        try #require(made.status == 0)
        let device = String(made.output.dropLast())
        defer { _ = Tool.run(["/usr/sbin/losetup", "-d", device]) { String(decoding: $0, as: UTF8.self) } }
        try fill(folder, format, device)
    }

    private func fill(_ folder: Folder, _ format: String, _ place: String) throws {
        let made = folder.image("convert", "-f", "raw", "-O", format, "@disk.raw", place)
        #expect(made == Outcome(status: 0, output: "", errors: ""))
        // A raw disk is as large as its place; what is behind the copy is none of its business.
        if format != "raw" {
            let same = folder.qemu("compare", "-f", "raw", "-F", format, "@disk.raw", place)
            #expect(same.status == 0, "\(same.output)\(same.errors)")
            // The rest of a disk that is larger reads as zeroes, whatever was there.
            #expect(folder.image("create", "-q", "-f", format, place, "6M").status == 0)
            folder.write("zero.raw", [UInt8](repeating: 0, count: 6 << 20))
            let empty = folder.qemu("compare", "-f", "raw", "-F", format, "@zero.raw", place)
            #expect(empty.status == 0, "\(empty.output)\(empty.errors)")
        } else {
            let isSame = folder.read("place").prefix(3 << 20) == folder.read("disk.raw")[...]
            #expect(isSame)
        }
        if format == "qcow2" || format == "vdi" { #expect(folder.qemu("check", "-f", format, place).status == 0) }
        #expect(folder.qemu("info", place).output.contains("file format: \(format)\n"))
    }

    @Test func failuresAreTheSame() throws {
        let folder = try Folder()
        folder.write("place", [UInt8](repeating: 0, count: 4 << 20))
        let server = try Server(["/usr/bin/qemu-nbd"], folder, ["-f", "raw", folder.file("place")])
        let name = "nbd+unix:///?socket=\(server.socket)"
        for words in [
            ["create", "-f", "raw", name, "8M"], ["create", "-f", "raw", name, "4M"],
            ["create", "-f", "qcow2", name, "1G"],
            ["create", "-f", "qcow2", "-o", "preallocation=metadata", name, "2M"],
            ["create", "-f", "qcow2", "nbd+unix:///none?socket=\(server.socket)", "1M"],
            ["create", "-f", "raw", "nbd+unix:///?socket=\(folder.file("none"))", "1M"],
        ] { #expect(folder.image(words) == folder.qemu(words), "\(words)") }
    }
}

enum HostPlaces {
    static let canLoop =
        geteuid() == 0
        && Tool.run(["/usr/sbin/losetup", "-f"]) { String(decoding: $0, as: UTF8.self) }.status == 0
}
