internal import RPCWire

// Events of screens, disks, memory, cards and jobs.
extension DomainEvent {
    /// Somebody looks at a screen, has said who he is, or looks no more.
    static func graphics(_ viewer: Viewer) -> DomainEvent {
        DomainEvent(VirDomainEventID.graphics) { (writer: inout XDRWriter) throws(XDRError) in
            try viewer.phase.write(to: &writer)
            try viewer.local.write(to: &writer)
            try viewer.remote.write(to: &writer)
            try viewer.scheme.write(to: &writer)
            try writer.array(viewer.identities, max: 20)
        }
    }

    struct Viewer: Sendable {
        /// A `VirDomainEventGraphicsPhase`.
        var phase: Int32
        var local: RemoteDomainEventGraphicsAddress
        var remote: RemoteDomainEventGraphicsAddress
        /// How he said who he is.
        var scheme: String
        var identities: [RemoteDomainEventGraphicsIdentity]
    }

    /// A machine's monitor is of no more use.
    static let controlError = DomainEvent(VirDomainEventID.controlError)

    /// A medium that is not there was left out at the start.
    static func diskChange(old: String, alias: String, _ reason: Int32) -> DomainEvent {
        DomainEvent(VirDomainEventID.diskChange) { (writer: inout XDRWriter) throws(XDRError) in
            try writer.optional(Optional(old))
            try writer.optional(nil as String?)
            try alias.write(to: &writer)
            try reason.write(to: &writer)
        }
    }

    /// Limits or places of a running machine are others now.
    static func tunable(_ parameters: [RemoteTypedParam]) -> DomainEvent {
        DomainEvent(VirDomainEventID.tunable) { (writer: inout XDRWriter) throws(XDRError) in
            try writer.array(parameters, max: 2048)
        }
    }

    /// A job that took long has ended; how far it came.
    static func jobCompleted(_ parameters: [RemoteTypedParam]) -> DomainEvent {
        DomainEvent(VirDomainEventID.jobCompleted) { (writer: inout XDRWriter) throws(XDRError) in
            try writer.array(Array(parameters.prefix(64)), max: 64)
        }
    }

    /// A disk's image has grown beyond a mark, by `excess` bytes.
    static func blockThreshold(_ disk: String, path: String?, threshold: UInt64, excess: UInt64) -> DomainEvent {
        DomainEvent(VirDomainEventID.blockThreshold) { (writer: inout XDRWriter) throws(XDRError) in
            try disk.write(to: &writer)
            try writer.optional(path)
            try threshold.write(to: &writer)
            try excess.write(to: &writer)
        }
    }

    /// Memory of the host is broken.
    static func memoryFailure(recipient: Int32, action: Int32, flags: UInt32) -> DomainEvent {
        of(VirDomainEventID.memoryFailure, recipient, action, flags)
    }

    /// The guest has taken or given memory of a device that grows and shrinks; KiB.
    static func memoryDeviceSizeChange(_ alias: String, _ size: UInt64) -> DomainEvent {
        of(VirDomainEventID.memoryDeviceSizeChange, alias, size)
    }

    static func addressChange(_ alias: String, old: String, new: String) -> DomainEvent {
        of(VirDomainEventID.nicMacChange, alias, old, new)
    }

    static func processorRemoved(_ number: UInt32) -> DomainEvent { of(VirDomainEventID.vcpuRemoved, number) }

    /// Somebody in the guest has opened or closed a channel.
    static func channelLifecycle(_ name: String, _ state: Int32, _ reason: Int32) -> DomainEvent {
        of(VirDomainEventID.channelLifecycle, name, state, reason)
    }
}
