/// How the processors of a machine are grouped: sockets of dies of cores of threads.
public struct Topology: Equatable, Sendable {
    /// Processors present at the start, 1...maxcpus.
    public let cpus: Int
    /// Processors that the machine can have: the product of the four below.
    public let maxcpus: Int
    /// Sockets of the machine.
    public let sockets: Int
    /// Dies of a socket.
    public let dies: Int
    /// Cores of a die.
    public let cores: Int
    /// Threads of a core.
    public let threads: Int

    /// What `-smp` gave; nil is what it left out.
    public struct Request: Equatable, Sendable {
        /// Processors at the start.
        public var cpus: Int?
        /// Processors at most.
        public var maxcpus: Int?
        /// Sockets.
        public var sockets: Int?
        /// Dies of a socket.
        public var dies: Int?
        /// Cores of a die.
        public var cores: Int?
        /// Threads of a core.
        public var threads: Int?
        /// A request that leaves all out.
        public init() {}
    }

    /// The most that any machine takes, so that products stay small.
    private static let ceiling = 4096

    /// One processor.
    public init() {
        (cpus, maxcpus, sockets, dies, cores, threads) = (1, 1, 1, 1, 1, 1)
    }

    /// Completes a request as QEMU does since 6.2: what is left out comes from what is given; cores are preferred to
    /// sockets, and sockets to threads. (`8` is one socket of 8 cores; `8,sockets=2` two of 4 cores; `8,cores=2` four
    /// sockets.) The product must be the greatest number of processors, which is at most `limit`, that of the board.
    public init(_ request: Request, limit: Int = 255) throws(TopologyError) {
        let given: [(String, Int?)] = [
            ("cpus", request.cpus), ("maxcpus", request.maxcpus), ("sockets", request.sockets),
            ("dies", request.dies), ("cores", request.cores), ("threads", request.threads),
        ]
        for (name, value) in given {
            guard let value else { continue }
            guard value > 0 else { throw .notPositive(name) }
            guard value <= Topology.ceiling else { throw .tooMany(name: name, value: value, limit: limit) }
        }
        let dies = request.dies ?? 1
        var (sockets, cores, threads) = (request.sockets, request.cores, request.threads)
        let wanted = request.maxcpus ?? request.cpus
        if let wanted {
            if cores == nil {
                sockets = sockets ?? 1
                threads = threads ?? 1
                cores = wanted / ((sockets ?? 1) * dies * (threads ?? 1))
            } else if sockets == nil {
                threads = threads ?? 1
                sockets = wanted / (dies * (cores ?? 1) * (threads ?? 1))
            }
            threads = threads ?? wanted / ((sockets ?? 1) * dies * (cores ?? 1))
        }
        self.dies = dies
        self.sockets = sockets ?? 1
        self.cores = cores ?? 1
        self.threads = threads ?? 1
        // Four factors of 4096 at most stay below 2^48.
        let product = self.sockets * dies * self.cores * self.threads
        maxcpus = wanted ?? product
        cpus = request.cpus ?? maxcpus
        guard cpus <= maxcpus else { throw .fewerThanPresent(maxcpus: maxcpus, cpus: cpus) }
        guard product == maxcpus else {
            throw .product(
                sockets: self.sockets, dies: dies, cores: self.cores, threads: self.threads, maxcpus: maxcpus)
        }
        guard maxcpus <= limit else { throw .tooMany(name: "maxcpus", value: maxcpus, limit: limit) }
    }

    /// Reads the value of `-smp`: `[cpus=]n[,maxcpus=n][,sockets=n][,dies=n][,cores=n][,threads=n]`.
    public init(parsing text: String, limit: Int = 255) throws(TopologyError) {
        var request = Request()
        for (index, part) in text.split(separator: ",", omittingEmptySubsequences: false).enumerated() {
            let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = pair.count == 2 ? String(pair[0]) : "cpus"
            let digits = String(pair.last ?? "")
            guard pair.count == 2 || index == 0 else { throw .unknownProperty(digits, nearest: nil) }
            guard let field = Topology.fields[name] else {
                throw .unknownProperty(name, nearest: NameDistance.nearest(to: name, in: Topology.fields.keys.sorted()))
            }
            guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
                throw .notANumber(name: name, value: digits)
            }
            // A number too long for an Int is too many of anything.
            request[keyPath: field] = Int(digits) ?? Int.max
        }
        try self.init(request, limit: limit)
    }

    private static var fields: [String: WritableKeyPath<Request, Int?>] {
        [
            "cpus": \.cpus, "maxcpus": \.maxcpus, "sockets": \.sockets, "dies": \.dies, "cores": \.cores,
            "threads": \.threads,
        ]
    }
}

/// Why a topology cannot be.
public enum TopologyError: Error, Equatable, Sendable, CustomStringConvertible {
    /// A property that `-smp` does not have.
    case unknownProperty(String, nearest: String?)
    /// A value that is no number.
    case notANumber(name: String, value: String)
    /// A count of zero.
    case notPositive(String)
    /// More than the machine takes.
    case tooMany(name: String, value: Int, limit: Int)
    /// `maxcpus` is below the number present.
    case fewerThanPresent(maxcpus: Int, cpus: Int)
    /// The levels do not multiply to `maxcpus`.
    case product(sockets: Int, dies: Int, cores: Int, threads: Int, maxcpus: Int)

    /// The text for the user.
    public var description: String {
        switch self {
        case .unknownProperty(let name, let nearest):
            "'\(name)' is not a property of -smp"
                + (nearest.map { ", did you mean '\($0)'?" }
                    ?? "; it has cpus, maxcpus, sockets, dies, cores and threads")
        case .notANumber(let name, let value): "'\(value)' is not a number of \(name)"
        case .notPositive(let name): "The number of \(name) must be 1 or more"
        case .tooMany(let name, let value, let limit):
            "\(value == Int.max ? "Too many" : "\(value)") \(name): the machine takes up to \(limit) processors"
        case .fewerThanPresent(let maxcpus, let cpus):
            "maxcpus (\(maxcpus)) must not be below the number of processors (\(cpus))"
        case .product(let sockets, let dies, let cores, let threads, let maxcpus):
            "sockets (\(sockets)) * dies (\(dies)) * cores (\(cores)) * threads (\(threads)) is "
                + "\(sockets * dies * cores * threads), and must be the number of processors, maxcpus (\(maxcpus))"
        }
    }
}
