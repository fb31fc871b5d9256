/// `<iotune>`: limits of a disk, in bytes and in requests a second. 0 is no limit and not written.
public struct IOTune: XMLMappable {
    public var totalBytes: UInt64 = 0
    public var readBytes: UInt64 = 0
    public var writeBytes: UInt64 = 0
    public var totalRequests: UInt64 = 0
    public var readRequests: UInt64 = 0
    public var writeRequests: UInt64 = 0
    public var totalBytesMax: UInt64 = 0
    public var readBytesMax: UInt64 = 0
    public var writeBytesMax: UInt64 = 0
    public var totalRequestsMax: UInt64 = 0
    public var readRequestsMax: UInt64 = 0
    public var writeRequestsMax: UInt64 = 0
    public var requestSize: UInt64 = 0
    public var groupName: String?
    public var totalBytesMaxLength: UInt64 = 0
    public var readBytesMaxLength: UInt64 = 0
    public var writeBytesMaxLength: UInt64 = 0
    public var totalRequestsMaxLength: UInt64 = 0
    public var readRequestsMaxLength: UInt64 = 0
    public var writeRequestsMaxLength: UInt64 = 0
    public init() {}

    public mutating func map(_ m: inout XMLMapper) throws(DefinitionError) {
        try m.limit("total_bytes_sec", &totalBytes)
        try m.limit("read_bytes_sec", &readBytes)
        try m.limit("write_bytes_sec", &writeBytes)
        try m.limit("total_iops_sec", &totalRequests)
        try m.limit("read_iops_sec", &readRequests)
        try m.limit("write_iops_sec", &writeRequests)
        try m.limit("total_bytes_sec_max", &totalBytesMax)
        try m.limit("read_bytes_sec_max", &readBytesMax)
        try m.limit("write_bytes_sec_max", &writeBytesMax)
        try m.limit("total_iops_sec_max", &totalRequestsMax)
        try m.limit("read_iops_sec_max", &readRequestsMax)
        try m.limit("write_iops_sec_max", &writeRequestsMax)
        try m.limit("size_iops_sec", &requestSize)
        try m.element("group_name", &groupName)
        try m.limit("total_bytes_sec_max_length", &totalBytesMaxLength)
        try m.limit("read_bytes_sec_max_length", &readBytesMaxLength)
        try m.limit("write_bytes_sec_max_length", &writeBytesMaxLength)
        try m.limit("total_iops_sec_max_length", &totalRequestsMaxLength)
        try m.limit("read_iops_sec_max_length", &readRequestsMaxLength)
        try m.limit("write_iops_sec_max_length", &writeRequestsMaxLength)
    }
}

extension XMLMapper {
    /// A child element that is a number, not written when it is 0.
    mutating func limit(_ name: String, _ value: inout UInt64) throws(DefinitionError) {
        var present: UInt64? = value == 0 ? nil : value
        try element(name, &present)
        value = present ?? 0
    }
}
