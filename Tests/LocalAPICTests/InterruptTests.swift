import LocalAPIC
import Testing

@Suite struct InterruptTests {
    @Test func highestVectorFirstAndNested() {
        let t = TestAPIC()
        #expect(t.apic.post(vector: 0x31))
        #expect(!t.apic.post(vector: 0x31))
        t.apic.post(vector: 0x52)
        #expect(t.apic.pendingVector == 0x52)
        #expect(t.apic.acknowledge() == 0x52)
        #expect(t.apic.processorPriority == 0x50)
        #expect(t.apic.pendingVector == nil)
        t.apic.post(vector: 0x5F)
        #expect(t.apic.pendingVector == nil)
        t.apic.post(vector: 0x60)
        #expect(t.apic.acknowledge() == 0x60)
        _ = t.write(APICRegister.endOfInterrupt, 0)
        #expect(t.apic.processorPriority == 0x50)
        _ = t.write(APICRegister.endOfInterrupt, 0)
        #expect(t.apic.acknowledge() == 0x5F)
        _ = t.write(APICRegister.endOfInterrupt, 0)
        #expect(t.apic.acknowledge() == 0x31)
        _ = t.write(APICRegister.endOfInterrupt, 0)
        #expect(t.apic.processorPriority == 0)
    }

    @Test func everyVectorGoesRound() {
        for vector in UInt8(16)...255 {
            let t = TestAPIC()
            t.apic.post(vector: vector)
            let (offset, bit) = (UInt32(vector >> 5) * 16, UInt32(1) << UInt32(vector & 31))
            #expect(t.read(APICRegister.interruptRequest + offset) == bit)
            #expect(t.apic.acknowledge() == vector)
            #expect(t.read(APICRegister.interruptRequest + offset) == 0)
            #expect(t.read(APICRegister.inService + offset) == bit)
            #expect(t.write(APICRegister.endOfInterrupt, 0) == .nothing)
            #expect(t.read(APICRegister.inService + offset) == 0)
        }
    }

    @Test func endOfInterruptIsTheHighestInService() {
        let t = TestAPIC()
        t.apic.post(vector: 0x40, levelTriggered: true)
        _ = t.apic.acknowledge()
        t.apic.post(vector: 0x80)
        _ = t.apic.acknowledge()
        #expect(t.write(APICRegister.endOfInterrupt, 0) == .nothing)
        #expect(t.write(APICRegister.endOfInterrupt, 0) == .endOfInterrupt(vector: 0x40))
        #expect(t.write(APICRegister.endOfInterrupt, 0) == .nothing)
    }

    @Test func triggerModeIsThatOfTheLastRequest() {
        let t = TestAPIC()
        t.apic.post(vector: 0x40, levelTriggered: true)
        #expect(t.read(0x1A0) == 1)
        t.apic.post(vector: 0x40)
        #expect(t.read(0x1A0) == 0)
    }

    @Test func taskPriorityHoldsBack() {
        let t = TestAPIC()
        t.apic.post(vector: 0x4F)
        t.apic.cr8 = 4
        #expect(t.apic.pendingVector == nil)
        #expect(t.apic.acknowledge() == 0xFF)  // spurious
        #expect(t.apic.processorPriority == 0x40)
        t.apic.cr8 = 3
        #expect(t.apic.pendingVector == 0x4F)
    }

    @Test func processorPriorityKeepsTheLowBitsOfTheTask() {
        let t = TestAPIC()
        t.apic.taskPriority = 0x47
        #expect(t.apic.processorPriority == 0x47)
        t.apic.post(vector: 0x61)
        _ = t.apic.acknowledge()
        #expect(t.apic.processorPriority == 0x60)
        t.apic.taskPriority = 0x63
        #expect(t.apic.processorPriority == 0x63)
    }

    @Test func illegalAndUnwantedRequests() {
        let t = TestAPIC()
        #expect(!t.apic.post(vector: 15))
        #expect(t.errors == APICError.receiveIllegalVector)
        let off = TestAPIC(enabled: false)
        #expect(!off.apic.post(vector: 0x40))
        #expect(off.apic.pendingVector == nil)
    }

    @Test func spuriousVectorIsTheOneSet() {
        let t = TestAPIC()
        _ = t.write(APICRegister.spurious, 0x13D)
        #expect(t.apic.acknowledge() == 0x3D)
        #expect(t.read(0x110) == 0)
    }

    @Test func virtualWireFollowsLINT0() {
        let t = TestAPIC()
        #expect(t.apic.acceptsExternalInterrupt)
        _ = t.write(0x350, 0x10700)
        #expect(!t.apic.acceptsExternalInterrupt)
        _ = t.write(0x350, 0x40)
        #expect(!t.apic.acceptsExternalInterrupt)
        _ = t.apic.writeBase(0xFEE0_0100, physicalBits: 40, offersX2APIC: true)
        #expect(t.apic.acceptsExternalInterrupt)
        #expect(t.apic.acceptsExternalNMI)
    }

    @Test func nmiFollowsLINT1() {
        let t = TestAPIC()
        #expect(!t.apic.acceptsExternalNMI)
        _ = t.write(0x360, 0x400)
        #expect(t.apic.acceptsExternalNMI)
    }

    @Test func commandsBecomeMessages() {
        let t = TestAPIC()
        _ = t.write(APICRegister.interruptCommandHigh, 0x0300_0000)
        #expect(
            t.write(APICRegister.interruptCommandLow, 0x4040)
                == .interprocessorInterrupt(InterruptMessage(destination: 3, deliveryMode: .fixed, vector: 0x40)))
        #expect(
            t.write(APICRegister.interruptCommandLow, 0xC0841)
                == .interprocessorInterrupt(
                    InterruptMessage(
                        destination: 3, isLogical: true, shorthand: .others, deliveryMode: .fixed, vector: 0x41)))
        #expect(
            t.write(APICRegister.interruptCommandLow, 0xC500)
                == .interprocessorInterrupt(InterruptMessage(destination: 3, deliveryMode: .initialize, vector: 0)))
        #expect(t.write(APICRegister.interruptCommandLow, 0x8500) == .nothing)  // INIT level de-assert
        #expect(t.write(APICRegister.interruptCommandLow, 0x4300) == .nothing)  // reserved mode
        #expect(t.write(APICRegister.interruptCommandLow, 0x4740) == .nothing)  // ExtINT
        #expect(
            t.write(APICRegister.interruptCommandLow, 0x4608)
                == .interprocessorInterrupt(InterruptMessage(destination: 3, deliveryMode: .startUp, vector: 8)))
    }

    @Test func commandToSelfStaysHere() {
        let t = TestAPIC()
        #expect(t.write(APICRegister.interruptCommandLow, 0x44077) == .nothing)
        #expect(t.apic.pendingVector == 0x77)
    }

    @Test func commandWithIllegalVectorIsNotSent() {
        let t = TestAPIC()
        #expect(t.write(APICRegister.interruptCommandLow, 0x400F) == .nothing)
        #expect(t.errors == APICError.sendIllegalVector)
    }

    @Test func messageSignalledInterrupts() throws {
        let fixed = try #require(InterruptMessage(messageAddress: 0xFEE0_3000, data: 0x41))
        #expect(fixed == InterruptMessage(destination: 3, deliveryMode: .fixed, vector: 0x41))
        let lowest = try #require(InterruptMessage(messageAddress: 0xFEEF_F00C, data: 0x8152))
        #expect(
            lowest
                == InterruptMessage(
                    destination: 0xFF, isLogical: true, deliveryMode: .lowestPriority, vector: 0x52,
                    isLevelTriggered: true))
        let far = try #require(InterruptMessage(messageAddress: 0xFEE0_3020, data: 0x41))
        #expect(far.destination == 0x103 && far.isWide)
        #expect(InterruptMessage(messageAddress: 0xFED0_0000, data: 0x41) == nil)
        #expect(InterruptMessage(messageAddress: 0x1_FEE0_0000, data: 0x41) == nil)
        #expect(InterruptMessage(messageAddress: 0xFEE0_0000, data: 0x341) == nil)
    }
}
