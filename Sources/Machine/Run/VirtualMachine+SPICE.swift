internal import Display
public import HostOS
public import SPICE

extension VirtualMachine {
    /// The server of a configuration, which listens but lets nobody in yet.
    static func makeSPICE(
        _ configuration: MachineConfiguration, _ board: Board, report: @escaping @Sendable (SPICEEvent) -> Void
    ) throws(MachineBuildError) -> SPICEServer? {
        guard var wanted = configuration.spice else { return nil }
        if let secret = wanted.passwordSecret { wanted.password = try Self.secret(secret, "-spice", configuration) }
        let (name, identity) = (configuration.name, configuration.uuid)
        return try MachineBuildError.wrapping("-spice: ") { () throws(SPICEError) in
            try SPICEServer(
                wanted, title: name.isEmpty ? "QEMU" : name, identifier: identity, screens: board.screens,
                input: board.input, ports: board.characters.spicePorts, audio: board.spiceAudio, report: report)
        }
    }

    public var spiceServer: SPICEStatus? { spice?.status }

    private func server() throws(MachineError) -> SPICEServer {
        guard let spice else { throw .failed("SPICE is not in use") }
        return spice
    }

    public func setSPICEPassword(_ password: String, _ action: SPICEPasswordAction) throws(MachineError) {
        let server = try server()
        do throws(SPICEError) { try server.setPassword(password, action) } catch { throw .failed("\(error)") }
    }
    public func setSPICEDestination(_ destination: SPICEDestination) throws(MachineError) {
        try server().setDestination(destination)
    }
    public func setSPICEExpiry(_ time: UInt64?) throws(MachineError) { try server().setExpiry(time) }
    public func addSPICEClient(
        _ socket: Descriptor, skipsAuthentication: Bool, isSecure: Bool
    ) throws(MachineError) {
        let server = try server()
        do throws(SPICEError) {
            try server.add(socket, skipsAuthentication: skipsAuthentication, isSecure: isSecure)
        } catch { throw .failed("\(error)") }
    }
}
