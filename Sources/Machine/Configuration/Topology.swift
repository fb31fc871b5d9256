/// The numbers of `-smp` as given.
public struct TopologyRequest: Equatable, Sendable {
    /// Processors at start.
    public var processors: Int?
    /// Processors with those that may be plugged.
    public var maximum: Int?
    /// Sockets of the machine.
    public var sockets: Int?
    /// Dies of a socket.
    public var dies: Int?
    /// Cores of a die.
    public var cores: Int?
    /// Threads of a core.
    public var threads: Int?

    /// A request that says nothing: one processor.
    public init() {}
}

/// How the processors of a machine are arranged; the product of the parts is `maximum`.
public struct ProcessorTopology: Equatable, Sendable {
    /// Processors at start, 1 to `maximum`.
    public let processors: Int
    /// Processors with those that may be plugged.
    public let maximum: Int
    /// Sockets of the machine.
    public let sockets: Int
    /// Dies of a socket.
    public let dies: Int
    /// Cores of a die.
    public let cores: Int
    /// Threads of a core.
    public let threads: Int

    /// Where a processor sits.
    public struct Place: Equatable, Sendable {
        /// The socket's number.
        public let socket: Int
        /// The die's number in its socket.
        public let die: Int
        /// The core's number in its die.
        public let core: Int
        /// The thread's number in its core.
        public let thread: Int
        /// A place of the given numbers.
        public init(socket: Int, die: Int, core: Int, thread: Int) {
            self.socket = socket
            self.die = die
            self.core = core
            self.thread = thread
        }
    }

    /// The place of the processor of an index, threads first.
    public func place(of index: Int) -> Place {
        let core = index / threads
        let die = core / cores
        return Place(socket: die / dies % sockets, die: die % dies, core: core % cores, thread: index % threads)
    }

    /// Fills in what a request leaves open, as QEMU 6.2 and later do: missing cores before missing sockets before
    /// missing threads.
    public init(_ request: TopologyRequest) throws(TopologyError) {
        let given = [
            ("cpus", request.processors), ("maxcpus", request.maximum), ("sockets", request.sockets),
            ("dies", request.dies), ("cores", request.cores), ("threads", request.threads),
        ]
        for (name, value) in given {
            if let value, value < 1 { throw .notPositive(parameter: name) }
            if let value, value > Self.limit { throw .tooMany(parameter: name, value: value) }
        }
        let dies = request.dies ?? 1
        var sockets = request.sockets
        var cores = request.cores
        var threads = request.threads
        let wanted = request.maximum ?? request.processors
        if let wanted {
            // Each factor is at most `limit`, so a product of four fits.
            if cores == nil {
                sockets = sockets ?? 1
                threads = threads ?? 1
                cores = wanted / ((sockets ?? 1) * dies * (threads ?? 1))
            } else if sockets == nil {
                threads = threads ?? 1
                sockets = wanted / (dies * (cores ?? 1) * (threads ?? 1))
            }
            if threads == nil { threads = wanted / ((sockets ?? 1) * dies * (cores ?? 1)) }
        }
        self.sockets = sockets ?? 1
        self.dies = dies
        self.cores = cores ?? 1
        self.threads = threads ?? 1
        let product = self.sockets * self.dies * self.cores * self.threads
        maximum = wanted ?? product
        processors = request.processors ?? maximum
        guard product == maximum else {
            throw .product(sockets: self.sockets, dies: dies, cores: self.cores, threads: self.threads, maximum)
        }
        guard processors <= maximum else { throw .maximum(maximum, below: processors) }
    }

    private static let limit = 4096
}

/// Why the numbers of `-smp` describe no machine.
public enum TopologyError: Error, Equatable, Sendable, CustomStringConvertible {
    /// A number is 0 or negative.
    case notPositive(parameter: String)
    /// A number is larger than any machine.
    case tooMany(parameter: String, value: Int)
    /// The parts do not make up the whole.
    case product(sockets: Int, dies: Int, cores: Int, threads: Int, Int)
    /// Fewer processors at most than at start.
    case maximum(Int, below: Int)

    public var description: String {
        switch self {
        case .notPositive(let parameter):
            "Invalid CPU topology: '\(parameter)' must be greater than zero"
        case .tooMany(let parameter, let value):
            "Invalid CPU topology: '\(parameter)' is \(value), which no machine has"
        case .product(let sockets, let dies, let cores, let threads, let maximum):
            "Invalid CPU topology: sockets (\(sockets)) * dies (\(dies)) * cores (\(cores)) * threads (\(threads))"
                + " is not maxcpus (\(maximum))"
        case .maximum(let maximum, let processors):
            "Invalid CPU topology: maxcpus (\(maximum)) is below cpus (\(processors))"
        }
    }
}
