public import DeviceModel
internal import Synchronization

/// A character back-end of the host: what QEMU calls a chardev. Any thread.
public protocol HostCharacterPort: CharacterPort {
    /// Its name in the machine: `serial0`.
    var label: String { get }
    /// What it is connected to, as `query-chardev` writes it: `unix:/run/serial.sock,server=on`.
    var filename: String { get }
    /// Whether somebody is at the other end. What is written while nobody is, is lost.
    var isConnected: Bool { get }
    /// The other end takes bytes more slowly than they come. A device that can wait should.
    var isCongested: Bool { get }
    /// `handler` runs on the loop's thread each time when congestion ends.
    func setWritableHandler(_ handler: (@Sendable () -> Void)?)
    /// Delivers what is queued if that takes no long time, and lets go of every descriptor. Nothing is called after it.
    func close()
}

extension HostCharacterPort {
    public var isConnected: Bool { true }
    public var isCongested: Bool { false }
    public func setWritableHandler(_ handler: (@Sendable () -> Void)?) {}
    public func close() {}
}

/// What becomes of output when its reader is too slow.
public enum OverflowPolicy: Sendable, Equatable {
    /// The oldest bytes are dropped beyond the bound.
    case dropOldest
    /// Nothing is dropped: the writer waits for the reader, except on the event loop's own thread.
    case wait
}
