/// The kinds of channels (spice-protocol's enums.h): each is a connection of its own.
public enum ChannelKind: UInt8, CaseIterable, Sendable {
    case main = 1
    case display, inputs, cursor, playback, record
    case smartcard = 8
    case usbRedirection, port, webDAV

    /// As `tls-channel=` names it.
    public var name: String {
        switch self {
        case .usbRedirection: "usbredir"
        case .webDAV: "webdav"
        default: "\(self)"
        }
    }
}

/// Numbers of messages (spice-protocol's enums.h).
enum Message {
    /// Of every channel, from the server.
    enum Common {
        static let setAck: UInt16 = 3
    }
    /// Of every channel, from the client.
    enum FromClient {
        static let ackSync: UInt16 = 1
        static let ack: UInt16 = 2
        static let pong: UInt16 = 3
        static let disconnecting: UInt16 = 6
    }
    enum Main {
        static let initialise: UInt16 = 103
        static let channels: UInt16 = 104
        static let mouseMode: UInt16 = 105
        static let agentConnected: UInt16 = 107
        static let agentDisconnected: UInt16 = 108
        static let agentData: UInt16 = 109
        static let agentToken: UInt16 = 110
        static let migrateSwitchHost: UInt16 = 111
        static let name: UInt16 = 113
        static let uuid: UInt16 = 114
        static let agentConnectedTokens: UInt16 = 115

        static let attachChannels: UInt16 = 104
        static let mouseModeRequest: UInt16 = 105
        static let agentStart: UInt16 = 106
        static let clientAgentData: UInt16 = 107
        static let clientAgentToken: UInt16 = 108
    }
    enum Display {
        static let mark: UInt16 = 102
        static let invalidateAllPalettes: UInt16 = 108
        static let drawCopy: UInt16 = 304
        static let surfaceCreate: UInt16 = 314
        static let surfaceDestroy: UInt16 = 315
        static let monitors: UInt16 = 317

        static let initialise: UInt16 = 101
    }
    enum Inputs {
        static let initialise: UInt16 = 101
        static let modifiers: UInt16 = 102
        static let motionAck: UInt16 = 111

        static let keyDown: UInt16 = 101
        static let keyUp: UInt16 = 102
        static let keyModifiers: UInt16 = 103
        static let scanCodes: UInt16 = 104
        static let motion: UInt16 = 111
        static let position: UInt16 = 112
        static let press: UInt16 = 113
        static let release: UInt16 = 114
    }
    enum Cursor {
        static let initialise: UInt16 = 101
        static let set: UInt16 = 103
        static let hide: UInt16 = 105
    }
    enum Playback {
        static let data: UInt16 = 101
        static let mode: UInt16 = 102
        static let start: UInt16 = 103
        static let stop: UInt16 = 104
    }
    enum Port {
        static let data: UInt16 = 101
        static let initialise: UInt16 = 201
        static let event: UInt16 = 202
        static let clientEvent: UInt16 = 201
    }
}
