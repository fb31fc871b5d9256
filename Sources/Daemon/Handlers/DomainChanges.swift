internal import RPCWire
internal import Synchronization

extension HandlerTable {
    /// Definitions and lives of domains.
    mutating func addDomainChanges() {
        add(Remote.DomainDefineXML.self, .worker) { (call, arguments) throws(LibvirtError) in
            Remote.DomainDefineXML.Result(dom: try call.driver.define(arguments.xml).reference)
        }
        add(Remote.DomainDefineXMLFlags.self, .worker) { (call, arguments) throws(LibvirtError) in
            Remote.DomainDefineXMLFlags.Result(dom: try call.driver.define(arguments.xml).reference)
        }
        add(Remote.DomainUndefine.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try call.driver.undefine(try call.domain(arguments.dom), flags: 0)
        }
        add(Remote.DomainUndefineFlags.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try call.driver.undefine(try call.domain(arguments.dom), flags: arguments.flags)
        }
        add(Remote.DomainCreateXML.self, .worker) { (call, arguments) throws(LibvirtError) in
            let domain = try call.driver.create(arguments.xmlDesc, flags: arguments.flags)
            HandlerTable.autoDestroy(call, domain, arguments.flags)
            return Remote.DomainCreateXML.Result(dom: domain.reference)
        }
        add(Remote.DomainCreate.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try call.driver.start(try call.domain(arguments.dom), flags: 0)
        }
        add(Remote.DomainCreateWithFlags.self, .worker) { (call, arguments) throws(LibvirtError) in
            let domain = try call.domain(arguments.dom)
            try call.driver.start(domain, flags: arguments.flags)
            HandlerTable.autoDestroy(call, domain, arguments.flags)
            return Remote.DomainCreateWithFlags.Result(dom: domain.reference)
        }
        add(Remote.DomainDestroy.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try call.driver.destroy(try call.domain(arguments.dom), flags: 0)
        }
        add(Remote.DomainDestroyFlags.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try call.driver.destroy(try call.domain(arguments.dom), flags: arguments.flags)
        }
        add(Remote.DomainShutdown.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try call.driver.shutdown(try call.domain(arguments.dom), flags: 0)
        }
        add(Remote.DomainShutdownFlags.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try call.driver.shutdown(try call.domain(arguments.dom), flags: arguments.flags)
        }
        add(Remote.DomainReboot.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try call.driver.reboot(try call.domain(arguments.dom), flags: arguments.flags)
        }
        add(Remote.DomainReset.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try call.driver.reset(try call.domain(arguments.dom))
        }
        add(Remote.DomainInjectNMI.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try call.driver.injectNMI(try call.domain(arguments.dom))
        }
        add(Remote.DomainSuspend.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try call.driver.suspend(try call.domain(arguments.dom))
        }
        add(Remote.DomainResume.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try call.driver.resume(try call.domain(arguments.dom))
        }
        add(Remote.DomainSetAutostart.self, .worker) { (call, arguments) throws(LibvirtError) -> Void in
            try call.driver.setAutostart(try call.domain(arguments.dom), arguments.autostart != 0)
        }
        add(Remote.DomainRename.self, .worker) { (call, arguments) throws(LibvirtError) in
            guard let name = arguments.newName else { throw LibvirtError.invalidArgument("new_name must not be NULL") }
            try call.driver.rename(try call.domain(arguments.dom), to: name)
            return Remote.DomainRename.Result(retcode: 0)
        }
    }

    /// A domain that was started to end with its client.
    private static func autoDestroy(_ call: Call, _ domain: Domain, _ flags: UInt32) {
        guard flags & VirDomainCreateFlags.startAutodestroy != 0 else { return }
        let gone = call.session.state.withLock { state -> Bool in
            if !state.closed { state.autoDestroy.insert(domain.uuid) }
            return state.closed
        }
        if gone { call.driver.destroyAbandoned(domain.uuid) }
    }
}
