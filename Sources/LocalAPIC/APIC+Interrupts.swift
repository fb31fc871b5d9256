internal import CEngine

/// Bits of the error status register (11.5.3).
public enum APICError {
    /// A vector of 0...15 in a message to be sent.
    public static let sendIllegalVector: UInt32 = 1 << 5
    /// A vector of 0...15 in a message received, or of a local source.
    public static let receiveIllegalVector: UInt32 = 1 << 6
    /// Access to a register that there is not.
    public static let illegalRegister: UInt32 = 1 << 7
    static let all: UInt32 = 0xFF
}

extension APIC {
    /// Requests a fixed interrupt (11.8.4). True where the vector was not requested yet: the processor has to look.
    /// An APIC that software has not enabled drops it. Any thread.
    @inlinable @discardableResult
    public func post(vector: UInt8, levelTriggered: Bool = false) -> Bool {
        guard isSoftwareEnabled else { return false }
        guard vector >= 16 else { return recordError(APICError.receiveIllegalVector) }
        return request(vector, levelTriggered: levelTriggered)
    }

    /// The processor priority (11.8.3.1): vectors of its class and below wait. Any thread.
    @inlinable public var processorPriority: UInt8 {
        let task = taskPriority
        let service = highestInService
        guard service >= 0 else { return task }
        let serviceClass = UInt8(truncatingIfNeeded: service) & 0xF0
        return task & 0xF0 >= serviceClass ? task : serviceClass
    }

    /// The vector that the processor would be given now, or nil (11.8.3).
    @inlinable public var pendingVector: UInt8? {
        let requested = highestRequested
        guard requested >= 0, isSoftwareEnabled else { return nil }
        let vector = UInt8(truncatingIfNeeded: requested)
        return vector & 0xF0 > processorPriority & 0xF0 ? vector : nil
    }

    /// The interrupt-acknowledge cycle: the pending vector, now in service. Where it has gone away (the task priority
    /// rose meanwhile), the spurious vector, which is not in service and gets no EOI (11.9).
    @inlinable public func acknowledge() -> UInt8 {
        guard let vector = pendingVector else { return UInt8(truncatingIfNeeded: spurious) }
        beginService(vector)
        return vector
    }

    /// A write of the EOI register (11.8.5): the highest vector in service has ended.
    @inlinable public func endOfInterrupt() -> Effect {
        let service = highestInService
        guard service >= 0 else { return Effect.nothing }
        let vector = UInt8(truncatingIfNeeded: service)
        return endService(vector) ? Effect.endOfInterrupt(vector: vector) : Effect.nothing
    }

    /// Collects error bits, and requests the error interrupt for those that are new. True where that interrupt is a
    /// new request. Any thread.
    @discardableResult
    public func recordError(_ bits: UInt32) -> Bool {
        guard collectErrors(bits) != 0 else { return false }
        let entry = lvt(Int(APUS_LVT_ERROR))
        let vector = UInt8(truncatingIfNeeded: entry)
        guard entry & LVT.masked == 0, isSoftwareEnabled else { return false }
        guard vector >= 16 else {
            _ = collectErrors(APICError.receiveIllegalVector)
            return false
        }
        return request(vector, levelTriggered: false)
    }

    /// A local source (APUS_LVT_TIMER, thermal, performance, error, CMCI) has an interrupt for entry `index`.
    /// True where a new vector is requested. Entries with another delivery mode than fixed give nothing.
    func deliverLocal(_ index: Int) -> Bool {
        let entry = lvt(index)
        guard entry & LVT.masked == 0, index == Int(APUS_LVT_TIMER) || entry & LVT.deliveryMode == 0 else {
            return false
        }
        return post(vector: UInt8(truncatingIfNeeded: entry))
    }

    /// The processor takes interrupts of the 8259A: LINT0 is unmasked as ExtINT (virtual wire), or the APIC of the
    /// boot processor is disabled and its pin is INTR (11.5.1, 11.4.3).
    public var acceptsExternalInterrupt: Bool {
        let base = self.base
        guard base & APICBase.enable != 0 else { return base & APICBase.bootProcessor != 0 }
        return lvt(Int(APUS_LVT_LINT0)) & (LVT.masked | LVT.deliveryMode) == LVT.externalInterrupt
    }

    /// The processor takes the NMI line of the chip set: LINT1 is unmasked as NMI, or the APIC is disabled and its
    /// pin is NMI. (A board may also deliver its NMI without asking.)
    public var acceptsExternalNMI: Bool {
        guard base & APICBase.enable != 0 else { return true }
        return lvt(Int(APUS_LVT_LINT1)) & (LVT.masked | LVT.deliveryMode) == LVT.nonMaskable
    }
}
