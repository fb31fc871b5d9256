// Written by Scripts/generate-rpc. Change that, or the facts in Scripts/libvirt.

/// `virClientTransport`.
public enum VirClientTransport {
    public static let unix: Int32 = 0
    public static let tcp: Int32 = 1
    public static let tls: Int32 = 2
}

/// `virAdmConnectDaemonShutdownFlags`.
public enum VirAdmConnectDaemonShutdownFlags {
    public static let preserve: UInt32 = 1
}

/// `virDomainCheckpointCreateFlags`.
public enum VirDomainCheckpointCreateFlags {
    public static let redefine: UInt32 = 1
    public static let quiesce: UInt32 = 2
    public static let redefineValidate: UInt32 = 4
}

/// `virDomainCheckpointXMLFlags`.
public enum VirDomainCheckpointXMLFlags {
    public static let secure: UInt32 = 1
    public static let noDomain: UInt32 = 2
    public static let size: UInt32 = 4
}

/// `virDomainCheckpointListFlags`.
public enum VirDomainCheckpointListFlags {
    public static let roots: UInt32 = 1
    public static let descendants: UInt32 = 1
    public static let topological: UInt32 = 2
    public static let leaves: UInt32 = 4
    public static let noLeaves: UInt32 = 8
}

/// `virDomainCheckpointDeleteFlags`.
public enum VirDomainCheckpointDeleteFlags {
    public static let children: UInt32 = 1
    public static let metadataOnly: UInt32 = 2
    public static let childrenOnly: UInt32 = 4
}

/// `virDomainSnapshotCreateFlags`.
public enum VirDomainSnapshotCreateFlags {
    public static let redefine: UInt32 = 1
    public static let current: UInt32 = 2
    public static let noMetadata: UInt32 = 4
    public static let halt: UInt32 = 8
    public static let diskOnly: UInt32 = 16
    public static let reuseExt: UInt32 = 32
    public static let quiesce: UInt32 = 64
    public static let atomic: UInt32 = 128
    public static let live: UInt32 = 256
    public static let validate: UInt32 = 512
}

/// `virDomainSnapshotListFlags`.
public enum VirDomainSnapshotListFlags {
    public static let roots: UInt32 = 1
    public static let descendants: UInt32 = 1
    public static let leaves: UInt32 = 4
    public static let noLeaves: UInt32 = 8
    public static let metadata: UInt32 = 2
    public static let noMetadata: UInt32 = 16
    public static let inactive: UInt32 = 32
    public static let active: UInt32 = 64
    public static let diskOnly: UInt32 = 128
    public static let `internal`: UInt32 = 256
    public static let external: UInt32 = 512
    public static let topological: UInt32 = 1024
}

/// `virDomainSnapshotRevertFlags`.
public enum VirDomainSnapshotRevertFlags {
    public static let running: UInt32 = 1
    public static let paused: UInt32 = 2
    public static let force: UInt32 = 4
    public static let resetNvram: UInt32 = 8
}

/// `virDomainSnapshotDeleteFlags`.
public enum VirDomainSnapshotDeleteFlags {
    public static let children: UInt32 = 1
    public static let metadataOnly: UInt32 = 2
    public static let childrenOnly: UInt32 = 4
}

/// `virDomainNostateReason`.
public enum VirDomainNostateReason {
    public static let unknown: Int32 = 0
}

/// `virDomainRunningReason`.
public enum VirDomainRunningReason {
    public static let unknown: Int32 = 0
    public static let booted: Int32 = 1
    public static let migrated: Int32 = 2
    public static let restored: Int32 = 3
    public static let fromSnapshot: Int32 = 4
    public static let unpaused: Int32 = 5
    public static let migrationCanceled: Int32 = 6
    public static let saveCanceled: Int32 = 7
    public static let wakeup: Int32 = 8
    public static let crashed: Int32 = 9
    public static let postcopy: Int32 = 10
    public static let postcopyFailed: Int32 = 11
}

/// `virDomainBlockedReason`.
public enum VirDomainBlockedReason {
    public static let unknown: Int32 = 0
}

/// `virDomainPausedReason`.
public enum VirDomainPausedReason {
    public static let unknown: Int32 = 0
    public static let user: Int32 = 1
    public static let migration: Int32 = 2
    public static let save: Int32 = 3
    public static let dump: Int32 = 4
    public static let ioerror: Int32 = 5
    public static let watchdog: Int32 = 6
    public static let fromSnapshot: Int32 = 7
    public static let shuttingDown: Int32 = 8
    public static let snapshot: Int32 = 9
    public static let crashed: Int32 = 10
    public static let startingUp: Int32 = 11
    public static let postcopy: Int32 = 12
    public static let postcopyFailed: Int32 = 13
    public static let apiError: Int32 = 14
}

/// `virDomainShutdownReason`.
public enum VirDomainShutdownReason {
    public static let unknown: Int32 = 0
    public static let user: Int32 = 1
}

/// `virDomainShutoffReason`.
public enum VirDomainShutoffReason {
    public static let unknown: Int32 = 0
    public static let shutdown: Int32 = 1
    public static let destroyed: Int32 = 2
    public static let crashed: Int32 = 3
    public static let migrated: Int32 = 4
    public static let saved: Int32 = 5
    public static let failed: Int32 = 6
    public static let fromSnapshot: Int32 = 7
    public static let daemon: Int32 = 8
}

/// `virDomainCrashedReason`.
public enum VirDomainCrashedReason {
    public static let unknown: Int32 = 0
    public static let panicked: Int32 = 1
}

/// `virDomainPMSuspendedReason`.
public enum VirDomainPMSuspendedReason {
    public static let pmsuspendedUnknown: Int32 = 0
}

/// `virDomainPMSuspendedDiskReason`.
public enum VirDomainPMSuspendedDiskReason {
    public static let pmsuspendedDiskUnknown: Int32 = 0
}

/// `virDomainControlState`.
public enum VirDomainControlState {
    public static let ok: Int32 = 0
    public static let job: Int32 = 1
    public static let occupied: Int32 = 2
    public static let error: Int32 = 3
}

/// `virDomainControlErrorReason`.
public enum VirDomainControlErrorReason {
    public static let none: Int32 = 0
    public static let unknown: Int32 = 1
    public static let monitor: Int32 = 2
    public static let `internal`: Int32 = 3
}

/// `virDomainModificationImpact`.
public enum VirDomainModificationImpact {
    public static let current: UInt32 = 0
    public static let live: UInt32 = 1
    public static let config: UInt32 = 2
}

/// `virDomainSetVcpuFlags`.
public enum VirDomainSetVcpuFlags {
    public static let affectCurrent: UInt32 = 0
    public static let affectLive: UInt32 = 1
    public static let affectConfig: UInt32 = 2
    public static let asyncUnplug: UInt32 = 4
}

/// `virDomainCreateFlags`.
public enum VirDomainCreateFlags {
    public static let none: UInt32 = 0
    public static let startPaused: UInt32 = 1
    public static let startAutodestroy: UInt32 = 2
    public static let startBypassCache: UInt32 = 4
    public static let startForceBoot: UInt32 = 8
    public static let startValidate: UInt32 = 16
    public static let startResetNvram: UInt32 = 32
}

/// `virDomainMemoryStatTags`.
public enum VirDomainMemoryStatTags {
    public static let swapIn: Int32 = 0
    public static let swapOut: Int32 = 1
    public static let majorFault: Int32 = 2
    public static let minorFault: Int32 = 3
    public static let unused: Int32 = 4
    public static let available: Int32 = 5
    public static let actualBalloon: Int32 = 6
    public static let rss: Int32 = 7
    public static let usable: Int32 = 8
    public static let lastUpdate: Int32 = 9
    public static let diskCaches: Int32 = 10
    public static let hugetlbPgalloc: Int32 = 11
    public static let hugetlbPgfail: Int32 = 12
    public static let nr: Int32 = 13
}

/// `virDomainCoreDumpFlags`.
public enum VirDomainCoreDumpFlags {
    public static let crash: UInt32 = 1
    public static let live: UInt32 = 2
    public static let bypassCache: UInt32 = 4
    public static let reset: UInt32 = 8
    public static let memoryOnly: UInt32 = 16
}

/// `virDomainCoreDumpFormat`.
public enum VirDomainCoreDumpFormat {
    public static let raw: Int32 = 0
    public static let kdumpZlib: Int32 = 1
    public static let kdumpLzo: Int32 = 2
    public static let kdumpSnappy: Int32 = 3
    public static let winDmp: Int32 = 4
}

/// `virDomainMigrateFlags`.
public enum VirDomainMigrateFlags {
    public static let live: UInt32 = 1
    public static let peer2peer: UInt32 = 2
    public static let tunnelled: UInt32 = 4
    public static let persistDest: UInt32 = 8
    public static let undefineSource: UInt32 = 16
    public static let paused: UInt32 = 32
    public static let nonSharedDisk: UInt32 = 64
    public static let nonSharedInc: UInt32 = 128
    public static let changeProtection: UInt32 = 256
    public static let unsafe: UInt32 = 512
    public static let offline: UInt32 = 1024
    public static let compressed: UInt32 = 2048
    public static let abortOnError: UInt32 = 4096
    public static let autoConverge: UInt32 = 8192
    public static let rdmaPinAll: UInt32 = 16384
    public static let postcopy: UInt32 = 32768
    public static let tls: UInt32 = 65536
    public static let parallel: UInt32 = 131072
    public static let nonSharedSynchronousWrites: UInt32 = 262144
    public static let postcopyResume: UInt32 = 524288
    public static let zerocopy: UInt32 = 1048576
}

/// `virDomainMigrateMaxSpeedFlags`.
public enum VirDomainMigrateMaxSpeedFlags {
    public static let postcopy: UInt32 = 1
}

/// `virConnectGetDomainCapabilitiesFlags`.
public enum VirConnectGetDomainCapabilitiesFlags {
    public static let disableDeprecatedFeatures: UInt32 = 1
    public static let expandCpuFeatures: UInt32 = 2
    public static let supportedCpuFeatures: UInt32 = 4
}

/// `virDomainShutdownFlagValues`.
public enum VirDomainShutdownFlagValues {
    public static let `default`: Int32 = 0
    public static let acpiPowerBtn: Int32 = 1
    public static let guestAgent: Int32 = 2
    public static let initctl: Int32 = 4
    public static let signal: Int32 = 8
    public static let paravirt: Int32 = 16
}

/// `virDomainRebootFlagValues`.
public enum VirDomainRebootFlagValues {
    public static let `default`: Int32 = 0
    public static let acpiPowerBtn: Int32 = 1
    public static let guestAgent: Int32 = 2
    public static let initctl: Int32 = 4
    public static let signal: Int32 = 8
    public static let paravirt: Int32 = 16
}

/// `virDomainDestroyFlagsValues`.
public enum VirDomainDestroyFlagsValues {
    public static let `default`: UInt32 = 0
    public static let graceful: UInt32 = 1
    public static let removeLogs: UInt32 = 2
}

/// `virDomainSaveRestoreFlags`.
public enum VirDomainSaveRestoreFlags {
    public static let bypassCache: UInt32 = 1
    public static let running: UInt32 = 2
    public static let paused: UInt32 = 4
    public static let resetNvram: UInt32 = 8
}

/// `virDomainMemoryModFlags`.
public enum VirDomainMemoryModFlags {
    public static let current: UInt32 = 0
    public static let live: UInt32 = 1
    public static let config: UInt32 = 2
    public static let maximum: UInt32 = 4
}

/// `virDomainNumatuneMemMode`.
public enum VirDomainNumatuneMemMode {
    public static let strict: Int32 = 0
    public static let preferred: Int32 = 1
    public static let interleave: Int32 = 2
    public static let restrictive: Int32 = 3
}

/// `virDomainGetHostnameFlags`.
public enum VirDomainGetHostnameFlags {
    public static let lease: UInt32 = 1
    public static let agent: UInt32 = 2
}

/// `virDomainMetadataType`.
public enum VirDomainMetadataType {
    public static let description: Int32 = 0
    public static let title: Int32 = 1
    public static let element: Int32 = 2
}

/// `virDomainXMLFlags`.
public enum VirDomainXMLFlags {
    public static let secure: UInt32 = 1
    public static let inactive: UInt32 = 2
    public static let updateCpu: UInt32 = 4
    public static let migratable: UInt32 = 8
}

/// `virDomainSaveImageXMLFlags`.
public enum VirDomainSaveImageXMLFlags {
    public static let secure: UInt32 = 1
}
