/// Where a processor is in its machine.
public struct ProcessorPlace: Equatable, Sendable {
    /// The socket, from 0.
    public var socket: Int
    /// The die in the socket.
    public var die: Int
    /// The core in the die.
    public var core: Int
    /// The thread in the core.
    public var thread: Int

    /// A place from its parts.
    public init(socket: Int, die: Int, core: Int, thread: Int) {
        self.socket = socket
        self.die = die
        self.core = core
        self.thread = thread
    }
}

// APIC IDs are made of fields for thread, core, die and socket, each as wide as its count needs (Intel SDM volume 3,
// 9.9.1). Counts that are no powers of two leave gaps between the IDs.
extension Topology {
    /// Width in bits of the thread's field.
    public var threadWidth: Int { Topology.width(threads) }
    /// Width of thread and core together: where the die's number starts.
    public var dieShift: Int { threadWidth + Topology.width(cores) }
    /// Width of all fields in a socket: where the socket's number starts.
    public var packageShift: Int { dieShift + Topology.width(dies) }
    /// Threads of a socket.
    public var threadsPerPackage: Int { threads * cores * dies }

    /// The place of processor `index`, 0..<maxcpus; threads count fastest.
    public func place(of index: Int) -> ProcessorPlace {
        let index = max(index, 0)
        return ProcessorPlace(
            socket: index / threadsPerPackage, die: index / (threads * cores) % dies, core: index / threads % cores,
            thread: index % threads)
    }

    /// The APIC ID of a place.
    public func apicID(of place: ProcessorPlace) -> UInt32 {
        UInt32(
            truncatingIfNeeded: place.socket << packageShift | place.die << dieShift | place.core << threadWidth
                | place.thread)
    }

    /// The APIC ID of processor `index`.
    public func apicID(of index: Int) -> UInt32 { apicID(of: place(of: index)) }

    /// Bits that the numbers below `count` need.
    static func width(_ count: Int) -> Int { Int.bitWidth - max(count - 1, 0).leadingZeroBitCount }
}
