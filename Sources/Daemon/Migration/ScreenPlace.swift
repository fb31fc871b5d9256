internal import DomainModel
internal import JSON
internal import RPCWire

/// Where a machine that comes shows its screen by SPICE: so that clients follow it. In cookies it is libvirt's `<graphics>`.
struct ScreenPlace: Equatable, Sendable {
    /// The address that it listens on; nil, or one that stands for all: the host's name.
    var host: String?
    var port: Int32
    var tlsPort: Int32
    /// The subject of its certificate, where it is not the host's name.
    var subject: String?

    /// Of a machine that runs; nil: it has no such screen that is reached over TCP.
    init?(live: XMLTree) {
        guard let screen = DomainFigures.devices(live, "graphics").first(where: { $0["type"] == "spice" }) else {
            return nil
        }
        self.init(screen, listen: screen["listen"] ?? screen.child("listen")?["address"])
    }

    /// Of the other end's cookie.
    init?(cookie element: XMLTree) {
        guard element["type"] == "spice" else { return nil }
        self.init(element, listen: element["listen"])
        subject = element.all("cert").first { $0["info"] == "subject" }?["value"]
    }

    private init?(_ element: XMLTree, listen: String?) {
        func number(_ name: String) -> Int32 {
            element[name].flatMap { Int32($0) }.flatMap { (1...65_535).contains($0) ? $0 : nil } ?? 0
        }
        (port, tlsPort) = (number("port"), number("tlsPort"))
        host = listen
        guard port != 0 || tlsPort != 0 else { return nil }
    }

    /// `spice://HOST:PORT[?tlsPort=PORT][&tlsSubject=SUBJECT]`, as a client may say it; an error for what is no such address.
    init(uri: String) throws(LibvirtError) {
        func refuse() -> LibvirtError { LibvirtError.invalidArgument("unable to parse graphics URI '\(uri)'") }
        guard uri.hasPrefix("spice://") else { throw refuse() }
        let parts = uri.dropFirst(8).split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let address = parts.first?.split(separator: "/", maxSplits: 1).first.map(String.init) ?? ""
        guard let place = ListenerOptions.Place(address, usualPort: 0), !place.host.isEmpty else { throw refuse() }
        (host, port, tlsPort) = (place.host, Int32(place.port), 0)
        for word in parts.dropFirst().first?.split(whereSeparator: { $0 == "&" || $0 == ";" }) ?? [] {
            let pair = word.split(separator: "=", maxSplits: 1).map(String.init)
            guard pair.count == 2 else { continue }
            switch pair[0] {
            case "tlsPort":
                guard let number = UInt16(pair[1]) else { throw refuse() }
                tlsPort = Int32(number)
            case "tlsSubject": subject = PeerAddress.plain(pair[1])
            default: break
            }
        }
        guard port != 0 || tlsPort != 0 else { throw refuse() }
    }

    /// As libvirt writes it.
    var element: XMLTree {
        var tree = XMLTree.of("graphics", ["type": "spice", "port": "\(port)"])
        tree.set("listen", host ?? "")
        tree.set("tlsPort", "\(tlsPort)")
        if let subject { tree.append(XMLTree.of("cert", ["info": "subject", "value": subject])) }
        return tree
    }

    /// What the machine that goes is told, for the destination's host of this name.
    func arguments(hostName: String) -> JSONObject {
        let isAny = ["", "0.0.0.0", "::"].contains(host ?? "")
        var values: JSONObject = ["protocol": "spice", "hostname": .string(isAny ? hostName : host ?? "")]
        if port != 0 { values["port"] = .number(Int(port)) }
        if tlsPort != 0 { values["tls-port"] = .number(Int(tlsPort)) }
        if let subject { values["cert-subject"] = .string(subject) }
        return values
    }
}
