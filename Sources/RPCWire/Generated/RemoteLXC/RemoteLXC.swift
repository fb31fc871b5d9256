// Written by Scripts/generate-rpc. Change that, or the facts in Scripts/libvirt.

extension RemoteLXC {
    /// `DOMAIN_OPEN_NAMESPACE`, virDomainLxcOpenNamespace.
    public enum DomainOpenNamespace: RPCProcedure {
        public static let program = RPCProgram.lxc
        public static let number: Int32 = 1
        public typealias Arguments = Remote.DomainGetXMLDesc.Arguments
        public typealias Result = NoPayload
    }
}
