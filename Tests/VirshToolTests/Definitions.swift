/// Files that lie in the folder of each daemon; `@DIR@` is its name.
enum Definitions {
    static let files: [(name: String, text: String)] = [
        (
            "disk.xml",
            """
            <disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='@DIR@/b.raw'/><target dev='vdb' bus='virtio'/></disk>
            """
        ),
        (
            "dom.xml",
            """
            <domain type='qemu'>
              <name>vm</name>
              <uuid>11111111-2222-3333-4444-555555555555</uuid>
              <title>first title</title>
              <memory unit='MiB'>128</memory>
              <vcpu>2</vcpu>
              <os><type arch='x86_64' machine='pc'>hvm</type></os>
              <features><acpi/></features>
              <devices>
                <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='@DIR@/disk.qcow2'/><target dev='vda' bus='virtio'/></disk>
                <disk type='file' device='cdrom'><target dev='hdc' bus='ide'/><readonly/></disk>
                <interface type='user'><mac address='52:54:00:00:00:01'/><model type='virtio'/></interface>
                <serial type='pty'/>
                <graphics type='vnc' port='-1' autoport='yes'/>
                <video><model type='vga'/></video>
              </devices>
            </domain>
            """
        ),
        (
            "filter.xml",
            """
            <filter name='f1' chain='root'><uuid>44444444-2222-3333-4444-555555555555</uuid><rule action='drop' direction='inout' priority='500'><tcp dstportstart='25'/></rule></filter>
            """
        ),
        (
            "net.xml",
            """
            <network><name>n1</name><uuid>22222222-2222-3333-4444-555555555555</uuid><ip address='10.77.0.1' netmask='255.255.255.0'><dhcp><range start='10.77.0.2' end='10.77.0.9'/></dhcp></ip></network>
            """
        ),
        (
            "secret.xml",
            """
            <secret ephemeral='no' private='no'><uuid>33333333-2222-3333-4444-555555555555</uuid><usage type='ceph'><name>client.x</name></usage></secret>
            """
        ),
    ]
}
