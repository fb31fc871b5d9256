/// What is said on one connection once its client is let in. Used on the server's thread alone.
protocol Channel: AnyObject {
    /// The most bytes of a client's message.
    var messageLimit: Int { get }
    /// The link is up.
    func begin()
    /// A message that is not common to all channels.
    func handle(_ type: UInt16, _ body: [UInt8]) throws(ProtocolViolation)
    /// Everything that waited was sent.
    func drained()
    /// The server looks whether there is something new. True where something was sent.
    func look(now: UInt64) -> Bool
    /// The connection is gone.
    func end()
}

extension Channel {
    var messageLimit: Int { 4096 }
    func drained() {}
    func look(now: UInt64) -> Bool { false }
    func end() {}
}
