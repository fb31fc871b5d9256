import Foundation
import HostOS
import TestSupport
import Testing

/// Pools whose volumes other programs and the kernel tell of. The tests' hosts have neither targets nor ZFS: programs that
/// answer as open-iscsi 2.1 and OpenZFS 2.1 do, and a `/sys` of the test's own, take their places; volumes are loop devices.
@Suite(
    "Pools of units", .serialized,
    .enabled(
        if: TestPrograms.hasVirsh && getuid() == 0 && HostFile.status("/dev/loop-control").kind != .nothing,
        "needs root, virsh and loop devices"))
struct UnitPoolTests {
    /// A daemon with programs and files of the test's.
    private final class Host {
        let folder: String
        let device: String
        let daemon: DaemonProcess
        let virsh: Virsh

        /// `files`: below `/sys`, which is empty otherwise; `@LOOP@` is the loop device's name.
        init(_ tools: [String: String], files: [String: String] = [:]) throws {
            folder = try HostFile.makeTemporaryFolder(prefix: "/tmp/apus-units-")
            try HostProgram.output("/usr/bin/truncate", ["-s", "8M", folder + "/disk"])
            device = try HostProgram.output("/usr/sbin/losetup", ["-f", "--show", folder + "/disk"])
                .filter { $0 != "\n" }
            let name = String(device.dropFirst(5))
            for (tool, text) in tools {
                let path = "\(folder)/tools/\(tool)"
                try HostFolder.make(folder + "/tools")
                try HostFile.replace(path, with: Array(("#!/bin/sh\necho \"$@\" >> \(folder)/said\n" + text).utf8))
                try HostFile.setPermissions(path, 0o755)
            }
            for (file, text) in files {
                let path = "\(folder)/sys/\(file.replacing("@LOOP@", with: name))"
                try HostFolder.make(String(path[..<path.lastIndex(of: "/")!]))
                try HostFile.replace(path, with: Array(text.utf8))
            }
            let mount = "mount -t tmpfs t /sys && cp -a \(folder)/sys/. /sys/ && exec \"$@\""
            daemon = try DaemonProcess(
                way: files.isEmpty ? [] : ["/usr/bin/unshare", "-m", "/bin/sh", "-c", mount, "sh"],
                tools: folder + "/tools")
            virsh = Virsh(daemon: daemon)
        }

        func said() throws -> String { String(decoding: try HostFile.contents(folder + "/said"), as: UTF8.self) }

        deinit {
            _ = try? HostProgram.run("/usr/sbin/losetup", ["-d", device])
            HostFile.removeTree(folder)
        }
    }

    private static let units = [
        "bus/scsi/devices/3:0:0:1/type": "0\n", "bus/scsi/devices/3:0:0:1/block/@LOOP@/size": "16384\n",
        // Page 83h: a T10 name, then an NAA name of 8 bytes.
        "bus/scsi/devices/3:0:0:1/vpd_pg83": "\0\u{03}\0\u{14}\u{02}\u{01}\0\u{04}LIO \u{01}\u{03}\0\u{08}"
            + "`\u{01}@P\u{01}\u{02}\u{03}\u{04}",
        // An enclosure, and another host's disk.
        "bus/scsi/devices/3:0:0:2/type": "13\n", "bus/scsi/devices/3:0:0:2/block/sdy/size": "1\n",
        "bus/scsi/devices/4:0:0:0/type": "0\n", "bus/scsi/devices/4:0:0:0/block/sdz/size": "1\n",
    ]

    @Test("Units of an iSCSI target")
    func target() throws {
        let tool = """
            case "$*" in
            "--mode session") [ -e $0.in ] || { echo 'iscsiadm: No active sessions.' >&2; exit 21; }
              echo 'tcp: [1] 10.9.9.9:3260,1 iqn.2024-01.other:disk (non-flash)'
              echo 'tcp: [7] 10.0.0.1:3260,1 iqn.2024-01.host:disk (non-flash)';;
            *sendtargets*) echo '10.0.0.1:3260,1 iqn.2024-01.host:disk'; echo '10.0.0.1:3260,1 iqn.2024-01.host:tape';;
            *--login*) touch $0.in;;
            *--logout*) rm $0.in;;
            "--mode iface") echo 'default tcp,<empty>,<empty>,<empty>,<empty>';;
            esac
            """
        let host = try Host(
            ["iscsiadm": tool],
            files: Self.units.merging(["class/iscsi_session/session7/device/target3:0:0/x": ""]) { one, _ in one })
        let virsh = host.virsh
        try virsh(
            "pool-define-as", "t", "iscsi", "--source-host", "10.0.0.1", "--source-dev", "iqn.2024-01.host:disk",
            "--source-initiator", "iqn.2024-01.us:me", "--target", "/dev")
        try virsh("pool-start", "t")
        let list = try virsh("vol-list", "t")
        #expect(list.contains("unit:0:0:1") && list.contains(host.device))
        #expect(!list.contains("unit:0:0:2") && !list.contains("unit:0:0:0"))
        #expect(try virsh("vol-key", "unit:0:0:1", "--pool", "t").contains("36001405001020304"))
        #expect(try virsh("pool-info", "t").contains("8.00 MiB"))
        try virsh("vol-download", "unit:0:0:1", host.folder + "/copy", "--pool", "t")
        #expect(try HostFile.size(host.folder + "/copy") == 8 << 20)
        let refused = try virsh.run("vol-create-as", "t", "x", "1M")
        #expect(refused.errors.contains("storage pool does not support volume creation"))
        try virsh("pool-destroy", "t")
        let said = try host.said()
        for words in [
            "--mode iface --interface libvirt-iface-iqn.2024-01.usme --op new",
            "--mode discovery --type sendtargets --portal 10.0.0.1:3260 --interface libvirt-iface-iqn.2024-01.usme",
            "--mode node --portal 10.0.0.1:3260 --targetname iqn.2024-01.host:disk --op update --name node.startup",
            "--targetname iqn.2024-01.host:disk --interface libvirt-iface-iqn.2024-01.usme --login",
            "--mode session -r 7 -R", "--targetname iqn.2024-01.host:disk --logout",
        ] { #expect(said.contains(words), "\(words)") }
        let found = try virsh("find-storage-pool-sources-as", "iscsi", "10.0.0.1")
        #expect(found.contains("<device path='iqn.2024-01.host:tape'/>") && found.contains("<host name='10.0.0.1'/>"))
    }

    @Test("An iSCSI target that wants a password has it from a secret")
    func password() throws {
        let tool = "case \"$*\" in '--mode session') exit 21;; esac\n"
        let host = try Host(["iscsiadm": tool])
        let virsh = host.virsh
        func define(_ login: String) throws -> HostProgram {
            let pool = """
                <pool type='iscsi'><name>p</name><source><host name='10.0.0.1'/><device path='iqn.2024-01.host:disk'/>
                \(login)</source><target><path>/dev</path></target></pool>
                """
            try HostFile.replace(host.folder + "/pool.xml", with: Array(pool.utf8))
            return try virsh.run("pool-define", host.folder + "/pool.xml")
        }
        for login in [
            "<auth type='ceph' username='u'><secret usage='s'/></auth>", "<auth type='chap'><secret usage='s'/></auth>",
            "<auth type='chap' username='u'/>", "<auth type='chap' username='-u'><secret usage='s'/></auth>",
        ] { #expect(try define(login).status == 1, "\(login)") }
        let defined = try define("<auth type='chap' username='us'><secret usage='s'/></auth>")
        #expect(defined.status == 0, "\(defined)")
        #expect(try virsh.run("pool-start", "p").errors.contains("no secret with matching usage 's'"))
        let secret = "<secret private='yes'><usage type='iscsi'><target>s</target></usage></secret>"
        try HostFile.replace(host.folder + "/secret.xml", with: Array(secret.utf8))
        try virsh("secret-define", host.folder + "/secret.xml")
        let uuid = try virsh("secret-list").split(separator: "\n").compactMap { line in
            line.split(separator: " ").first.flatMap { $0.count == 36 ? String($0) : nil }
        }
        try HostFile.replace(host.folder + "/key", with: Array("twelve words".utf8))
        try virsh("secret-set-value", try #require(uuid.first), "--file", host.folder + "/key", "--plain")
        // The session never comes here: what counts is what the tool was told, and in which order.
        #expect(try virsh.run("pool-start", "p").errors.contains("cannot find iscsiadm session"))
        let said = try host.said().split(separator: "\n")
        let node = "--mode node --portal 10.0.0.1:3260 --targetname iqn.2024-01.host:disk"
        let update = node + " --op update --name node.session.auth."
        let wanted = [
            update + "authmethod --value CHAP", update + "username --value us",
            update + "password --value twelve words",
            node + " --login",
        ]
        #expect(said.filter { wanted.contains(String($0)) }.map(String.init) == wanted, "\(said)")
    }

    @Test("Units of an adapter, and maps of several ways")
    func adapter() throws {
        let maps = [
            "class/scsi_host/host3/scan": "", "block/dm-4/dm/uuid": "mpath-3600508b4\n", "block/dm-4/size": "16384\n",
            "block/dm-4/dm/name": "mpatha\n", "block/dm-5/dm/uuid": "LVM-abc\n", "block/dm-5/size": "1\n",
        ]
        let host = try Host([:], files: Self.units.merging(maps) { one, _ in one })
        let virsh = host.virsh
        try virsh("pool-define-as", "s", "scsi", "--adapter-name", "host3", "--target", "/dev")
        try virsh("pool-start", "s")
        #expect(try virsh("vol-list", "s").contains("unit:0:0:1"))
        #expect(try virsh("vol-path", "unit:0:0:1", "--pool", "s").contains(host.device))
        try virsh("pool-refresh", "s")
        try virsh("pool-define-as", "m", "mpath", "--target", "/dev/mapper")
        guard String(decoding: try HostFile.contents("/proc/devices"), as: UTF8.self).contains("device-mapper") else {
            return
        }
        try virsh("pool-start", "m")
        let list = try virsh("vol-list", "m")
        #expect(list.contains("dm-4") && list.contains("/dev/mapper/mpatha") && !list.contains("dm-5"))
    }

    @Test("Volumes of a ZFS pool")
    func zfs() throws {
        let pool = """
            case "$*" in
            "get -Hp health,size,free,allocated tank")
              printf 'tank\\thealth\\tONLINE\\t-\\ntank\\tsize\\t10200547328\\t-\\ntank\\tfree\\t10200350720\\t-\\n'
              printf 'tank\\tallocated\\t196608\\t-\\n';;
            *) echo "cannot open '$5': no such pool" >&2; exit 1;;
            esac
            """
        let volumes = """
            case "$1" in
            list) printf 'tank/a\\t8589934592\\t8862564352\\ntank/below/b\\t1048576\\tnone\\ntankard/c\\t1\\t1\\n';;
            create) [ "$2" = -V ] || [ "$2" = -s ];;
            destroy) [ "$2" = tank/a ];;
            esac
            """
        let host = try Host(["zpool": pool, "zfs": volumes])
        let virsh = host.virsh
        try virsh("pool-define-as", "z", "zfs", "--source-name", "tank")
        #expect(try virsh("pool-dumpxml", "z").contains("<path>/dev/zvol/tank</path>"))
        try virsh("pool-start", "z")
        #expect(try virsh("pool-info", "z").contains("9.50 GiB"))
        let list = try virsh("vol-list", "z")
        #expect(list.contains("/dev/zvol/tank/a") && list.contains("/dev/zvol/tank/below/b"))
        #expect(!list.contains("tankard"))
        let xml = try virsh("vol-dumpxml", "a", "z")
        #expect(xml.contains("<capacity unit='bytes'>8589934592</capacity>") && xml.contains("8862564352"))
        _ = try virsh.run("vol-create-as", "z", "n", "1G", "--allocation", "0")
        try virsh("vol-resize", "a", "9G", "--pool", "z")
        try virsh("vol-delete", "a", "--pool", "z")
        let said = try host.said()
        for words in ["create -s -V 1048576K tank/n", "set volsize=9437184K tank/a", "destroy tank/a"] {
            #expect(said.contains(words), "\(words): \(said)")
        }
        try virsh("pool-define-as", "none", "zfs", "--source-name", "missing")
        #expect(try virsh.run("pool-start", "none").errors.contains("no such pool"))
    }
}
