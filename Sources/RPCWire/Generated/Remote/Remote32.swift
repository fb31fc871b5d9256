// Written by Scripts/generate-rpc. Change that, or the facts in Scripts/libvirt.

extension Remote {
    /// `DOMAIN_CHECKPOINT_GET_PARENT`, virDomainCheckpointGetParent.
    public enum DomainCheckpointGetParent: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 416
        public typealias Arguments = Remote.DomainCheckpointGetXMLDesc.Arguments

        /// What it answers.
        public struct Result: XDRCodable {
            public var parent: RemoteDomainCheckpoint

            public init(parent: RemoteDomainCheckpoint) {
                self.parent = parent
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                parent = try RemoteDomainCheckpoint(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try parent.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_CHECKPOINT_DELETE`, virDomainCheckpointDelete.
    public enum DomainCheckpointDelete: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 417
        public typealias Arguments = Remote.DomainCheckpointGetXMLDesc.Arguments
        public typealias Result = NoPayload
    }

    /// `DOMAIN_GET_GUEST_INFO`, virDomainGetGuestInfo.
    public enum DomainGetGuestInfo: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 418

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var types: UInt32
            public var flags: UInt32

            public init(dom: RemoteDomain, types: UInt32, flags: UInt32) {
                self.dom = dom
                self.types = types
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                types = try UInt32(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try types.write(to: &writer)
                try flags.write(to: &writer)
            }
        }

        /// What it answers.
        public struct Result: XDRCodable {
            public var params: [RemoteTypedParam]

            public init(params: [RemoteTypedParam]) {
                self.params = params
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                params = try reader.array(RemoteTypedParam.self, max: 2048)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.array(params, max: 2048)
            }
        }
    }

    /// `CONNECT_SET_IDENTITY`, virConnectSetIdentity.
    public enum ConnectSetIdentity: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 419

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var params: [RemoteTypedParam]
            public var flags: UInt32

            public init(params: [RemoteTypedParam], flags: UInt32) {
                self.params = params
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                params = try reader.array(RemoteTypedParam.self, max: 20)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.array(params, max: 20)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `DOMAIN_AGENT_SET_RESPONSE_TIMEOUT`, virDomainAgentSetResponseTimeout.
    public enum DomainAgentSetResponseTimeout: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 420

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var timeout: Int32
            public var flags: UInt32

            public init(dom: RemoteDomain, timeout: Int32, flags: UInt32) {
                self.dom = dom
                self.timeout = timeout
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                timeout = try Int32(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try timeout.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = Remote.ConnectCompareCPU.Result
    }

    /// `DOMAIN_BACKUP_BEGIN`, virDomainBackupBegin.
    public enum DomainBackupBegin: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 421

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var backupXml: String
            public var checkpointXml: String?
            public var flags: UInt32

            public init(dom: RemoteDomain, backupXml: String, checkpointXml: String?, flags: UInt32) {
                self.dom = dom
                self.backupXml = backupXml
                self.checkpointXml = checkpointXml
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                backupXml = try reader.string()
                checkpointXml = try reader.optional(String.self)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try backupXml.write(to: &writer)
                try writer.optional(checkpointXml)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `DOMAIN_BACKUP_GET_XML_DESC`, virDomainBackupGetXMLDesc.
    public enum DomainBackupGetXMLDesc: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 422
        public typealias Arguments = Remote.DomainGetXMLDesc.Arguments
        public typealias Result = Remote.DomainDefineXML.Arguments
    }

    /// `DOMAIN_EVENT_MEMORY_FAILURE`.
    public enum DomainEventMemoryFailure: RPCEvent {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 423

        /// What it tells.
        public struct Body: XDRCodable {
            public var callbackID: Int32
            public var dom: RemoteDomain
            public var recipient: Int32
            public var action: Int32
            public var flags: UInt32

            public init(callbackID: Int32, dom: RemoteDomain, recipient: Int32, action: Int32, flags: UInt32) {
                self.callbackID = callbackID
                self.dom = dom
                self.recipient = recipient
                self.action = action
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                callbackID = try Int32(from: &reader)
                dom = try RemoteDomain(from: &reader)
                recipient = try Int32(from: &reader)
                action = try Int32(from: &reader)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try callbackID.write(to: &writer)
                try dom.write(to: &writer)
                try recipient.write(to: &writer)
                try action.write(to: &writer)
                try flags.write(to: &writer)
            }
        }
    }

    /// `DOMAIN_AUTHORIZED_SSH_KEYS_GET`, virDomainAuthorizedSSHKeysGet.
    public enum DomainAuthorizedSSHKeysGet: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 424

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var user: String
            public var flags: UInt32

            public init(dom: RemoteDomain, user: String, flags: UInt32) {
                self.dom = dom
                self.user = user
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                user = try reader.string()
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try user.write(to: &writer)
                try flags.write(to: &writer)
            }
        }

        /// What it answers.
        public struct Result: XDRCodable {
            public var keys: [String]

            public init(keys: [String]) {
                self.keys = keys
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                keys = try reader.array(String.self, max: 2048)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.array(keys, max: 2048)
            }
        }
    }

    /// `DOMAIN_AUTHORIZED_SSH_KEYS_SET`, virDomainAuthorizedSSHKeysSet.
    public enum DomainAuthorizedSSHKeysSet: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 425

        /// What a call sends.
        public struct Arguments: XDRCodable {
            public var dom: RemoteDomain
            public var user: String
            public var keys: [String]
            public var flags: UInt32

            public init(dom: RemoteDomain, user: String, keys: [String], flags: UInt32) {
                self.dom = dom
                self.user = user
                self.keys = keys
                self.flags = flags
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                dom = try RemoteDomain(from: &reader)
                user = try reader.string()
                keys = try reader.array(String.self, max: 2048)
                flags = try UInt32(from: &reader)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try dom.write(to: &writer)
                try user.write(to: &writer)
                try writer.array(keys, max: 2048)
                try flags.write(to: &writer)
            }
        }
        public typealias Result = NoPayload
    }

    /// `DOMAIN_GET_MESSAGES`, virDomainGetMessages.
    public enum DomainGetMessages: RPCProcedure {
        public static let program = RPCProgram.remote
        public static let number: Int32 = 426
        public typealias Arguments = Remote.DomainGetXMLDesc.Arguments

        /// What it answers.
        public struct Result: XDRCodable {
            public var msgs: [String]

            public init(msgs: [String]) {
                self.msgs = msgs
            }

            public init(from reader: inout XDRReader) throws(XDRError) {
                msgs = try reader.array(String.self, max: 2048)
            }

            public func write(to writer: inout XDRWriter) throws(XDRError) {
                try writer.array(msgs, max: 2048)
            }
        }
    }
}
