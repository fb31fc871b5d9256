import CLinux
import Glibc
import HostOS
import ImageTool
import Testing

/// What images name is not opened where they are not to be believed.
@Suite struct UntrustedTests {
    /// Makes an image whose header names `reference` as its backing file, which does not have to be there.
    private func image(_ folder: Folder, naming reference: String, format: String = "raw") {
        let made = folder.image("create", "-q", "-f", "qcow2", "@image", "1M")
        #expect(made.status == 0, "\(made.errors)")
        let based = folder.image("rebase", "-u", "-b", reference, "-F", format, "@image")
        #expect(based.status == 0, "\(based.errors)")
    }

    @Test(arguments: ["secret", "link", "fifo", "/dev/zero", "json:{\"driver\":\"file\",\"filename\":\"/etc/passwd\"}",
        "nbd:127.0.0.1:1", "../x/secret"])
    func referencesAreNotFollowed(_ reference: String) throws {
        let folder = try Folder()
        folder.write("secret", [UInt8](repeating: 0x53, count: 65536))
        #expect(unsafe symlink(folder.file("secret"), folder.file("link")) == 0)
        // Whoever opened it would sleep.
        #expect(unsafe mkfifo(folder.file("fifo"), 0o600) == 0)
        image(folder, naming: reference)
        let before = folder.read("image")
        for command in [
            ["info", "--backing-chain", "--untrusted", "@image"],
            ["convert", "--untrusted", "-O", "raw", "@image", "@out"], ["map", "--untrusted", "@image"],
            ["compare", "--untrusted", "@image", "@image"],
        ] {
            let outcome = folder.image(command)
            #expect(outcome.status != 0, "\(command)")
            #expect(
                outcome.errors.contains("which is not followed") && outcome.errors.split(separator: "\n").count == 1,
                "\(command): \(outcome.errors)")
        }
        #expect(folder.image("info", "--untrusted", "@image").status == 0)
        #expect(folder.image("check", "--untrusted", "@image").status == 0)
        #expect(folder.read("image") == before)
    }

    @Test func whatTheCommandLineNamesIsOpened() throws {
        let folder = try Folder()
        folder.write("base", [UInt8](repeating: 0x53, count: 1 << 20))
        image(folder, naming: folder.file("base"))
        let asked = folder.image(
            "convert", "--untrusted", "-O", "raw", "--image-opts",
            "driver=qcow2,file.filename=@image,backing.driver=raw,backing.file.filename=@base", "@out")
        #expect(asked.status == 0, "\(asked.errors)")
        #expect(folder.read("out") == folder.read("base"))
    }

    @Test func anotherUsersImageIsNotBelieved() throws {
        guard geteuid() == 0 else { return }
        let folder = try Folder()
        folder.write("base", [UInt8](repeating: 0x53, count: 1 << 20))
        image(folder, naming: folder.file("base"))
        #expect(folder.image("map", "@image").status == 0)
        #expect(unsafe chown(folder.file("image"), 65534, 65534) == 0)
        #expect(folder.image("map", "@image").status == 1)
        #expect(folder.image("map", "--trusted", "@image").status == 0)
    }

    @Test func dataFilesAndExtentsAreNamesToo() throws {
        let folder = try Folder()
        #expect(folder.image("create", "-q", "-f", "qcow2", "-o", "data_file=@data", "@image", "1M").status == 0)
        #expect(folder.image("map", "--untrusted", "@image").errors.contains("as its data file"))
        #expect(
            folder.image("create", "-q", "-f", "vmdk", "-o", "subformat=monolithicFlat", "@disk.vmdk", "1M").status == 0)
        #expect(folder.image("map", "--untrusted", "@disk.vmdk").errors.contains("as its extent"))
    }
}
