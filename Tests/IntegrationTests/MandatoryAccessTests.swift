import Foundation
import TestSupport
import Testing

/// What the kernel's SELinux keeps apart when the daemon has labelled it: machines of one type, by their categories.
@Suite(
    .serialized, .enabled(if: Repository.hasGuest, "needs 'make guest'"),
    .enabled(if: MandatoryAccess.absence == nil, Comment(rawValue: MandatoryAccess.absence ?? "")))
struct MandatoryAccessTests {
    /// Boots the guest, moves it to a root that can be left, and has the policy kept to.
    private func boot(_ folder: TemporaryFolder) throws -> GuestMachine {
        let disk = try MandatoryAccess.makeDisk(folder)
        let machine = try GuestMachine(
            ["-m", "1536", "-nographic", "-kernel", Repository.kernel, "-initrd", Repository.initramfs]
                + ["-append", "console=ttyS0 lsm=landlock,selinux selinux=1 enforcing=0"]
                + ["-drive", "file=\(disk),format=raw,if=virtio"])
        try machine.wait(for: "Type poweroff to end.", seconds: 300)
        try machine.type("exec env PS1= sh +m")
        let isReady = try machine.output(
            of: """
                dmesg -n 1; mkdir /new && mount -t tmpfs -o size=900m tmpfs /new && cd /new && \
                cp -a /bin /sbin /usr /etc . && tar xf /dev/vda && mkdir -p dev proc sys run tmp vms && \
                ln -sf /bin/busybox usr/bin/true && for d in dev proc sys; do mount -o rbind /$d $d; done && \
                mount -t selinuxfs none sys/fs/selinux && dd if=policy of=sys/fs/selinux/load bs=16M 2>/dev/null && \
                echo 1 >sys/fs/selinux/enforce && cat sys/fs/selinux/enforce
                """)
        try #require(isReady.hasSuffix("1"), "\(isReady)")
        try machine.type("exec chroot /new env PS1= PATH=/usr/bin:/bin:/usr/sbin:/sbin sh +m")
        return machine
    }

    private func disk(_ name: String, _ target: String, _ more: String = "") -> String {
        "<disk type=\"file\"><driver name=\"qemu\" type=\"raw\"/><source file=\"/vms/\(name)\">\(more)</source>"
            + "<target dev=\"\(target)\" bus=\"virtio\"/></disk>"
    }

    /// The words after which a guest has a domain's document.
    private func document(_ name: String, _ disks: String, _ labels: String = "") -> String {
        "echo '<domain type=\"qemu\"><name>\(name)</name><memory unit=\"MiB\">128</memory><os>"
            + "<type arch=\"x86_64\" machine=\"pc\">hvm</type><kernel>/vmlinuz</kernel></os>"
            + "<features><acpi/></features><devices>\(disks)</devices>\(labels)</domain>' >/vms/\(name).xml"
    }

    @Test func machinesHaveTheirOwnImagesAndNoOthers() throws {
        let folder = try TemporaryFolder()
        let machine = try boot(folder)
        func run(_ command: String) throws -> String { try machine.output(of: command) }
        func label(_ path: String) throws -> String { try run("list -Z \(path) | cut -d' ' -f1") }
        func startDaemon() throws {
            try machine.type("apus daemon --root /vms >>/vms/out 2>&1 & daemon=$!")
            let wait = "for i in $(seq 100); do apus list >/dev/null 2>&1 && break; sleep 0.1; done"
            #expect(try run("\(wait); apus hostname") == "apus")
        }
        _ = try run("export VIRSH_DEFAULT_CONNECT_URI='qemu+unix:///system?socket=/vms/libvirt-sock'")
        _ = try run("for d in a b c d e f; do truncate -s 1M /vms/$d; done")
        try startDaemon()
        #expect(
            try run("apus capabilities | grep -A 4 '<model>selinux'").replacing("\n", with: "").replacing(" ", with: "")
                == "<model>selinux</model><doi>0</doi><baselabeltype='kvm'>system_u:system_r:svirt_t:s0</baselabel>"
                + "<baselabeltype='qemu'>system_u:system_r:svirt_tcg_t:s0</baselabel></secmodel>")

        // Two machines that say nothing of labels; their images become their own.
        func define(_ name: String, _ disks: String, _ labels: String = "") throws {
            _ = try run("apus undefine \(name) 2>/dev/null")
            _ = try run(document(name, disks, labels))
            #expect(try run("apus define /vms/\(name).xml").contains("defined from"))
        }
        func start(_ name: String) throws -> String { try run("apus start --paused \(name) 2>&1") }
        func number(_ name: String) throws -> String {
            try run("sed -n \"s/.*pid='\\([0-9]*\\)'.*/\\1/p\" /vms/run/qemu/\(name).xml")
        }
        func process(_ name: String) throws -> String { try run("cat /proc/\(number(name))/attr/current | tr -d '\\0'") }
        var levels: [String] = []
        for name in ["a", "b"] {
            try define(name, disk(name, "vda"))
            #expect(try start(name).contains("started"))
            let text = try run("apus dumpxml \(name) | grep -A 3 \"model='selinux'\"")
            let level = try #require(text.firstMatch(of: /<label>system_u:system_r:svirt_tcg_t:(s0:c\d+,c\d+)<\/label>/)).1
            #expect(text.contains("<seclabel type='dynamic' model='selinux' relabel='yes'>"))
            #expect(text.contains("<imagelabel>system_u:object_r:svirt_image_t:\(level)</imagelabel>"))
            #expect(try process(name) == "system_u:system_r:svirt_tcg_t:\(level)")
            #expect(try label("/vms/\(name)") == "system_u:object_r:svirt_image_t:\(level)")
            levels.append(String(level))
        }
        #expect(levels[0] != levels[1])
        #expect(try label("/vmlinuz") == "system_u:object_r:virt_content_t:s0")
        #expect(try run("apus dominfo a").contains("svirt_tcg_t:\(levels[0]) (enforcing)"))
        #expect(try !run("apus dumpxml --inactive a").contains("seclabel"))
        // In a root of its own, with devices that have their host's labels.
        #expect(try label("/proc/\(number("a"))/root/dev/null") == label("/dev/null"))

        // What joins it, and what it says itself.
        #expect(try run("apus attach-disk a /vms/c vdb --live").contains("attached successfully"))
        #expect(try label("/vms/c") == "system_u:object_r:svirt_image_t:\(levels[0])")
        // A second attempt with it fails, and takes nothing away.
        #expect(try run("apus attach-disk a /vms/c vdc --live 2>&1").contains("error:"))
        #expect(try label("/vms/c") == "system_u:object_r:svirt_image_t:\(levels[0])")
        #expect(try run("apus save a /vms/saved 2>&1").contains("saved to"))
        #expect(try label("/vms/a") == "system_u:object_r:base_t:s0")
        #expect(try label("/vms/c") == "system_u:object_r:base_t:s0")
        #expect(try run("apus restore /vms/saved --paused 2>&1").contains("restored from"))
        #expect(try label("/vms/a").contains("svirt_image_t:s0:c"))
        // An image that another machine has is refused before anything starts.
        try define("thief", disk("a", "vda"))
        #expect(try start("thief").contains("Setting different SELinux label on /vms/a which is already in use"))

        // One that nothing but its label keeps from others' images.
        let alone = "<seclabel type=\"none\" model=\"landlock\"/><seclabel type=\"none\" model=\"dac\"/>"
        try define("d", disk("d", "vda"), "<seclabel type=\"dynamic\" model=\"selinux\"/>" + alone)
        #expect(try start("d").contains("started"))
        func open(_ path: String, _ node: String) throws -> String {
            let arguments = #"{"driver":"file","node-name":"\#(node)","filename":"\#(path)"}"#
            return try run(#"apus qemu-monitor-command d '{"execute":"blockdev-add","arguments":\#(arguments)}' 2>&1"#)
        }
        for path in ["/vms/a", "/vms/b", "/vms/f"] {
            #expect(try open(path, "x").contains("permission denied"), "\(path)")
        }
        _ = try run("echo 0 >/sys/fs/selinux/enforce")
        #expect(try open("/vms/f", "y").contains("\"return\""))
        _ = try run("echo 1 >/sys/fs/selinux/enforce")

        // What serves a machine has its label, or one of the policy's own with its categories.
        if MandatoryAccess.hasTPM {
            try define("t", "<tpm><backend type=\"emulator\"/></tpm>")
            for (name, type) in [("base_t", "svirt_tcg_t"), ("swtpm_exec_t", "swtpm_t")] {
                _ = try run("relabel system_u:object_r:\(name):s0 /usr/bin/swtpm")
                #expect(try start("t").contains("started"))
                let level = try #require(try process("t").split(separator: ":", maxSplits: 3).last)
                let server = try run("cat /proc/$(pidof swtpm)/attr/current | tr -d '\\0'")
                #expect(server == "system_u:system_r:\(type):\(level)")
                let state = try run("list -Z /vms/lib/swtpm/*/tpm2/tpm2-00.permall | cut -d' ' -f1")
                #expect(state == "system_u:object_r:svirt_image_t:\(level)")
                _ = try run("apus destroy t")
            }
        }

        // Labels that are named, and images that keep theirs.
        let named = "<seclabel type=\"static\" model=\"selinux\" relabel=\"yes\">"
            + "<label>system_u:system_r:svirt_t:s0:c7,c9</label></seclabel>"
        try define("e", disk("e", "vda"), named)
        #expect(try start("e").contains("started"))
        #expect(try process("e") == "system_u:system_r:svirt_t:s0:c7,c9")
        #expect(try label("/vms/e") == "system_u:object_r:svirt_image_t:s0:c7,c9")
        _ = try run("apus destroy e")
        try define("e", disk("e", "vda"), named.replacing("relabel=\"yes\"", with: "relabel=\"no\""))
        #expect(try start("e").contains("error:"))
        #expect(try label("/vms/e") == "system_u:object_r:base_t:s0")
        try define("f", disk("f", "vda", "<seclabel model=\"selinux\" relabel=\"no\"/>"))
        #expect(try start("f").contains("error:"))
        #expect(try label("/vms/f") == "system_u:object_r:base_t:s0")
        try define("f", disk("f", "vda"), "<seclabel type=\"static\" model=\"selinux\"><label>nonsense</label></seclabel>")
        #expect(try start("f").contains("Failed to parse label 'nonsense'"))

        // A daemon that was killed leaves nothing that the next does not give back.
        _ = try run("kill -9 $daemon; kill -9 \(number("b"))")
        try startDaemon()
        #expect(try run("apus domstate b").hasPrefix("shut off"))
        #expect(try label("/vms/b") == "system_u:object_r:base_t:s0")
        #expect(try process("a").contains("svirt_tcg_t"))
        _ = try run("for m in a d e f; do apus destroy $m; done")
        #expect(try label("/vms/a") == "system_u:object_r:base_t:s0")
        #expect(try label("/vmlinuz") == "system_u:object_r:base_t:s0")
        try machine.type("poweroff -f")
        #expect(try machine.status() == 0)
    }
}
