// Written by Scripts/generate-rpc. Change that, or the facts in Scripts/libvirt.

/// `virConnectDomainEventDiskChangeReason`.
public enum VirConnectDomainEventDiskChangeReason {
    public static let changeMissingOnStart: Int32 = 0
    public static let dropMissingOnStart: Int32 = 1
}

/// `virDomainEventTrayChangeReason`.
public enum VirDomainEventTrayChangeReason {
    public static let `open`: Int32 = 0
    public static let close: Int32 = 1
}

/// `virConnectDomainEventAgentLifecycleState`.
public enum VirConnectDomainEventAgentLifecycleState {
    public static let connected: Int32 = 1
    public static let disconnected: Int32 = 2
}

/// `virConnectDomainEventAgentLifecycleReason`.
public enum VirConnectDomainEventAgentLifecycleReason {
    public static let unknown: Int32 = 0
    public static let domainStarted: Int32 = 1
    public static let channel: Int32 = 2
}

/// `virConnectDomainEventChannelLifecycleState`.
public enum VirConnectDomainEventChannelLifecycleState {
    public static let connected: Int32 = 1
    public static let disconnected: Int32 = 2
}

/// `virConnectDomainEventChannelLifecycleReason`.
public enum VirConnectDomainEventChannelLifecycleReason {
    public static let unknown: Int32 = 0
    public static let domainStarted: Int32 = 1
    public static let channel: Int32 = 2
}

/// `virDomainConsoleFlags`.
public enum VirDomainConsoleFlags {
    public static let force: UInt32 = 1
    public static let safe: UInt32 = 2
}

/// `virDomainChannelFlags`.
public enum VirDomainChannelFlags {
    public static let force: UInt32 = 1
}

/// `virDomainOpenGraphicsFlags`.
public enum VirDomainOpenGraphicsFlags {
    public static let skipauth: UInt32 = 1
}

/// `virDomainSetTimeFlags`.
public enum VirDomainSetTimeFlags {
    public static let sync: UInt32 = 1
}

/// `virSchedParameterType`.
public enum VirSchedParameterType {
    public static let int: Int32 = 1
    public static let uint: Int32 = 2
    public static let llong: Int32 = 3
    public static let ullong: Int32 = 4
    public static let double: Int32 = 5
    public static let boolean: Int32 = 6
}

/// `virBlkioParameterType`.
public enum VirBlkioParameterType {
    public static let int: Int32 = 1
    public static let uint: Int32 = 2
    public static let llong: Int32 = 3
    public static let ullong: Int32 = 4
    public static let double: Int32 = 5
    public static let boolean: Int32 = 6
}

/// `virMemoryParameterType`.
public enum VirMemoryParameterType {
    public static let int: Int32 = 1
    public static let uint: Int32 = 2
    public static let llong: Int32 = 3
    public static let ullong: Int32 = 4
    public static let double: Int32 = 5
    public static let boolean: Int32 = 6
}

/// `virDomainInterfaceAddressesSource`.
public enum VirDomainInterfaceAddressesSource {
    public static let lease: Int32 = 0
    public static let agent: Int32 = 1
    public static let arp: Int32 = 2
}

/// `virDomainSetUserPasswordFlags`.
public enum VirDomainSetUserPasswordFlags {
    public static let encrypted: UInt32 = 1
}

/// `virDomainLifecycle`.
public enum VirDomainLifecycle {
    public static let poweroff: Int32 = 0
    public static let reboot: Int32 = 1
    public static let crash: Int32 = 2
}

/// `virDomainLifecycleAction`.
public enum VirDomainLifecycleAction {
    public static let destroy: Int32 = 0
    public static let restart: Int32 = 1
    public static let restartRename: Int32 = 2
    public static let preserve: Int32 = 3
    public static let coredumpDestroy: Int32 = 4
    public static let coredumpRestart: Int32 = 5
    public static let preserveRunning: Int32 = 6
}

/// `virDomainGuestInfoTypes`.
public enum VirDomainGuestInfoTypes {
    public static let users: UInt32 = 1
    public static let os: UInt32 = 2
    public static let timezone: UInt32 = 4
    public static let hostname: UInt32 = 8
    public static let filesystem: UInt32 = 16
    public static let disks: UInt32 = 32
    public static let interfaces: UInt32 = 64
    public static let load: UInt32 = 128
    public static let devices: UInt32 = 256
}

/// `virDomainAgentResponseTimeoutValues`.
public enum VirDomainAgentResponseTimeoutValues {
    public static let block: Int32 = -2
    public static let `default`: Int32 = -1
    public static let nowait: Int32 = 0
}

/// `virDomainBackupBeginFlags`.
public enum VirDomainBackupBeginFlags {
    public static let reuseExternal: UInt32 = 1
    public static let preserveShutdownDomain: UInt32 = 2
}

/// `virDomainAuthorizedSSHKeysSetFlags`.
public enum VirDomainAuthorizedSSHKeysSetFlags {
    public static let append: UInt32 = 1
    public static let remove: UInt32 = 2
}

/// `virDomainMessageType`.
public enum VirDomainMessageType {
    public static let deprecation: Int32 = 1
    public static let tainting: Int32 = 2
    public static let ioerrors: Int32 = 4
}

/// `virDomainDirtyRateStatus`.
public enum VirDomainDirtyRateStatus {
    public static let unstarted: Int32 = 0
    public static let measuring: Int32 = 1
    public static let measured: Int32 = 2
}

/// `virDomainDirtyRateCalcFlags`.
public enum VirDomainDirtyRateCalcFlags {
    public static let pageSampling: UInt32 = 0
    public static let dirtyBitmap: UInt32 = 1
    public static let dirtyRing: UInt32 = 2
}

/// `virDomainFDAssociateFlags`.
public enum VirDomainFDAssociateFlags {
    public static let restore: UInt32 = 1
    public static let writable: UInt32 = 2
}

/// `virDomainGraphicsReloadType`.
public enum VirDomainGraphicsReloadType {
    public static let `any`: Int32 = 0
    public static let vnc: Int32 = 1
}

/// `virEventHandleType`.
public enum VirEventHandleType {
    public static let readable: Int32 = 1
    public static let writable: Int32 = 2
    public static let error: Int32 = 4
    public static let hangup: Int32 = 8
}

/// `virNodeSuspendTarget`.
public enum VirNodeSuspendTarget {
    public static let mem: Int32 = 0
    public static let disk: Int32 = 1
    public static let hybrid: Int32 = 2
}

/// `virNodeGetCPUStatsAllCPUs`.
public enum VirNodeGetCPUStatsAllCPUs {
    public static let cpus: Int32 = -1
}

/// `virNodeGetMemoryStatsAllCells`.
public enum VirNodeGetMemoryStatsAllCells {
    public static let cells: Int32 = -1
}

/// `virConnectFlags`.
public enum VirConnectFlags {
    public static let ro: UInt32 = 1
    public static let noAliases: UInt32 = 2
}

/// `virConnectCredentialType`.
public enum VirConnectCredentialType {
    public static let username: Int32 = 1
    public static let authname: Int32 = 2
    public static let language: Int32 = 3
    public static let cnonce: Int32 = 4
    public static let passphrase: Int32 = 5
    public static let echoprompt: Int32 = 6
    public static let noechoprompt: Int32 = 7
    public static let realm: Int32 = 8
    public static let external: Int32 = 9
}

/// `virCPUCompareResult`.
public enum VirCPUCompareResult {
    public static let error: Int32 = -1
    public static let incompatible: Int32 = 0
    public static let identical: Int32 = 1
    public static let superset: Int32 = 2
}

/// `virConnectCompareCPUFlags`.
public enum VirConnectCompareCPUFlags {
    public static let failIncompatible: UInt32 = 1
    public static let validateXml: UInt32 = 2
}

/// `virConnectBaselineCPUFlags`.
public enum VirConnectBaselineCPUFlags {
    public static let expandFeatures: UInt32 = 1
    public static let migratable: UInt32 = 2
    public static let ignoreHost: UInt32 = 4
}

/// `virNodeAllocPagesFlags`.
public enum VirNodeAllocPagesFlags {
    public static let add: UInt32 = 0
    public static let set: UInt32 = 1
}

/// `virConnectListAllInterfacesFlags`.
public enum VirConnectListAllInterfacesFlags {
    public static let inactive: UInt32 = 1
    public static let active: UInt32 = 2
}

/// `virInterfaceXMLFlags`.
public enum VirInterfaceXMLFlags {
    public static let inactive: UInt32 = 1
}

/// `virInterfaceDefineFlags`.
public enum VirInterfaceDefineFlags {
    public static let validate: UInt32 = 1
}

/// `virNetworkXMLFlags`.
public enum VirNetworkXMLFlags {
    public static let inactive: UInt32 = 1
}

/// `virConnectListAllNetworksFlags`.
public enum VirConnectListAllNetworksFlags {
    public static let inactive: UInt32 = 1
    public static let active: UInt32 = 2
    public static let persistent: UInt32 = 4
    public static let transient: UInt32 = 8
    public static let autostart: UInt32 = 16
    public static let noAutostart: UInt32 = 32
}

/// `virNetworkCreateFlags`.
public enum VirNetworkCreateFlags {
    public static let validate: UInt32 = 1
}

/// `virNetworkDefineFlags`.
public enum VirNetworkDefineFlags {
    public static let validate: UInt32 = 1
}

/// `virNetworkUpdateCommand`.
public enum VirNetworkUpdateCommand {
    public static let none: Int32 = 0
    public static let modify: Int32 = 1
    public static let delete: Int32 = 2
    public static let addLast: Int32 = 3
    public static let addFirst: Int32 = 4
}

/// `virNetworkUpdateSection`.
public enum VirNetworkUpdateSection {
    public static let none: Int32 = 0
    public static let bridge: Int32 = 1
    public static let domain: Int32 = 2
    public static let ip: Int32 = 3
    public static let ipDhcpHost: Int32 = 4
    public static let ipDhcpRange: Int32 = 5
    public static let forward: Int32 = 6
    public static let forwardInterface: Int32 = 7
    public static let forwardPf: Int32 = 8
    public static let portgroup: Int32 = 9
    public static let dnsHost: Int32 = 10
    public static let dnsTxt: Int32 = 11
    public static let dnsSrv: Int32 = 12
}

/// `virNetworkUpdateFlags`.
public enum VirNetworkUpdateFlags {
    public static let current: UInt32 = 0
    public static let live: UInt32 = 1
    public static let config: UInt32 = 2
}

/// `virNetworkEventLifecycleType`.
public enum VirNetworkEventLifecycleType {
    public static let defined: Int32 = 0
    public static let undefined: Int32 = 1
    public static let started: Int32 = 2
    public static let stopped: Int32 = 3
}

/// `virNetworkEventID`.
public enum VirNetworkEventID {
    public static let lifecycle: Int32 = 0
    public static let metadataChange: Int32 = 1
}

/// `virIPAddrType`.
public enum VirIPAddrType {
    public static let ipv4: Int32 = 0
    public static let ipv6: Int32 = 1
}

/// `virNetworkPortCreateFlags`.
public enum VirNetworkPortCreateFlags {
    public static let reclaim: UInt32 = 1
    public static let validate: UInt32 = 2
}
