internal import RPCWire

/// Something that happened to a domain, for those who subscribed.
///
/// The body of a message is the callback's number (not in the old form), the domain, and the fields of the event.
struct DomainEvent: Sendable {
    typealias Fields = @Sendable (inout XDRWriter) throws(XDRError) -> Void

    /// A `virDomainEventID`.
    let id: Int32
    /// Some newer bodies hold a reason before the domain.
    var reasonFirst = false
    let fields: Fields

    init(
        _ id: Int32, reasonFirst: Bool = false, fields: @escaping Fields = { (_: inout XDRWriter) throws(XDRError) in }
    ) {
        self.id = id
        self.reasonFirst = reasonFirst
        self.fields = fields
    }

    /// Procedures by event: with a callback's number, and in the old form (0: there is none).
    private static let procedures: [(callback: Int32, legacy: Int32)] = [
        (318, 107), (319, 169), (320, 170), (321, 171), (322, 172), (323, 173), (324, 195), (325, 224), (326, 241),
        (327, 248), (328, 268), (329, 269), (330, 270), (331, 276), (332, 292), (333, 311), (339, 0), (346, 0),
        (348, 0), (354, 0), (359, 0), (363, 0), (367, 0), (379, 0), (385, 0), (423, 0), (438, 0), (453, 0), (454, 0),
        (455, 0),
    ]

    /// How many events there are.
    static var count: Int32 { Int32(procedures.count) }

    /// Whether an event can be subscribed to in the old way.
    static func hasLegacyForm(_ id: Int32) -> Bool {
        id >= 0 && id < count && procedures[Int(id)].legacy != 0
    }

    /// The message for one subscriber. `callback` nil: in the old form.
    func frame(_ domain: RemoteDomain, callback: Int32?) -> Frame? {
        let numbers = DomainEvent.procedures[Int(id)]
        guard callback != nil || numbers.legacy != 0 else { return nil }
        var writer = XDRWriter()
        do throws(XDRError) {
            if let callback {
                try callback.write(to: &writer)
                if reasonFirst { try Int32(0).write(to: &writer) }
            }
            try domain.write(to: &writer)
            try fields(&writer)
        } catch {
            return nil
        }
        let header = RPCHeader(
            program: .remote, procedure: callback == nil ? numbers.legacy : numbers.callback, type: .message, serial: 1)
        return Frame(header, payload: writer.bytes)
    }
}

extension DomainEvent {
    static func lifecycle(_ event: Int32, _ detail: Int32) -> DomainEvent {
        of(VirDomainEventID.lifecycle, event, detail)
    }
    static let reboot = DomainEvent(VirDomainEventID.reboot)
    static func rtcChange(_ offset: Int64) -> DomainEvent { of(VirDomainEventID.rtcChange, offset) }
    static func watchdog(_ action: Int32) -> DomainEvent { of(VirDomainEventID.watchdog, action) }
    static func balloonChange(_ actual: UInt64) -> DomainEvent { of(VirDomainEventID.balloonChange, actual) }
    static func deviceRemoved(_ alias: String) -> DomainEvent { of(VirDomainEventID.deviceRemoved, alias) }
    static func deviceAdded(_ alias: String) -> DomainEvent { of(VirDomainEventID.deviceAdded, alias) }
    static func deviceRemovalFailed(_ alias: String) -> DomainEvent {
        of(VirDomainEventID.deviceRemovalFailed, alias)
    }
    static let suspendedByGuest = DomainEvent(VirDomainEventID.pmsuspend, reasonFirst: true)
    static let suspendedToDiskByGuest = DomainEvent(VirDomainEventID.pmsuspendDisk, reasonFirst: true)
    static let wokenByGuest = DomainEvent(VirDomainEventID.pmwakeup, reasonFirst: true)

    static func ioError(path: String, alias: String, action: Int32, reason: String?) -> DomainEvent {
        guard let reason else { return of(VirDomainEventID.ioError, path, alias, action) }
        return of(VirDomainEventID.ioErrorReason, path, alias, action, reason)
    }

    /// A round over a machine's memory begins.
    static func migrationIteration(_ number: Int32) -> DomainEvent {
        of(VirDomainEventID.migrationIteration, number)
    }

    static func trayChange(_ alias: String, _ reason: Int32) -> DomainEvent {
        of(VirDomainEventID.trayChange, alias, reason)
    }

    /// `byTarget`: in the newer form, whose subject is the target's name and not the image's path.
    static func blockJob(_ subject: String, type: Int32, status: Int32, byTarget: Bool) -> DomainEvent {
        of(byTarget ? VirDomainEventID.blockJob2 : VirDomainEventID.blockJob, subject, type, status)
    }

    static func agentLifecycle(_ state: Int32, _ reason: Int32) -> DomainEvent {
        of(VirDomainEventID.agentLifecycle, state, reason)
    }

    static func metadataChange(_ type: Int32, _ uri: String?) -> DomainEvent {
        DomainEvent(VirDomainEventID.metadataChange) { (writer: inout XDRWriter) throws(XDRError) in
            try type.write(to: &writer)
            try writer.optional(uri)
        }
    }

    /// An event whose body has nothing but these fields.
    static func of<each Field: XDRCodable>(_ id: Int32, _ field: repeat each Field) -> DomainEvent {
        DomainEvent(id) { (writer: inout XDRWriter) throws(XDRError) in repeat try (each field).write(to: &writer) }
    }
}
