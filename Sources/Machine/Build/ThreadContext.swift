internal import HostOS
internal import JSON
internal import Synchronization

/// `-object thread-context`: a thread on chosen processors of the host that does work for others, so that memory which
/// it touches first comes from beside them.
final class ThreadContext: Sendable {
    /// What the thread and its users share.
    private final class Desk: Sendable {
        private enum Order { case work(@Sendable () -> Void), end }
        private let order = Mutex<Order?>(nil)
        private let arrival = Bell()
        private let finished = Bell()
        /// The thread's number, or why it is not where it should be; nil before it looked.
        let number = Mutex<Result<Int, HostError>?>(nil)

        func give(_ work: @escaping @Sendable () -> Void) { put(.work(work)) }
        func end() { put(.end) }
        private func put(_ new: sending Order) {
            order.withLock { $0 = new }
            arrival.ring()
        }
        func wait() { finished.wait(nanoseconds: nil) }

        func serve(_ processors: [Int]?) {
            var result: Result<Int, HostError> = .success(Int(HostThread.currentID))
            if let processors {
                do throws(HostError) { try Affinity.set(processors: processors) } catch { result = .failure(error) }
            }
            let outcome = result
            number.withLock { $0 = outcome }
            finished.ring()
            while true {
                arrival.wait(nanoseconds: nil)
                let taken = order.withLock { order -> Order? in
                    defer { order = nil }
                    return order
                }
                switch taken {
                case .work(let work):
                    work()
                    finished.ring()
                case .end: return
                case nil: continue
                }
            }
        }
    }

    /// The object's name.
    let id: String
    /// The thread's number on the host, which `taskset -p` takes.
    let threadID: Int
    private let desk: Desk
    private let thread: HostThread
    /// Held by whoever has the thread work.
    private let use = Mutex(())

    /// Starts the thread of an object. Its properties are `cpu-affinity`, processors of the host, or `node-affinity`,
    /// its nodes of memory: a number, a text of numbers and ranges, or a list of these.
    init(_ object: ObjectConfiguration) throws(MachineBuildError) {
        id = object.id
        let processors = try Self.processors(object)
        let desk = Desk()
        self.desk = desk
        let prefix = "-object thread-context,id=\(object.id): "
        do throws(HostError) {
            thread = try HostThread(name: "TC \(object.id)") { desk.serve(processors) }
        } catch { throw MachineBuildError("\(prefix)\(error)") }
        var number: Result<Int, HostError>?
        while number == nil {
            desk.wait()
            number = desk.number.withLock { $0 }
        }
        switch number {
        case .success(let found): threadID = found
        case .failure(let error):
            desk.end()
            thread.join()
            throw MachineBuildError("\(prefix)\(error)")
        case nil: threadID = 0
        }
    }

    /// Runs work on the thread, and waits for its end. Any thread.
    func run(_ work: @escaping @Sendable () -> Void) {
        use.withLock { _ in
            desk.give(work)
            desk.wait()
        }
    }

    /// Ends the thread. Once, after which nothing is run.
    func close() {
        desk.end()
        thread.join()
    }

    // MARK: Properties

    private static func processors(_ object: ObjectConfiguration) throws(MachineBuildError) -> [Int]? {
        if let value = object.properties["cpu-affinity"] {
            guard object.properties["node-affinity"] == nil else {
                throw MachineBuildError("Object 'thread-context': cpu-affinity and node-affinity exclude each other")
            }
            return try numbers(value, "cpu-affinity")
        }
        guard let value = object.properties["node-affinity"] else { return nil }
        var processors: [Int] = []
        for node in try numbers(value, "node-affinity") {
            let path = "/sys/devices/system/node/node\(node)/cpulist"
            guard let bytes = try? HostFile.contents(path, limit: 4096) else {
                throw MachineBuildError("Object 'thread-context': the host has no node \(node)")
            }
            processors += ranges(String(decoding: bytes, as: UTF8.self)) ?? []
        }
        return processors
    }

    private static func numbers(_ value: JSONValue, _ name: String) throws(MachineBuildError) -> [Int] {
        var list: [Int]? = []
        for item in value.arrayValue ?? [value] {
            let part = item.intValue.map { [$0] } ?? item.stringValue.flatMap(ranges)
            list = list.flatMap { known in part.map { known + $0 } }
        }
        guard let list, !list.isEmpty, list.allSatisfy({ 0..<1024 ~= $0 }) else {
            throw MachineBuildError("Object 'thread-context': \(name) takes numbers below 1024 and ranges such as 0-3")
        }
        return list
    }

    /// The numbers of a text such as "0-3,8"; nil for another.
    static func ranges(_ text: String) -> [Int]? {
        var list: [Int] = []
        for part in text.split(whereSeparator: { ", \n".contains($0) }) {
            let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
            guard let first = ends[0], let last = ends.count == 1 ? first : ends[1], ends.count <= 2, first >= 0,
                first <= last, last < 1024
            else { return nil }
            list += Array(first...last)
        }
        return list
    }
}
