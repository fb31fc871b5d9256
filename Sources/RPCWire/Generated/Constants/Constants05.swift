// Written by Scripts/generate-rpc. Change that, or the facts in Scripts/libvirt.

/// `virNetworkMetadataType`.
public enum VirNetworkMetadataType {
    public static let description: Int32 = 0
    public static let title: Int32 = 1
    public static let element: Int32 = 2
}

/// `virConnectListAllNodeDeviceFlags`.
public enum VirConnectListAllNodeDeviceFlags {
    public static let capSystem: UInt32 = 1
    public static let capPciDev: UInt32 = 2
    public static let capUsbDev: UInt32 = 4
    public static let capUsbInterface: UInt32 = 8
    public static let capNet: UInt32 = 16
    public static let capScsiHost: UInt32 = 32
    public static let capScsiTarget: UInt32 = 64
    public static let capScsi: UInt32 = 128
    public static let capStorage: UInt32 = 256
    public static let capFcHost: UInt32 = 512
    public static let capVports: UInt32 = 1024
    public static let capScsiGeneric: UInt32 = 2048
    public static let capDrm: UInt32 = 4096
    public static let capMdevTypes: UInt32 = 8192
    public static let capMdev: UInt32 = 16384
    public static let capCcwDev: UInt32 = 32768
    public static let capCssDev: UInt32 = 65536
    public static let capVdpa: UInt32 = 131072
    public static let capApCard: UInt32 = 262144
    public static let capApQueue: UInt32 = 524288
    public static let capApMatrix: UInt32 = 1048576
    public static let capVpd: UInt32 = 2097152
    public static let capCcwgroupDev: UInt32 = 4194304
    public static let capCcwgroupMember: UInt32 = 8388608
    public static let persistent: UInt32 = 268435456
    public static let transient: UInt32 = 536870912
    public static let inactive: UInt32 = 1073741824
    public static let active: UInt32 = 2147483648
}

/// `virNodeDeviceXMLFlags`.
public enum VirNodeDeviceXMLFlags {
    public static let inactive: UInt32 = 1
}

/// `virNodeDeviceCreateXMLFlags`.
public enum VirNodeDeviceCreateXMLFlags {
    public static let validate: UInt32 = 1
}

/// `virNodeDeviceDefineXMLFlags`.
public enum VirNodeDeviceDefineXMLFlags {
    public static let validate: UInt32 = 1
}

/// `virNodeDeviceUpdateFlags`.
public enum VirNodeDeviceUpdateFlags {
    public static let current: UInt32 = 0
    public static let live: UInt32 = 1
    public static let config: UInt32 = 2
}

/// `virNodeDeviceEventID`.
public enum VirNodeDeviceEventID {
    public static let lifecycle: Int32 = 0
    public static let update: Int32 = 1
}

/// `virNodeDeviceEventLifecycleType`.
public enum VirNodeDeviceEventLifecycleType {
    public static let created: Int32 = 0
    public static let deleted: Int32 = 1
    public static let defined: Int32 = 2
    public static let undefined: Int32 = 3
}

/// `virNWFilterDefineFlags`.
public enum VirNWFilterDefineFlags {
    public static let nwfilterDefineValidate: UInt32 = 1
}

/// `virNWFilterBindingCreateFlags`.
public enum VirNWFilterBindingCreateFlags {
    public static let nwfilterBindingCreateValidate: UInt32 = 1
}

/// `virDomainQemuMonitorCommandFlags`.
public enum VirDomainQemuMonitorCommandFlags {
    public static let `default`: UInt32 = 0
    public static let hmp: UInt32 = 1
}

/// `virDomainQemuAgentCommandTimeoutValues`.
public enum VirDomainQemuAgentCommandTimeoutValues {
    public static let min: Int32 = -2
    public static let block: Int32 = -2
    public static let `default`: Int32 = -1
    public static let nowait: Int32 = 0
    public static let shutdown: Int32 = 60
}

/// `virConnectDomainQemuMonitorEventRegisterFlags`.
public enum VirConnectDomainQemuMonitorEventRegisterFlags {
    public static let regex: UInt32 = 1
    public static let nocase: UInt32 = 2
}

/// `virSecretUsageType`.
public enum VirSecretUsageType {
    public static let none: Int32 = 0
    public static let volume: Int32 = 1
    public static let ceph: Int32 = 2
    public static let iscsi: Int32 = 3
    public static let tls: Int32 = 4
    public static let vtpm: Int32 = 5
}

/// `virConnectListAllSecretsFlags`.
public enum VirConnectListAllSecretsFlags {
    public static let ephemeral: UInt32 = 1
    public static let noEphemeral: UInt32 = 2
    public static let `private`: UInt32 = 4
    public static let noPrivate: UInt32 = 8
}

/// `virSecretDefineFlags`.
public enum VirSecretDefineFlags {
    public static let validate: UInt32 = 1
}

/// `virSecretEventID`.
public enum VirSecretEventID {
    public static let lifecycle: Int32 = 0
    public static let valueChanged: Int32 = 1
}

/// `virSecretEventLifecycleType`.
public enum VirSecretEventLifecycleType {
    public static let defined: Int32 = 0
    public static let undefined: Int32 = 1
}

/// `virStoragePoolState`.
public enum VirStoragePoolState {
    public static let inactive: Int32 = 0
    public static let building: Int32 = 1
    public static let running: Int32 = 2
    public static let degraded: Int32 = 3
    public static let inaccessible: Int32 = 4
}

/// `virStoragePoolBuildFlags`.
public enum VirStoragePoolBuildFlags {
    public static let new: UInt32 = 0
    public static let repair: UInt32 = 1
    public static let resize: UInt32 = 2
    public static let noOverwrite: UInt32 = 4
    public static let overwrite: UInt32 = 8
}

/// `virStoragePoolDeleteFlags`.
public enum VirStoragePoolDeleteFlags {
    public static let normal: UInt32 = 0
    public static let zeroed: UInt32 = 1
}

/// `virStoragePoolCreateFlags`.
public enum VirStoragePoolCreateFlags {
    public static let normal: UInt32 = 0
    public static let withBuild: UInt32 = 1
    public static let withBuildOverwrite: UInt32 = 2
    public static let withBuildNoOverwrite: UInt32 = 4
}

/// `virStorageVolType`.
public enum VirStorageVolType {
    public static let file: Int32 = 0
    public static let block: Int32 = 1
    public static let dir: Int32 = 2
    public static let network: Int32 = 3
    public static let netdir: Int32 = 4
    public static let ploop: Int32 = 5
}

/// `virStorageVolDeleteFlags`.
public enum VirStorageVolDeleteFlags {
    public static let normal: UInt32 = 0
    public static let zeroed: UInt32 = 1
    public static let withSnapshots: UInt32 = 2
}

/// `virStorageVolWipeAlgorithm`.
public enum VirStorageVolWipeAlgorithm {
    public static let zero: Int32 = 0
    public static let nnsa: Int32 = 1
    public static let dod: Int32 = 2
    public static let bsi: Int32 = 3
    public static let gutmann: Int32 = 4
    public static let schneier: Int32 = 5
    public static let pfitzner7: Int32 = 6
    public static let pfitzner33: Int32 = 7
    public static let random: Int32 = 8
    public static let trim: Int32 = 9
}

/// `virStorageVolInfoFlags`.
public enum VirStorageVolInfoFlags {
    public static let useAllocation: UInt32 = 0
    public static let getPhysical: UInt32 = 1
}

/// `virStorageXMLFlags`.
public enum VirStorageXMLFlags {
    public static let inactive: UInt32 = 1
}

/// `virConnectListAllStoragePoolsFlags`.
public enum VirConnectListAllStoragePoolsFlags {
    public static let inactive: UInt32 = 1
    public static let active: UInt32 = 2
    public static let persistent: UInt32 = 4
    public static let transient: UInt32 = 8
    public static let autostart: UInt32 = 16
    public static let noAutostart: UInt32 = 32
    public static let dir: UInt32 = 64
    public static let fs: UInt32 = 128
    public static let netfs: UInt32 = 256
    public static let logical: UInt32 = 512
    public static let disk: UInt32 = 1024
    public static let iscsi: UInt32 = 2048
    public static let scsi: UInt32 = 4096
    public static let mpath: UInt32 = 8192
    public static let rbd: UInt32 = 16384
    public static let sheepdog: UInt32 = 32768
    public static let gluster: UInt32 = 65536
    public static let zfs: UInt32 = 131072
    public static let vstorage: UInt32 = 262144
    public static let iscsiDirect: UInt32 = 524288
}

/// `virStoragePoolDefineFlags`.
public enum VirStoragePoolDefineFlags {
    public static let validate: UInt32 = 1
}

/// `virStorageVolCreateFlags`.
public enum VirStorageVolCreateFlags {
    public static let preallocMetadata: UInt32 = 1
    public static let reflink: UInt32 = 2
    public static let validate: UInt32 = 4
}

/// `virStorageVolDownloadFlags`.
public enum VirStorageVolDownloadFlags {
    public static let sparseStream: UInt32 = 1
}

/// `virStorageVolUploadFlags`.
public enum VirStorageVolUploadFlags {
    public static let sparseStream: UInt32 = 1
}

/// `virStorageVolResizeFlags`.
public enum VirStorageVolResizeFlags {
    public static let allocate: UInt32 = 1
    public static let delta: UInt32 = 2
    public static let shrink: UInt32 = 4
}

/// `virStoragePoolEventID`.
public enum VirStoragePoolEventID {
    public static let lifecycle: Int32 = 0
    public static let refresh: Int32 = 1
}

/// `virStoragePoolEventLifecycleType`.
public enum VirStoragePoolEventLifecycleType {
    public static let defined: Int32 = 0
    public static let undefined: Int32 = 1
    public static let started: Int32 = 2
    public static let stopped: Int32 = 3
    public static let created: Int32 = 4
    public static let deleted: Int32 = 5
}

/// `virStreamFlags`.
public enum VirStreamFlags {
    public static let nonblock: UInt32 = 1
}

/// `virStreamRecvFlagsValues`.
public enum VirStreamRecvFlagsValues {
    public static let stopAtHole: UInt32 = 1
}

/// `virStreamEventType`.
public enum VirStreamEventType {
    public static let readable: Int32 = 1
    public static let writable: Int32 = 2
    public static let error: Int32 = 4
    public static let hangup: Int32 = 8
}

/// `virDomainSnapshotXMLFlags`.
public enum VirDomainSnapshotXMLFlags {
    public static let secure: UInt32 = 1
}

/// Numbers that `CONNECT_SUPPORTS_FEATURE` asks about.
public enum VirDriverFeature {
    public static let migrationV1: Int32 = 1
    public static let remote: Int32 = 2
    public static let migrationV2: Int32 = 3
    public static let migrationP2p: Int32 = 4
    public static let migrationDirect: Int32 = 5
    public static let migrationV3: Int32 = 6
    public static let migrateChangeProtection: Int32 = 7
    public static let fdPassing: Int32 = 8
    public static let typedParamString: Int32 = 9
    public static let programKeepalive: Int32 = 10
    public static let xmlMigratable: Int32 = 11
    public static let migrationOffline: Int32 = 12
    public static let migrationParams: Int32 = 13
    public static let remoteEventCallback: Int32 = 14
    public static let remoteCloseCallback: Int32 = 15
    public static let networkUpdateHasCorrectOrder: Int32 = 16
}
