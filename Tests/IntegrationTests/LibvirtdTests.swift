import Foundation
import TestSupport
import Testing

/// libvirt's own daemon with this emulator in the place of QEMU.
@Suite(
    .enabled(
        if: ["/usr/sbin/libvirtd", "/usr/bin/virsh", "/usr/bin/setpriv"].allSatisfy {
            FileManager.default.isExecutableFile(atPath: $0)
        }, "needs libvirtd, virsh and setpriv"))
struct LibvirtdTests {
    /// A daemon of a user without rights, with folders of its own, starts a machine and has it in hand.
    ///
    /// - $1: the emulator; $2: the folder; $3: the domain.
    private static let script = """
        set -e
        cd "$2"
        mkdir -p run home/.config/libvirt
        cp "$1" emulator; chmod 755 . emulator
        echo 'stdio_handler = "file"' > home/.config/libvirt/qemu.conf
        printf %s "$3" > domain.xml
        truncate -s 16M disk.raw
        user=
        if [ "$(id -u)" = 0 ]; then
            chown -R nobody .
            user="setpriv --reuid=nobody --regid=nogroup --clear-groups"
        fi
        as() {
            exec $user env -i PATH=/usr/bin:/usr/sbin:/bin:/sbin HOME="$2" XDG_RUNTIME_DIR="$1/run" \\
                XDG_CONFIG_HOME="$1/home/.config" XDG_CACHE_HOME="$1/home/.cache" "${@:3}"
        }
        (as "$PWD" "$PWD/home" libvirtd -t 300) > daemon.log 2>&1 &
        daemon=$!
        virsh() { (as "$PWD" "$PWD/home" virsh -c qemu:///session "$@"); }
        end() {
            virsh destroy m > /dev/null 2>&1 || true
            kill $daemon; wait $daemon || true
        }
        trap end EXIT
        for i in $(seq 600); do
            [ -S run/libvirt/libvirt-sock ] && break
            kill -0 $daemon; sleep 0.1
        done
        virsh create domain.xml || { cat home/.cache/libvirt/qemu/log/m.log; exit 1; }
        virsh list --name
        virsh domblklist m
        virsh dumpxml m | grep -c "<alias name='virtio-disk0'/>"
        virsh suspend m
        virsh domstate m
        virsh resume m
        virsh domstate m
        virsh qemu-monitor-command m '{"execute":"query-status"}'
        virsh destroy m
        virsh list --name
        """

    private static func domain(_ folder: String, board: String) -> String {
        """
        <domain type='qemu'><name>m</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>
        <os><type arch='x86_64' machine='\(board)'>hvm</type></os>
        <features><acpi/><apic/><hyperv><relaxed state='on'/><spinlocks state='on' retries='8191'/></hyperv></features>
        <cpu mode='custom'><model>qemu64</model></cpu>
        <clock offset='utc'><timer name='rtc' tickpolicy='catchup'/><timer name='pit' tickpolicy='delay'/>
        <timer name='hpet' present='no'/></clock>
        <pm><suspend-to-mem enabled='no'/><suspend-to-disk enabled='no'/></pm>
        <devices><emulator>\(folder)/emulator</emulator>
        <disk type='file' device='disk'><driver name='qemu' type='raw' cache='none' discard='unmap'/>
        <source file='\(folder)/disk.raw'/><target dev='vda' bus='virtio'/></disk>
        <controller type='usb' model='none'/>
        <interface type='user'><model type='virtio'/></interface>
        <serial type='pty'/><console type='pty'/>
        <channel type='unix'><source mode='bind'/><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
        <video><model type='none'/></video><memballoon model='virtio'/>
        <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
        </devices></domain>
        """
    }

    @Test(arguments: ["pc", "q35"])
    func libvirtStartsAndControlsAMachine(board: String) throws {
        let folder = try TemporaryFolder()
        let place = folder.path("l")
        try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
        // Whoever the daemon runs as has to reach it.
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: folder.path(""))
        let result = try HostProgram.run(
            "/bin/bash", ["-c", Self.script, "bash", Repository.program, place, Self.domain(place, board: board)],
            joined: true, seconds: 300)
        #expect(result.status == 0, "\(result)")
        for text in [
            "Domain 'm' created", "vda", "Domain 'm' suspended", "paused", "Domain 'm' resumed", "running",
            "\"status\":\"running\"", "Domain 'm' destroyed",
        ] {
            #expect(result.output.contains(text), "\(result)")
        }
    }
}
