import GuestMemory
import Testing

/// Functions of another page that superblocks go on in: code that changes, and pages that lie at several addresses.
@Suite struct CalledFunctionTests {
    // Linear and physical addresses.
    private static let first: UInt64 = 0x1000_0000
    private static let second: UInt64 = 0x3000_0000
    private static let driver: UInt64 = 0x3800_0000
    private static let callerPage: UInt64 = 0x30_0000
    private static let firstFunction: UInt64 = 0x31_0000
    private static let secondFunction: UInt64 = 0x32_0000
    private static let driverPage: UInt64 = 0x33_0000

    /// A caller at two addresses, with a function of its own behind each: the first adds 1 to EBX, the second 100.
    private func makeGuest(_ driver: [UInt8]) throws -> UserGuest {
        let guest = try UserGuest(threshold: 1, promotion: 2)
        let caller: [UInt8] = [
            0xe8, 0xfb, 0x0f, 0, 0,  // again: call the next page
            0x90,
            0x41, 0xff, 0xce,  // dec r14d
            0x75, 0xf5,  // jnz again
            0xc3,
        ]
        guest.machine.write(Self.callerPage, caller)
        guest.machine.write(Self.firstFunction, [0x81, 0xc3, 1, 0, 0, 0, 0xc3])  // add ebx, 1; ret
        guest.machine.write(Self.secondFunction, [0x81, 0xc3, 100, 0, 0, 0, 0xc3])
        guest.machine.write(Self.driverPage, driver)
        guest.map(Self.first, Self.callerPage, user: true)
        guest.map(Self.first + 4096, Self.firstFunction, user: true)
        guest.map(Self.second, Self.callerPage, user: true)
        guest.map(Self.second + 4096, Self.secondFunction, user: true)
        guest.map(Self.driver, Self.driverPage, user: true)
        return guest
    }

    private func run(_ guest: UserGuest) -> UserOutcome {
        var item = UserCase()
        item.gpr[4] = UserCase.dataBase + 0x1000
        return guest.runOnce(item, at: Self.driver, data: [])
    }

    private static func word(_ value: UInt64) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) }
    }
    /// mov r14d, turns; mov eax, address; call rax
    private static func call(_ address: UInt64, turns: UInt8) -> [UInt8] {
        [0x41, 0xbe, turns, 0, 0, 0, 0xb8] + word(address) + [0xff, 0xd0]
    }
    /// Twenty times what is given, then INT3.
    private static func twentyTimes(_ body: [UInt8]) -> [UInt8] {
        let size = body.count + 8
        return [0xb9, 20, 0, 0, 0] + body + [0xff, 0xc9, 0x0f, 0x85] + word(UInt64(bitPattern: Int64(-size))) + [0xcc]
    }

    @Test func aCallerAtTwoAddressesCallsWhatIsBehindEach() throws {
        let guest = try makeGuest(
            Self.twentyTimes(Self.call(Self.first, turns: 10) + Self.call(Self.second, turns: 7)))
        let outcome = run(guest)
        #expect(outcome.vector == 3)
        #expect(outcome.gpr[3] == 20 * (10 + 700))
        #expect(RandomSequenceTests.statistic("calls in superblocks", of: guest) > 0)
    }

    @Test func aFunctionThatChangesIsExecutedAsItIs() throws {
        // inc dword ptr [the number that the function adds], after each ten calls.
        let change: [UInt8] = [0xff, 0x04, 0x25] + Self.word(Self.first + 4096 + 2)
        let guest = try makeGuest(Self.twentyTimes(Self.call(Self.first, turns: 10) + change))
        let outcome = run(guest)
        #expect(outcome.vector == 3)
        #expect(outcome.gpr[3] == 10 * (1...20).reduce(0, +))
        #expect(RandomSequenceTests.statistic("calls in superblocks", of: guest) > 0)
    }

    @Test func aFunctionThatChangesItsCallerComesBackToWhatItIs() throws {
        let guest = try makeGuest(Self.twentyTimes(Self.call(Self.first, turns: 200)))
        // Behind the call: NOP, or INT3 once EBX is 3,333.
        guest.machine.write(
            Self.firstFunction,
            [0xff, 0xc3, 0x81, 0xfb] + Self.word(3333)  // inc ebx; cmp ebx, 3333
                + [0x75, 0x08, 0xc6, 0x04, 0x25] + Self.word(Self.first + 5) + [0xcc, 0xc3])  // jne; mov byte ptr, 0xcc; ret
        let outcome = run(guest)
        #expect(outcome.vector == 3)
        #expect(outcome.gpr[3] == 3333)
        #expect(outcome.rip == Self.first + 6)
        #expect(RandomSequenceTests.statistic("calls in superblocks", of: guest) > 0)
    }

    /// The first function comes back elsewhere each hundredth time.
    @Test func aFunctionMayComeBackElsewhere() throws {
        let guest = try makeGuest(Self.twentyTimes(Self.call(Self.first, turns: 250)))
        guest.machine.write(
            Self.firstFunction,
            [
                0xff, 0xc3,  // inc ebx
                0xff, 0xc2, 0x83, 0xfa, 100, 0x75, 0x0d,  // inc edx; cmp edx, 100; jne
                0x31, 0xd2, 0x81, 0xc7, 1, 0, 0, 0,  // xor edx, edx; add edi, 1
                0x48, 0x83, 0x04, 0x24, 1,  // add qword ptr [rsp], 1
                0xc3,
            ])
        let outcome = run(guest)
        #expect(outcome.vector == 3)
        #expect(outcome.gpr[3] == 5000)
        #expect(outcome.gpr[7] == 50)
    }

    /// A register by which a window goes is given the smallest number of 64 bits.
    @Test func theSmallestConstantIsAConstant() throws {
        let load: [UInt8] = [0x8b, 0x03, 0x8b, 0x4b, 4]  // mov eax, [rbx]; mov ecx, [rbx+4]
        let smallest: [UInt8] = [0x48, 0xbb, 0, 0, 0, 0, 0, 0, 0, 0x80]  // mov rbx, 8000000000000000H
        let add: [UInt8] = [0x48, 0x8d, 0x9b, 0, 0, 0, 0x80]  // lea rbx, [rbx-80000000H]
        for change in [smallest, add] {
            let body = [0xbb] + Self.word(UserCase.dataBase) + load + change + [0x89, 0xc2]
            let size = body.count + 9
            let loop: [UInt8] = [0x41, 0xbe, 20, 0, 0, 0] + body  // mov r14d, 20
                + [0x41, 0xff, 0xce, 0x0f, 0x85] + Self.word(UInt64(bitPattern: Int64(-size))) + [0xcc]
            let guest = try makeGuest(loop)
            let outcome = run(guest)
            #expect(outcome.vector == 3)
            #expect(outcome.gpr[14] == 0)
            #expect(RandomSequenceTests.statistic("TB translated", of: guest) > 0)
        }
    }
}
