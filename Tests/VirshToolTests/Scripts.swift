/// What both clients are asked, a line each: what stands behind the program and its `-c`.
enum Scripts {
    static let domains = #"""
        list
        list --all
        list --name
        -q list --all
        define dom.xml
        define nope.xml
        list --all
        list --all --title
        list --all --name
        list --all --uuid
        list --all --uuid --name
        list --all --id
        list --all --id --name
        list --all --name --table
        list --inactive
        list --state-running --all
        dominfo vm
        dominfo nope
        dominfo 11111111-2222-3333-4444-555555555555
        domid vm
        domname vm
        domname 11111111-2222-3333-4444-555555555555
        domuuid vm
        domstate vm
        domstate vm --reason
        dumpxml vm
        dumpxml vm --inactive --security-info
        dumpxml vm --xpath //disk
        dumpxml vm --xpath //disk/@type
        dumpxml vm --xpath '//disk[@device="cdrom"]/target' --wrap
        dumpxml vm --xpath '//nothing'
        dumpxml vm --xpath '/domain/name/text()'
        domblklist vm
        domblklist vm --details
        domiflist vm
        domblkinfo vm vda
        domblkinfo vm vda --human
        domblkinfo vm --all
        domblkinfo vm
        domblkinfo vm xyz
        domblkstat vm vda
        domifstat vm vnet0
        dommemstat vm
        domstats vm
        domstats --state vm
        domstats
        """#

    static let tuning = #"""
        define dom.xml
        vcpucount vm
        vcpucount vm --maximum --config
        vcpucount vm --current
        vcpuinfo vm
        vcpuinfo vm --pretty
        vcpupin vm
        vcpupin vm 0 0 --config
        vcpupin vm 0
        vcpupin vm 5 0 --config
        vcpupin vm 0 99x --config
        emulatorpin vm
        emulatorpin vm 0 --config
        emulatorpin vm --config
        setvcpus vm 1 --config
        setvcpus vm 0 --config
        setvcpus vm x --config
        setvcpus vm 4 --config --maximum
        setmem vm 64M --config
        setmem vm abc --config
        setmaxmem vm 256M --config
        dominfo vm
        iothreadinfo vm
        iothreadadd vm 1 --config
        iothreadinfo vm
        iothreaddel vm 1 --config
        memtune vm
        memtune vm --hard-limit 500M --config
        memtune vm --config
        blkiotune vm
        blkdeviotune vm vda
        blkdeviotune vm vda --total-bytes-sec 1000000 --config
        blkdeviotune vm vda --config
        numatune vm
        schedinfo vm
        schedinfo vm --config
        perf vm
        domiftune vm 52:54:00:00:00:01
        domif-getlink vm 52:54:00:00:00:01
        domif-setlink vm 52:54:00:00:00:01 down --config
        domif-getlink vm 52:54:00:00:00:01 --config
        -q domif-getlink vm 52:54:00:00:00:01
        domif-setlink vm 52:54:00:00:00:01 up --print-xml --config
        domif-setlink vm 52:54:00:00:00:01 sideways --config
        domif-setlink vm nope down --config
        autostart vm
        autostart vm --disable
        desc vm
        desc vm --title
        desc vm --config hello there
        desc vm
        desc vm --title --config newtitle
        -q desc vm
        -q desc vm --title
        desc vm --title
        metadata vm http://x/y
        metadata vm http://x/y --key k --set '<a/>' --config
        metadata vm http://x/y --config
        metadata vm http://x/y --config --remove
        -q metadata vm http://x/y --key k --set '<b/>' --config
        -q metadata vm http://x/y --config --remove
        domrename vm vm2
        domrename vm2 vm
        edit vm
        """#

    static let devices = #"""
        define dom.xml
        undefine nope
        attach-disk vm @DIR@/b.raw vdb --config
        attach-disk vm @DIR@/b.raw vdb --config
        attach-disk vm /dev/null vdc --print-xml --sourcetype block --targetbus virtio --driver qemu --subdriver raw --cache none --io native --mode shareable --serial S1 --alias ua-x --address pci:0000.00.0a.0 --type disk
        attach-disk vm vol vdc --print-xml --source-protocol nbd --source-host-name host:10809 --source-host-transport tcp
        attach-disk vm /x vdc --mode foo
        attach-disk vm /x vdc --shareable --print-xml
        detach-disk vm vdb --print-xml --config
        detach-disk vm vdb --config
        detach-disk vm vdq --config
        attach-device vm disk.xml --config
        detach-device vm disk.xml --config
        attach-device vm nope.xml
        update-device vm disk.xml --config
        attach-interface vm user x --config
        attach-interface vm network default --config --model virtio --mac 52:54:00:00:00:09 --inbound 1000,2000,3000 --print-xml
        attach-interface vm bridge br0 --config --model virtio --mac 52:54:00:00:00:09
        domiflist vm
        detach-interface vm bridge --config --mac 52:54:00:00:00:09
        detach-interface vm network --config
        detach-interface vm user --print-xml --config
        domif-setlink vm 52:54:00:00:00:01 down --print-xml --config
        change-media vm hdc @DIR@/b.raw --config
        change-media vm hdc --eject --config
        change-media vm hdc --eject --config
        change-media vm hdc @DIR@/b.raw --insert --config --print-xml
        change-media vm vda --eject --config
        domdisplay vm
        vncdisplay vm
        ttyconsole vm
        domcontrol vm
        shutdown vm
        destroy vm
        suspend vm
        reboot vm --mode foo
        reset vm
        save vm x
        managedsave-remove vm
        managedsave-dumpxml vm
        domjobinfo vm
        domjobabort vm
        screenshot vm
        send-key vm KEY_A
        send-key vm KEY_FOO
        send-key vm --codeset foo 1
        qemu-monitor-command vm --hmp info status
        qemu-agent-command vm '{"execute":"guest-ping"}'
        domblkerror vm
        domfsinfo vm
        domhostname vm
        domtime vm
        guestinfo vm
        domifaddr vm
        domifaddr vm --source foo
        set-lifecycle-action vm poweroff restart --config
        set-lifecycle-action vm foo restart --config
        blockjob vm vda
        blockcopy vm vda
        blockpull vm vda --verbose
        domxml-to-native qemu-argv vm
        domxml-to-native
        domxml-from-native qemu-argv nope
        domlaunchsecinfo vm
        guest-agent-timeout vm 5
        cpu-stats vm
        inject-nmi vm
        dump vm x
        restore nope
        save-image-dumpxml nope
        start nope
        undefine vm
        """#

    static let snapshots = #"""
        define dom.xml
        snapshot-list vm
        snapshot-current vm
        snapshot-info vm x
        snapshot-info vm
        snapshot-create-as vm s1 desc1 --print-xml --diskspec vda,file=/a/b,,c,snapshot=external --memspec file=/x,snapshot=external
        snapshot-create-as vm s1 first
        snapshot-create-as vm s2
        snapshot-create-as vm s1
        snapshot-list vm
        snapshot-list vm --tree
        snapshot-list vm --parent
        snapshot-list vm --name
        snapshot-list vm --roots
        snapshot-list vm --from s1
        snapshot-list vm --tree --parent
        snapshot-current vm --name
        snapshot-info vm s1
        snapshot-info vm --current
        snapshot-parent vm s2
        snapshot-parent vm s1
        -q snapshot-parent vm s2
        -q snapshot-current vm --name
        snapshot-current vm --security-info
        -q snapshot-create-as vm s4
        snapshot-delete vm s4
        snapshot-dumpxml vm s1 --xpath /domainsnapshot/name
        snapshot-revert vm s1
        snapshot-create-as vm s3
        snapshot-list vm --tree
        snapshot-edit vm s1
        snapshot-current vm --snapshotname s2
        snapshot-delete vm s2
        snapshot-delete vm nope
        snapshot-delete vm
        snapshot-delete vm s1 --children
        checkpoint-list vm
        checkpoint-create-as vm c1
        checkpoint-info vm c1
        checkpoint-create-as vm c1 --print-xml --diskspec vda,checkpoint=bitmap
        backup-dumpxml vm
        """#

    static let host = #"""
        nodeinfo
        hostname
        uri
        version
        version --daemon
        sysinfo
        capabilities
        domcapabilities
        maxvcpus
        maxvcpus --type qemu
        freecell
        freecell --all
        freecell 0
        freepages --all
        freepages
        nodecpumap
        nodecpumap --pretty
        node-memory-tune
        nodememstats --cell 5
        nodememstats --cell 0
        nodememstats --cell -2
        nodecpustats
        nodecpustats --cpu 0
        nodecpustats --cpu 9999
        nodecpustats --cpu -3
        cpu-models x86_64
        cpu-models foo
        nodesevinfo
        """#

    static let storage = #"""
        pool-list
        pool-list --all
        pool-define-as p dir --target @DIR@/images
        pool-define-as p2 netfs --source-host h --source-path /a --target /b --print-xml
        pool-define-as p3 iscsi --source-host h --source-dev iqn --auth-type chap --auth-username u --secret-usage s --target /dev/d --source-name nn --source-format f --print-xml
        pool-list --all
        pool-list --all --details
        pool-list --all --name
        pool-list --all --uuid
        pool-list --all --uuid --name
        pool-build p
        pool-start p
        pool-start p
        pool-autostart p
        pool-info p
        pool-info p --bytes
        pool-dumpxml p
        pool-name p
        pool-uuid nope
        pool-refresh p
        vol-list p
        vol-create-as p a.raw 1M
        vol-create-as p a.raw 1M
        vol-create-as p b.qcow2 10M --format qcow2 --allocation 0 --print-xml
        vol-create-as p b.qcow2 10M --format qcow2
        vol-create-as p c.qcow2 10M --format qcow2 --backing-vol b.qcow2 --backing-vol-format qcow2
        vol-create-as p d.raw xx
        vol-list p
        vol-list p --details
        vol-info a.raw p
        vol-info a.raw --pool p --bytes
        vol-info a.raw --physical --pool p
        vol-info a.raw
        vol-info @DIR@/images/a.raw
        vol-dumpxml a.raw p
        vol-path a.raw p
        vol-key a.raw p
        vol-name @DIR@/images/a.raw
        vol-pool @DIR@/images/a.raw
        vol-pool --uuid @DIR@/images/nope
        vol-clone a.raw e.raw p
        vol-clone a.raw f.raw p --print-xml
        vol-resize a.raw 2M p
        vol-resize a.raw 1M p --delta
        vol-resize a.raw 1M p
        vol-upload a.raw dom.xml p
        vol-upload a.raw nope p
        vol-download a.raw out p
        vol-download a.raw out2 p --sparse
        vol-download a.raw out3 p --offset 1 --length 7
        vol-wipe a.raw p
        vol-wipe a.raw p --algorithm foo
        vol-delete a.raw p
        vol-delete a.raw p
        vol-list p --details
        pool-destroy p
        vol-list p
        vol-info b.qcow2 p
        pool-undefine p
        pool-undefine p
        pool-create-as q dir --target @DIR@/q --build
        pool-info q
        pool-destroy q
        pool-create-as r dir --target @DIR@/r
        pool-list --all
        pool-capabilities
        find-storage-pool-sources-as netfs
        """#

    static let others = #"""
        net-list
        net-list --all
        net-list --all --name
        net-list --all --uuid
        net-list --all --uuid --name
        net-define net.xml
        net-info n1
        net-info nope
        net-start n1
        net-start n1
        net-autostart n1
        net-list --all
        net-dumpxml n1
        net-uuid n1
        net-name 22222222-2222-3333-4444-555555555555
        net-dhcp-leases n1
        net-update n1 add ip-dhcp-host "<host mac='52:54:00:11:22:33' ip='10.77.0.5'/>" --live --config
        net-update n1 foo ip-dhcp-host "<host/>"
        net-update n1 add foo "<host/>"
        net-dumpxml n1 --xpath //host
        net-port-list n1
        net-destroy n1
        net-undefine n1
        net-create net.xml
        net-destroy n1
        secret-list
        secret-define secret.xml
        secret-list
        secret-dumpxml 33333333-2222-3333-4444-555555555555
        secret-get-value 33333333-2222-3333-4444-555555555555
        secret-set-value 33333333-2222-3333-4444-555555555555 --base64 aGVsbG8=
        secret-get-value 33333333-2222-3333-4444-555555555555
        secret-get-value 33333333-2222-3333-4444-555555555555 --plain
        secret-set-value 33333333-2222-3333-4444-555555555555 --base64 ===
        secret-set-value 33333333-2222-3333-4444-555555555555
        secret-undefine 33333333-2222-3333-4444-555555555555
        secret-undefine xyz
        nwfilter-list
        nwfilter-define filter.xml
        nwfilter-dumpxml f1
        nwfilter-list
        nwfilter-undefine f1
        nwfilter-undefine f1
        nwfilter-binding-list
        iface-list
        iface-list --all
        iface-dumpxml lo
        iface-mac lo
        iface-name nope
        iface-dumpxml nope
        iface-begin
        nodedev-list
        nodedev-list --cap net
        nodedev-list --cap foo
        nodedev-list --tree
        nodedev-dumpxml computer
        nodedev-dumpxml nope
        nodedev-info computer
        nodedev-reset nope
        event --list
        event
        event --event foo
        event --event lifecycle --timeout 1
        event --all --timeout 1
        event --event lifecycle --timeout 0
        net-event --list
        net-event lifecycle --timeout 1
        pool-event --list
        nodedev-event --list
        secret-event --list
        qemu-monitor-event --timeout 1
        """#

    static let lines = #"""
        echo a b
        echo --shell "a b" 'c"d' "e'f"
        echo --xml "<a&b>"
        echo --split a,b,,c d
        echo --split a, , "" b
        echo --split --xml a,b
        echo --shell --xml a
        echo --err ""
        echo --err x
        echo
        pwd
        cd /
        help nosuch
        nosuch
        list --foo
        list a
        start
        vol-info
        setvcpus vm
        list --all=1
        send-key
        "list; nosuch"
        "echo a; echo b"
        "echo 'a"
        "echo a\\"
        "echo a # b"
        "echo a; dominfo nope; echo b"
        "dominfo nope"
        -t echo
        quit
        connect
        "connect; uri"
        connect foo:///bar
        connect qemu+unix:///session?socket=/nope
        -q pool-list
        -r list --all
        """#

    static let options = #"""
        -z
        -d x list
        -d 9 echo a
        -k x list
        -e abc echo a
        -e '^a' echo a
        -e "" echo a
        -c
        --conn
        """#

    static let libvirtd = #"""
        version
        nodeinfo
        list --all
        capabilities
        domcapabilities
        net-list --all
        pool-list --all
        nwfilter-list
        nodedev-list
        nodedev-list --tree
        dominfo nope
        sysinfo
        domstats
        secret-list
        maxvcpus
        cpu-models x86_64
        freecell --all
        """#
}
