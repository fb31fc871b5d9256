import Foundation

/// The guest's initramfs with Debian's DHCP client for IPv6 behind it, which the project's own guest has none of: each of
/// its cards asks for an address of either family.
public enum ClientInitramfs {
    /// Why it cannot be made on this host; nil where it can.
    public static let absence: String? = ["dhclient", "cpio", "gzip", "ldd"].first { name in
        (try? HostProgram.run("which", [name]))?.status != 0
    }.map { "no \($0)" }

    /// Makes it.
    ///
    /// - Parameters:
    ///   - base: the guest's initramfs.
    ///   - scripts: the project's folder of scripts.
    /// - Throws: ``HostProgram/Failed`` where a program fails.
    public static func make(from base: String, scripts: String, at path: String) throws {
        _ = try HostProgram.output("bash", ["-ec", script, "make", base, scripts, path])
    }

    private static let script = #"""
        work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
        program=$(PATH=$PATH:/usr/sbin:/sbin command -v dhclient)
        install -D -m 755 "$program" "$work/usr/sbin/dhclient"
        ldd "$program" | grep -o '/[^ ]*' | while read -r library; do install -D -m 755 "$library" "$work$library"; done
        install -D -m 755 "$2/guest-dhcp" "$work/etc/udhcpc/default.script"
        # Its first process asks for both.
        ask='/usr/sbin/dhclient -6 -D LL -lf "/tmp/leases.$name" -pf "/tmp/pid.$name" -sf /usr/sbin/dhcp6 "$name"'
        sed "s|^    udhcpc .*|&\n    $ask >/tmp/client 2>\\&1 \&|" "$2/guest-init" >"$work/init"
        grep -q dhclient "$work/init"
        cat >"$work/usr/sbin/dhcp6" <<'END'
        #!/bin/sh
        own() { ip -6 addr show dev "$interface" scope link; }
        case $reason in
            PREINIT6) while ! own | grep -q fe80 || own | grep -q tentative; do sleep 0.1; done ;;
            BOUND6 | RENEW6 | REBIND6) ip -6 addr add "$new_ip6_address/128" dev "$interface" ;;
        esac
        END
        chmod 755 "$work/init" "$work/usr/sbin/dhcp6"
        (cd "$work" && find . | cpio --quiet -o -H newc | gzip -1) >"$3.more"
        cat "$1" "$3.more" >"$3"
        rm "$3.more"
        """#
}
