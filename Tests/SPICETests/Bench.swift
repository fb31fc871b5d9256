import CharacterBackend
import DeviceModel
import Display
import DisplaySupport
import HostOS
import Synchronization

import SPICE

/// A server on a port of the kernel's choice, with a screen that tests paint and devices that write down what they hear.
final class Bench {
    let canvas: Canvas
    let input = InputHub()
    let notes: Notes
    let server: SPICEServer
    let agent: SPICEPort
    let named: SPICEPort
    let heard = Ear()
    let agentHeard = Ear()
    let audio = SPICEAudio()
    let loop: EventLoop
    private let thread: HostThread
    let events = EventBox()

    final class EventBox: Sendable {
        let all = Mutex<[SPICEEvent]>([])
    }
    /// The guest's end of a port.
    final class Ear: CharacterEventReceiver {
        let bytes = Mutex<[UInt8]>([])
        let events = Mutex<[CharacterEvent]>([])
        let room = Mutex<Int>(1 << 20)
        func receiveCapacity() -> Int { room.withLock { $0 } }
        func receive(_ more: [UInt8]) {
            bytes.withLock { $0 += more }
            room.withLock { $0 -= more.count }
        }
        func receive(event: CharacterEvent) { events.withLock { $0.append(event) } }
        var taken: [UInt8] { bytes.withLock { $0 } }
    }

    init(isAbsolute: Bool = true, _ change: (inout SPICEConfiguration) -> Void = { _ in }) throws {
        canvas = Canvas(333, 200)
        canvas.paint(seed: 1)
        notes = Notes(isAbsolute: isAbsolute)
        input.add(notes as any KeyboardInput)
        input.add(notes as any PointerInput)
        let loop = try EventLoop()
        self.loop = loop
        agent = SPICEPort(label: "va", .agent, loop: loop)
        named = SPICEPort(label: "p", .port("org.example.port"), loop: loop)
        agent.setReceiver(agentHeard)
        named.setReceiver(heard)
        var configuration = SPICEConfiguration()
        configuration.host = "127.0.0.1"
        configuration.port = 0
        configuration.needsNoTicket = true
        change(&configuration)
        let events = events
        server = try SPICEServer(
            configuration, title: "a machine", identifier: [UInt8](0..<16),
            screens: [Screen(name: "s", source: canvas)], input: input, ports: [agent, named], audio: audio
        ) { event in events.all.withLock { $0.append(event) } }
        try server.start()
        thread = try HostThread(name: "machine") { loop.run() }
    }
    deinit {
        server.close()
        loop.stop()
        thread.join()
    }

    var port: Int { server.status.port ?? 0 }

    /// A session's first channel, and its number.
    func main() throws -> (client: TestClient, session: UInt32, first: [UInt8]) {
        let client = try TestClient(port: port, .main)
        let body = try client.next(103)
        return (client, UInt32(TestClient.number(body, 0)), body)
    }
    func open(_ kind: ChannelKind, _ session: UInt32) throws -> TestClient {
        try TestClient(port: port, kind, session: session)
    }
}
