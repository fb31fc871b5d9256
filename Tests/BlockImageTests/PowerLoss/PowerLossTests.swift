import BlockImage
import CLinux
import TestSupport
import Testing

/// `APUS_FUZZ_ROUNDS`: how many times the usual rounds.
let fuzzRounds = unsafe getenv("APUS_FUZZ_ROUNDS").flatMap { unsafe Int(String(cString: $0)) } ?? 1

/// The power fails at any moment, and the disk has taken whatever it liked since the last flush: no flushed write is
/// lost, a check finds leaks at worst, and no sector shows what was written to another.
@Suite struct PowerLossTests {
    @Test(arguments: CrashConfiguration.all)
    func randomPowerLoss(_ configuration: CrashConfiguration) throws {
        let image = try CrashDisk(configuration, seed: 0).makeImage()
        var crashes = 0
        for seed in 0..<UInt64(200 * fuzzRounds) {
            let disk = CrashDisk(configuration, seed: seed)
            var bytes = image
            // The same image crashes several times, also while it is mended.
            for _ in 0..<3 {
                let file = VolatileNode(bytes)
                file.failPower(after: 1 + Int(disk.numbers.next() % 150))
                if let node = try? disk.open(file) {
                    var steps = 0
                    while !file.isOff && steps < 80 {
                        disk.step(node)
                        steps += 1
                    }
                    node.close()
                }
                if file.isOff { crashes += 1 }
                bytes = file.afterPowerLoss(&disk.numbers)
                disk.examine(VolatileNode(bytes), isLost: true)
            }
            disk.mend(VolatileNode(bytes))
            let failures = disk.failures
            #expect(failures.isEmpty, "seed \(seed): \(failures.prefix(3))")
            if !failures.isEmpty { return }
        }
        #expect(crashes > 300)
    }

    @Test(.enabled(if: Tool.qemuImg != nil, "qemu-img is not installed"), arguments: CrashConfiguration.all)
    func othersFindLeaksAtWorst(_ configuration: CrashConfiguration) throws {
        let base = TestFile(bytes: [UInt8](repeating: 1, count: 1 << 20), suffix: ".raw")
        let image = try CrashDisk(configuration, seed: 0).makeImage(base: base.path)
        for seed in 1000..<1004 as Range<UInt64> {
            let disk = CrashDisk(configuration, seed: seed)
            let file = VolatileNode(image)
            file.failPower(after: 40 + Int(disk.numbers.next() % 60))
            let node = try disk.open(file)
            while !file.isOff { disk.step(node) }
            node.close()
            let copy = TestFile(bytes: file.afterPowerLoss(&disk.numbers), suffix: ".qcow2")
            let found = Tool.capture([Tool.qemuImg!, "check", copy.path])
            let words = found.output.split(separator: "\n").map(String.init)
            let isRight = found.status == 0 || found.status == 3 || (found.status == 2 && disk.areFlagsOnly(words))
            #expect(isRight, "seed \(seed): \(found.output)")
        }
        withExtendedLifetime(base) {}
    }

    @Test func aDiskWithoutFlushesLosesWhatItMay() {
        // The tests above prove something only if this disk does lose and mix writes.
        var (lost, mixed) = (0, 0)
        for seed in 0..<200 as Range<UInt64> {
            var numbers = SplitMix64(state: seed)
            let file = VolatileNode([UInt8](repeating: 1, count: 4096))
            _ = file.writeAndWait(at: 0, bytes: [UInt8](repeating: 2, count: 1024))
            _ = file.writeAndWait(at: 2048, bytes: [UInt8](repeating: 3, count: 1024))
            let bytes = file.afterPowerLoss(&numbers)
            if bytes[0] == 1 && bytes[2048] == 3 { mixed += 1 }
            if bytes[0] == 2 && bytes[1023] == 1 { mixed += 1 }
            if bytes[0] == 1 && bytes[2048] == 1 { lost += 1 }
        }
        #expect(lost > 20 && mixed > 20)
        let file = VolatileNode([UInt8](repeating: 1, count: 4096))
        _ = file.writeAndWait(at: 0, bytes: [UInt8](repeating: 2, count: 1024))
        #expect(file.performAndWait(.flush) == 0)
        for seed in 0..<50 as Range<UInt64> {
            var numbers = SplitMix64(state: seed)
            #expect(file.afterPowerLoss(&numbers)[0..<1024].allSatisfy { $0 == 2 })
        }
    }
}
