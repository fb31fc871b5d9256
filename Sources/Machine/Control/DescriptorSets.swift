public import HostOS
internal import Synchronization

/// Descriptors that were handed over (`-add-fd`, `add-fd`), in numbered sets that file names such as `/dev/fdset/1`
/// stand for. Any thread.
public final class DescriptorSets: Sendable {
    /// A descriptor of a set.
    public struct Entry: Sendable {
        /// The set's number.
        public let set: Int
        /// The descriptor, which lives as long as it is in the set.
        public let descriptor: Descriptor
        /// Words for whoever asks.
        public let opaque: String?
    }
    private let entries = Mutex<[Entry]>([])
    private static let prefix = "/dev/fdset/"
    private static let limit = 1024

    /// The sets of a command line; the descriptors are the process's from now on.
    public init(_ passed: [PassedDescriptor] = []) {
        let given = passed.map {
            Entry(set: $0.set, descriptor: Descriptor(owning: $0.descriptor), opaque: $0.opaque)
        }
        entries.withLock { $0 = given }
    }

    /// All descriptors by their sets.
    public var all: [Entry] { entries.withLock { $0.sorted { $0.set < $1.set } } }

    /// Adds a descriptor to a set, or to a new one with the lowest free number.
    public func add(_ descriptor: Descriptor, to set: Int?, opaque: String?) throws(MachineError) -> Int {
        guard (set ?? 0) >= 0 else { throw .failed("Parameter 'fdset-id' expects a non-negative value") }
        let number = entries.withLock { entries -> Int? in
            guard entries.count < Self.limit else { return nil }
            var number = set ?? 0
            while set == nil, entries.contains(where: { $0.set == number }) { number += 1 }
            entries.append(Entry(set: number, descriptor: descriptor, opaque: opaque))
            return number
        }
        guard let number else { throw .failed("There are already \(Self.limit) descriptors") }
        return number
    }

    /// Takes a descriptor out of a set, or the whole set.
    public func remove(set: Int, descriptor: Int32?) throws(MachineError) {
        let removed = entries.withLock { entries in
            let before = entries.count
            entries.removeAll {
                $0.set == set && (descriptor == nil || $0.descriptor.rawValue == descriptor)
            }
            return before - entries.count
        }
        guard removed > 0 else {
            let which = descriptor.map { ", fd:\($0)" } ?? ""
            throw .failed("File descriptor named 'fdset-id:\(set)\(which)' not found")
        }
    }

    /// A copy of a descriptor of the set that a name stands for, opened for what is wanted; nil for other names.
    func open(_ path: String, writes: Bool) -> Result<Int32, HostError>? {
        open(path) { $0.allows(writing: writes) }
    }

    private func open(_ path: String, _ fits: (Descriptor) -> Bool) -> Result<Int32, HostError>? {
        guard path.hasPrefix(Self.prefix) else { return nil }
        let number = Int(path.dropFirst(Self.prefix.count)) ?? -1
        let found = entries.withLock { entries in
            entries.first { $0.set == number && fits($0.descriptor) }?.descriptor
        }
        guard let found else { return .failure(HostError.noDescriptor("open '\(path)'")) }
        return found.rawCopy()
    }

    /// The same for output, of a file from its beginning unless `append`; nil for other names.
    public func openOutput(_ path: String, append: Bool) throws(HostError) -> Descriptor? {
        // Of one that was opened for output alone nothing can be read.
        let found = open(path) { $0.allows(writing: true) || !$0.allows(writing: false) }
        guard let opened = found else { return nil }
        let copy = Descriptor(owning: try opened.get())
        // A pipe has no beginning to go to.
        if !append, copy.isRegularFile { try HostFile.setSize(copy, 0) }
        return copy
    }
}
