// Written by Scripts/generate-rpc. Change that, or the facts in Scripts/libvirt.

extension RemoteQEMU {
    /// `DOMAIN_MONITOR_COMMAND`, virDomainQemuMonitorCommand.
    public enum DomainMonitorCommand: RPCProcedure {
        public static let program = RPCProgram.qemu
        public static let number: Int32 = 1

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var cmd: String
            public var flags: UInt32

            public init(dom: RemoteDomain, cmd: String, flags: UInt32) {
                self.dom = dom
                self.cmd = cmd
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                cmd = try reader.string()
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try cmd.write(to: &writer)
                try flags.write(to: &writer)
            }
        }

        /// What it answers.
        public struct Result: XDRCodable {
            public var result: String

            public init(result: String) {
                self.result = result
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                result = try reader.string()
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try result.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_ATTACH`, virDomainQemuAttach.
    public enum DomainAttach: RPCProcedure {
        public static let program = RPCProgram.qemu
        public static let number: Int32 = 2

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var pidValue: UInt32
            public var flags: UInt32

            public init(pidValue: UInt32, flags: UInt32) {
                self.pidValue = pidValue
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                pidValue = try UInt32(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try pidValue.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = Remote.DomainCreate.Arguments
    }

    /// `DOMAIN_AGENT_COMMAND`, virDomainQemuAgentCommand.
    public enum DomainAgentCommand: RPCProcedure {
        public static let program = RPCProgram.qemu
        public static let number: Int32 = 3

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var cmd: String
            public var timeout: Int32
            public var flags: UInt32

            public init(dom: RemoteDomain, cmd: String, timeout: Int32, flags: UInt32) {
                self.dom = dom
                self.cmd = cmd
                self.timeout = timeout
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                cmd = try reader.string()
                timeout = try Int32(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try cmd.write(to: &writer)
                try timeout.write(to: &writer)
                try flags.write(to: &writer)
            }
        }

        /// What it answers.
        public struct Result: XDRCodable {
            public var result: String?

            public init(result: String?) {
                self.result = result
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                result = try reader.optional(String.self)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.optional(result)
            }
        }
    }

    /// `CONNECT_DOMAIN_MONITOR_EVENT_REGISTER`, virConnectDomainQemuMonitorEventRegister.
    public enum ConnectDomainMonitorEventRegister: RPCProcedure {
        public static let program = RPCProgram.qemu
        public static let number: Int32 = 4

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain?
            public var event: String?
            public var flags: UInt32

            public init(dom: RemoteDomain?, event: String?, flags: UInt32) {
                self.dom = dom
                self.event = event
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try reader.optional(RemoteDomain.self)
                event = try reader.optional(String.self)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.optional(dom)
                try writer.optional(event)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = Remote.ConnectNetworkEventRegisterAny.Result
    }

    /// `CONNECT_DOMAIN_MONITOR_EVENT_DEREGISTER`, virConnectDomainQemuMonitorEventDeregister.
    public enum ConnectDomainMonitorEventDeregister: RPCProcedure {
        public static let program = RPCProgram.qemu
        public static let number: Int32 = 5
        public typealias Arguments = Remote.ConnectNetworkEventRegisterAny.Result
        public typealias Result = NoPayload
    }

    /// `DOMAIN_MONITOR_EVENT`.
    public enum DomainMonitorEvent: RPCEvent {
        public static let program = RPCProgram.qemu
        public static let number: Int32 = 6

        /// What it tells.
        public struct Body: XDRCodable {
            public var callbackID: Int32
            public var dom: RemoteDomain
            public var event: String
            public var seconds: Int64
            public var micros: UInt32
            public var details: String?

            public init(
                callbackID: Int32, dom: RemoteDomain, event: String, seconds: Int64, micros: UInt32, details: String?
            ) {
                self.callbackID = callbackID
                self.dom = dom
                self.event = event
                self.seconds = seconds
                self.micros = micros
                self.details = details
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                callbackID = try Int32(from: &reader)
                dom = try RemoteDomain(from: &reader)
                event = try reader.string()
                seconds = try Int64(from: &reader)
                micros = try UInt32(from: &reader)
                details = try reader.optional(String.self)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try callbackID.write(to: &writer)
                try dom.write(to: &writer)
                try event.write(to: &writer)
                try seconds.write(to: &writer)
                try micros.write(to: &writer)
                try writer.optional(details)
            }
        }
    }

    /// `DOMAIN_MONITOR_COMMAND_WITH_FILES`, virDomainQemuMonitorCommandWithFiles.
    public enum DomainMonitorCommandWithFiles: RPCProcedure {
        public static let program = RPCProgram.qemu
        public static let number: Int32 = 7
        public typealias Arguments = RemoteQEMU.DomainMonitorCommand.Arguments
        public typealias Result = RemoteQEMU.DomainMonitorCommand.Result
    }
}
