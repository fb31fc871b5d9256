internal import Synchronization

/// The one clipboard of a machine, which its viewers and its guest share: a text that somebody has copied. Any thread.
///
/// Members hear each other's texts, not their own. They are called on the thread of who shares, with no lock held.
public final class ClipboardHub: Sendable {
    /// Who takes part.
    public struct Member: Hashable, Sendable { fileprivate let number: Int }
    /// The longest text in bytes of UTF-8; longer ones stay where they are.
    public static let limit = 1 << 20

    private struct State: Sendable {
        var members: [(member: Member, hear: @Sendable (String) -> Void)] = []
        var next = 0
        var last: (text: String, from: Member)?
    }
    private let state = Mutex(State())

    /// A clipboard that is empty.
    public init() {}

    /// Takes part from now on.
    public func join(_ hear: @escaping @Sendable (String) -> Void) -> Member {
        state.withLock { state in
            state.next += 1
            let member = Member(number: state.next)
            state.members.append((member, hear))
            return member
        }
    }

    /// Takes part no more. A call to it may be under way.
    public func leave(_ member: Member) { state.withLock { state in state.members.removeAll { $0.member == member } } }

    /// Tells the others of a text.
    public func share(_ text: String, from member: Member) {
        guard text.utf8.count <= Self.limit else { return }
        let others = state.withLock { state in
            state.last = (text, member)
            return state.members.filter { $0.member != member }
        }
        for other in others { other.hear(text) }
    }

    /// The text that another has copied last; nil where nobody has, or where it was this one.
    public func text(for member: Member) -> String? {
        state.withLock { state in state.last.flatMap { $0.from == member ? nil : $0.text } }
    }
}
