internal import CharacterBackend
internal import DeviceModel
internal import Display
internal import HostOS
internal import Synchronization

/// A character back-end that is the display's side of a guest's agent (`qemu-vdagent`): on a virtio serial port by the name
/// `com.redhat.spice.0` it joins the guest's clipboard with that of viewers, and tells the agent where the pointer is.
final class AgentPort: HostCharacterPort, GuestPortListener, PointerInput {
    /// Most bytes that wait for the guest; what would be more is dropped, message by message.
    private static let limit = 4 << 20

    let label: String
    let filename = "qemu-vdagent"
    let pointerName = "vdagent"
    let isAbsolute = true
    private let waiting: WaitingInput
    private let clipboard: ClipboardHub
    private let member = Mutex<ClipboardHub.Member?>(nil)
    private let session: Mutex<AgentSession>
    /// Where pointers are taken from, and the size of the picture that they move over.
    struct Surroundings: Sendable {
        let input: InputHub
        let size: @Sendable () -> (width: Int, height: Int)
    }
    private let surroundings = Mutex<Surroundings?>(nil)

    /// A port that joins a clipboard and a pointer, as far as asked for.
    init(label: String, hasClipboard: Bool, hasMouse: Bool, clipboard: ClipboardHub, loop: EventLoop) {
        self.label = label
        waiting = WaitingInput(limit: Self.limit, loop: loop)
        self.clipboard = clipboard
        session = Mutex(AgentSession(clipboard: hasClipboard, mouse: hasMouse))
        guard hasClipboard else { return }
        let joined = clipboard.join { [weak self] text in self?.change { $0.offer(text) } }
        member.withLock { $0 = joined }
    }

    /// Names where pointers come from, before the machine runs.
    func connect(_ surroundings: Surroundings) { self.surroundings.withLock { $0 = surroundings } }

    /// A program of the guest has opened its end of the port, or closed it.
    func setGuestOpen(_ isOpen: Bool) {
        waiting.clear()
        change { session in
            var effects = session.setOpen(isOpen)
            if isOpen, let text = member.withLock({ $0 }).flatMap({ clipboard.text(for: $0) }) {
                effects += session.offer(text)
            }
            return effects
        }
    }

    func write(_ bytes: [UInt8]) { change { $0.receive(bytes) } }
    func pointer(_ event: PointerEvent) {
        guard let size = surroundings.withLock({ $0 })?.size() else { return }
        let (x, y) = (event.x * size.width / (PointerEvent.limit + 1), event.y * size.height / (PointerEvent.limit + 1))
        let wheel: UInt32 = event.dz < 0 ? 8 : event.dz > 0 ? 16 : 0
        change { session in
            let held = UInt32(event.buttons & 7)
            // A click of the wheel is a button that goes down and up.
            return (wheel == 0 ? [] : session.point(x: x, y: y, buttons: held | wheel))
                + session.point(x: x, y: y, buttons: held)
        }
    }

    /// Does something with the session, and what follows from it when no lock is held.
    private func change(_ body: (inout AgentSession) -> [AgentSession.Effect]) {
        let effects = session.withLock { session in
            let effects = body(&session)
            // Under the lock, so that messages stay in order.
            for case .send(let bytes) in effects { waiting.keep(bytes) }
            return effects
        }
        for effect in effects {
            switch effect {
            case .send: acceptInput()
            case .share(let text): if let member = member.withLock({ $0 }) { clipboard.share(text, from: member) }
            case .takesPointer(let takes):
                guard let input = surroundings.withLock({ $0 })?.input else { break }
                if takes { input.add(self as any PointerInput) } else { input.remove(self as any PointerInput) }
            }
        }
    }

    func setReceiver(_ receiver: (any CharacterReceiver)?) { waiting.setReceiver(receiver) }
    func acceptInput() { waiting.handOn() }
    func close() {
        if let member = member.withLock({ $0.take() }) { clipboard.leave(member) }
        waiting.clear()
    }
}
