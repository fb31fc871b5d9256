import Execution
import GuestPrograms
import HostOS
import KVMEngine
import Testing
import X86

@Suite("Opening KVM")
struct DeviceTests {
    @Test("A device that is not there is told with the way out")
    func noDevice() {
        let error = #expect(throws: KVMError.self) { try KVMDevice(path: "/nowhere/kvm") }
        let words = error.map { "\($0)" } ?? ""
        #expect(words.hasPrefix("There is no /nowhere/kvm"))
        #expect(words.contains("modprobe") || words.contains("software engine"))
    }

    @Test("A file that is no KVM is refused")
    func otherDevice() {
        let error = #expect(throws: KVMError.self) { try KVMDevice(path: "/dev/null") }
        #expect(error.map { "\($0)" }?.contains("ask KVM for its version") == true)
    }

    @Test(
        "Reasons name what to do",
        arguments: [
            (KVMError.noDevice(path: "/dev/kvm", hasVirtualization: true, module: "kvm-amd"), "modprobe kvm-amd"),
            (.noDevice(path: "/dev/kvm", hasVirtualization: false, module: "kvm"), "neither vmx nor svm"),
            (.permission(path: "/dev/kvm", group: "kvm"), "usermod -aG kvm"),
            (.notSupported(path: "/dev/kvm"), "firmware"),
            (.version(11), "version 11"),
            (.missing("immediate exits", since: "4.13"), "since 4.13"),
            (.tooManyProcessors(5000, limit: 1024), "5000 processors"),
        ])
    func reasons(error: KVMError, part: String) { #expect("\(error)".contains(part)) }

    @Test("Guests are offered what KVM supports", .enabled(if: Host.isThere, Host.reason))
    func features() throws {
        let device = try Host.device.get()
        let features = device.offeredFeatures
        for name in ["lm", "sse2", "x2apic", "hypervisor", "apic"] {
            #expect(CPUFeature(name: name).map(features.contains) == true, "\(name)")
        }
        #expect(CPUFeature(name: "vmx").map(features.contains) != true || HostVirtualization.hasVMX)
        #expect((32...52).contains(device.physicalBits))
        #expect(device.hasSplitInterruptController)
    }

    @Test("How long an exit takes, out and in again", .enabled(if: Host.isThere, Host.reason))
    func roundTrip() throws {
        for (name, code) in [("port", Code.portLoop), ("device memory", Code.deviceLoop)] {
            let bench = try Bench(code, .protected)
            for _ in 0..<200 { _ = try bench.next() }
            let count: UInt64 = 2000
            let start = HostClock.monotonic
            for _ in 0..<count { _ = try bench.next() }
            let time = (HostClock.monotonic - start) / count
            print("Exit round trip, \(name): \(time) ns")
            #expect(time < 1_000_000)
        }
        let bench = try Bench(Code.doorbellLoop, .protected)
        let event = try EventDescriptor()
        try bench.engine.attach(Doorbell(space: .port, address: 0x500, size: 2), eventDescriptor: event.number)
        let start = HostClock.monotonic
        try bench.finish()
        print("Doorbell: \((HostClock.monotonic - start) / 1000) ns")
        #expect(event.take() == 1000)
    }
}
