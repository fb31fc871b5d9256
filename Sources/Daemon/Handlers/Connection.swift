internal import HostOS
internal import RPCWire
internal import Synchronization

extension HandlerTable {
    /// Opening and closing, features.
    mutating func addConnection() {
        add(Remote.ConnectOpen.self, .loop) { (call, arguments) throws(LibvirtError) -> Void in
            let name = arguments.name.map { $0.isEmpty ? nil : $0 } ?? nil
            let standard = HostIdentity.userID == 0 ? "qemu:///system" : "qemu:///session"
            let uri = name ?? standard
            guard uri == "qemu:///system" || uri == "qemu:///session" || uri == "qemu:///embed" else {
                throw LibvirtError(
                    code: VirErrorNumber.noConnect, domain: VirErrorDomain.none,
                    message: "no connection driver available for \(uri)", detail: uri)
            }
            let again = call.session.state.withLock { state -> Bool in
                guard state.uri == nil else { return true }
                state.uri = uri
                if arguments.flags & VirConnectFlags.ro != 0 { state.readOnly = true }
                return false
            }
            if again { throw LibvirtError.internalError("connection already open").from(VirErrorDomain.rpc) }
        }
        add(Remote.ConnectClose.self, .loop) { (call, _) throws(LibvirtError) -> Void in
            call.afterReply { call.session.closeWhenSent() }
        }
        add(Remote.ConnectSupportsFeature.self, .loop) { (call, arguments) throws(LibvirtError) in
            if arguments.feature == VirDriverFeature.programKeepalive { call.session.startKeepalive() }
            // What the protocol's layer has by itself, and typed parameters that hold strings.
            let supported: Set<Int32> = [
                VirDriverFeature.remote, VirDriverFeature.fdPassing, VirDriverFeature.typedParamString,
                VirDriverFeature.programKeepalive, VirDriverFeature.remoteEventCallback,
                VirDriverFeature.remoteCloseCallback, VirDriverFeature.networkUpdateHasCorrectOrder,
                // Migration: the third protocol, with parameters, by either end, of machines that are off, too.
                VirDriverFeature.migrationP2p, VirDriverFeature.migrationV3, VirDriverFeature.migrationParams,
                VirDriverFeature.migrationOffline, VirDriverFeature.migrateChangeProtection,
                VirDriverFeature.xmlMigratable,
            ]
            if arguments.feature == VirDriverFeature.fdPassing, !call.session.origin.isLocal {
                return Remote.ConnectSupportsFeature.Result(supported: 0)
            }
            return Remote.ConnectSupportsFeature.Result(supported: supported.contains(arguments.feature) ? 1 : 0)
        }
        add(Remote.ConnectGetType.self, .loop) { (_, _) throws(LibvirtError) in
            Remote.ConnectGetType.Result(type: "QEMU")
        }
        add(Remote.ConnectGetVersion.self, .worker) { (call, _) throws(LibvirtError) in
            guard let emulator = call.session.daemon.emulators.standard else {
                throw LibvirtError.internalError("Cannot find suitable emulator for x86_64")
            }
            return Remote.ConnectGetVersion.Result(hvVer: emulator.version)
        }
        add(Remote.ConnectGetLibVersion.self, .loop) { (_, _) throws(LibvirtError) in
            Remote.ConnectGetLibVersion.Result(libVer: DaemonVersion.library)
        }
        add(Remote.ConnectGetURI.self, .loop) { (call, _) throws(LibvirtError) in
            Remote.ConnectGetURI.Result(uri: call.session.state.withLock { $0.uri } ?? "")
        }
        add(Remote.ConnectIsSecure.self, .loop) { (call, _) throws(LibvirtError) in
            Remote.ConnectIsSecure.Result(secure: call.session.origin.isSecure ? 1 : 0)
        }
        add(Remote.ConnectRegisterCloseCallback.self, .loop) { (call, _) throws(LibvirtError) -> Void in
            try Self.setCloseNotice(call, true)
        }
        add(Remote.ConnectUnregisterCloseCallback.self, .loop) { (call, _) throws(LibvirtError) -> Void in
            try Self.setCloseNotice(call, false)
        }
        add(Remote.ConnectSetIdentity.self, .loop) { (_, _) throws(LibvirtError) -> Void in
            // Only a proxy sends it, for a client whose identity it checked; here it takes nothing and gives nothing.
        }
    }

    private static func setCloseNotice(_ call: Call, _ on: Bool) throws(LibvirtError) {
        let done = call.session.state.withLock { state -> Bool in
            guard state.wantsCloseNotice != on else { return false }
            state.wantsCloseNotice = on
            return true
        }
        if !done {
            throw LibvirtError.operationUnsupported(
                on ? "A close callback is already registered" : "The close callback is not registered"
            ).from(0)
        }
    }
}

/// What the daemon says that it is.
public enum DaemonVersion {
    /// The release of libvirt whose protocol and behaviour it has, in libvirt's form.
    public static let library: UInt64 = 9_000_000
}
