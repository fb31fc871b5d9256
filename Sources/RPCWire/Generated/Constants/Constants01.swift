// Written by Scripts/generate-rpc. Change that, or the facts in Scripts/libvirt.

/// `virDomainState`.
public enum VirDomainState {
    public static let nostate: Int32 = 0
    public static let running: Int32 = 1
    public static let blocked: Int32 = 2
    public static let paused: Int32 = 3
    public static let shutdown: Int32 = 4
    public static let shutoff: Int32 = 5
    public static let crashed: Int32 = 6
    public static let pmsuspended: Int32 = 7
}

/// `virErrorNumber`.
public enum VirErrorNumber {
    public static let ok: Int32 = 0
    public static let internalError: Int32 = 1
    public static let noMemory: Int32 = 2
    public static let noSupport: Int32 = 3
    public static let unknownHost: Int32 = 4
    public static let noConnect: Int32 = 5
    public static let invalidConn: Int32 = 6
    public static let invalidDomain: Int32 = 7
    public static let invalidArg: Int32 = 8
    public static let operationFailed: Int32 = 9
    public static let getFailed: Int32 = 10
    public static let postFailed: Int32 = 11
    public static let httpError: Int32 = 12
    public static let sexprSerial: Int32 = 13
    public static let noXen: Int32 = 14
    public static let xenCall: Int32 = 15
    public static let osType: Int32 = 16
    public static let noKernel: Int32 = 17
    public static let noRoot: Int32 = 18
    public static let noSource: Int32 = 19
    public static let noTarget: Int32 = 20
    public static let noName: Int32 = 21
    public static let noOs: Int32 = 22
    public static let noDevice: Int32 = 23
    public static let noXenstore: Int32 = 24
    public static let driverFull: Int32 = 25
    public static let callFailed: Int32 = 26
    public static let xmlError: Int32 = 27
    public static let domExist: Int32 = 28
    public static let operationDenied: Int32 = 29
    public static let openFailed: Int32 = 30
    public static let readFailed: Int32 = 31
    public static let parseFailed: Int32 = 32
    public static let confSyntax: Int32 = 33
    public static let writeFailed: Int32 = 34
    public static let xmlDetail: Int32 = 35
    public static let invalidNetwork: Int32 = 36
    public static let networkExist: Int32 = 37
    public static let systemError: Int32 = 38
    public static let rpc: Int32 = 39
    public static let gnutlsError: Int32 = 40
    public static let noDomain: Int32 = 42
    public static let noNetwork: Int32 = 43
    public static let invalidMac: Int32 = 44
    public static let authFailed: Int32 = 45
    public static let invalidStoragePool: Int32 = 46
    public static let invalidStorageVol: Int32 = 47
    public static let noStoragePool: Int32 = 49
    public static let noStorageVol: Int32 = 50
    public static let invalidNodeDevice: Int32 = 52
    public static let noNodeDevice: Int32 = 53
    public static let noSecurityModel: Int32 = 54
    public static let operationInvalid: Int32 = 55
    public static let noInterface: Int32 = 57
    public static let invalidInterface: Int32 = 58
    public static let multipleInterfaces: Int32 = 59
    public static let invalidNwfilter: Int32 = 61
    public static let noNwfilter: Int32 = 62
    public static let buildFirewall: Int32 = 63
    public static let invalidSecret: Int32 = 65
    public static let noSecret: Int32 = 66
    public static let configUnsupported: Int32 = 67
    public static let operationTimeout: Int32 = 68
    public static let migratePersistFailed: Int32 = 69
    public static let hookScriptFailed: Int32 = 70
    public static let invalidDomainSnapshot: Int32 = 71
    public static let noDomainSnapshot: Int32 = 72
    public static let invalidStream: Int32 = 73
    public static let argumentUnsupported: Int32 = 74
    public static let storageProbeFailed: Int32 = 75
    public static let storagePoolBuilt: Int32 = 76
    public static let snapshotRevertRisky: Int32 = 77
    public static let operationAborted: Int32 = 78
    public static let authCancelled: Int32 = 79
    public static let noDomainMetadata: Int32 = 80
    public static let migrateUnsafe: Int32 = 81
    public static let overflow: Int32 = 82
    public static let blockCopyActive: Int32 = 83
    public static let operationUnsupported: Int32 = 84
    public static let ssh: Int32 = 85
    public static let agentUnresponsive: Int32 = 86
    public static let resourceBusy: Int32 = 87
    public static let accessDenied: Int32 = 88
    public static let dbusService: Int32 = 89
    public static let storageVolExist: Int32 = 90
    public static let cpuIncompatible: Int32 = 91
    public static let xmlInvalidSchema: Int32 = 92
    public static let migrateFinishOk: Int32 = 93
    public static let authUnavailable: Int32 = 94
    public static let noServer: Int32 = 95
    public static let noClient: Int32 = 96
    public static let agentUnsynced: Int32 = 97
    public static let libssh: Int32 = 98
    public static let deviceMissing: Int32 = 99
    public static let invalidNwfilterBinding: Int32 = 100
    public static let noNwfilterBinding: Int32 = 101
    public static let invalidDomainCheckpoint: Int32 = 102
    public static let noDomainCheckpoint: Int32 = 103
    public static let noDomainBackup: Int32 = 104
    public static let invalidNetworkPort: Int32 = 105
    public static let networkPortExist: Int32 = 106
    public static let noNetworkPort: Int32 = 107
    public static let noHostname: Int32 = 108
    public static let checkpointInconsistent: Int32 = 109
    public static let multipleDomains: Int32 = 110
    public static let noNetworkMetadata: Int32 = 111
    public static let agentCommandTimeout: Int32 = 112
    public static let agentCommandFailed: Int32 = 113
    public static let invalidEncrKeySecret: Int32 = 114
}

/// `virErrorDomain`.
public enum VirErrorDomain {
    public static let none: Int32 = 0
    public static let xen: Int32 = 1
    public static let xend: Int32 = 2
    public static let xenstore: Int32 = 3
    public static let sexpr: Int32 = 4
    public static let xml: Int32 = 5
    public static let dom: Int32 = 6
    public static let rpc: Int32 = 7
    public static let proxy: Int32 = 8
    public static let conf: Int32 = 9
    public static let qemu: Int32 = 10
    public static let net: Int32 = 11
    public static let test: Int32 = 12
    public static let remote: Int32 = 13
    public static let openvz: Int32 = 14
    public static let xenxm: Int32 = 15
    public static let statsLinux: Int32 = 16
    public static let lxc: Int32 = 17
    public static let storage: Int32 = 18
    public static let network: Int32 = 19
    public static let domain: Int32 = 20
    public static let uml: Int32 = 21
    public static let nodedev: Int32 = 22
    public static let xenInotify: Int32 = 23
    public static let security: Int32 = 24
    public static let vbox: Int32 = 25
    public static let interface: Int32 = 26
    public static let one: Int32 = 27
    public static let esx: Int32 = 28
    public static let phyp: Int32 = 29
    public static let secret: Int32 = 30
    public static let cpu: Int32 = 31
    public static let xenapi: Int32 = 32
    public static let nwfilter: Int32 = 33
    public static let hook: Int32 = 34
    public static let domainSnapshot: Int32 = 35
    public static let audit: Int32 = 36
    public static let sysinfo: Int32 = 37
    public static let streams: Int32 = 38
    public static let vmware: Int32 = 39
    public static let event: Int32 = 40
    public static let libxl: Int32 = 41
    public static let locking: Int32 = 42
    public static let hyperv: Int32 = 43
    public static let capabilities: Int32 = 44
    public static let uri: Int32 = 45
    public static let auth: Int32 = 46
    public static let dbus: Int32 = 47
    public static let parallels: Int32 = 48
    public static let device: Int32 = 49
    public static let ssh: Int32 = 50
    public static let lockspace: Int32 = 51
    public static let initctl: Int32 = 52
    public static let identity: Int32 = 53
    public static let cgroup: Int32 = 54
    public static let access: Int32 = 55
    public static let systemd: Int32 = 56
    public static let bhyve: Int32 = 57
    public static let crypto: Int32 = 58
    public static let firewall: Int32 = 59
    public static let polkit: Int32 = 60
    public static let thread: Int32 = 61
    public static let admin: Int32 = 62
    public static let logging: Int32 = 63
    public static let xenxl: Int32 = 64
    public static let perf: Int32 = 65
    public static let libssh: Int32 = 66
    public static let resctrl: Int32 = 67
    public static let firewalld: Int32 = 68
    public static let domainCheckpoint: Int32 = 69
    public static let tpm: Int32 = 70
    public static let bpf: Int32 = 71
    public static let ch: Int32 = 72
}

/// `virErrorLevel`.
public enum VirErrorLevel {
    public static let none: Int32 = 0
    public static let warning: Int32 = 1
    public static let error: Int32 = 2
}

/// `virDomainEventID`.
public enum VirDomainEventID {
    public static let lifecycle: Int32 = 0
    public static let reboot: Int32 = 1
    public static let rtcChange: Int32 = 2
    public static let watchdog: Int32 = 3
    public static let ioError: Int32 = 4
    public static let graphics: Int32 = 5
    public static let ioErrorReason: Int32 = 6
    public static let controlError: Int32 = 7
    public static let blockJob: Int32 = 8
    public static let diskChange: Int32 = 9
    public static let trayChange: Int32 = 10
    public static let pmwakeup: Int32 = 11
    public static let pmsuspend: Int32 = 12
    public static let balloonChange: Int32 = 13
    public static let pmsuspendDisk: Int32 = 14
    public static let deviceRemoved: Int32 = 15
    public static let blockJob2: Int32 = 16
    public static let tunable: Int32 = 17
    public static let agentLifecycle: Int32 = 18
    public static let deviceAdded: Int32 = 19
    public static let migrationIteration: Int32 = 20
    public static let jobCompleted: Int32 = 21
    public static let deviceRemovalFailed: Int32 = 22
    public static let metadataChange: Int32 = 23
    public static let blockThreshold: Int32 = 24
    public static let memoryFailure: Int32 = 25
    public static let memoryDeviceSizeChange: Int32 = 26
    public static let nicMacChange: Int32 = 27
    public static let vcpuRemoved: Int32 = 28
    public static let channelLifecycle: Int32 = 29
}

/// `virDomainEventType`.
public enum VirDomainEventType {
    public static let defined: Int32 = 0
    public static let undefined: Int32 = 1
    public static let started: Int32 = 2
    public static let suspended: Int32 = 3
    public static let resumed: Int32 = 4
    public static let stopped: Int32 = 5
    public static let shutdown: Int32 = 6
    public static let pmsuspended: Int32 = 7
    public static let crashed: Int32 = 8
}

/// `virDomainEventDefinedDetailType`.
public enum VirDomainEventDefinedDetailType {
    public static let added: Int32 = 0
    public static let updated: Int32 = 1
    public static let renamed: Int32 = 2
    public static let fromSnapshot: Int32 = 3
}

/// `virDomainEventUndefinedDetailType`.
public enum VirDomainEventUndefinedDetailType {
    public static let removed: Int32 = 0
    public static let renamed: Int32 = 1
}

/// `virDomainEventStartedDetailType`.
public enum VirDomainEventStartedDetailType {
    public static let booted: Int32 = 0
    public static let migrated: Int32 = 1
    public static let restored: Int32 = 2
    public static let fromSnapshot: Int32 = 3
    public static let wakeup: Int32 = 4
    public static let recreated: Int32 = 5
}

/// `virDomainEventSuspendedDetailType`.
public enum VirDomainEventSuspendedDetailType {
    public static let paused: Int32 = 0
    public static let migrated: Int32 = 1
    public static let ioerror: Int32 = 2
    public static let watchdog: Int32 = 3
    public static let restored: Int32 = 4
    public static let fromSnapshot: Int32 = 5
    public static let apiError: Int32 = 6
    public static let postcopy: Int32 = 7
    public static let postcopyFailed: Int32 = 8
    public static let guestShutdown: Int32 = 9
}

/// `virDomainEventResumedDetailType`.
public enum VirDomainEventResumedDetailType {
    public static let unpaused: Int32 = 0
    public static let migrated: Int32 = 1
    public static let fromSnapshot: Int32 = 2
    public static let postcopy: Int32 = 3
    public static let postcopyFailed: Int32 = 4
}

/// `virDomainEventStoppedDetailType`.
public enum VirDomainEventStoppedDetailType {
    public static let shutdown: Int32 = 0
    public static let destroyed: Int32 = 1
    public static let crashed: Int32 = 2
    public static let migrated: Int32 = 3
    public static let saved: Int32 = 4
    public static let failed: Int32 = 5
    public static let fromSnapshot: Int32 = 6
    public static let recreated: Int32 = 7
}

/// `virDomainEventShutdownDetailType`.
public enum VirDomainEventShutdownDetailType {
    public static let finished: Int32 = 0
    public static let guest: Int32 = 1
    public static let host: Int32 = 2
}

/// `virDomainEventPMSuspendedDetailType`.
public enum VirDomainEventPMSuspendedDetailType {
    public static let memory: Int32 = 0
    public static let disk: Int32 = 1
}

/// `virDomainEventCrashedDetailType`.
public enum VirDomainEventCrashedDetailType {
    public static let panicked: Int32 = 0
    public static let crashloaded: Int32 = 1
}

/// `virTypedParameterType`.
public enum VirTypedParameterType {
    public static let int: Int32 = 1
    public static let uint: Int32 = 2
    public static let llong: Int32 = 3
    public static let ullong: Int32 = 4
    public static let double: Int32 = 5
    public static let boolean: Int32 = 6
    public static let string: Int32 = 7
}

/// `virConnectCloseReason`.
public enum VirConnectCloseReason {
    public static let error: Int32 = 0
    public static let eof: Int32 = 1
    public static let keepalive: Int32 = 2
    public static let client: Int32 = 3
}

/// `virTypedParameterFlags`.
public enum VirTypedParameterFlags {
    public static let paramStringOkay: UInt32 = 4
}
