/// The programs that share one connection, each of version 1.
public enum RPCProgram: UInt32, Sendable, CaseIterable {
    /// Everything that is no hypervisor's own.
    case remote = 0x2000_8086
    /// What only makes sense with QEMU: its monitor and agent.
    case qemu = 0x2000_8087
    /// What only makes sense with LXC.
    case lxc = 0x0006_8000
    /// Pings and pongs.
    case keepalive = 0x6b65_6570

    /// The one version that there is.
    public static let version: UInt32 = 1

    /// What is known of the program's procedures.
    public var procedures: ProcedureTable {
        switch self {
        case .remote: RPCProgram.remoteProcedures
        case .qemu: RPCProgram.qemuProcedures
        case .lxc: RPCProgram.lxcProcedures
        case .keepalive: RPCProgram.noProcedures
        }
    }

    private static let remoteProcedures = ProcedureTable(remoteTable1 + "\n" + remoteTable2)
    private static let qemuProcedures = ProcedureTable(qemuTable)
    private static let lxcProcedures = ProcedureTable(lxcTable)
    private static let noProcedures = ProcedureTable("")
}

/// A call and its answer.
public protocol RPCProcedure {
    /// What a call sends.
    associatedtype Arguments: XDRCodable
    /// What it answers.
    associatedtype Result: XDRCodable
    /// The program it belongs to.
    static var program: RPCProgram { get }
    /// Its number there.
    static var number: Int32 { get }
}

/// A message of the daemon's own accord.
public protocol RPCEvent {
    /// What it tells.
    associatedtype Body: XDRCodable
    /// The program it belongs to.
    static var program: RPCProgram { get }
    /// Its number there.
    static var number: Int32 { get }
}

/// Procedures and events of the remote program.
public enum Remote {}

/// Procedures and events of the QEMU program.
public enum RemoteQEMU {}

/// Procedures of the LXC program.
public enum RemoteLXC {}

extension Remote {
    /// Reads the payload of any procedure; nil for a number that is none. `reply`: its result, not its arguments.
    public static func payload(
        _ number: Int32, reply: Bool, from reader: inout XDRReader
    ) throws(XDRError) -> (any XDRCodable)? {
        if let found = try payload1(number, reply, &reader) { return found }
        if let found = try payload2(number, reply, &reader) { return found }
        return try payload3(number, reply, &reader)
    }

    static func payload<Procedure: RPCProcedure>(
        _ type: Procedure.Type, _ reply: Bool, _ reader: inout XDRReader
    ) throws(XDRError) -> any XDRCodable {
        if reply { return try Procedure.Result(from: &reader) }
        return try Procedure.Arguments(from: &reader)
    }
}
