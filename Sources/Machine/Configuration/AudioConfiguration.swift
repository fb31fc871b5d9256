/// An audio back-end (`-audiodev`).
public struct AudioConfiguration: Equatable, Sendable {
    /// Where sound goes.
    public enum Driver: String, CaseIterable, Sendable {
        /// Nowhere.
        case none
        /// Into a WAV file.
        case wav
        /// To the client of the SPICE server.
        case spice
    }
    /// Its name.
    public var id: String
    /// Where sound goes.
    public var driver: Driver
    /// The file of `wav`.
    public var path = "qemu.wav"
    /// Frames a second, 8000 to 192000.
    public var frequency = 44100
    /// 1 or 2.
    public var channels = 2
    /// 8 or 16.
    public var bits = 16

    /// A back-end of a driver.
    public init(id: String, driver: Driver) {
        self.id = id
        self.driver = driver
    }
}
