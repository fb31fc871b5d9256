/// Limits of throughput, 0 for none: per second, and what may be done at once after a rest.
public struct ThrottleLimits: Sendable, Equatable {
    /// One kind of limit.
    public struct Limit: Sendable, Equatable {
        /// Units per second; 0 for no limit.
        public var average: UInt64 = 0
        /// Units per second in a burst; 0 for the average.
        public var maximum: UInt64 = 0
        /// How long a burst may last, in seconds.
        public var burstSeconds: UInt64 = 1
        /// No limit.
        public init() {}
    }
    /// Bytes of all requests, reads, writes.
    public var bytes = [Limit](repeating: Limit(), count: 3)
    /// Requests of all kinds, reads, writes.
    public var operations = [Limit](repeating: Limit(), count: 3)
    /// Bytes that count as one request more; 0: a request is one whatever its size.
    public var operationSize: UInt64 = 0
    /// No limits.
    public init() {}
    /// Whether anything is limited.
    public var isLimited: Bool { (bytes + operations).contains { $0.average > 0 } }

    /// The largest limit, in units per second.
    static let most: UInt64 = 1_000_000_000_000_000

    /// Why the limits contradict each other, or nil.
    public var contradiction: String? {
        for limit in [bytes, operations] where limit[0].average > 0 || limit[0].maximum > 0 {
            if limit[1].average > 0 || limit[2].average > 0 || limit[1].maximum > 0 || limit[2].maximum > 0 {
                return "bps/iops/max total values and read/write values cannot be used at the same time"
            }
        }
        if operationSize > 0 && !operations.contains(where: { $0.average > 0 }) {
            return "iops size requires an iops value to be set"
        }
        for limit in bytes + operations {
            if limit.average > Self.most || limit.maximum > Self.most {
                return "bps/iops/max values must be within [0, \(Self.most)]"
            }
            if limit.burstSeconds == 0 { return "the burst length cannot be 0" }
            if limit.burstSeconds > 1 && limit.maximum == 0 { return "burst length set without burst rate" }
            if limit.maximum > 0 && limit.burstSeconds > Self.most / limit.maximum {
                return "burst length too high for this burst rate"
            }
            guard limit.maximum > 0 else { continue }
            if limit.average == 0 { return "bps_max/iops_max require corresponding bps/iops values" }
            if limit.maximum < limit.average { return "bps_max/iops_max cannot be lower than bps/iops" }
        }
        return nil
    }
}

// The names that objects of the type `throttle-group` have for limits.
extension ThrottleLimits {
    private static let directions = ["total", "read", "write"]

    /// Every name: `bps-total`, `bps-total-max`, `bps-total-max-length`, … and `iops-size`.
    public static let names: [String] =
        ["bps", "iops"].flatMap { kind in
            directions.flatMap { direction in ["", "-max", "-max-length"].map { "\(kind)-\(direction)\($0)" } }
        } + ["iops-size"]

    /// The limit of a name; nil where there is none. Setting it to nil does nothing.
    public subscript(name: String) -> UInt64? {
        get {
            guard let place = Self.names.firstIndex(of: name) else { return nil }
            guard place < 18 else { return operationSize }
            let limit = place < 9 ? bytes[place / 3] : operations[(place - 9) / 3]
            return [limit.average, limit.maximum, limit.burstSeconds][place % 3]
        }
        set {
            guard let newValue, let place = Self.names.firstIndex(of: name) else { return }
            guard place < 18 else { return operationSize = newValue }
            func change(_ limit: inout Limit) {
                switch place % 3 {
                case 0: limit.average = newValue
                case 1: limit.maximum = newValue
                default: limit.burstSeconds = newValue
                }
            }
            if place < 9 { change(&bytes[place / 3]) } else { change(&operations[(place - 9) / 3]) }
        }
    }

    /// Sets what options of a `throttle-group` say: `limits.…` (which may also change a group that is there), then
    /// `x-…`. Throws at a name or a number that is none, and where the limits contradict each other.
    public mutating func apply(_ options: [String: String]) throws(BlockError) {
        for prefix in ["limits.", "x-"] {
            for (option, text) in options.sorted(by: { $0.key < $1.key }) where option.hasPrefix(prefix) {
                let name = String(option.dropFirst(prefix.count))
                guard Self.names.contains(name) else { throw .message("Parameter '\(option)' is unexpected") }
                guard let number = Int64(text) else { throw .message("Parameter '\(option)' expects integer") }
                guard number >= 0 else {
                    throw .message(
                        prefix == "x-"
                            ? "Property values cannot be negative"
                            : "bps/iops/max values must be within [0, \(Self.most)]")
                }
                guard !name.hasSuffix("-length") || number <= Int64(UInt32.max) else {
                    let shown = prefix == "x-" ? option : name
                    throw .message("\(shown) value must be in the range [0, \(UInt32.max)]")
                }
                self[name] = UInt64(number)
            }
        }
        if let other = options.keys.filter({ !$0.hasPrefix("limits.") && !$0.hasPrefix("x-") }).min() {
            throw .message("Parameter '\(other)' is unexpected")
        }
        if let contradiction { throw .message(contradiction) }
    }
}
