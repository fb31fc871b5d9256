// Written by Scripts/generate-rpc. Change that, or the facts in Scripts/libvirt.

extension RPCProgram {
    static let lxcTable = """
        1 DOMAIN_OPEN_NAMESPACE virDomainLxcOpenNamespace -
        """
}
