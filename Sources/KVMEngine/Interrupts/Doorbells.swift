internal import CLinux
internal import HostOS

/// Writes of guests that KVM turns into writes of an eventfd, without an exit (KVM_IOEVENTFD).
public struct Doorbell: Equatable, Sendable {
    /// Where a doorbell hangs.
    public enum Space: Sendable {
        /// An I/O port.
        case port
        /// Device memory.
        case memory
    }
    /// The space.
    public var space: Space
    /// Port or guest-physical address.
    public var address: UInt64
    /// 1, 2, 4 or 8 bytes; 0 for a write of any size.
    public var size: UInt32
    /// Only writes of this value ring; nil for any.
    public var value: UInt64?

    /// A doorbell of all parts.
    public init(space: Space, address: UInt64, size: UInt32, value: UInt64? = nil) {
        self.space = space
        self.address = address
        self.size = size
        self.value = value
    }
}

extension HardwareEngine {
    /// Hangs a doorbell up: `eventDescriptor` is written whenever the guest rings it. Any thread.
    public func attach(_ doorbell: Doorbell, eventDescriptor: Int32) throws(KVMError) {
        try assign(doorbell, eventDescriptor, removes: false)
    }

    /// Takes it down.
    public func detach(_ doorbell: Doorbell, eventDescriptor: Int32) throws(KVMError) {
        try assign(doorbell, eventDescriptor, removes: true)
    }

    private func assign(_ doorbell: Doorbell, _ descriptor: Int32, removes: Bool) throws(KVMError) {
        var request = kvm_ioeventfd()
        request.addr = doorbell.address
        request.len = doorbell.size
        request.fd = descriptor
        if let value = doorbell.value {
            request.datamatch = value
            request.flags |= APUS_KVM_IOEVENTFD_DATAMATCH
        }
        if doorbell.space == .port { request.flags |= APUS_KVM_IOEVENTFD_PIO }
        if removes { request.flags |= APUS_KVM_IOEVENTFD_DEASSIGN }
        try KVMError.wrapping { () throws(HostError) in
            try machine.control.send(
                APUS_KVM_IOEVENTFD, request, "hang a doorbell at 0x\(String(doorbell.address, radix: 16))")
        }
    }
}
