internal import CLinux

/// What `blkdebug` does when an event comes.
struct BlkdebugRule: Sendable {
    /// The kinds of requests that an error can meet (`iotype=`).
    enum Kind: String, CaseIterable, Sendable {
        case read
        case write
        case writeZeroes = "write-zeroes"
        case discard
        case flush
        case blockStatus = "block-status"

        init(_ operation: BlockRequest.Operation) {
            switch operation {
            case .read: self = .read
            case .write: self = .write
            case .writeZeroes: self = .writeZeroes
            case .discard: self = .discard
            case .flush: self = .flush
            }
        }
    }

    /// How much of a write that fails reaches the disk all the same (`x-torn=`, not in QEMU).
    enum Torn: String, CaseIterable, Sendable {
        /// Nothing.
        case none
        /// The first half, in whole sectors.
        case prefix
        /// Every second sector.
        case scattered
    }

    /// An error that requests end with.
    struct Fault: Sendable {
        /// nil: all kinds but block status.
        var kind: Kind?
        var status = EIO
        /// A byte that the request has to touch.
        var offset: UInt64?
        /// It happens one time and never again.
        var isOnce = false
        var torn = Torn.none

        func meets(_ request: BlockRequest) -> Bool {
            if let kind, kind != Kind(request.operation) { return false }
            guard let offset else { return true }
            return offset >= request.offset && offset - request.offset < request.length
        }
    }

    enum Action: Sendable {
        case inject(Fault)
        case setState(Int)
        case suspend(tag: String)
    }

    var number = 0
    var event: BlockEvent
    /// The state that the node has to be in; 0 is any.
    var state: Int
    var action: Action
}

extension BlkdebugRule {
    /// The rule of a group of options: `inject-error` or `set-state`.
    init(group: String, _ options: inout BlockOptions) throws(BlockError) {
        guard let name = options.take("event") else { throw .missingOption(driver: group, option: "event") }
        guard let event = BlockEvent(rawValue: name) else {
            throw .invalidOption(option: "event", value: name, expected: "the name of an event of blkdebug")
        }
        self.event = event
        state = try BlkdebugRule.number(&options, "state") ?? 0
        switch group {
        case "set-state":
            action = .setState(try BlkdebugRule.number(&options, "new_state") ?? 0)
        default:
            var fault = Fault()
            fault.kind = try options.takeCase("iotype", Kind.self)
            let status = try BlkdebugRule.number(&options, "errno") ?? Int(EIO)
            guard (0...4095).contains(status) else {
                throw .invalidOption(option: "errno", value: "\(status)", expected: "an error number of Linux")
            }
            fault.status = Int32(status)
            if let sector = try BlkdebugRule.number(&options, "sector"), sector >= 0 {
                guard sector <= Int.max / 512 else {
                    throw .invalidOption(option: "sector", value: "\(sector)", expected: "a sector of the disk")
                }
                fault.offset = UInt64(sector) * 512
            }
            fault.isOnce = try options.takeBool("once") ?? false
            // An error comes by the completion here, always: there is no earlier moment to choose.
            _ = try options.takeBool("immediately")
            fault.torn = try options.takeCase("x-torn", Torn.self) ?? .none
            action = .inject(fault)
        }
        try options.finish(driver: group)
    }

    private static func number(_ options: inout BlockOptions, _ name: String) throws(BlockError) -> Int? {
        guard let text = options.take(name) else { return nil }
        guard let value = Int(text) else {
            throw .invalidOption(option: name, value: text, expected: "a number")
        }
        return value
    }

    /// The rules of a configuration file: sections `[inject-error]` and `[set-state]` of lines `name = "value"`.
    static func parse(_ text: String, path: String) throws(BlockError) -> [BlkdebugRule] {
        var rules: [BlkdebugRule] = []
        var group: String?
        var values: [String: String] = [:]
        func failure(_ reason: String) -> BlockError { .invalidImage(path: path, reason: reason) }
        func finish() throws(BlockError) {
            guard let group else { return }
            var options = BlockOptions(values)
            rules.append(try BlkdebugRule(group: group, &options))
            values = [:]
        }
        for (index, whole) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let line = whole.trimmingSpaces()
            if line.isEmpty || line.hasPrefix("#") { continue }
            if line.hasPrefix("["), let end = line.firstIndex(of: "]") {
                try finish()
                // An id may follow the name, in quotes.
                let name = String(line[line.index(after: line.startIndex)..<end].prefix { $0 != " " })
                guard name == "inject-error" || name == "set-state" else {
                    throw failure("There is no option group '\(name)'")
                }
                group = name
                continue
            }
            guard let equals = line.firstIndex(of: "=") else { throw failure("Line \(index + 1) is no option") }
            let name = line[..<equals].trimmingSpaces()
            let value = line[line.index(after: equals)...].trimmingSpaces()
            guard group != nil, !name.isEmpty, value.utf8.count >= 2, value.hasPrefix("\""), value.hasSuffix("\"")
            else { throw failure("Line \(index + 1) is no option") }
            values[String(name)] = String(value.dropFirst().dropLast())
        }
        try finish()
        return rules
    }
}

extension Substring {
    fileprivate func trimmingSpaces() -> Substring {
        func isSpace(_ character: Character) -> Bool { character == " " || character == "\t" || character == "\r" }
        guard let first = firstIndex(where: { !isSpace($0) }), let last = lastIndex(where: { !isSpace($0) }) else {
            return self[endIndex...]
        }
        return self[first...last]
    }
}
