internal import JSON
internal import Machine
internal import SPICE

/// -spice.
enum SPICEOptions {
    private static let wan = ["auto", "never", "always"]
    static let table = ParameterTable([
        Parameter("port", Parameter.Kind.number(0...65535)), Parameter("tls-port", Parameter.Kind.number(0...65535)),
        Parameter("addr", Parameter.Kind.string), Parameter("ipv4", Parameter.Kind.boolean),
        Parameter("ipv6", Parameter.Kind.boolean), Parameter("unix", Parameter.Kind.boolean),
        Parameter("password", Parameter.Kind.string), Parameter("password-secret", Parameter.Kind.string),
        Parameter("disable-ticketing", Parameter.Kind.boolean), Parameter("disable-copy-paste", Parameter.Kind.boolean),
        Parameter("disable-agent-file-xfer", Parameter.Kind.boolean), Parameter("sasl", Parameter.Kind.boolean),
        Parameter("x509-dir", Parameter.Kind.string), Parameter("x509-key-file", Parameter.Kind.string),
        Parameter("x509-key-password", Parameter.Kind.string), Parameter("x509-cert-file", Parameter.Kind.string),
        Parameter("x509-cacert-file", Parameter.Kind.string), Parameter("x509-dh-key-file", Parameter.Kind.string),
        Parameter("tls-ciphers", Parameter.Kind.string),
        Parameter("tls-channel", Parameter.Kind.string, repeats: true),
        Parameter("plaintext-channel", Parameter.Kind.string, repeats: true),
        Parameter("image-compression", Parameter.Kind.choice(SPICEConfiguration.Compression.words)),
        Parameter("jpeg-wan-compression", Parameter.Kind.choice(wan)),
        Parameter("zlib-glz-wan-compression", Parameter.Kind.choice(wan)),
        Parameter("streaming-video", Parameter.Kind.choice(["off", "all", "filter"])),
        Parameter("agent-mouse", Parameter.Kind.boolean), Parameter("playback-compression", Parameter.Kind.boolean),
        Parameter("seamless-migration", Parameter.Kind.boolean), Parameter("gl", Parameter.Kind.boolean),
        Parameter("rendernode", Parameter.Kind.string),
    ])

    static func spice(_ builder: inout ConfigurationBuilder, _ argument: OptionArgument) throws(OptionError) {
        builder.hasDisplay = true
        var server = SPICEConfiguration()
        server.host = argument.string("addr") ?? ""
        server.port = argument.int("port")
        server.tlsPort = argument.int("tls-port").flatMap { $0 == 0 ? nil : $0 }
        if argument.flag("unix") == true {
            guard !server.host.isEmpty else { throw .invalid("'unix' needs the path of the socket as 'addr'") }
            (server.path, server.host, server.port) = (server.host, "", nil)
        } else if server.port == 0 {
            // None, as QEMU reads it.
            server.port = nil
        }
        if argument.int("port") == nil, server.tlsPort == nil, server.path == nil {
            throw .invalid("neither port nor tls-port specified for spice")
        }
        for name in ["sasl", "gl"] where argument.flag(name) == true { throw .invalid("'\(name)' is not supported yet") }
        for name in ["x509-key-password", "x509-dh-key-file", "tls-ciphers"] where argument.string(name) != nil {
            throw .invalid("'\(name)' is not supported yet")
        }
        server.certificates.folder = argument.string("x509-dir") ?? ""
        server.certificates.key = argument.string("x509-key-file")
        server.certificates.certificate = argument.string("x509-cert-file")
        server.certificates.authority = argument.string("x509-cacert-file")
        try protect(argument, "tls-channel", .tls, &server)
        try protect(argument, "plaintext-channel", .plain, &server)
        server.needsNoTicket = argument.flag("disable-ticketing") ?? false
        server.password = argument.string("password")
        server.passwordSecret = argument.string("password-secret")
        guard server.password == nil || server.passwordSecret == nil else {
            throw .invalid("'password' option is mutually exclusive with 'password-secret'")
        }
        server.hasCopyPaste = !(argument.flag("disable-copy-paste") ?? false)
        server.hasFileTransfer = !(argument.flag("disable-agent-file-xfer") ?? false)
        server.usesAgentMouse = argument.flag("agent-mouse") ?? true
        if let word = argument.string("image-compression") {
            server.compression = SPICEConfiguration.Compression(rawValue: word) ?? server.compression
        }
        builder.configuration.spice = server
    }

    private static func protect(
        _ argument: OptionArgument, _ name: String, _ wanted: SPICEConfiguration.Protection,
        _ server: inout SPICEConfiguration
    ) throws(OptionError) {
        // QEMU's name for what covers all others.
        let kinds = ChannelKind.allCases.map(\.name)
        for value in argument.values[name]?.arrayValue ?? [] {
            let word = value.stringValue ?? ""
            if word == "default" {
                server.protections[nil] = wanted
            } else if let kind = ChannelKind.allCases.first(where: { $0.name == word }) {
                server.protections[kind] = wanted
            } else {
                throw .unknown("unknown SPICE channel", word, among: ["default"] + kinds)
            }
            guard wanted == .plain || server.tlsPort != nil else { throw .invalid("'\(name)' needs tls-port") }
        }
    }
}
