import LocalAPIC
import Testing

@Suite struct DestinationTests {
    private func identity(_ mode: APIC.Mode, id: UInt32, logical: UInt32 = 0, cluster: Bool = false) -> APIC.Identity {
        APIC.Identity(mode: mode, id: id, logicalID: logical, isCluster: cluster)
    }

    @Test func physicalExhaustively() {
        for id in UInt32(0)...254 {
            let xapic = identity(.xAPIC, id: id)
            let x2apic = identity(.x2APIC, id: id)
            for destination in UInt32(0)...255 {
                let expected = destination == id || destination == 255
                #expect(xapic.matches(destination, isWide: false, isLogical: false) == expected)
                #expect(x2apic.matches(destination, isWide: false, isLogical: false) == expected)
            }
        }
    }

    @Test func widePhysical() {
        let target = identity(.x2APIC, id: 0x1FF)
        #expect(target.matches(0x1FF, isWide: true, isLogical: false))
        #expect(target.matches(0xFFFF_FFFF, isWide: true, isLogical: false))
        #expect(!target.matches(0xFF, isWide: true, isLogical: false))
        #expect(identity(.x2APIC, id: 0xFF).matches(0xFF, isWide: true, isLogical: false))
    }

    @Test func flatExhaustively() {
        for logical in UInt32(0)...255 {
            let target = identity(.xAPIC, id: 9, logical: logical)
            for destination in UInt32(0)...255 {
                let expected = destination == 255 || logical & destination != 0
                #expect(target.matches(destination, isWide: false, isLogical: true) == expected)
            }
        }
    }

    @Test func clusterExhaustively() {
        for logical in UInt32(0)...255 {
            let target = identity(.xAPIC, id: 9, logical: logical, cluster: true)
            for destination in UInt32(0)...254 {
                let sameCluster = destination / 16 == logical / 16 || destination / 16 == 15
                let sameMember = (destination % 16) & (logical % 16) != 0
                #expect(target.matches(destination, isWide: false, isLogical: true) == (sameCluster && sameMember))
            }
        }
    }

    @Test func x2LogicalIDs() {
        for id in UInt32(0)..<64 {
            let t = TestAPIC(id: id, x2: true)
            #expect(t.apic.readMSR(0x80D, now: 0) == UInt64((id / 16) << 16 | 1 << (id % 16)))
            for cluster in UInt32(0)..<4 {
                for member in UInt32(0)..<16 {
                    let destination = cluster << 16 | 1 << member
                    #expect(
                        t.apic.identity.matches(destination, isWide: true, isLogical: true)
                            == (id == cluster * 16 + member))
                }
            }
            #expect(t.apic.identity.matches(0xFFFF_FFFF, isWide: true, isLogical: true))
        }
    }

    @Test func identityFollowsRegisters() {
        let t = TestAPIC(id: 6)
        _ = t.write(APICRegister.logicalDestination, 0x4200_0000)
        #expect(t.apic.identity == identity(.xAPIC, id: 6, logical: 0x42))
        _ = t.write(APICRegister.destinationFormat, 0)
        #expect(t.apic.identity == identity(.xAPIC, id: 6, logical: 0x42, cluster: true))
        _ = t.apic.writeBase(0xFEE0_0100, physicalBits: 40, offersX2APIC: true)
        #expect(!t.apic.identity.matches(0xFF, isWide: false, isLogical: false))
    }

    @Test(arguments: [(InterruptMessage.Shorthand.selfOnly, true, false), (.all, true, true), (.others, false, true)])
    func shorthands(_ shorthand: InterruptMessage.Shorthand, _ sender: Bool, _ other: Bool) {
        let message = InterruptMessage(destination: 77, shorthand: shorthand, deliveryMode: .fixed, vector: 32)
        #expect(message.reaches(identity(.xAPIC, id: 1), isSender: true) == sender)
        #expect(message.reaches(identity(.xAPIC, id: 2)) == other)
        #expect(!message.reaches(identity(.disabled, id: 3)))
    }

    @Test func lowestPriorityTakesTheLeastBusyThenTheNext() {
        var round = LowestPriorityArbitration(after: -1)
        #expect(round.winner == nil)
        round.consider(0, priority: 0x50)
        round.consider(1, priority: 0x20)
        round.consider(2, priority: 0x20)
        #expect(round.winner == 1)
        var winners: [Int] = []
        for _ in 0..<5 {
            var next = LowestPriorityArbitration(after: winners.last ?? -1)
            for index in 0..<3 { next.consider(index, priority: 0) }
            winners.append(next.winner ?? -1)
        }
        #expect(winners == [0, 1, 2, 0, 1])
    }
}
