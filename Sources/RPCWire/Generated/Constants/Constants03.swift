// Written by Scripts/generate-rpc. Change that, or the facts in Scripts/libvirt.

/// `virDomainBlockResizeFlags`.
public enum VirDomainBlockResizeFlags {
    public static let bytes: UInt32 = 1
    public static let capacity: UInt32 = 2
    public static let extend: UInt32 = 4
}

/// `virDomainMemoryFlags`.
public enum VirDomainMemoryFlags {
    public static let virtual: UInt32 = 1
    public static let physical: UInt32 = 2
}

/// `virDomainDefineFlags`.
public enum VirDomainDefineFlags {
    public static let validate: UInt32 = 1
}

/// `virDomainUndefineFlagsValues`.
public enum VirDomainUndefineFlagsValues {
    public static let managedSave: UInt32 = 1
    public static let snapshotsMetadata: UInt32 = 2
    public static let nvram: UInt32 = 4
    public static let keepNvram: UInt32 = 8
    public static let checkpointsMetadata: UInt32 = 16
    public static let tpm: UInt32 = 32
    public static let keepTpm: UInt32 = 64
}

/// `virConnectListAllDomainsFlags`.
public enum VirConnectListAllDomainsFlags {
    public static let active: UInt32 = 1
    public static let inactive: UInt32 = 2
    public static let persistent: UInt32 = 4
    public static let transient: UInt32 = 8
    public static let running: UInt32 = 16
    public static let paused: UInt32 = 32
    public static let shutoff: UInt32 = 64
    public static let other: UInt32 = 128
    public static let managedsave: UInt32 = 256
    public static let noManagedsave: UInt32 = 512
    public static let autostart: UInt32 = 1024
    public static let noAutostart: UInt32 = 2048
    public static let hasSnapshot: UInt32 = 4096
    public static let noSnapshot: UInt32 = 8192
    public static let hasCheckpoint: UInt32 = 16384
    public static let noCheckpoint: UInt32 = 32768
}

/// `virVcpuState`.
public enum VirVcpuState {
    public static let offline: Int32 = 0
    public static let running: Int32 = 1
    public static let blocked: Int32 = 2
}

/// `virVcpuHostCpuState`.
public enum VirVcpuHostCpuState {
    public static let offline: Int32 = -1
    public static let unavailable: Int32 = -2
}

/// `virDomainVcpuFlags`.
public enum VirDomainVcpuFlags {
    public static let current: UInt32 = 0
    public static let live: UInt32 = 1
    public static let config: UInt32 = 2
    public static let maximum: UInt32 = 4
    public static let guest: UInt32 = 8
    public static let hotpluggable: UInt32 = 16
    public static let asyncUnplug: UInt32 = 32
}

/// `virDomainDeviceModifyFlags`.
public enum VirDomainDeviceModifyFlags {
    public static let current: UInt32 = 0
    public static let live: UInt32 = 1
    public static let config: UInt32 = 2
    public static let force: UInt32 = 4
}

/// `virDomainStatsTypes`.
public enum VirDomainStatsTypes {
    public static let state: UInt32 = 1
    public static let cpuTotal: UInt32 = 2
    public static let balloon: UInt32 = 4
    public static let vcpu: UInt32 = 8
    public static let interface: UInt32 = 16
    public static let block: UInt32 = 32
    public static let perf: UInt32 = 64
    public static let iothread: UInt32 = 128
    public static let memory: UInt32 = 256
    public static let dirtyrate: UInt32 = 512
    public static let vm: UInt32 = 1024
}

/// `virConnectGetAllDomainStatsFlags`.
public enum VirConnectGetAllDomainStatsFlags {
    public static let active: UInt32 = 1
    public static let inactive: UInt32 = 2
    public static let persistent: UInt32 = 4
    public static let transient: UInt32 = 8
    public static let running: UInt32 = 16
    public static let paused: UInt32 = 32
    public static let shutoff: UInt32 = 64
    public static let other: UInt32 = 128
    public static let nowait: UInt32 = 536870912
    public static let backing: UInt32 = 1073741824
    public static let enforceStats: UInt32 = 2147483648
}

/// `virDomainBlockJobType`.
public enum VirDomainBlockJobType {
    public static let unknown: Int32 = 0
    public static let pull: Int32 = 1
    public static let copy: Int32 = 2
    public static let commit: Int32 = 3
    public static let activeCommit: Int32 = 4
    public static let backup: Int32 = 5
}

/// `virDomainBlockJobAbortFlags`.
public enum VirDomainBlockJobAbortFlags {
    public static let async: UInt32 = 1
    public static let pivot: UInt32 = 2
}

/// `virDomainBlockJobInfoFlags`.
public enum VirDomainBlockJobInfoFlags {
    public static let bandwidthBytes: UInt32 = 1
}

/// `virDomainBlockJobSetSpeedFlags`.
public enum VirDomainBlockJobSetSpeedFlags {
    public static let bandwidthBytes: UInt32 = 1
}

/// `virDomainBlockPullFlags`.
public enum VirDomainBlockPullFlags {
    public static let bandwidthBytes: UInt32 = 64
}

/// `virDomainBlockRebaseFlags`.
public enum VirDomainBlockRebaseFlags {
    public static let shallow: UInt32 = 1
    public static let reuseExt: UInt32 = 2
    public static let copyRaw: UInt32 = 4
    public static let copy: UInt32 = 8
    public static let relative: UInt32 = 16
    public static let copyDev: UInt32 = 32
    public static let bandwidthBytes: UInt32 = 64
}

/// `virDomainBlockCopyFlags`.
public enum VirDomainBlockCopyFlags {
    public static let shallow: UInt32 = 1
    public static let reuseExt: UInt32 = 2
    public static let transientJob: UInt32 = 4
    public static let synchronousWrites: UInt32 = 8
    public static let targetZeroed: UInt32 = 16
}

/// `virDomainBlockCommitFlags`.
public enum VirDomainBlockCommitFlags {
    public static let shallow: UInt32 = 1
    public static let delete: UInt32 = 2
    public static let active: UInt32 = 4
    public static let relative: UInt32 = 8
    public static let bandwidthBytes: UInt32 = 16
}

/// `virDomainDiskErrorCode`.
public enum VirDomainDiskErrorCode {
    public static let none: Int32 = 0
    public static let unspec: Int32 = 1
    public static let noSpace: Int32 = 2
}

/// `virKeycodeSet`.
public enum VirKeycodeSet {
    public static let linux: Int32 = 0
    public static let xt: Int32 = 1
    public static let atset1: Int32 = 2
    public static let atset2: Int32 = 3
    public static let atset3: Int32 = 4
    public static let osx: Int32 = 5
    public static let xtKbd: Int32 = 6
    public static let usb: Int32 = 7
    public static let win32: Int32 = 8
    public static let qnum: Int32 = 9
}

/// `virDomainProcessSignal`.
public enum VirDomainProcessSignal {
    public static let nop: Int32 = 0
    public static let hup: Int32 = 1
    public static let int: Int32 = 2
    public static let quit: Int32 = 3
    public static let ill: Int32 = 4
    public static let trap: Int32 = 5
    public static let abrt: Int32 = 6
    public static let bus: Int32 = 7
    public static let fpe: Int32 = 8
    public static let kill: Int32 = 9
    public static let usr1: Int32 = 10
    public static let segv: Int32 = 11
    public static let usr2: Int32 = 12
    public static let pipe: Int32 = 13
    public static let alrm: Int32 = 14
    public static let term: Int32 = 15
    public static let stkflt: Int32 = 16
    public static let chld: Int32 = 17
    public static let cont: Int32 = 18
    public static let stop: Int32 = 19
    public static let tstp: Int32 = 20
    public static let ttin: Int32 = 21
    public static let ttou: Int32 = 22
    public static let urg: Int32 = 23
    public static let xcpu: Int32 = 24
    public static let xfsz: Int32 = 25
    public static let vtalrm: Int32 = 26
    public static let prof: Int32 = 27
    public static let winch: Int32 = 28
    public static let poll: Int32 = 29
    public static let pwr: Int32 = 30
    public static let sys: Int32 = 31
    public static let rt0: Int32 = 32
    public static let rt1: Int32 = 33
    public static let rt2: Int32 = 34
    public static let rt3: Int32 = 35
    public static let rt4: Int32 = 36
    public static let rt5: Int32 = 37
    public static let rt6: Int32 = 38
    public static let rt7: Int32 = 39
    public static let rt8: Int32 = 40
    public static let rt9: Int32 = 41
    public static let rt10: Int32 = 42
    public static let rt11: Int32 = 43
    public static let rt12: Int32 = 44
    public static let rt13: Int32 = 45
    public static let rt14: Int32 = 46
    public static let rt15: Int32 = 47
    public static let rt16: Int32 = 48
    public static let rt17: Int32 = 49
    public static let rt18: Int32 = 50
    public static let rt19: Int32 = 51
    public static let rt20: Int32 = 52
    public static let rt21: Int32 = 53
    public static let rt22: Int32 = 54
    public static let rt23: Int32 = 55
    public static let rt24: Int32 = 56
    public static let rt25: Int32 = 57
    public static let rt26: Int32 = 58
    public static let rt27: Int32 = 59
    public static let rt28: Int32 = 60
    public static let rt29: Int32 = 61
    public static let rt30: Int32 = 62
    public static let rt31: Int32 = 63
    public static let rt32: Int32 = 64
}

/// `virDomainMemoryFailureRecipientType`.
public enum VirDomainMemoryFailureRecipientType {
    public static let hypervisor: Int32 = 0
    public static let guest: Int32 = 1
}

/// `virDomainMemoryFailureActionType`.
public enum VirDomainMemoryFailureActionType {
    public static let ignore: Int32 = 0
    public static let inject: Int32 = 1
    public static let fatal: Int32 = 2
    public static let reset: Int32 = 3
}

/// `virDomainMemoryFailureFlags`.
public enum VirDomainMemoryFailureFlags {
    public static let actionRequired: UInt32 = 1
    public static let recursive: UInt32 = 2
}

/// `virDomainJobType`.
public enum VirDomainJobType {
    public static let none: Int32 = 0
    public static let bounded: Int32 = 1
    public static let unbounded: Int32 = 2
    public static let completed: Int32 = 3
    public static let failed: Int32 = 4
    public static let cancelled: Int32 = 5
}

/// `virDomainGetJobStatsFlags`.
public enum VirDomainGetJobStatsFlags {
    public static let completed: UInt32 = 1
    public static let keepCompleted: UInt32 = 2
}

/// `virDomainAbortJobFlagsValues`.
public enum VirDomainAbortJobFlagsValues {
    public static let postcopy: UInt32 = 1
}

/// `virDomainJobOperation`.
public enum VirDomainJobOperation {
    public static let unknown: Int32 = 0
    public static let start: Int32 = 1
    public static let save: Int32 = 2
    public static let restore: Int32 = 3
    public static let migrationIn: Int32 = 4
    public static let migrationOut: Int32 = 5
    public static let snapshot: Int32 = 6
    public static let snapshotRevert: Int32 = 7
    public static let dump: Int32 = 8
    public static let backup: Int32 = 9
    public static let snapshotDelete: Int32 = 10
}

/// `virDomainEventWatchdogAction`.
public enum VirDomainEventWatchdogAction {
    public static let none: Int32 = 0
    public static let pause: Int32 = 1
    public static let reset: Int32 = 2
    public static let poweroff: Int32 = 3
    public static let shutdown: Int32 = 4
    public static let debug: Int32 = 5
    public static let injectnmi: Int32 = 6
}

/// `virDomainEventIOErrorAction`.
public enum VirDomainEventIOErrorAction {
    public static let none: Int32 = 0
    public static let pause: Int32 = 1
    public static let report: Int32 = 2
}

/// `virDomainEventGraphicsPhase`.
public enum VirDomainEventGraphicsPhase {
    public static let connect: Int32 = 0
    public static let initialize: Int32 = 1
    public static let disconnect: Int32 = 2
}

/// `virDomainEventGraphicsAddressType`.
public enum VirDomainEventGraphicsAddressType {
    public static let ipv4: Int32 = 0
    public static let ipv6: Int32 = 1
    public static let unix: Int32 = 2
}

/// `virConnectDomainEventBlockJobStatus`.
public enum VirConnectDomainEventBlockJobStatus {
    public static let completed: Int32 = 0
    public static let failed: Int32 = 1
    public static let canceled: Int32 = 2
    public static let ready: Int32 = 3
}
