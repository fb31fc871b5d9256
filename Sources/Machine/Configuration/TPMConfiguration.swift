/// A TPM back-end (`-tpmdev emulator`): swtpm behind a character back-end, which is a socket.
public struct TPMConfiguration: Equatable, Sendable {
    /// Its name.
    public var id: String
    /// The character back-end of the control socket.
    public var characterDevice: String

    /// A back-end.
    public init(id: String, characterDevice: String) {
        self.id = id
        self.characterDevice = characterDevice
    }
}
